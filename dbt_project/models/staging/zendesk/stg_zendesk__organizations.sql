-- Grain: one delivered row of an organization.
with source as (
    select * from {{ source('zendesk', 'organization') }}
),

renamed as (
    select
        id as organization_id,
        name as organization_name,
        nullif(trim(external_id), '') as account_id,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
)

select * from renamed
