-- Grain: one answer as it stands now, as far as it may differ from what was published last: which delivery of it is
-- valid, what was decided, and what the published numbers count it as.
-- depends_on: {{ ref('stg_lake__publications') }}
-- depends_on: {{ ref('int_delivered_answers') }}, {{ ref('int_repeated_answers') }}
{{ config(materialized = 'view') }}
{%- set touched = touched_since_publication() %}
{%- set segments = {} %}
{%- for segment in segments_with_total() %}
{%- do segments.update({segment.name: "'all'" if segment.name == 'all' else segment.name}) %}
{%- endfor %}

with standing as (
    select * from {{ answers_of('response_id', touched) if touched else ref('int_answers') }}
    where decision not in ('duplicate', 'superseded') or is_repeated
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
        standing.decision,
        standing.load_id,
        standing.source_line,
        standing.loaded_at,
        counted.survey_type,
        counted.response_date,
        counted.category,
        counted.segments
    from standing
    left join counted on standing.response_id = counted.response_id
)

select * from final
