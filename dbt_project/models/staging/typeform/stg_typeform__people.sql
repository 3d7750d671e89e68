-- Grain: one delivered answer with the person that its hidden fields or its e-mail question name.
with source as (
    select * from {{ source('typeform', 'responses') }}
),

hidden_fields as (
    {{ json_fields('source', 'hidden', {'contact_id': 'contact_id', 'email': 'email'}, [
        json_first_text('answers', '$[*].email') ~ ' as answered_email',
        '_source_system', '_load_id', '_loaded_at', '_file', '_line',
    ]) }}
),

renamed as (
    select
        _source_system as source_system,
        {{ respondent_of_link('contact_id', 'coalesce(email, answered_email)') }} as source_contact_id,
        {{ normalised_email('coalesce(email, answered_email)') }} as contact_email,
        nullif(trim(contact_id), '') as external_contact_id,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from hidden_fields
)

select * from renamed
where source_contact_id is not null
