-- Grain: one delivered row of an answer to a form.
{%- set row_key = ['_load_id', '_line'] %}

with source as (
    select * from {{ source('typeform', 'responses') }}
),

elements as (
    {{ json_elements('source', 'answers', row_key + ['form_id']) }}
),

answers as (
    {{ json_fields('elements', 'element', {
        'field_ref': 'field.ref', 'field_type': 'field.type',
        'number_given': 'number', 'text_given': 'text',
    }, row_key + ['form_id', 'element_number']) }}
),

-- Any answer may be the first to tell, and old ones are read again with it (`lookups` in tools()).
forms_naming_nps as (
    select distinct form_id
    from answers
    where field_type in ('opinion_scale', 'nps') and lower(field_ref) = 'nps'
),

-- calculated.score is the score of a quiz. Of several scales the one with the ref nps is meant, also where it was
-- left out and another one answered; in a form without that ref, the first.
ranked_answers as (
    select
        answers.*,
        row_number() over (
            partition by answers._load_id, answers._line, answers.field_type = 'long_text'
            order by case when answers.field_type = 'nps' then 1 else 2 end, answers.element_number
        ) as preference
    from answers
    left join forms_naming_nps on answers.form_id = forms_naming_nps.form_id
    where
        answers.field_type = 'long_text'
        or (
            answers.field_type in ('opinion_scale', 'nps')
            and (lower(answers.field_ref) = 'nps' or forms_naming_nps.form_id is null)
        )
),

given as (
    select
        _load_id,
        _line,
        max(case when field_type <> 'long_text' then coalesce(number_given, text_given) end) as score_text,
        max(case when field_type <> 'long_text' then element_number end) as score_number,
        max(case when field_type = 'long_text' then text_given end) as comment
    from ranked_answers
    where preference = 1
    group by _load_id, _line
),

ratings as (
    select
        answers._load_id,
        answers._line,
        {{ is_straight_line('answers.number_given') }} as is_straight_line
    from answers
    left join given on answers._load_id = given._load_id and answers._line = given._line
    where
        answers.field_type in ('opinion_scale', 'rating')
        and answers.element_number <> coalesce(given.score_number, -1)
    group by answers._load_id, answers._line
),

hidden_fields as (
    {{ json_fields('source', 'hidden', {
        'contact_id': 'contact_id', 'account_id': 'account_id', 'email': 'email', 'language': 'language',
    }, row_key + [json_first_text('answers', '$[*].email') ~ ' as answered_email']) }}
),

renamed as (
    select
        source._source_system as source_system,
        coalesce(nullif(trim(source.response_id), ''), nullif(trim(source.token), ''), source._row_hash)
            as source_response_id,
        nullif(trim(source.form_id), '') as source_survey_id,
        'nps' as score_type,
        cast(null as {{ dbt.type_string() }}) as source_invitation_id,
        {{ respondent_of_link(
            'hidden_fields.contact_id', 'coalesce(hidden_fields.email, hidden_fields.answered_email)'
        ) }}
            as source_contact_id,
        {{ normalised_email('coalesce(hidden_fields.email, hidden_fields.answered_email)') }} as contact_email,
        nullif(trim(hidden_fields.account_id), '') as source_account_id,
        given.score_text,
        cast(null as {{ dbt.type_string() }}) as vendor_category,
        given.comment,
        lower(trim(hidden_fields.language)) as language,
        cast(null as {{ dbt.type_string() }}) as channel,
        source.hidden as attributes,
        -- An answer that was not submitted has no such time, or the year 1.
        coalesce(lower(trim(source.response_type)) in ('started', 'partial'), false)
        or coalesce(trim(source.submitted_at), '') = ''
        or source.submitted_at like '0001-%' as is_partial,
        false as is_test,
        {{ is_deleted_by_vendor('source') }} as is_withdrawn,
        ratings.is_straight_line,
        {{ network_hash(json_text('source.metadata', 'network_id')) }} as network_hash,
        case
            when trim(source.submitted_at) = '' or source.submitted_at is null or source.submitted_at like '0001-%'
                then {{ utc_timestamp('source.landed_at') }}
            else {{ utc_timestamp('source.submitted_at') }}
        end as submitted_at,
        cast(null as timestamp) as updated_at,
        source._row_hash as row_hash,
        source._load_id as load_id,
        source._loaded_at as loaded_at,
        source._file as source_file,
        source._line as source_line
    from source
    left join given on source._load_id = given._load_id and source._line = given._line
    left join ratings on source._load_id = ratings._load_id and source._line = ratings._line
    left join hidden_fields on source._load_id = hidden_fields._load_id and source._line = hidden_fields._line
)

select * from renamed
