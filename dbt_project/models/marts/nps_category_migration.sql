-- Grain: one way from one wave to the next: how many people were in one category and are in another, or silent, not
-- asked or new. The variable `waves` says what a wave of each kind of survey is.
with waves as (
    select distinct
        survey_type,
        wave,
        wave_number,
        is_complete
    from {{ ref('int_wave_days') }}
),

final as (
    select
        moves.survey_type,
        moves.wave_number,
        earlier.wave as from_wave,
        later.wave as to_wave,
        later.is_complete,
        moves.from_category,
        moves.to_category,
        cast(sum(moves.contacts) as bigint) as contacts,
        count(nullif(moves.account_key, '')) as accounts,
        cast(floor(sum(moves.revenue) * 100e0 + 0.500001e0) / 100e0 as decimal(18, 2)) as revenue
    from {{ ref('int_wave_moves') }} as moves
    -- The first wave has none before it, the last none after.
    inner join waves as earlier
        on moves.survey_type = earlier.survey_type and moves.wave_number = earlier.wave_number + 1
    inner join waves as later on moves.survey_type = later.survey_type and moves.wave_number = later.wave_number
    group by
        moves.survey_type, moves.wave_number, earlier.wave, later.wave, later.is_complete, moves.from_category,
        moves.to_category
)

select * from final
