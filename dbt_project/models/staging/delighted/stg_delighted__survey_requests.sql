-- Grain: one delivered row of a survey sent to a person.
with source as (
    select * from {{ source('delighted', 'survey_requests') }}
),

renamed as (
    select
        _source_system as source_system,
        id as source_invitation_id,
        coalesce(nullif(trim(survey), ''), 'default') as source_survey_id,
        person as source_contact_id,
        cast(null as {{ dbt.type_string() }}) as source_account_id,
        channel,
        cast(null as {{ dbt.type_string() }}) as attributes,
        cast(null as bigint) as group_size,
        {{ utc_timestamp('created_at', 'epoch_seconds') }} as sent_at,
        {{ utc_timestamp('delivered_at', 'epoch_seconds') }} as delivered_at,
        {{ utc_timestamp('opened_at', 'epoch_seconds') }} as opened_at,
        {{ utc_timestamp('started_at', 'epoch_seconds') }} as started_at,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
)

select * from renamed
