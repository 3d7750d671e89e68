-- Grain: one publication.
with source as (
    select * from {{ source('lake', 'publications') }}
),

renamed as (
    select
        publication_id,
        definition,
        loaded_until,
        built_at,
        published_at
    from source
)

select * from renamed
