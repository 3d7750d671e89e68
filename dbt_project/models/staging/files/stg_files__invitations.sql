-- Grain: one delivered row of an invitation, or of an invited group of group_size people.
{%- set mappings = mapped_sources('invitations') %}
{{ config(enabled = mappings | length > 0) }}

with source as (
    select * from {{ source('files', 'invitations') }}
),

renamed as (
    {%- for source_name, mapping in mappings.items() %}
    select
        _source_system as source_system,
        {{ mapped_key(mapping) }} as source_invitation_id,
        {{ mapped_survey(mapping.survey) }} as source_survey_id,
        {{ mapped_respondent(mapping) }} as source_contact_id,
        {{ normalised_email(mapped_text(mapping.email)) }} as contact_email,
        {{ mapped_text(mapping.contact) }} as external_contact_id,
        {{ mapped_text(mapping.account) }} as source_account_id,
        {{ mapped_text(mapping.channel) }} as channel,
        {{ mapped_attributes(mapping.segments) }} as attributes,
        {% if mapping.invited -%}
            coalesce({{ safe_cast_number(adapter.quote(mapping.invited), 'bigint') }}, 0)
        {%- else -%}
            cast(null as bigint)
        {%- endif %} as group_size,
        {{ mapped_time(mapping.sent_at) }} as sent_at,
        {{ mapped_time(mapping.sent_at) }} as delivered_at,
        cast(null as timestamp) as opened_at,
        cast(null as timestamp) as started_at,
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
