-- Grain: one value of one segment in one period (month, quarter, year): how readily it answered, and how far the
-- answers of the whole segment are from a fair picture of all who were invited.
-- Schouten, Cobben & Bethlehem (2009), "Indicators for the representativeness of survey response",
-- Survey Methodology 35(1).
with cells as (
    select
        survey_type,
        period_grain,
        period_start,
        period_end,
        is_complete_period,
        segment,
        segment_value,
        invited,
        answered,
        sum(invited) over population as total_invited,
        sum(answered) over population as total_answered,
        count(*) over population as segment_values
    from {{ ref('int_period_counts') }}
    where
        period_grain in ('month', 'quarter', 'year')
        and segment <> 'all'
        and invited > 0
    window population as (partition by survey_type, period_grain, period_start, segment)
),

propensities as (
    select
        *,
        1e0 * answered / invited as propensity,
        1e0 * total_answered / total_invited as total_propensity
    from cells
),

-- With everyone or no one answering there is nothing to test.
segments as (
    select
        survey_type,
        period_grain,
        period_start,
        segment,
        min(segment_values) - 1 as degrees_of_freedom,
        1e0 - 2e0 * sqrt(
            sum(invited * (propensity - total_propensity) * (propensity - total_propensity))
            / nullif(min(total_invited) - 1, 0)
        ) as r_indicator,
        sum(
            (answered - total_propensity * invited) * (answered - total_propensity * invited)
            / nullif(invited * total_propensity * (1e0 - total_propensity), 0e0)
        ) as chi_square,
        -- Cochran (1954), "Some methods for strengthening the common chi-square tests", Biometrics 10(4): no expected
        -- count below 1, and at most a fifth of them below 5.
        min(least(total_propensity, 1e0 - total_propensity) * invited) >= 1e0
        and 5 * sum(
            case when total_propensity * invited < 5e0 then 1 else 0 end
            + case when (1e0 - total_propensity) * invited < 5e0 then 1 else 0 end
        ) <= 2 * count(*) as is_testable
    from propensities
    group by survey_type, period_grain, period_start, segment
),

{{ chi_square_tail_ctes('segments', ['survey_type', 'period_grain', 'period_start', 'segment']) }},

final as (
    select
        propensities.survey_type,
        propensities.period_grain,
        propensities.period_start,
        propensities.period_end,
        propensities.is_complete_period,
        propensities.segment,
        propensities.segment_value,
        propensities.invited,
        propensities.answered,
        {{ rate('propensities.answered', 'propensities.invited') }} as response_propensity,
        {{ six_digits('propensities.propensity / nullif(propensities.total_propensity, 0e0)') }} as relative_propensity,
        {{ six_digits('segments.r_indicator') }} as r_indicator,
        {{ six_digits('segments.chi_square') }} as chi_square,
        cast(segments.degrees_of_freedom as integer) as degrees_of_freedom,
        case when segments.is_testable then {{ six_digits('chi_square_tails.p') }} end as p_value
    from propensities
    inner join segments
        on
            propensities.survey_type = segments.survey_type
            and propensities.period_grain = segments.period_grain
            and propensities.period_start = segments.period_start
            and propensities.segment = segments.segment
    inner join chi_square_tails
        on
            propensities.survey_type = chi_square_tails.survey_type
            and propensities.period_grain = chi_square_tails.period_grain
            and propensities.period_start = chi_square_tails.period_start
            and propensities.segment = chi_square_tails.segment
)

select * from final
