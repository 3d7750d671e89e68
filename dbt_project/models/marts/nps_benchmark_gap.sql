-- Grain: one benchmark and one period (month, quarter, year) in which it is valid.
{#- Of a benchmark only its score is known, so its variance is the greatest that a score can have: nobody passive. -#}
{%- set variance_of_benchmark = shrunk_variance(
    'benchmarks.responses * (100e0 + benchmarks.nps) / 200e0',
    'benchmarks.responses * (100e0 - benchmarks.nps) / 200e0',
    'benchmarks.responses'
) %}

with benchmarks as (
    select * from {{ ref('benchmarks') }}
),

periods as (
    select * from {{ ref('nps_by_segment_period') }}
    where period_grain in ('month', 'quarter', 'year')
),

confidence as (
    select {{ confidence_z() }} as z
),

compared as (
    select
        benchmarks.benchmark_id,
        benchmarks.benchmark_name,
        benchmarks.source,
        benchmarks.published_on,
        cast(benchmarks.nps as decimal(9, 4)) as benchmark_nps,
        benchmarks.responses as benchmark_responses,
        {%- for column in [
            'survey_type', 'period_grain', 'period_start', 'period_end', 'is_complete_period', 'segment',
            'segment_value', 'responses', 'promoters', 'passives', 'detractors', 'nps', 'evidence',
        ] %}
        periods.{{ column }},
        {%- endfor %}
        {{ shrunk_theta('periods.promoters', 'periods.detractors', 'periods.responses') }}
        - benchmarks.nps / 100e0 as gap,
        sqrt(
            {{ shrunk_variance('periods.promoters', 'periods.detractors', 'periods.responses') }}
            + case
                when benchmarks.responses > 0
                    then {{ variance_of_benchmark }}
                else 0e0
            end
        ) as gap_error
    from benchmarks
    inner join periods
        on
            benchmarks.survey_type = periods.survey_type
            and benchmarks.segment = periods.segment
            and benchmarks.segment_value = periods.segment_value
            and coalesce(benchmarks.starts_on, periods.period_start) <= periods.period_end
            and coalesce(benchmarks.ends_on, periods.period_end) >= periods.period_start
    where periods.responses > 0
),

with_p as (
    select
        *,
        case
            when responses >= {{ var('evidence_minimum').directional }}
                then 2e0 * {{ normal_tail('abs(gap / gap_error)') }}
        end as p
    from compared
),

-- Benchmarks looked at together are tested together: one of twenty is beaten by chance.
{{ false_discovery_ctes('with_p', ['survey_type', 'period_grain', 'period_start'], 'tested') }},

{%- set enough = 'tested.responses >= ' ~ var('evidence_minimum').interval %}

final as (
    select
        tested.benchmark_id,
        tested.benchmark_name,
        tested.source,
        tested.published_on,
        tested.survey_type,
        tested.period_grain,
        tested.period_start,
        tested.period_end,
        tested.is_complete_period,
        tested.segment,
        tested.segment_value,
        tested.responses,
        tested.promoters,
        tested.passives,
        tested.detractors,
        tested.evidence,
        tested.nps,
        tested.benchmark_nps,
        tested.benchmark_responses,
        cast(tested.nps - tested.benchmark_nps as decimal(9, 4)) as gap,
        -- Our score can be no lower than -100, and no higher than 100.
        {%- for name, sign in [('gap_ci_low', '-'), ('gap_ci_high', '+')] %}
        case
            when {{ enough }}
                then {{ points(
                    'greatest(-100e0 - tested.benchmark_nps, least(100e0 - tested.benchmark_nps, '
                    ~ '100e0 * (tested.gap ' ~ sign ~ ' confidence.z * tested.gap_error)))'
                ) }}
        end as {{ name }},
        {%- endfor %}
        {{ significance_measures('tested') }}
    from tested
    cross join confidence
)

select * from final
