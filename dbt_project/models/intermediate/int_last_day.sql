-- Grain: one row: the last complete day that has answers. A warehouse made again from old files ends where they end;
-- the day of the last load is not over.
with answered as (
    select max(count_date) as last_date
    from {{ ref('int_survey_days') }}
    where responses > 0
),

loaded as (
    select {{ business_date('max(loaded_at)') }} as last_date from {{ ref('stg_lake__loads') }}
),

final as (
    select least(answered.last_date, {{ add_days('loaded.last_date', -1) }}) as last_date
    from answered
    cross join loaded
)

select * from final
