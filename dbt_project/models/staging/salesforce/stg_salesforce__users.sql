-- Grain: one delivered row of a user.
with source as (
    select * from {{ source('salesforce', 'user') }}
),

renamed as (
    select
        id as owner_id,
        nullif(manager_id, '') as manager_id,
        title as job_title,
        coalesce(lower(is_active) = 'true', false) as is_active,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
)

select * from renamed
