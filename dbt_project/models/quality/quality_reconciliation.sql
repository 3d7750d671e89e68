-- Grain: one load of answers: what was delivered, and where every row of it went.
{%- set decisions = [
    'counted', 'missing_score', 'not_integer', 'out_of_range', 'not_nps', 'partial', 'test', 'staff', 'duplicate',
    'superseded', 'withdrawn', 'excluded_by_steward', 'unknown_survey', 'invalid_time',
    'forgotten',
] %}

with loads as (
    select * from {{ ref('stg_lake__loads') }}
    where lake_source || '.' || table_name in ({{ raw_tables_quoted('answers') }})
),

decided as (
    select
        load_id,
        {%- for decision in decisions %}
        count(case when decision = '{{ decision }}' then 1 end) as {{ decision }},
        {%- endfor %}
        count(*) as decided_rows
    from {{ ref('response_eligibility') }}
    group by load_id
),

final as (
    select
        loads.source_system,
        loads.load_id,
        loads.source_file,
        loads.loaded_at,
        loads.delivered_rows,
        {%- for decision in decisions %}
        coalesce(decided.{{ decision }}, 0) as {{ decision }},
        {%- endfor %}
        loads.malformed_rows as malformed,
        loads.delivered_rows - loads.malformed_rows - coalesce(decided.decided_rows, 0) as difference
    from loads
    left join decided on loads.load_id = decided.load_id
)

select * from final
