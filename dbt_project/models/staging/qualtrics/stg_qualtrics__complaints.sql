-- Grain: one delivered row of a mailing that was reported as spam.
with source as (
    select * from {{ source('qualtrics', 'distribution_contact') }}
),

renamed as (
    select
        _source_system as source_system,
        contact_id as source_contact_id,
        -- When they complained is not delivered; nobody can before it was sent.
        {{ utc_timestamp('sent_at') }} as opted_out_at,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
    where lower(trim(status)) = 'complaint'
)

select * from renamed
