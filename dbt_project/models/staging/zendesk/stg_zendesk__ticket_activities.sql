-- Grain: one delivered row of a ticket that shows when somebody worked on it.
with source as (
    select * from {{ source('zendesk', 'ticket') }}
),

typed as (
    select
        *,
        {{ utc_timestamp('created_at') }} as opened_at,
        {{ utc_timestamp('updated_at') }} as modified_at
    from source
    -- A ticket is new until an agent takes it.
    where status in ('open', 'pending', 'hold', 'solved', 'closed')
),

renamed as (
    select
        'zendesk' as source_system,
        id as source_activity_id,
        'ticket' as activity_type,
        cast(null as {{ dbt.type_string() }}) as response_id,
        cast(null as {{ dbt.type_string() }}) as external_contact_id,
        nullif(requester_id, '') as source_contact_id,
        cast(null as {{ dbt.type_string() }}) as contact_email,
        cast(null as {{ dbt.type_string() }}) as source_account_id,
        -- Where a team has it and nobody of them yet, the team.
        coalesce(nullif(assignee_id, ''), {{ zendesk_team('group_id') }}) as owner_id,
        false as has_invalid_time,
        opened_at as created_at,
        modified_at as contacted_at,
        case when status in ('solved', 'closed') then modified_at end as resolved_at,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from typed
)

select * from renamed
where contacted_at is not null
