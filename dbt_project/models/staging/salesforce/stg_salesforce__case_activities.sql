-- Grain: one delivered row of a support case that shows when somebody worked on it.
with source as (
    select * from {{ source('salesforce', 'case') }}
),

typed as (
    select
        *,
        {{ utc_timestamp('created_date') }} as created_at,
        {{ utc_timestamp('closed_date') }} as closed_at,
        {{ utc_timestamp('last_modified_date') }} as modified_at
    from source
    where coalesce(lower(is_deleted) <> 'true', true)
),

renamed as (
    select
        'salesforce' as source_system,
        id as source_activity_id,
        'case' as activity_type,
        cast(null as {{ dbt.type_string() }}) as response_id,
        nullif(trim(contact_id), '') as external_contact_id,
        cast(null as {{ dbt.type_string() }}) as source_contact_id,
        cast(null as {{ dbt.type_string() }}) as contact_email,
        nullif(trim(account_id), '') as source_account_id,
        nullif(trim(owner_id), '') as owner_id,
        false as has_invalid_time,
        created_at,
        coalesce(closed_at, case when status <> 'New' then modified_at end) as contacted_at,
        closed_at as resolved_at,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from typed
)

select * from renamed
where contacted_at is not null
