-- Grain: one delivered row of a survey response; an edited answer has several.
with source as (
    select * from {{ source('delighted', 'survey_responses') }}
),

renamed as (
    select
        _source_system as source_system,
        coalesce(nullif(trim(id), ''), _row_hash) as source_response_id,
        -- Delighted knows no surveys: whoever has several names them in this property, and answers without it are of
        -- the survey default. Properties that cannot be read do not say.
        case
            when coalesce(trim(person_properties), '') = '' or {{ is_json('person_properties') }}
                then coalesce(nullif(trim({{ json_text('person_properties', 'survey') }}), ''), 'default')
        end as source_survey_id,
        lower(trim(survey_type)) as score_type,
        survey_request as source_invitation_id,
        person as source_contact_id,
        cast(null as {{ dbt.type_string() }}) as contact_email,
        cast(null as {{ dbt.type_string() }}) as source_account_id,
        score as score_text,
        cast(null as {{ dbt.type_string() }}) as vendor_category,
        comment,
        {{ json_text('person_properties', 'language') }} as language,
        cast(null as {{ dbt.type_string() }}) as channel,
        person_properties as attributes,
        false as is_partial,
        coalesce(
            lower(tags) like '%test%' and {{ matches('lower(tags)', '(^|[^a-z])test([^a-z]|$)') }}, false
        ) as is_test,
        {{ is_deleted_by_vendor() }} as is_withdrawn,
        {{ is_straight_list(json_texts_at('additional_answers', '$[*].value.scale')) }} as is_straight_line,
        cast(null as {{ dbt.type_string() }}) as network_hash,
        {{ utc_timestamp('created_at', 'epoch_seconds') }} as submitted_at,
        {{ utc_timestamp('updated_at', 'epoch_seconds') }} as updated_at,
        _row_hash as row_hash,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
)

select * from renamed
