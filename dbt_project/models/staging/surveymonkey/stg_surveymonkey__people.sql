-- Grain: one delivered answer with the person that its link or recipient names.
with source as (
    select * from {{ source('surveymonkey', 'responses') }}
),

variables as (
    {{ json_fields('source', 'custom_variables', {'contact_id': 'contact_id'}, [
        'email_address', '_source_system', '_load_id', '_loaded_at', '_file', '_line',
    ]) }}
),

renamed as (
    select
        _source_system as source_system,
        {{ respondent_of_link('contact_id', 'email_address') }} as source_contact_id,
        {{ normalised_email('email_address') }} as contact_email,
        nullif(trim(contact_id), '') as external_contact_id,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from variables
)

select * from renamed
where source_contact_id is not null
