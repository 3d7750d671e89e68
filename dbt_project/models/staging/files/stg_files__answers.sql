-- Grain: one delivered row of an answer, from any export of `kind: file`.
with source as (
    select * from {{ source('files', 'answers') }}
),

renamed as (
    {%- for source_name, mapping in mapped_sources('answers').items() %}
    select
        _source_system as source_system,
        {{ mapped_key(mapping) }} as source_response_id,
        {{ mapped_survey(mapping.survey) }} as source_survey_id,
        'nps' as score_type,
        {{ mapped_text(mapping.invitation) }} as source_invitation_id,
        {{ mapped_respondent(mapping) }} as source_contact_id,
        {{ normalised_email(mapped_text(mapping.email)) }} as contact_email,
        {{ mapped_text(mapping.contact) }} as external_contact_id,
        {{ mapped_text(mapping.account) }} as source_account_id,
        {{ adapter.quote(mapping.score) }} as score_text,
        cast(null as {{ dbt.type_string() }}) as vendor_category,
        {{ mapped_text(mapping.comment) }} as comment,
        {{ mapped_text(mapping.language) }} as language,
        {{ mapped_text(mapping.channel) }} as channel,
        {{ mapped_attributes(mapping.segments) }} as attributes,
        {{ mapped_flag(mapping.partial) }} as is_partial,
        {{ mapped_flag(mapping.test) }} as is_test,
        {{ mapped_flag(mapping.withdrawn) }} as is_withdrawn,
        {{ mapped_straight_line(mapping.ratings) }} as is_straight_line,
        {{ network_hash(mapped_text(mapping.ip_address)) }} as network_hash,
        {{ mapped_time(mapping.submitted_at) }} as submitted_at,
        {{ mapped_time(mapping.updated_at) }} as updated_at,
        _row_hash as row_hash,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
    where _source_system = '{{ source_name }}'
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select * from renamed
