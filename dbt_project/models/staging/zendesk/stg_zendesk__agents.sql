-- Grain: one delivered row of a user who handles tickets; the group they belong to stands above them.
with source as (
    select * from {{ source('zendesk', 'user') }}
),

renamed as (
    select
        id as owner_id,
        {{ zendesk_team('default_group_id') }} as manager_id,
        role as job_title,
        coalesce(lower(active) <> 'false', true) as is_active,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
    where role in ('agent', 'admin')
)

select * from renamed
