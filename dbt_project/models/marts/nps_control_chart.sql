-- Grain: one survey type in one month for one value of one segment.
{%- set cell = ['survey_type', 'segment', 'segment_value'] %}

with months as (
    select * from {{ ref('nps_by_segment_period') }}
    where period_grain = 'month'
),

-- Of a month with too few answers nothing can be learned, and one that still runs would move the limits with each load.
eligible as (
    select
        *,
        row_number() over (partition by {{ cell | join(', ') }} order by period_start) as month_number
    from months
    where evidence <> 'insufficient' and is_complete_period
),

baseline_months as (
    select * from eligible
    where month_number <= {{ var('control_baseline_months') }}
),

baselines as (
    select
        {{ cell | join(', ') }},
        1e0 * sum(promoters - detractors) / sum(responses) as center,
        1e0 * sum(promoters + detractors) / sum(responses)
        - power(1e0 * sum(promoters - detractors) / sum(responses), 2) as variance
    from baseline_months
    group by {{ cell | join(', ') }}
    having count(*) = {{ var('control_baseline_months') }}
),

scaled as (
    select
        {% for column in cell %}baseline_months.{{ column }},
        {% endfor -%}
        baseline_months.period_start,
        {{ control_z(
            'baseline_months.promoters', 'baseline_months.detractors', 'baseline_months.responses',
            'baselines.center', 'baselines.variance'
        ) }} as z
    from baseline_months
    inner join baselines
        on
            {% for column in cell -%}
            {{ 'and ' if not loop.first }}baseline_months.{{ column }} = baselines.{{ column }}
            {% endfor %}
),

moves as (
    select
        {{ cell | join(', ') }},
        abs(z - lag(z) over (partition by {{ cell | join(', ') }} order by period_start)) as move
    from scaled
),

spreads as (
    select
        {{ cell | join(', ') }},
        {{ control_spread('avg(move)') }} as sigma_z
    from moves
    group by {{ cell | join(', ') }}
),

charted as (
    select
        months.*,
        coalesce(baseline_months.month_number is not null and baselines.center is not null, false) as is_baseline,
        baselines.center,
        spreads.sigma_z,
        case
            when months.evidence <> 'insufficient'
                then {{ points(control_limit(
                    'baselines.center', 'baselines.variance', 'spreads.sigma_z', 'months.responses', -1
                )) }}
        end as limit_low,
        case
            when months.evidence <> 'insufficient'
                then {{ points(control_limit(
                    'baselines.center', 'baselines.variance', 'spreads.sigma_z', 'months.responses', 1
                )) }}
        end as limit_high
    from months
    left join baselines
        on
            {% for column in cell -%}
            {{ 'and ' if not loop.first }}months.{{ column }} = baselines.{{ column }}
            {% endfor %}
    left join spreads
        on
            {% for column in cell -%}
            {{ 'and ' if not loop.first }}months.{{ column }} = spreads.{{ column }}
            {% endfor %}
    left join baseline_months
        on
            months.period_start = baseline_months.period_start
            {%- for column in cell %}
            and months.{{ column }} = baseline_months.{{ column }}
            {%- endfor %}
),

final as (
    select
        survey_type,
        period_start,
        period_end,
        segment,
        segment_value,
        is_complete_period,
        is_baseline,
        responses,
        promoters,
        passives,
        detractors,
        nps,
        {{ points('100e0 * center') }} as center_line,
        {{ six_digits('sigma_z') }} as sigma_z,
        limit_low,
        limit_high,
        coalesce(nps < limit_low or nps > limit_high, false) as is_signal,
        evidence
    from charted
)

select * from final
