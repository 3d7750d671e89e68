-- Grain: one delivered row of a person who opted out.
with source as (
    select * from {{ source('delighted', 'unsubscribes') }}
),

renamed as (
    select
        _source_system as source_system,
        person_id as source_contact_id,
        {{ utc_timestamp('unsubscribed_at', 'epoch_seconds') }} as opted_out_at,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
)

select * from renamed
