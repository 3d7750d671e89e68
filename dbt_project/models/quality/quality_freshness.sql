-- Grain: one source, as it was when this was built.
{%- set now = as_known_at() if given_moment('as_known_at') else built_at() %}

with expected as (
    {%- for source_name in var('sources') %}
    {%- set every = var('expected_every_hours').get(source_name, {}) %}
    select
        '{{ source_name }}' as source_system,
        cast({{ every.get('load') or 'null' }} as bigint) as load_expected_hours,
        cast({{ every.get('answer') or 'null' }} as bigint) as answer_expected_hours
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

loads as (
    select
        source_system,
        max(loaded_at) as last_loaded_at
    from {{ ref('stg_lake__loads') }}
    group by source_system
),

answers as (
    select
        source_system,
        max(submitted_at) as last_answer_at
    from {{ ref('fct_nps_responses') }}
    group by source_system
),

aged as (
    select
        expected.*,
        loads.last_loaded_at,
        answers.last_answer_at,
        {{ hours_between('loads.last_loaded_at', now) }} as load_age_hours,
        {{ hours_between('answers.last_answer_at', now) }} as answer_age_hours
    from expected
    left join loads on expected.source_system = loads.source_system
    left join answers on expected.source_system = answers.source_system
),

final as (
    select
        source_system,
        last_loaded_at,
        last_answer_at,
        load_age_hours,
        answer_age_hours,
        load_expected_hours,
        answer_expected_hours,
        -- Of the two the later one; empty where nothing is expected, or nothing ever came.
        case
            when load_age_hours - load_expected_hours is null and answer_age_hours - answer_expected_hours is null
                then null
            else greatest(
                0,
                coalesce(load_age_hours - load_expected_hours, 0),
                coalesce(answer_age_hours - answer_expected_hours, 0)
            )
        end as hours_late
    from aged
)

select * from final
