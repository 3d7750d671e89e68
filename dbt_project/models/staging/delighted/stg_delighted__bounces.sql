-- Grain: one delivered row of a person who could not be reached.
with source as (
    select * from {{ source('delighted', 'bounces') }}
),

renamed as (
    select
        _source_system as source_system,
        person_id as source_contact_id,
        'bounced' as event_type,
        {{ utc_timestamp('bounced_at', 'epoch_seconds') }} as event_at,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
)

select * from renamed
