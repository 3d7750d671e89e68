-- Grain: one delivered row of a ticket.
with source as (
    select * from {{ source('zendesk', 'ticket') }}
),

renamed as (
    select
        id as ticket_id,
        nullif(requester_id, '') as requester_id,
        nullif(organization_id, '') as organization_id,
        nullif(assignee_id, '') as assignee_id,
        status,
        priority,
        via_channel as channel,
        {{ utc_timestamp('created_at') }} as created_at,
        {{ utc_timestamp('updated_at') }} as updated_at,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
)

select * from renamed
