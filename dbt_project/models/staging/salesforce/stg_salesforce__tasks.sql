-- Grain: one delivered row of a task that shows when somebody worked on it, or that asks somebody for a reference.
with source as (
    select * from {{ source('salesforce', 'task') }}
),

typed as (
    select
        *,
        coalesce(nullif(lower(trim(type)), ''), 'task') as activity_type,
        coalesce(lower(is_closed) = 'true', false) as is_done,
        {{ safe_cast_date('activity_date') }} as planned_for,
        {{ utc_timestamp('created_date') }} as created_at,
        {{ utc_timestamp('completed_date_time') }} as completed_at,
        {{ utc_timestamp('last_modified_date') }} as modified_at
    from source
    where coalesce(lower(is_deleted) <> 'true', true)
),

-- That a task exists is an intention: somebody was in contact when it is done, or since it is being worked on. A call,
-- an e-mail or a meeting that was not planned for a later day is written down when it takes place.
renamed as (
    select
        'salesforce' as source_system,
        id as source_activity_id,
        activity_type,
        cast(null as {{ dbt.type_string() }}) as response_id,
        nullif(trim(who_id), '') as external_contact_id,
        cast(null as {{ dbt.type_string() }}) as source_contact_id,
        cast(null as {{ dbt.type_string() }}) as contact_email,
        -- 001 is the prefix of accounts; a task may be about other things.
        coalesce(nullif(trim(account_id), ''), case when what_id like '001%' then trim(what_id) end)
            as source_account_id,
        nullif(trim(owner_id), '') as owner_id,
        false as has_invalid_time,
        created_at,
        case
            when not is_done and status not in ('In Progress', 'Waiting on someone else') then null
            when activity_type in ('call', 'email', 'meeting') and planned_for <= cast(created_at as date)
                then created_at
            when is_done then coalesce(completed_at, modified_at)
            else modified_at
        end as contacted_at,
        case when is_done then coalesce(completed_at, modified_at) end as resolved_at,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from typed
)

-- Who is to be asked for a reference is not asked by a second colleague as well.
select * from renamed
where contacted_at is not null or activity_type in ({{ literals(var('advocacy').activity_types) }})
