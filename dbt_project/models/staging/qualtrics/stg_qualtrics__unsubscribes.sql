-- Grain: one delivered row of a person who left the directory's mailings.
with source as (
    select * from {{ source('qualtrics', 'directory_contact') }}
),

renamed as (
    select
        _source_system as source_system,
        id as source_contact_id,
        {{ utc_timestamp('directory_unsubscribe_date') }} as opted_out_at,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
    where lower(trim(directory_unsubscribed)) in ('true', '1')
)

select * from renamed
