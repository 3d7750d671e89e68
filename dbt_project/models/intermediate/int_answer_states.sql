-- Grain: one answer as it stands now, as far as it may differ from what was published last: which delivery of it is
-- valid, what was decided, and what the published numbers count it as.
-- depends_on: {{ ref('stg_lake__publications') }}
{{ config(materialized = 'view') }}
{%- set touched = touched_since_publication() %}
{%- set segments = {} %}
{%- for segment in segments_with_total() %}
{%- do segments.update({segment.name: "'all'" if segment.name == 'all' else segment.name}) %}
{%- endfor %}

with standing as (
    select
        response_id,
        load_id,
        source_line,
        loaded_at,
        decision
    from
        {{ rows_of(ref('int_delivered_answers'), 'response_id', touched) if touched else ref('int_delivered_answers') }}
    where decision not in ('duplicate', 'superseded')
),

repeated as (
    select
        load_id,
        source_line
    from {{ ref('int_repeated_answers') }}
),

counted as (
    select
        response_id,
        survey_type,
        response_date,
        category,
        -- One text, since the segments of today need not be those of the last publication.
        {{ json_object_text(segments) }} as segments
    from
        {{ rows_of(ref('fct_nps_responses'), 'response_id', touched) if touched else ref('fct_nps_responses') }}
),

final as (
    select
        standing.response_id,
        case when repeated.load_id is null then standing.decision else 'duplicate' end as decision,
        standing.load_id,
        standing.source_line,
        standing.loaded_at,
        counted.survey_type,
        counted.response_date,
        counted.category,
        counted.segments
    from standing
    left join repeated on standing.load_id = repeated.load_id and standing.source_line = repeated.source_line
    left join counted on standing.response_id = counted.response_id
)

select * from final
