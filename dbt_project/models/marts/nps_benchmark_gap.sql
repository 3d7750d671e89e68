-- Grain: one benchmark and one period (month, quarter, year) in which it is valid.
with benchmarks as (
    select * from {{ ref('benchmarks') }}
),

period_counts as (
    select * from {{ ref('int_period_counts') }}
    where period_grain in ('month', 'quarter', 'year')
),

-- What was loaded last tells how far the answers reach: a later period cannot be complete.
horizon as (
    select {{ business_date('max(loaded_at)') }} as as_of_date from {{ ref('stg_lake__loads') }}
),

confidence as (
    select {{ confidence_z() }} as z
),

-- Of a benchmark only its score is known, so its variance is the greatest that a score can have: nobody passive.
compared as (
    select
        benchmarks.benchmark_id,
        benchmarks.benchmark_name,
        benchmarks.source,
        benchmarks.published_on,
        cast(benchmarks.nps as decimal(9, 4)) as benchmark_nps,
        benchmarks.responses as benchmark_responses,
        period_counts.*,
        {{ shrunk_theta('period_counts.promoters', 'period_counts.detractors', 'period_counts.responses') }}
        - benchmarks.nps / 100e0 as gap,
        sqrt(
            {{ shrunk_variance('period_counts.promoters', 'period_counts.detractors', 'period_counts.responses') }}
            + case
                when benchmarks.responses > 0
                    then (1e0 - benchmarks.nps / 100e0 * benchmarks.nps / 100e0) / benchmarks.responses
                else 0e0
            end
        ) as gap_error
    from benchmarks
    inner join period_counts
        on
            benchmarks.survey_type = period_counts.survey_type
            and benchmarks.segment = period_counts.segment
            and benchmarks.segment_value = period_counts.segment_value
            and coalesce(benchmarks.starts_on, period_counts.period_start) <= period_counts.period_end
            and coalesce(benchmarks.ends_on, period_counts.period_end) >= period_counts.period_start
    where period_counts.responses > 0
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
        tested.period_end < horizon.as_of_date as is_complete_period,
        tested.segment,
        tested.segment_value,
        tested.responses,
        tested.promoters,
        tested.passives,
        tested.detractors,
        {{ evidence('tested.responses') }} as evidence,
        case when {{ enough }} then {{ points(nps('tested.promoters', 'tested.detractors', 'tested.responses')) }} end
            as nps,
        tested.benchmark_nps,
        tested.benchmark_responses,
        cast(case
            when {{ enough }}
                then {{ points(nps('tested.promoters', 'tested.detractors', 'tested.responses')) }} - tested.benchmark_nps
        end as decimal(9, 4)) as gap,
        case when {{ enough }} then {{ points('100e0 * (tested.gap - confidence.z * tested.gap_error)') }} end
            as gap_ci_low,
        case when {{ enough }} then {{ points('100e0 * (tested.gap + confidence.z * tested.gap_error)') }} end
            as gap_ci_high,
        {{ significance_measures('tested') }}
    from tested
    cross join horizon
    cross join confidence
)

select * from final
