-- Grain: one account, survey type and category that its last answer of some quarter was of: whether its very last one
-- is, and after how many of those quarters it was still a customer. In an incremental build those accounts are looked at
-- again that a batch touched, or an answer of which is old enough now.
-- depends_on: {{ ref('dim_accounts') }}, {{ ref('int_account_history') }}
{{ config(
    materialized = 'incremental',
    unique_key = 'account_id',
    meta = {'present': 'survey_type'}
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
    select account_id from {{ ref('fct_nps_responses') }}
    where {{ has_left_or_entered('response_date', days) }}
),
{% endif %}
by_quarter as (
    select
        responses.survey_type,
        responses.account_id,
        dates.quarter_start,
        {{ last_answer_times('responses') }}
    from
        {{ rows_of(
            ref('fct_nps_responses'), 'account_id', affected,
            ['survey_type', 'account_id', 'category', 'submitted_at', 'response_date']
        ) if is_incremental() else ref('fct_nps_responses') }} as responses
    inner join {{ ref('dim_dates') }} as dates on responses.response_date = dates.date_day
    where responses.account_id is not null
    group by responses.survey_type, responses.account_id, dates.quarter_start
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
        valid_from,
        valid_to
    from {{ ref('dim_account_history') }}
    where
        is_customer
        {%- if is_incremental() %}
        and account_id in ({{ affected }})
        {%- endif %}
),

final as (
    select
        last_answers.account_id,
        last_answers.survey_type,
        last_answers.category,
        {{ dbt.bool_or('last_answers.recency = 1') }} as is_last,
        count(then_customers.account_id) as observed,
        count(case when then_customers.account_id is not null then later_customers.account_id end) as retained
    from last_answers
    cross join {{ ref('int_last_day') }} as last_day
    left join history as then_customers
        on
            last_answers.account_id = then_customers.account_id
            and last_answers.answered_at >= then_customers.valid_from
            and last_answers.answered_at < then_customers.valid_to
            and last_answers.observed_date <= last_day.last_date
    left join history as later_customers
        on
            last_answers.account_id = later_customers.account_id
            and last_answers.observed_at >= later_customers.valid_from
            and last_answers.observed_at < later_customers.valid_to
    group by last_answers.account_id, last_answers.survey_type, last_answers.category
)

{{ with_removed_keys('final', 'account_id') }}
