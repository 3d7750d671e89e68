-- Grain: one survey type in one period (quarter, year) for one value of each segment of accounts together, with sums
-- over the accounts that answered: what the scores of nps_account_views are made of. In an incremental build the
-- periods are summed again in which an answer came, went or moved, or an account that answered ended otherwise.
{{ config(
    materialized = 'incremental',
    unique_key = 'period_start',
    meta = {'present': 'survey_type'}
) }}
{%- set segments = segments_from('account') %}
{%- set grains = ['quarter', 'year'] %}
{%- set is_now = var('segments_as_of') == 'now' %}
{%- set names = [] %}
{%- for segment in segments %}
{%- do names.append(adapter.quote(segment.name)) %}
{%- endfor %}

with dates as (
    select
        date_day,
        quarter_start,
        year_start
    from {{ ref('dim_dates') }}
),

period_ends as (
    {%- for grain in grains %}
    select distinct
        '{{ grain }}' as period_grain,
        {{ grain }}_start as period_start,
        {{ grain }}_end as period_end,
        {{ business_day_end(grain ~ '_end') }} as ended_at
    from {{ ref('dim_dates') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),
{% if is_incremental() %}
-- A row that came back as it was is none that moved. Where segments are those of today, what is
-- current now moves them in all periods.
moved_answers as (
    select response_date
    from {{ differences('fct_nps_responses') }} as answers
    where account_id is not null
    group by response_date, survey_type, account_id, category
    having sum(row_change) <> 0
),

moved_states as (
    select
        period_ends.period_grain,
        period_ends.period_start,
        accounts.account_id
    from {{ differences('int_account_history') }} as accounts
    inner join period_ends
        on
            {{ is_valid_at('accounts', 'period_ends.ended_at') }}
            {%- if is_now %}
            or accounts.is_current
            {%- endif %}
    group by
        period_ends.period_grain, period_ends.period_start, accounts.account_id, accounts.annual_revenue,
        accounts.is_customer, accounts.is_deleted{{ ', accounts.is_current' if is_now }}
        {%- for name in names %}, accounts.{{ name }}{% endfor %}
    having sum(accounts.row_change) <> 0
),

answers_of_moved as (
    select
        answers.account_id,
        dates.quarter_start,
        dates.year_start
    from
        {{ rows_of(
            ref('fct_nps_responses'), 'account_id', 'select account_id from moved_states',
            columns=['account_id', 'response_date']
        ) }} as answers
    inner join dates on answers.response_date = dates.date_day
),

affected as (
    {%- for grain in grains %}
    -- The days of dim_dates are those of the present answers.
    select {{ fiscal_start(grain, 'response_date') }} as period_start
    from moved_answers
    union
    select moved_states.period_start
    from moved_states
    inner join answers_of_moved
        on
            moved_states.account_id = answers_of_moved.account_id
            and moved_states.period_start = answers_of_moved.{{ grain }}_start
    where moved_states.period_grain = '{{ grain }}'
    {{ 'union' if not loop.last }}
    {%- endfor %}
),

affected_dates as (
    select * from dates
    where
        {%- for grain in grains %}
        {{ 'or ' if not loop.first }}{{ grain }}_start in (select affected.period_start from affected)
        {%- endfor %}
),
{% endif %}
by_quarter as (
    select
        responses.survey_type,
        responses.account_id,
        dates.quarter_start,
        dates.year_start,
        count(*) as responses,
        count(case when responses.category = 'promoter' then 1 end) as promoters,
        count(case when responses.category = 'passive' then 1 end) as passives,
        count(case when responses.category = 'detractor' then 1 end) as detractors
    from {{ ref('fct_nps_responses') }} as responses
    inner join {{ 'affected_dates' if is_incremental() else 'dates' }} as dates
        on responses.response_date = dates.date_day
    where responses.account_id is not null
    group by responses.survey_type, responses.account_id, dates.quarter_start, dates.year_start
),

by_period as (
    {%- for grain in grains %}
    select
        survey_type,
        account_id,
        '{{ grain }}' as period_grain,
        {{ grain }}_start as period_start,
        cast(sum(responses) as bigint) as responses,
        cast(sum(promoters) as bigint) as promoters,
        cast(sum(passives) as bigint) as passives,
        cast(sum(detractors) as bigint) as detractors
    from by_quarter
    {%- if is_incremental() %}
    where {{ grain }}_start in (select affected.period_start from affected)
    {%- endif %}
    group by survey_type, account_id, {{ grain }}_start
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- Accounts that only a survey names have no state: it named them as customers, and nobody knows segments or revenue.
answered as (
    select
        by_period.*,
        {%- for segment in segments %}
        {{ segment_value(segment, 'period_ends.period_end') }} as {{ adapter.quote(segment.name) }},
        {%- endfor %}
        coalesce(accounts.is_customer and not coalesce(accounts.is_deleted, false), true) as is_customer,
        cast({{ worth_of('accounts.annual_revenue') }} as {{ type_double() }}) as annual_revenue,
        1e0 * (by_period.promoters - by_period.detractors) / by_period.responses as theta
    from by_period
    inner join period_ends
        on by_period.period_grain = period_ends.period_grain and by_period.period_start = period_ends.period_start
    left join {{ account_states() }} as accounts
        on
            by_period.account_id = accounts.account_id
            and {{ is_valid_at('accounts', 'period_ends.ended_at') }}
),

-- Who is no customer has a voice, and no revenue: else one that left could outweigh all who stay.
weighed as (
    select
        *,
        case when is_customer then annual_revenue else 0e0 end as revenue
    from answered
),

final as (
    select
        survey_type,
        period_grain,
        period_start,
        {%- for name in names %}
        {{ name }},
        {%- endfor %}
        {%- for name, expression in account_sums().items() %}
        sum({{ expression }}) as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from weighed
    group by {{ (['survey_type', 'period_grain', 'period_start'] + names) | join(', ') }}
)

{{ with_removed_keys('final', 'period_start') }}
