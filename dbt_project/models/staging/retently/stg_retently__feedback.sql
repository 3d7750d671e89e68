-- Grain: one delivered row of feedback; an edited answer has several.
with source as (
    select * from {{ source('retently', 'feedback') }}
),

renamed as (
    select
        _source_system as source_system,
        coalesce(nullif(trim(id), ''), _row_hash) as source_response_id,
        nullif(trim({{ adapter.quote('campaignId') }}), '') as source_survey_id,
        lower(trim({{ adapter.quote('metricsType') }})) as score_type,
        cast(null as {{ dbt.type_string() }}) as source_invitation_id,
        {{ respondent_of_link(adapter.quote('customerId'), 'email') }} as source_contact_id,
        {{ normalised_email('email') }} as contact_email,
        cast(null as {{ dbt.type_string() }}) as external_contact_id,
        nullif(trim({{ adapter.quote('companyName') }}), '') as source_account_id,
        score as score_text,
        cast(null as {{ dbt.type_string() }}) as vendor_category,
        comment,
        cast(null as {{ dbt.type_string() }}) as language,
        lower(trim(channel)) as channel,
        {{ json_object_text({'country': 'country', 'tags': 'tags'}) }} as attributes,
        false as is_partial,
        coalesce(lower(trim({{ adapter.quote('isBogus') }})) in ('true', '1'), false) as is_test,
        false as is_withdrawn,
        cast(null as boolean) as is_straight_line,
        cast(null as {{ dbt.type_string() }}) as network_hash,
        coalesce(
            {{ utc_timestamp(adapter.quote('createdDate')) }},
            {{ utc_timestamp(adapter.quote('createdDate'), 'epoch_milliseconds') }}
        ) as submitted_at,
        cast(null as timestamp) as updated_at,
        _row_hash as row_hash,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
)

select * from renamed
