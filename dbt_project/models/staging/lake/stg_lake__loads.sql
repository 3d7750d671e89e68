-- Grain: one loaded file.
with source as (
    select * from {{ source('lake', 'loads') }}
),

renamed as (
    select
        load_id,
        source_system,
        lake_source,
        table_name,
        file as source_file,
        size_bytes,
        rows as readable_rows,
        malformed_rows,
        rows + malformed_rows as delivered_rows,
        cast(loaded_at as timestamp) as loaded_at
    from source
)

select * from renamed
