-- Grain: one answer in one publication that changed what it counts as; without a decision it was gone.
with source as (
    select * from {{ source('lake', 'published_answers') }}
),

renamed as (
    select
        publication_id,
        response_id,
        decision,
        load_id,
        source_line,
        survey_type,
        response_date,
        category,
        segments
    from source
)

select * from renamed
