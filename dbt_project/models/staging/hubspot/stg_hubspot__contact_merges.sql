-- Grain: one delivered row of the audit of merged contacts.
with source as (
    select * from {{ source('hubspot', 'contact_merge_audit') }}
),

renamed as (
    select
        trim(vid_to_merge) as merged_contact_id,
        trim(canonical_vid) as surviving_contact_id,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
    where trim(vid_to_merge) <> '' and trim(canonical_vid) <> ''
)

select * from renamed
