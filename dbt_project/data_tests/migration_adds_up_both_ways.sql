-- Who came into a category in a wave are those who leave it for the next one; nobody is lost on the way. The first wave
-- has no arrivals, the last nobody who left.
with arrived as (
    select
        survey_type,
        wave_number,
        to_category as category,
        sum(contacts) as contacts
    from {{ ref('nps_category_migration') }}
    where to_category <> 'not_asked'
    group by survey_type, wave_number, to_category
),

left_for_the_next as (
    select
        survey_type,
        wave_number - 1 as wave_number,
        from_category as category,
        sum(contacts) as contacts
    from {{ ref('nps_category_migration') }}
    where from_category not in ('not_asked', 'new')
    group by survey_type, wave_number, from_category
),

last_waves as (
    select
        survey_type,
        max(wave_number) as wave_number
    from {{ ref('nps_category_migration') }}
    group by survey_type
)

select
    coalesce(arrived.survey_type, left_for_the_next.survey_type) as survey_type,
    coalesce(arrived.wave_number, left_for_the_next.wave_number) as wave_number,
    coalesce(arrived.category, left_for_the_next.category) as category
from arrived
full outer join left_for_the_next
    on
        arrived.survey_type = left_for_the_next.survey_type
        and arrived.wave_number = left_for_the_next.wave_number
        and arrived.category = left_for_the_next.category
left join last_waves on arrived.survey_type = last_waves.survey_type and arrived.wave_number = last_waves.wave_number
where
    arrived.contacts is distinct from left_for_the_next.contacts
    and last_waves.wave_number is null
    and coalesce(left_for_the_next.wave_number, 0) <> 1
