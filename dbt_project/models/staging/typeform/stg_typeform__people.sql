-- Grain: one delivered answer with the person that its hidden fields or its e-mail question name.
with source as (
    select * from {{ source('typeform', 'responses') }}
),

elements as (
    {{ json_elements('source', 'answers', ['_load_id', '_line']) }}
),

answers as (
    {{ json_fields('elements', 'element', {'email': 'email'}, ['_load_id', '_line']) }}
),

emails as (
    select
        _load_id,
        _line,
        min(email) as email
    from answers
    group by _load_id, _line
),

hidden_fields as (
    {{ json_fields('source', 'hidden', {'contact_id': 'contact_id', 'email': 'email'}, [
        '_source_system', '_load_id', '_loaded_at', '_file', '_line',
    ]) }}
),

renamed as (
    select
        hidden_fields._source_system as source_system,
        {{ respondent_key('hidden_fields.contact_id', 'coalesce(hidden_fields.email, emails.email)') }}
            as source_contact_id,
        {{ normalised_email('coalesce(hidden_fields.email, emails.email)') }} as contact_email,
        nullif(trim(hidden_fields.contact_id), '') as external_contact_id,
        hidden_fields._load_id as load_id,
        hidden_fields._loaded_at as loaded_at,
        hidden_fields._file as source_file,
        hidden_fields._line as source_line
    from hidden_fields
    left join emails on hidden_fields._load_id = emails._load_id and hidden_fields._line = emails._line
)

select * from renamed
where source_contact_id is not null
