-- Grain: one value of one segment in one period (month, quarter, year) against the period before: what it added to the
-- change of the total. Kitagawa (1955), "Components of a difference between two rates", JASA 50(272).
with cells as (
    select
        survey_type,
        period_grain,
        period_start,
        period_end,
        is_complete_period,
        segment,
        segment_value,
        promoters,
        detractors,
        responses,
        lag(promoters) over cell as promoters_0,
        lag(detractors) over cell as detractors_0,
        lag(responses) over cell as responses_0
    from {{ ref('int_period_counts') }}
    where period_grain in ('month', 'quarter', 'year')
    window cell as (partition by survey_type, period_grain, segment, segment_value order by period_start)
),

with_totals as (
    select
        *,
        sum(promoters) over total as total_promoters,
        sum(detractors) over total as total_detractors,
        sum(responses) over total as total_responses,
        sum(promoters_0) over total as total_promoters_0,
        sum(detractors_0) over total as total_detractors_0,
        sum(responses_0) over total as total_responses_0
    from cells
    window total as (partition by survey_type, period_grain, period_start, segment)
),

-- A new or lost value has no score in one of the periods, and takes that of the other.
scored as (
    select
        *,
        1e0 * responses / total_responses as share,
        1e0 * responses_0 / total_responses_0 as share_0,
        coalesce(
            {{ nps('promoters', 'detractors', 'responses') }}, {{ nps('promoters_0', 'detractors_0', 'responses_0') }}
        ) as score,
        coalesce(
            {{ nps('promoters_0', 'detractors_0', 'responses_0') }}, {{ nps('promoters', 'detractors', 'responses') }}
        ) as score_0,
        {{ nps('total_promoters', 'total_detractors', 'total_responses') }} as total_score,
        {{ nps('total_promoters_0', 'total_detractors_0', 'total_responses_0') }} as total_score_0
    from with_totals
    where
        total_responses > 0
        and total_responses_0 > 0
        and responses + responses_0 > 0
),

-- Two anecdotes differ by nothing that could be explained.
{%- set effects = {
    'total_nps': 'total_score',
    'previous_total_nps': 'total_score_0',
    'total_change': 'total_score - total_score_0',
    'rate_effect': '(share_0 + share) / 2e0 * (score - score_0)',
    'mix_effect': '(share - share_0) * (score_0 + score - total_score_0 - total_score) / 2e0',
    'promoter_gain': '100e0 * (1e0 * promoters / total_responses - 1e0 * promoters_0 / total_responses_0)',
    'detractor_loss': '100e0 * (1e0 * detractors_0 / total_responses_0 - 1e0 * detractors / total_responses)',
} %}

final as (
    select
        survey_type,
        period_grain,
        period_start,
        period_end,
        is_complete_period,
        segment,
        segment_value,
        responses,
        responses_0 as previous_responses,
        {%- for name, expression in effects.items() %}
        case
            when least(total_responses, total_responses_0) >= {{ var('evidence_minimum').interval }}
                then {{ points(expression) }}
        end as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from scored
)

select * from final
