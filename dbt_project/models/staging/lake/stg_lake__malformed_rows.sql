-- Grain: one delivered line that could not be read as a row.
with source as (
    select * from {{ source('lake', 'malformed_rows') }}
),

renamed as (
    select
        _source_system as source_system,
        raw_row,
        -- Loads of early versions carry the name that the quarantine gives.
        replace(reason, 'malformed_row: ', '') as reason,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
)

select * from renamed
