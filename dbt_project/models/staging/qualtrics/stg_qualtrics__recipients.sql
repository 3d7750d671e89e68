-- Grain: one delivered answer with the address that it was asked at.
with source as (
    select * from {{ source('qualtrics', 'survey_response') }}
),

renamed as (
    select
        _source_system as source_system,
        -- Answers without a mailing of the directory name their recipient by address alone.
        {{ normalised_email('recipient_email') }} as source_contact_id,
        {{ normalised_email('recipient_email') }} as contact_email,
        cast(null as {{ dbt.type_string() }}) as external_contact_id,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
    where trim(recipient_email) <> ''
)

select * from renamed
