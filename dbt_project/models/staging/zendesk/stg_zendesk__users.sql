-- Grain: one delivered row of a user, customer or agent.
with source as (
    select * from {{ source('zendesk', 'user') }}
),

renamed as (
    select
        id as user_id,
        {{ normalised_email('email') }} as contact_email,
        nullif(organization_id, '') as organization_id,
        role as user_role,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
)

select * from renamed
