-- Grain: one row: the last complete day that has answers. A warehouse made again from old files ends where they end;
-- the day on which answers were last loaded is not over. What is counted in windows that end with it must know where it
-- was before.
{{ config(
    materialized = 'incremental',
    unique_key = 'day_name',
    meta = {'present': 'day_name', 'tracked': ['last_date']}
) }}

with answered as (
    select max(count_date) as last_date
    from {{ ref('int_survey_days') }}
    where responses > 0
),

loaded as (
    {{ answers_loaded_on() }}
),

final as (
    select
        'last' as day_name,
        least(answered.last_date, {{ add_days('loaded.loaded_date', -1) }}) as last_date
    from answered
    cross join loaded
)

{{ only_changed('final', 'day_name', ['day_name', 'last_date']) }}
