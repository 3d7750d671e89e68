-- Grain: one account and survey type: what its people said last and over the trailing window, and who of them is
-- silent. Customers that were never asked are here too, so that revenue adds up.
{%- set window_days = var('account_window_days') %}
{%- set trailing_days = var('trailing_window_days') %}
{%- set categories = ['detractor', 'passive', 'promoter'] %}

with bounds as (
    select
        last_date as window_end,
        {{ add_days('last_date', 1 - window_days) }} as window_start,
        {{ add_days('last_date', 1 - trailing_days) }} as trailing_start
    from {{ ref('int_last_day') }}
),

-- A person whom nobody knows is one for each answer.
people_answered as (
    select
        responses.survey_type,
        responses.account_id,
        coalesce(responses.contact_id, responses.response_id) as person,
        max(responses.response_date) as last_response_date,
        {{ last_answer_times('responses', 'responses.response_date >= bounds.window_start') }},
        {%- for category in categories %}
        count(
            case
                when responses.category = '{{ category }}' and responses.response_date >= bounds.trailing_start then 1
            end
        ) as trailing_{{ category }}s{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('fct_nps_responses') }} as responses
    inner join bounds
        on responses.response_date between least(bounds.window_start, bounds.trailing_start) and bounds.window_end
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
    from {{ ref('fct_survey_invitations') }} as invitations
    inner join bounds on invitations.sent_date between bounds.window_start and bounds.window_end
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
    from {{ ref('dim_contacts') }}
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
        bounds.window_start,
        bounds.trailing_start,
        bounds.window_end,
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
    cross join bounds
    cross join confidence
    left join people on accounts.account_id = people.account_id
    left join asked on accounts.account_id = asked.account_id and survey_types.survey_type = asked.survey_type
    left join answered on accounts.account_id = answered.account_id and survey_types.survey_type = answered.survey_type
    where accounts.is_live_customer or asked.account_id is not null or answered.account_id is not null
)

select * from final
