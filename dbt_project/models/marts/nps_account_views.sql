-- Grain: one value of one segment of accounts in one period (quarter, year): the score by answers, by accounts and by
-- revenue, and how much of the customers and their revenue answered.
{%- set segments = [{'name': 'all'}] + segments_from('account') %}
{%- set period = ['period_grain', 'period_start'] %}

{%- set periods %}
    select
        survey_type,
        period_grain,
        period_start,
        period_end,
        is_complete_period
    from {{ ref('nps_by_segment_period') }}
    where segment = 'all' and period_grain in ('quarter', 'year')
{%- endset %}
{#- Accounts are counted by all their segments together first, and then by each, so that they are read once. -#}
{%- set names = [] %}
{%- for segment in segments if segment.from is defined %}
{%- do names.append(adapter.quote(segment.name)) %}
{%- endfor %}
{%- set sums = account_sums() %}
{#-
    An account is in one place, with one revenue: those of the end of the period. Most never changed: those of one span and
    the same values are one row before periods multiply them. Whom only a survey names, it named as a customer, and no
    state says since when.
-#}
{%- set customers_together %}
    with period_ends as (
        select distinct
            period_grain,
            period_start,
            period_end,
            {{ business_day_end('period_end') }} as ended_at
        from periods
    ),

    states as (
        select
            {%- for name in names %}
            history.{{ name }},
            {%- endfor %}
            coalesce(history.valid_from, timestamp '1900-01-01') as valid_from,
            coalesce(history.valid_to, timestamp '9999-12-31') as valid_to,
            {{ worth_of('history.annual_revenue') }} as revenue
        from {{ ref('dim_accounts') }} as surviving_accounts
        left join {{ account_states() }} as history on surviving_accounts.account_id = history.account_id
        where coalesce(history.is_customer and not coalesce(history.is_deleted, false), true)
    ),

    accounts as (
        select
            {%- for name in names %}
            {{ name }},
            {%- endfor %}
            valid_from,
            valid_to,
            count(*) as accounts,
            sum(revenue) as revenue
        from states
        group by {{ (names + ['valid_from', 'valid_to']) | join(', ') }}
    ),

    placed as (
        select
            period_ends.period_grain,
            period_ends.period_start,
            {%- for segment in segments if segment.from is defined %}
            {{ segment_value(segment, 'period_ends.period_end') }} as {{ adapter.quote(segment.name) }},
            {%- endfor %}
            accounts.accounts,
            accounts.revenue
        from period_ends
        inner join accounts on {{ is_valid_at('accounts', 'period_ends.ended_at') }}
    )

    select
        {{ (period + names) | join(', ') }},
        sum(accounts) as accounts,
        sum(revenue) as revenue
    from placed
    group by {{ (period + names) | join(', ') }}
{%- endset %}

with {{ computed_once('periods', periods) }},

{{ computed_once('customers_together', customers_together, reads=['periods']) }},

answered_together as (
    select * from {{ ref('int_account_view_sums') }}
),

customers as (
    {%- for segment in segments %}
    {%- set value = adapter.quote(segment.name) if segment.from is defined else "'all'" %}
    select
        {{ period | join(', ') }},
        '{{ segment.name }}' as segment,
        {{ value }} as segment_value,
        sum(accounts) as accounts,
        sum(revenue) as revenue
    from customers_together
    group by {{ period | join(', ') }}{{ ', ' ~ value if segment.from is defined }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

answered_sums as (
    {%- for segment in segments %}
    {%- set value = adapter.quote(segment.name) if segment.from is defined else "'all'" %}
    select
        survey_type,
        {{ period | join(', ') }},
        '{{ segment.name }}' as segment,
        {{ value }} as segment_value,
        {%- for name in sums %}
        sum({{ name }}) as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from answered_together
    group by survey_type, {{ period | join(', ') }}{{ ', ' ~ value if segment.from is defined }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

means as (
    select
        *,
        1e0 * (promoters - detractors) / responses as answer_mean,
        theta / accounts as account_mean,
        revenue_theta / nullif(revenue, 0e0) as revenue_mean
    from answered_sums
),

errors as (
    select
        *,
        {{ cluster_error(
            'accounts', 'responses', 'answers_squared', 'answers_squared_theta', 'answers_squared_theta_squared',
            'answer_mean'
        ) }} as answer_error,
        {{ cluster_error('accounts', 'accounts', 'accounts', 'theta', 'theta_squared', 'account_mean') }}
            as account_error,
        {{ cluster_error(
            'accounts_with_revenue', 'revenue', 'revenue_squared', 'revenue_squared_theta',
            'revenue_squared_theta_squared', 'revenue_mean'
        ) }} as revenue_error,
        {{ shrunk_theta('promoters', 'detractors', 'responses') }} as shrunk_mean,
        sqrt({{ shrunk_variance('promoters', 'detractors', 'responses') }}) as shrunk_error
    from means
),

cells as (
    select
        segment,
        segment_value,
        {{ period | join(', ') }}
    from customers
    union
    select
        segment,
        segment_value,
        {{ period | join(', ') }}
    from answered_sums
),

confidence as (
    select {{ confidence_z() }} as z
),
{%- set minimum = var('evidence_minimum').interval %}

final as (
    select
        periods.survey_type,
        periods.period_grain,
        periods.period_start,
        periods.period_end,
        cells.segment,
        cells.segment_value,
        periods.is_complete_period,
        cast(coalesce(customers.accounts, 0) + coalesce(errors.accounts - errors.customers, 0) as bigint) as accounts,
        cast(coalesce(errors.accounts, 0) as bigint) as accounts_answered,
        {%- for count in ['responses', 'promoters', 'passives', 'detractors'] %}
        cast(coalesce(errors.{{ count }}, 0) as bigint) as {{ count }},
        {%- endfor %}
        {%- set enough = 'errors.responses >= ' ~ minimum %}
        case when {{ enough }} then {{ points('100e0 * errors.answer_mean') }} end as nps,
        {%- set error = 'greatest(errors.shrunk_error, coalesce(errors.answer_error, 0e0))' %}
        case when {{ enough }} then {{ points(mean_bound('errors.shrunk_mean', error, 'confidence.z', -1)) }} end
            as ci_low,
        case when {{ enough }} then {{ points(mean_bound('errors.shrunk_mean', error, 'confidence.z', 1)) }} end
            as ci_high,
        case when {{ enough }} then {{ points('100e0 * errors.answer_error') }} end as cluster_error,
        {%- for view, answered, weight in [
            ('account_equal', 'accounts', 'account'), ('revenue_weighted', 'accounts_with_revenue', 'revenue')
        ] %}
        {%- set enough = 'errors.' ~ answered ~ ' >= ' ~ minimum %}
        {%- set mean, error = 'errors.' ~ weight ~ '_mean', 'errors.' ~ weight ~ '_error' %}
        case when {{ enough }} then {{ points('100e0 * ' ~ mean) }} end as {{ view }}_nps,
        case when {{ enough }} then {{ points(mean_bound(mean, error, 'confidence.z', -1)) }} end as {{ view }}_ci_low,
        case when {{ enough }} then {{ points(mean_bound(mean, error, 'confidence.z', 1)) }} end as {{ view }}_ci_high,
        {%- endfor %}
        cast(coalesce(customers.revenue, 0) as decimal(18, 2)) as revenue,
        cast(coalesce(errors.revenue, 0) as decimal(18, 2)) as revenue_answered,
        cast(coalesce(customers.revenue, 0) - coalesce(errors.revenue, 0) as decimal(18, 2)) as revenue_silent,
        {{ rate('coalesce(errors.revenue, 0)', 'customers.revenue') }} as revenue_coverage,
        {{ evidence('coalesce(errors.responses, 0)') }} as evidence
    from periods
    inner join cells
        on periods.period_grain = cells.period_grain and periods.period_start = cells.period_start
    left join customers
        on
            cells.period_grain = customers.period_grain
            and cells.period_start = customers.period_start
            and cells.segment = customers.segment
            and cells.segment_value = customers.segment_value
    left join errors
        on
            periods.survey_type = errors.survey_type
            and cells.period_grain = errors.period_grain
            and cells.period_start = errors.period_start
            and cells.segment = errors.segment
            and cells.segment_value = errors.segment_value
    cross join confidence
)

select * from final
