{#- The mapping of a source of `kind: file` (sources/<name>.yml) as SQL; only models/staging/files calls these. -#}

{% macro mapped_text(column) -%}
    {%- if column -%}nullif(trim({{ adapter.quote(column) }}), ''){%- else -%}cast(null as {{ dbt.type_string() }}){%- endif -%}
{%- endmacro %}


{#-
    The key of a row. `row`: the row itself, counted where it repeats, so that identical answers stay apart. A key of
    which a column is empty is none, or different answers would be one: the row stands for it. Keys are published: an
    address or a name in one is hashed.
-#}
{% macro mapped_key(mapping) -%}
    {%- if mapping.key == 'row' -%}
        _row_hash || '-' || cast(_row_ordinal as {{ dbt.type_string() }})
    {%- else -%}
        {%- set columns = [mapping.key] if mapping.key is string else mapping.key -%}
        {%- set parts = [] -%}
        {%- for column in columns -%}
            {%- do parts.append(mapped_key_part(mapping, column)) -%}
        {%- endfor -%}
        coalesce({{ parts | join(" || '|' || ") }}, _row_hash)
    {%- endif -%}
{%- endmacro %}

{% macro mapped_key_part(mapping, column) -%}
    {{ salted_hash(mapped_text(column)) if column in (mapping.email, mapping.name) else mapped_text(column) }}
{%- endmacro %}


{#- Who answered or was asked: the first that a row has of the respondent's key, the CRM's key and the address. -#}
{% macro mapped_respondent(mapping) -%}
    coalesce(
        {{- mapped_text(mapping.respondent) }}, {{ mapped_text(mapping.contact) }}, {{ mapped_text(mapping.email) -}}
    )
{%- endmacro %}


{% macro mapped_survey(survey) -%}
    {%- if survey.value -%}{{ text_literal(survey.value) }}{%- else -%}{{ mapped_text(survey.column) }}{%- endif -%}
{%- endmacro %}


{% macro mapped_time(time) -%}
    {%- if time -%}
        {{ utc_timestamp(adapter.quote(time.column), time.format, time.time_zone) }}
    {%- else -%}
        cast(null as timestamp)
    {%- endif -%}
{%- endmacro %}


{#- Exports write the same flag as False, FALSE or false: case and blanks around it mean nothing. -#}
{% macro mapped_flag(flag) -%}
    {%- if flag -%}
        coalesce(lower(trim({{ adapter.quote(flag.column) }})) in (
            {%- for value in flag['values'] -%}
                lower({{ text_literal(value | trim) }}){{ ', ' if not loop.last }}
            {%- endfor -%}
        ), false)
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}


{% macro mapped_straight_line(ratings) -%}
    {%- set columns = [] -%}
    {%- for column in ratings or [] -%}
        {%- do columns.append(mapped_text(column)) -%}
    {%- endfor -%}
    {%- if columns -%}{{ is_straight_list(list_of(columns)) }}{%- else -%}cast(null as boolean){%- endif -%}
{%- endmacro %}


{% macro mapped_attributes(segments) -%}
    {%- set columns = {} -%}
    {%- for name, column in segments.items() -%}
        {%- do columns.update({name: adapter.quote(column)}) -%}
    {%- endfor -%}
    {{ json_object_text(columns) if columns else 'cast(null as ' ~ dbt.type_string() ~ ')' }}
{%- endmacro %}


{#- The file sources that deliver `table_name` (answers or invitations), with their mapping of it. -#}
{% macro mapped_sources(table_name) -%}
    {%- set mappings = {} -%}
    {%- for source_name, mapping in var('file_sources').items() if mapping.get(table_name) -%}
        {%- do mappings.update({source_name: mapping[table_name]}) -%}
    {%- endfor -%}
    {{- return(mappings) -}}
{%- endmacro %}


{#- Does any mapping invite groups (`invited:`) and not only people? -#}
{% macro are_groups_invited() -%}
    {{- return(mapped_sources('invitations').values() | selectattr('invited') | list | length > 0) -}}
{%- endmacro %}
