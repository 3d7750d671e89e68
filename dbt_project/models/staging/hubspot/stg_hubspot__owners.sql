-- Grain: one delivered row of an owner.
with source as (
    select * from {{ source('hubspot', 'owner') }}
),

renamed as (
    select
        owner_id,
        cast(null as {{ dbt.type_string() }}) as manager_id,
        cast(null as {{ dbt.type_string() }}) as job_title,
        -- A connector says the one, the API the other.
        coalesce(lower(is_active) = 'true', lower(archived) <> 'true', true) as is_active,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
)

select * from renamed
