-- Grain: one survey type in one period (month, quarter, year), weighted by one segment to all who were invited.
with cells as (
    select * from {{ ref('int_period_counts') }}
    where
        period_grain in ('month', 'quarter', 'year')
        and segment <> 'all'
        and invited > 0
),

-- Values nobody answered from cannot be weighted up; population_covered says how much is left.
totals as (
    select
        *,
        sum(invited) over population as population,
        sum(case when responses > 0 then invited else 0 end) over population as covered,
        sum(responses) over population as total_responses
    from cells
    window population as (partition by survey_type, period_grain, period_start, segment)
),

weighted as (
    select
        *,
        (1e0 * invited / covered) / (1e0 * responses / total_responses) as weight
    from totals
    where responses > 0
),

sums as (
    select
        survey_type,
        period_grain,
        period_start,
        period_end,
        is_complete_period,
        segment,
        min(population) as population,
        min(covered) as covered,
        sum(promoters) as promoters,
        sum(detractors) as detractors,
        sum(responses) as responses,
        sum(weight * promoters) as weighted_promoters,
        sum(weight * detractors) as weighted_detractors,
        sum(weight * responses) as weight_sum,
        sum(weight * weight * responses) as weight_square_sum
    from weighted
    group by survey_type, period_grain, period_start, period_end, is_complete_period, segment
),

-- The effective number of answers: as many unweighted ones would be as precise. Kish (1965), Survey Sampling, 11.7.
effective as (
    select
        *,
        weight_sum * weight_sum / weight_square_sum as n_eff,
        responses * weight_square_sum / (weight_sum * weight_sum) as design_effect
    from sums
),

shares as (
    select
        *,
        weighted_promoters / weight_sum * n_eff as effective_promoters,
        weighted_detractors / weight_sum * n_eff as effective_detractors
    from effective
),

confidence as (
    select {{ confidence_z() }} as z
),

final as (
    select
        shares.survey_type,
        shares.period_grain,
        shares.period_start,
        shares.period_end,
        shares.is_complete_period,
        shares.segment,
        cast(shares.population as bigint) as population,
        {{ rate('shares.covered', 'shares.population') }} as population_covered,
        cast(shares.responses as bigint) as responses,
        {%- set enough = 'shares.responses >= ' ~ var('evidence_minimum').interval %}
        case
            when {{ enough }} then {{ points(nps('shares.promoters', 'shares.detractors', 'shares.responses')) }}
        end as nps,
        case
            when {{ enough }}
                then {{ points(nps('shares.weighted_promoters', 'shares.weighted_detractors', 'shares.weight_sum')) }}
        end as weighted_nps,
        {%- set effective = ['shares.effective_promoters', 'shares.effective_detractors', 'shares.n_eff'] %}
        case
            when {{ enough }} then {{ points(nps_bound(effective[0], effective[1], effective[2], 'confidence.z', -1)) }}
        end as ci_low,
        case
            when {{ enough }} then {{ points(nps_bound(effective[0], effective[1], effective[2], 'confidence.z', 1)) }}
        end as ci_high,
        {{ six_digits('shares.n_eff') }} as n_eff,
        {{ six_digits('shares.design_effect') }} as design_effect,
        {{ evidence('shares.responses') }} as evidence
    from shares
    cross join confidence
)

select * from final
