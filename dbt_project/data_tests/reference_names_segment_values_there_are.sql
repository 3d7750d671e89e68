-- A segment value that no answer has is a typing mistake in actions.csv or benchmarks.csv: its line has no figures.
{{ config(severity = 'warn') }}

with named as (
    select
        'actions' as reference_file,
        action_id as line_id,
        survey_type,
        segment,
        segment_value
    from {{ ref('actions') }}
    union all
    select
        'benchmarks' as reference_file,
        benchmark_id as line_id,
        survey_type,
        segment,
        segment_value
    from {{ ref('benchmarks') }}
),

known as (
    select distinct
        survey_type,
        segment,
        segment_value
    from {{ ref('nps_by_segment_period') }}
)

select named.*
from named
where not exists (
    select 1 from known
    where
        known.segment = named.segment
        and known.segment_value = named.segment_value
        and (named.survey_type is null or known.survey_type = named.survey_type)
)
