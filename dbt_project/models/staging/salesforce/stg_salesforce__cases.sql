-- Grain: one delivered row of a support case.
with source as (
    select * from {{ source('salesforce', 'case') }}
),

renamed as (
    select
        id as case_id,
        nullif(account_id, '') as account_id,
        nullif(contact_id, '') as contact_id,
        status,
        reason,
        {{ utc_timestamp('created_date') }} as created_at,
        {{ utc_timestamp('closed_date') }} as closed_at,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
)

select * from renamed
