-- Grain: one account, survey type and category of its answers: whether its last answer is one, after how many of the
-- quarters that ended with one it was still a customer, and which sales came after one. In an incremental build those
-- accounts are looked at again that a batch touched, or an answer of which is old enough now.
-- depends_on: {{ ref('dim_accounts') }}
{{ config(
    materialized = 'incremental',
    unique_key = 'account_id',
    meta = {'present': 'survey_type', 'tracked': ['account_id']}
) }}
{%- set days = var('value_window_days') %}
{%- set affected = 'select account_id from affected' %}

with
{%- if is_incremental() %}
affected as (
    select changed_value as account_id from {{ changed('fct_nps_responses', 'account_id') }} as answers
    union
    select changed_value from {{ changed('int_account_history', 'account_id') }} as history
    union
    select changed_value from {{ changed('dim_accounts', 'account_id') }} as accounts
    union
    select changed_value from {{ changed('int_opportunities', 'account_id') }} as opportunities
    union
    select account_id from {{ ref('fct_nps_responses') }}
    where {{ has_left_or_entered('response_date', days) }}
),
{% endif %}
answers as (
    select *
    from
        {{ concerned(
            ref('fct_nps_responses'), 'account_id', affected,
            ['survey_type', 'account_id', 'category', 'submitted_at', 'response_date']
        ) }}
),

by_quarter as (
    select
        answers.survey_type,
        answers.account_id,
        dates.quarter_start,
        {{ last_answer_times('answers') }}
    from answers
    inner join {{ ref('dim_dates') }} as dates on answers.response_date = dates.date_day
    where answers.account_id is not null
    group by answers.survey_type, answers.account_id, dates.quarter_start
),

-- One answer per account and quarter, so that who answers often counts no more than others.
last_answers as (
    select
        survey_type,
        account_id,
        answered_at,
        {{ add_hours('answered_at', days * 24) }} as observed_at,
        {{ add_days(business_date('answered_at'), days) }} as observed_date,
        {{ last_category() }} as category,
        row_number() over (partition by survey_type, account_id order by answered_at desc) as recency
    from by_quarter
),

history as (
    select
        account_id,
        known_from,
        valid_from,
        valid_to
    from {{ ref('int_account_history') }}
    where
        is_customer
        and not coalesce(is_deleted, false)
        {%- if is_incremental() %}
        and account_id in ({{ affected }})
        {%- endif %}
),

-- What an account was before it was first seen is not known: taken from its first state, who had left by then would be
-- missing among those who answered, and all others would have stayed.
stayed as (
    select
        last_answers.account_id,
        last_answers.survey_type,
        last_answers.category,
        last_answers.recency = 1 as is_last,
        case when then_customers.account_id is not null then 1 else 0 end as observed,
        case when then_customers.account_id is not null and later_customers.account_id is not null then 1 else 0 end
            as retained
    from last_answers
    cross join {{ ref('int_last_day') }} as last_day
    left join history as then_customers
        on
            last_answers.account_id = then_customers.account_id
            and last_answers.answered_at >= then_customers.known_from
            and last_answers.answered_at < then_customers.valid_to
            and last_answers.observed_date <= last_day.last_date
    left join history as later_customers
        on
            last_answers.account_id = later_customers.account_id
            and last_answers.observed_at >= later_customers.valid_from
            and last_answers.observed_at < later_customers.valid_to
),

answers_before as (
    select
        answers.survey_type,
        opportunities.opportunity_id,
        opportunities.account_id,
        opportunities.amount,
        opportunities.is_won,
        {{ last_answer_times('answers') }}
    from {{ ref('int_opportunities') }} as opportunities
    inner join answers
        on
            opportunities.account_id = answers.account_id
            and opportunities.close_date > answers.response_date
            and {{ add_days('opportunities.close_date', -days) }} <= answers.response_date
    group by
        answers.survey_type, opportunities.opportunity_id, opportunities.account_id, opportunities.amount,
        opportunities.is_won
),

sold as (
    select
        account_id,
        survey_type,
        {{ last_category() }} as category,
        case when is_won then 1 else 0 end as won,
        case when is_won then amount end as amount_won
    from answers_before
),

outcomes as (
    select
        account_id,
        survey_type,
        category,
        is_last,
        observed,
        retained,
        0 as closed,
        0 as won,
        cast(null as decimal(18, 2)) as amount_won
    from stayed
    union all
    select
        account_id,
        survey_type,
        category,
        false as is_last,
        0 as observed,
        0 as retained,
        1 as closed,
        won,
        amount_won
    from sold
),

final as (
    select
        account_id,
        survey_type,
        category,
        {{ dbt.bool_or('is_last') }} as is_last,
        {%- for count in ['observed', 'retained', 'closed', 'won'] %}
        cast(sum({{ count }}) as bigint) as {{ count }},
        {%- endfor %}
        cast(sum(amount_won) as decimal(18, 2)) as amount_won
    from outcomes
    group by account_id, survey_type, category
)

{{ with_removed_keys('final', 'account_id') }}
