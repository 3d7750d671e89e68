-- Grain: one category and survey type: what its accounts are worth, how many stay, and how many sales are won after it.
{%- set days = var('value_window_days') %}
{%- set minimum = var('evidence_minimum').interval %}

with accounts_answered as (
    select * from {{ ref('int_account_retention') }}
),

worth as (
    select
        accounts_answered.survey_type,
        accounts_answered.category,
        count(*) as accounts,
        count(accounts.annual_revenue) as accounts_with_revenue,
        sum(accounts.annual_revenue) as revenue,
        sum(cast(accounts.annual_revenue as {{ type_double() }})) as revenue_sum,
        sum(cast(accounts.annual_revenue as {{ type_double() }}) * cast(accounts.annual_revenue as {{ type_double() }}))
            as revenue_square_sum
    from accounts_answered
    inner join {{ ref('dim_accounts') }} as accounts on accounts_answered.account_id = accounts.account_id
    where accounts_answered.is_last and accounts.is_customer and not accounts.is_deleted
    group by accounts_answered.survey_type, accounts_answered.category
),

retained as (
    select
        survey_type,
        category,
        cast(sum(observed) as bigint) as observed,
        cast(sum(retained) as bigint) as retained
    from accounts_answered
    group by survey_type, category
),

answers_before as (
    select
        responses.survey_type,
        opportunities.opportunity_id,
        opportunities.amount,
        opportunities.is_won,
        {{ last_answer_times('responses') }}
    from {{ ref('int_opportunities') }} as opportunities
    inner join {{ ref('fct_nps_responses') }} as responses
        on
            opportunities.account_id = responses.account_id
            and opportunities.close_date > responses.response_date
            and {{ add_days('opportunities.close_date', -days) }} <= responses.response_date
    group by
        responses.survey_type, opportunities.opportunity_id, opportunities.amount, opportunities.is_won
),

last_before as (
    select
        survey_type,
        amount,
        is_won,
        {{ last_category() }} as category
    from answers_before
),

sold as (
    select
        survey_type,
        category,
        count(*) as closed,
        count(case when is_won then 1 end) as won,
        sum(case when is_won then amount end) as amount_won
    from last_before
    group by survey_type, category
),

cells as (
    select distinct
        survey_type,
        category
    from accounts_answered
),

confidence as (
    select {{ confidence_z() }} as z
),

counts as (
    select
        cells.survey_type,
        cells.category,
        confidence.z,
        coalesce(worth.accounts, 0) as accounts,
        worth.revenue,
        worth.accounts_with_revenue,
        worth.revenue_sum / nullif(worth.accounts_with_revenue, 0) as revenue_mean,
        {{ cluster_error(
            'worth.accounts_with_revenue', 'worth.accounts_with_revenue', 'worth.accounts_with_revenue',
            'worth.revenue_sum', 'worth.revenue_square_sum',
            '(worth.revenue_sum / nullif(worth.accounts_with_revenue, 0))'
        ) }} as revenue_error,
        coalesce(retained.observed, 0) as accounts_observed,
        coalesce(retained.retained, 0) as accounts_retained,
        coalesce(sold.closed, 0) as opportunities_closed,
        coalesce(sold.won, 0) as opportunities_won,
        sold.amount_won
    from cells
    cross join confidence
    left join worth on cells.survey_type = worth.survey_type and cells.category = worth.category
    left join retained on cells.survey_type = retained.survey_type and cells.category = retained.category
    left join sold on cells.survey_type = sold.survey_type and cells.category = sold.category
),

final as (
    select
        survey_type,
        category,
        cast(accounts as bigint) as accounts,
        cast(coalesce(revenue, 0) as decimal(18, 2)) as revenue,
        {%- for side, name in [(0, 'average_revenue'), (-1, 'average_revenue_low'), (1, 'average_revenue_high')] %}
        case
            when accounts_with_revenue >= {{ minimum }}
                then cast(floor(greatest(0e0, revenue_mean + {{ side }} * z * revenue_error) + 0.5e0) as decimal(18, 2))
        end as {{ name }},
        {%- endfor %}
        {%- for rate_name, of, count in [
            ('retention', 'accounts_observed', 'accounts_retained'),
            ('win', 'opportunities_closed', 'opportunities_won')
        ] %}
        cast({{ of }} as bigint) as {{ of }},
        cast({{ count }} as bigint) as {{ count }},
        case when {{ of }} >= {{ minimum }} then {{ rate(count, of) }} end as {{ rate_name }}_rate,
        case when {{ of }} >= {{ minimum }} then {{ six_digits(wilson_bound(count, of, 'z', -1)) }} end
            as {{ rate_name }}_rate_low,
        case when {{ of }} >= {{ minimum }} then {{ six_digits(wilson_bound(count, of, 'z', 1)) }} end
            as {{ rate_name }}_rate_high,
        {%- endfor %}
        cast(coalesce(amount_won, 0) as decimal(18, 2)) as amount_won
    from counts
)

select * from final
