-- Grain: one delivered row of a group of agents, in the canonical columns of an owner: their team.
with source as (
    select * from {{ source('zendesk', 'group') }}
),

renamed as (
    select
        {{ zendesk_team('id') }} as owner_id,
        cast(null as {{ dbt.type_string() }}) as manager_id,
        name as job_title,
        coalesce(lower(deleted) <> 'true', true) as is_active,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
)

select * from renamed
