-- Grain: one delivered row of a contact that was merged into another.
with source as (
    select * from {{ source('salesforce', 'contact') }}
),

renamed as (
    select
        id as merged_contact_id,
        trim(master_record_id) as surviving_contact_id,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
    where trim(master_record_id) <> ''
)

select * from renamed
