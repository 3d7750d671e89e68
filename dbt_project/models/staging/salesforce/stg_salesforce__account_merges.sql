-- Grain: one delivered row of an account that was merged into another.
with source as (
    select * from {{ source('salesforce', 'account') }}
),

renamed as (
    select
        id as merged_account_id,
        trim(master_record_id) as surviving_account_id,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
    where trim(master_record_id) <> ''
)

select * from renamed
