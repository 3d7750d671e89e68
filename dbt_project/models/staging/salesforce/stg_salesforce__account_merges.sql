-- Grain: one delivered row of an account that was merged into another, or lives: undeleted, it was not merged.
with source as (
    select * from {{ source('salesforce', 'account') }}
),

renamed as (
    select
        id as merged_account_id,
        nullif(trim(master_record_id), '') as surviving_account_id,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
    -- What is deleted without a master may have been delivered without the column.
    where trim(master_record_id) <> '' or coalesce(lower(is_deleted) <> 'true', true)
)

select * from renamed
