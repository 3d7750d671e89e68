-- Grain: one contact that a delivered row names as merged into it.
with source as (
    select * from {{ source('hubspot', 'contact') }}
    where property_hs_merged_object_ids <> ''
),

-- A list like 151;152 of everything that was ever merged into it.
named as (
    {{ split_parts(
        'source', 'property_hs_merged_object_ids', ';', 'merged_id', ['id', '_load_id', '_loaded_at', '_file', '_line']
    ) }}
),

renamed as (
    select
        merged_id as merged_contact_id,
        id as surviving_contact_id,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from named
    where merged_id <> ''
)

select * from renamed
