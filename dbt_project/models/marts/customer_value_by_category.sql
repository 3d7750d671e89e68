-- Grain: one category and survey type: what its accounts are worth, how many stay, and how many sales are won after it.
{%- set minimum = var('evidence_minimum').interval %}
{%- set revenue = 'cast(' ~ worth_of('accounts.annual_revenue') ~ ' as ' ~ type_double() ~ ')' %}

with accounts_answered as (
    select * from {{ ref('int_account_outcomes') }}
),

worth as (
    select
        accounts_answered.survey_type,
        accounts_answered.category,
        count(*) as accounts,
        count(accounts.annual_revenue) as accounts_with_revenue,
        sum({{ worth_of('accounts.annual_revenue') }}) as revenue,
        sum({{ revenue }}) as revenue_sum,
        sum({{ revenue }} * {{ revenue }}) as revenue_square_sum
    from accounts_answered
    inner join {{ ref('dim_accounts') }} as accounts on accounts_answered.account_id = accounts.account_id
    where accounts_answered.is_last and accounts.is_customer and not accounts.is_deleted
    group by accounts_answered.survey_type, accounts_answered.category
),

outcomes as (
    select
        survey_type,
        category,
        cast(sum(observed) as bigint) as accounts_observed,
        cast(sum(retained) as bigint) as accounts_retained,
        cast(sum(closed) as bigint) as opportunities_closed,
        cast(sum(won) as bigint) as opportunities_won,
        sum(amount_won) as amount_won
    from accounts_answered
    group by survey_type, category
),

confidence as (
    select {{ confidence_z() }} as z
),

counts as (
    select
        outcomes.survey_type,
        outcomes.category,
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
        outcomes.accounts_observed,
        outcomes.accounts_retained,
        outcomes.opportunities_closed,
        outcomes.opportunities_won,
        outcomes.amount_won
    from outcomes
    cross join confidence
    left join worth on outcomes.survey_type = worth.survey_type and outcomes.category = worth.category
),

final as (
    select
        survey_type,
        category,
        cast(accounts as bigint) as accounts,
        cast(coalesce(revenue, 0) as decimal(18, 2)) as revenue,
        {%- for side, name in [(0, 'average_revenue'), (-1, 'average_revenue_low'), (1, 'average_revenue_high')] %}
        case
            when accounts_with_revenue >= {{ minimum }}{{ ' and revenue_error > 0e0' if side }}
                then cast(floor(greatest(0e0, revenue_mean
                    {%- if side %} + {{ side }} * z * revenue_error{% endif %}) + 0.5e0) as decimal(18, 2))
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
