-- Grain: one published number in one publication that changed it; what is not there again stands as it was.
with source as (
    select * from {{ source('lake', 'published_numbers') }}
),

renamed as (
    select
        publication_id,
        survey_type,
        period_grain,
        period_start,
        period_end,
        segment,
        segment_value,
        responses,
        promoters,
        passives,
        detractors,
        nps,
        published_at
    from source
)

select * from renamed
