-- Grain: one delivered row of a follow-up that somebody wrote down, from any file of `kind: file`.
{%- set mappings = mapped_sources('follow_ups') %}
{{ config(enabled = mappings | length > 0) }}

with source as (
    select * from {{ source('files', 'follow_ups') }}
),

renamed as (
    {%- for source_name, mapping in mappings.items() %}
    select
        _source_system as source_system,
        _load_id || ':' || cast(_line as {{ dbt.type_string() }}) as source_activity_id,
        'follow_up' as activity_type,
        {{ mapped_text(mapping.answer) }} as response_id,
        {{ mapped_text(mapping.contact) }} as external_contact_id,
        cast(null as {{ dbt.type_string() }}) as source_contact_id,
        {{ normalised_email(mapped_text(mapping.email)) }} as contact_email,
        {{ mapped_text(mapping.account) }} as source_account_id,
        {{ mapped_text(mapping.owner) }} as owner_id,
        {% for name in ['first_contact_at', 'resolved_at'] if mapping[name] -%}
        {{ 'or ' if not loop.first }}(
            {{ mapped_text(mapping[name].column) }} is not null and {{ mapped_time(mapping[name]) }} is null
        )
        {%- endfor %} as has_invalid_time,
        cast(null as timestamp) as created_at,
        {{ mapped_time(mapping.first_contact_at) }} as contacted_at,
        {{ mapped_time(mapping.resolved_at) }} as resolved_at,
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
