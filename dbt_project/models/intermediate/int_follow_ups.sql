-- Grain: one activity with the contact, account or answer that it followed up or asked, and what is wrong with one that
-- somebody wrote down. In an incremental build those that are another than before.
{{ config(
    materialized = 'incremental',
    unique_key = 'activity_key',
    meta = {'present': 'activity_type', 'tracked': ['response_id', 'contact_id', 'account_id']}
) }}
{%- set activities %}
    select
        activities.*,
        coalesce(activities.contact_email, requesters.contact_email) as known_email,
        coalesce(activities.source_account_id, requesters.source_account_id) as named_account_id
    from {{ ref('int_activities') }} as activities
    left join {{ ref('int_requesters') }} as requesters
        on
            activities.source_system = requesters.source_system
            and activities.source_contact_id = requesters.source_contact_id
    where
        activities.activity_type in (
            {{ literals(var('follow_up').activity_types + var('advocacy').activity_types) }}
        )
{%- endset %}
{#- A person whom no CRM knows has the key that their answers have. -#}
{%- set resolved %}
    with contacts as (
        select
            contact_id,
            surviving_contact_id,
            account_id,
            contact_email,
            is_deleted
        from {{ ref('int_contacts') }}
        where
            contact_id in (select activities.external_contact_id from activities)
            or contact_email in (select activities.known_email from activities)
    ),

    {{ contacts_by_email_ctes() }}

    select
        activities.activity_key,
        activities.activity_type,
        activities.response_id,
        coalesce(
            contacts_by_key.surviving_contact_id,
            contacts_by_email.surviving_contact_id,
            'email:' || {{ salted_hash('activities.known_email') }},
            activities.external_contact_id
        ) as contact_id,
        coalesce(account_aliases.account_id, activities.named_account_id) as account_id,
        activities.owner_id,
        activities.has_invalid_time,
        coalesce(activities.created_at, activities.contacted_at, activities.resolved_at) as created_at,
        coalesce(activities.contacted_at, activities.resolved_at) as contacted_at,
        activities.resolved_at,
        activities.source_system,
        activities.load_id,
        activities.loaded_at,
        activities.source_file,
        activities.source_line
    from activities
    left join contacts as contacts_by_key on activities.external_contact_id = contacts_by_key.contact_id
    left join contacts_by_email on activities.known_email = contacts_by_email.contact_email
    left join {{ ref('int_account_aliases') }} as account_aliases
        on
            activities.source_system = account_aliases.source_system
            and activities.named_account_id = account_aliases.account_alias
{%- endset %}

with {{ computed_once('activities', activities) }},

{{ computed_once('resolved', resolved, reads=['activities']) }},

-- Only what a person wrote is judged: tools have activities with people who were never asked.
written as (
    select * from resolved
    where activity_type = 'follow_up'
),

answers as (
    select
        response_id,
        submitted_at
    from {{ ref('fct_nps_responses') }}
    where response_id in (select written.response_id from written)
),

known_contacts as (
    select contact_id from {{ ref('dim_contacts') }}
    where contact_id in (select written.contact_id from written)
),

known_accounts as (
    select account_id from {{ ref('dim_accounts') }}
    where account_id in (select written.account_id from written)
),

judged as (
    select
        written.activity_key,
        case
            when
                written.has_invalid_time
                or coalesce(written.resolved_at, written.contacted_at)
                > {{ add_hours('written.loaded_at', var('future_tolerance_hours')) }}
                then 'invalid_time'
            when written.resolved_at < written.contacted_at then 'resolved_before_contact'
            when written.contacted_at < answers.submitted_at then 'contact_before_answer'
            when written.response_id is not null
                then case when answers.response_id is null then 'unknown_answer' end
            when written.contact_id is not null
                then case when known_contacts.contact_id is null then 'unknown_contact' end
            when written.account_id is not null
                then case when known_accounts.account_id is null then 'unknown_account' end
            else 'names_nobody'
        end as fault
    from written
    left join answers on written.response_id = answers.response_id
    left join known_contacts on written.contact_id = known_contacts.contact_id
    left join known_accounts on written.account_id = known_accounts.account_id
),

final as (
    select
        resolved.*,
        judged.fault
    from resolved
    left join judged on resolved.activity_key = judged.activity_key
)

{{ only_moved('final', 'activity_key', [
    'activity_type', 'response_id', 'contact_id', 'account_id', 'owner_id', 'has_invalid_time', 'created_at', 'contacted_at',
    'resolved_at', 'source_system', 'load_id', 'loaded_at', 'source_file', 'source_line', 'fault',
]) }}
