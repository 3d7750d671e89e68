-- Grain: one person and one survey type about whom something must be known first: who is not listed may be asked. In an
-- incremental build those are looked up again whom a batch touched, or for whom a time is over.
-- depends_on: {{ ref('int_asked_accounts') }}
{{ config(
    materialized = 'incremental',
    unique_key = 'contact_id',
    meta = {'present': 'state', 'tracked': ['contact_id'], 'passes': true}
) }}
{%- set rules = var('contact_rules') %}
{%- set forgotten_days = rules.get('forgotten_days', {}) %}
{#- After which an invitation means something else. -#}
{%- set passing_days = [0, var('trailing_window_days')]
    + rules.days_between.values() | list + forgotten_days.values() | list %}
{%- set affected = 'select contact_id from affected' %}

with
{%- if is_incremental() %}
affected as (
    select changed_value as contact_id from {{ changed('fct_survey_invitations', 'contact_id') }} as invitations
    union
    select changed_value from {{ changed('dim_contacts', 'contact_id') }} as contacts
    union
    select contact_id from {{ ref('dim_contacts') }}
    where account_id in (
        select changed_value from {{ changed('dim_accounts', 'account_id') }} as accounts
        union
        select changed_value from {{ changed('int_asked_accounts', 'account_id') }} as asked
    )
    union
    select contact_id from {{ ref('int_respondents') }}
    where respondent_key in {{ changed('int_opt_outs', 'respondent_key') }}
    union
    select respondents.contact_id
    from {{ ref('int_opt_outs') }} as opt_outs
    inner join {{ ref('int_respondents') }} as respondents on opt_outs.respondent_key = respondents.respondent_key
    where {{ has_passed('opt_outs.opted_out_at') }}
    union
    select contact_id from {{ ref('fct_survey_invitations') }}
    where
        {%- for days in passing_days | unique %}
        {{ 'or ' if not loop.first }}{{ has_passed('sent_at', days) }}
        {%- endfor %}
),
{% endif %}
contacts as (
    select
        dim_contacts.*,
        coalesce(accounts.is_customer and not accounts.is_deleted, true) as is_of_customer
    from (
        select * from {{ concerned(ref('dim_contacts'), 'contact_id', affected) }}
    ) as dim_contacts
    left join {{ ref('dim_accounts') }} as accounts on dim_contacts.account_id = accounts.account_id
    where
        not dim_contacts.is_staff
        and not dim_contacts.is_deleted
),

-- However long ago: who was asked once, and not since, stays forgotten.
asked as (
    select
        contact_id,
        {%- for type in survey_types() %}
        max(case when survey_type = '{{ type }}' then sent_at end) as {{ type }}_sent_at,
        count(
            case when survey_type = '{{ type }}' and not is_within_contact_rules and is_recent then 1 end
        ) as {{ type }}_against_rules,
        {%- endfor %}
        max(sent_at) as any_sent_at,
        count(case when is_recent then 1 end) as recent_invitations
    from (
        select
            contact_id,
            survey_type,
            sent_at,
            is_within_contact_rules,
            sent_at > {{ add_hours(as_of_moment(), -24 * var('trailing_window_days')) }} as is_recent
        from
            {{ concerned(
                ref('fct_survey_invitations'), 'contact_id', affected,
                ['contact_id', 'survey_type', 'sent_at', 'delivered_at', 'is_within_contact_rules']
            ) }}
        where
            contact_id is not null
            and delivered_at is not null
            and sent_at <= {{ as_of_moment() }}
    ) as invitations
    group by contact_id
),

opt_outs as (
    select distinct respondents.contact_id
    from {{ ref('int_opt_outs') }} as opt_outs
    inner join {{ ref('int_respondents') }} as respondents on opt_outs.respondent_key = respondents.respondent_key
    where opt_outs.opted_out_at <= {{ as_of_moment() }}
),

survey_types as (
    {%- for type in survey_types() %}
    select
        '{{ type }}' as survey_type,
        {{
            add_hours(as_of_moment(), -24 * forgotten_days[type]) if type in forgotten_days
            else 'cast(null as timestamp)'
        }}
            as forgotten_before
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

known as (
    select
        contacts.contact_id,
        contacts.account_id,
        contacts.is_of_customer,
        survey_types.survey_type,
        survey_types.forgotten_before,
        contacts.has_opted_out or opt_outs.contact_id is not null as is_opted_out,
        asked_accounts.account_id is not null as is_account_asked,
        case survey_types.survey_type
            {%- for type in survey_types() %}
            when '{{ type }}' then asked.{{ type }}_sent_at
            {%- endfor %}
        end as last_asked_of_type_at,
        case survey_types.survey_type
            {%- for type in survey_types() %}
            when '{{ type }}' then asked.{{ type }}_against_rules
            {%- endfor %}
        end as invitations_against_rules,
        asked.any_sent_at as last_asked_at,
        asked.recent_invitations,
        {{ asked_again_at('survey_types.survey_type', 'asked') }} as may_be_asked_at
    from contacts
    cross join survey_types
    left join asked on contacts.contact_id = asked.contact_id
    left join {{ ref('int_asked_accounts') }} as asked_accounts on contacts.account_id = asked_accounts.account_id
    left join opt_outs on contacts.contact_id = opt_outs.contact_id
),

decided as (
    select
        *,
        case
            when is_opted_out then 'opted_out'
            when invitations_against_rules > 0 then 'asked_too_often'
            when may_be_asked_at > {{ as_of_moment() }} then 'held_back'
            when is_account_asked then 'account_held_back'
            when is_of_customer and last_asked_of_type_at <= forgotten_before then 'forgotten'
        end as state
    from known
),

final as (
    select
        contact_id,
        account_id,
        survey_type,
        state,
        not is_opted_out
        and not is_account_asked
        and coalesce(may_be_asked_at <= {{ as_of_moment() }}, true) as is_allowed_now,
        case when not is_opted_out then may_be_asked_at end as may_be_asked_at,
        last_asked_at,
        last_asked_of_type_at,
        cast(coalesce(recent_invitations, 0) as bigint) as recent_invitations,
        cast(coalesce(invitations_against_rules, 0) as bigint) as recent_invitations_against_rules
    from decided
    where state is not null
)

{{ with_removed_keys('final', 'contact_id') }}
