-- Grain: one day, segment value and cause in one publication: how the counts moved since the publication before.
with source as (
    select * from {{ source('lake', 'published_changes') }}
),

renamed as (
    select
        publication_id,
        survey_type,
        count_date,
        segment,
        segment_value,
        cause,
        promoters,
        passives,
        detractors,
        published_at
    from source
)

select * from renamed
