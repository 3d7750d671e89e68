-- Grain: one account and survey type: what its people said last and over the trailing window, and who of them is
-- silent. Customers that were never asked are here too, so that revenue adds up. In an incremental build those accounts
-- are counted again that a batch touched, or an answer or invitation of which came into a window or left it.
-- depends_on: {{ ref('int_last_day') }}
{{ config(
    materialized = 'incremental',
    unique_key = 'account_id',
    meta = {'present': 'survey_type', 'tracked': ['account_id']}
) }}
{%- set window_days = var('account_window_days') %}
{%- set trailing_days = var('trailing_window_days') %}
{%- set categories = ['detractor', 'passive', 'promoter'] %}

{%- set affected = 'select account_id from affected' %}
{%- set first_day = asked_once(
    'select least(account_window_start, trailing_window_start) from ' ~ ref('dim_windows')
)[0][0] if is_incremental() %}
{%- set since = " >= date '" ~ first_day ~ "'" if first_day else ' is null' %}

with
{%- if is_incremental() %}
affected as (
    select changed_value as account_id from {{ changed('dim_accounts', 'account_id') }} as accounts
    union
    select changed_value from {{ changed('dim_contacts', 'account_id') }} as contacts
    union
    select changed_value from {{ changed('fct_nps_responses', 'account_id') }} as answers
    union
    select changed_value from {{ changed('fct_survey_invitations', 'account_id') }} as invitations
    union
    select account_id from {{ ref('fct_nps_responses') }}
    where
        {{ has_left_or_entered('response_date', window_days) }}
        or {{ has_left_or_entered('response_date', trailing_days) }}
    union
    select account_id from {{ ref('fct_survey_invitations') }}
    where {{ has_left_or_entered('sent_date', window_days) }}
),
{% endif %}
windows as (
    select * from {{ ref('dim_windows') }}
),

responses as (
    select * from
        {{ concerned(
            ref('fct_nps_responses'), 'account_id', affected,
            ['response_id', 'survey_type', 'account_id', 'contact_id', 'category', 'submitted_at', 'response_date'],
            condition='response_date' ~ since
        ) }}
),

invitations as (
    select * from
        {{ concerned(
            ref('fct_survey_invitations'), 'account_id', affected,
            ['survey_type', 'account_id', 'contact_id', 'sent_date', 'delivered_at', 'outcome'],
            condition='sent_date' ~ since
        ) }}
),

-- A person whom nobody knows is one for each answer.
people_answered as (
    select
        responses.survey_type,
        responses.account_id,
        coalesce(responses.contact_id, responses.response_id) as person,
        max(responses.response_date) as last_response_date,
        {{ last_answer_times('responses', 'responses.response_date >= windows.account_window_start') }},
        {%- for category in categories %}
        count(
            case
                when responses.category = '{{ category }}' and responses.response_date >= windows.trailing_window_start
                    then 1
            end
        ) as trailing_{{ category }}s{{ ',' if not loop.last }}
        {%- endfor %}
    from responses
    inner join windows
        on
            responses.response_date
            between least(windows.account_window_start, windows.trailing_window_start) and windows.last_day
    where responses.account_id is not null
    group by responses.survey_type, responses.account_id, coalesce(responses.contact_id, responses.response_id)
),

latest as (
    select
        *,
        {{ last_category() }} as latest_category
    from people_answered
),

answered as (
    select
        survey_type,
        account_id,
        max(last_response_date) as last_response_date,
        count(latest_category) as latest_responses,
        {%- for category in categories %}
        count(case when latest_category = '{{ category }}' then 1 end) as latest_{{ category }}s,
        sum(trailing_{{ category }}s) as trailing_{{ category }}s,
        {%- endfor %}
        sum(trailing_detractors + trailing_passives + trailing_promoters) as trailing_responses
    from latest
    group by survey_type, account_id
),

people_asked as (
    select
        invitations.survey_type,
        invitations.account_id,
        invitations.contact_id,
        {{ dbt.bool_or("invitations.outcome = 'answered'") }} as has_answered
    from invitations
    inner join windows on invitations.sent_date between windows.account_window_start and windows.last_day
    where
        invitations.account_id is not null
        and invitations.contact_id is not null
        and invitations.delivered_at is not null
        and invitations.outcome <> 'ineligible'
    group by invitations.survey_type, invitations.account_id, invitations.contact_id
),

asked as (
    select
        survey_type,
        account_id,
        count(*) as contacts_asked,
        count(case when has_answered then 1 end) as contacts_answered
    from people_asked
    group by survey_type, account_id
),

people as (
    select
        account_id,
        count(*) as contacts
    from {{ concerned(ref('dim_contacts'), 'account_id', affected, ['account_id', 'is_staff', 'is_deleted']) }}
    where account_id is not null and not is_staff and not is_deleted
    group by account_id
),

survey_types as (
    select distinct survey_type from {{ ref('dim_surveys') }}
),

accounts as (
    select
        *,
        is_customer and not is_deleted as is_live_customer
    from {{ ref('dim_accounts') }}
    {%- if is_incremental() %}
    where account_id in ({{ affected }})
    {%- endif %}
),

confidence as (
    select {{ confidence_z() }} as z
),

final as (
    select
        survey_types.survey_type,
        accounts.account_id,
        accounts.account_name,
        accounts.owner_id,
        {%- for segment in segments_from('account') if segment.years is not defined %}
        accounts.{{ segment.name }},
        {%- endfor %}
        accounts.annual_revenue,
        accounts.is_live_customer as is_customer,
        cast(coalesce(people.contacts, 0) as bigint) as contacts,
        cast(coalesce(asked.contacts_asked, 0) as bigint) as contacts_asked,
        cast(coalesce(asked.contacts_answered, 0) as bigint) as contacts_answered,
        cast(coalesce(asked.contacts_asked - asked.contacts_answered, 0) as bigint) as contacts_silent,
        answered.last_response_date,
        {%- for span in ['latest', 'trailing'] %}
        cast(coalesce(answered.{{ span }}_responses, 0) as bigint) as {{ span }}_responses,
        {%- for category in categories %}
        cast(coalesce(answered.{{ span }}_{{ category }}s, 0) as bigint) as {{ span }}_{{ category }}s,
        {%- endfor %}
        {%- endfor %}
        {{ points(nps('answered.latest_promoters', 'answered.latest_detractors', 'answered.latest_responses')) }}
            as latest_nps,
        {{ score_measures('answered', 'confidence.z', 'trailing_') }},
        {{ evidence('coalesce(answered.trailing_responses, 0)') }} as trailing_evidence
    from accounts
    cross join survey_types
    cross join confidence
    left join people on accounts.account_id = people.account_id
    left join asked on accounts.account_id = asked.account_id and survey_types.survey_type = asked.survey_type
    left join answered on accounts.account_id = answered.account_id and survey_types.survey_type = answered.survey_type
    where accounts.is_live_customer or asked.account_id is not null or answered.account_id is not null
)

{{ with_removed_keys('final', 'account_id') }}
