{#- The segments of the variable `segments`, resolved; orchestration/segments.py checks it before anything runs. -#}

{% macro segments_from(owner) -%}
    {{- return(var('segments') | selectattr('from', 'equalto', owner) | list) -}}
{%- endmacro %}


{#- The segments a fact looks up; touchpoint, channel and language are columns of it anyway. -#}
{% macro segments_added_to_facts() -%}
    {{- return(
        var('segments') | rejectattr('combine') | rejectattr('name', 'in', ['touchpoint', 'channel', 'language']) | list
    ) -}}
{%- endmacro %}


{#- The attributes of an answer or invitation, kept only when a segment comes from them. -#}
{% macro if_asked(attributes) -%}
    {%- if segments_from('answer') | rejectattr('column', 'in', ['channel', 'language']) | list -%}
        {{ attributes }}
    {%- else -%}
        cast(null as {{ dbt.type_string() }})
    {%- endif -%}
{%- endmacro %}


{#- The combinations of other segments: {name: region_plan, combine: [region, plan]}. -#}
{% macro combined_segments() -%}
    {{- return(var('segments') | selectattr('combine') | list) -}}
{%- endmacro %}


{#- The value of a combination, from the columns of its parts. -#}
{% macro combined_value(segment) -%}
    {{ segment.combine | join(" || ' × ' || ") }}
{%- endmacro %}


{#- Was it the state of the account at that moment? -#}
{% macro is_valid_at(accounts, moment) -%}
    {{ moment }} >= {{ accounts }}.valid_from
            and {{ moment }} < {{ accounts }}.valid_to
{%- endmacro %}


{#- The state of the account that a fact shows: that of the day, or with segments_as_of: now, that of today. -#}
{% macro as_of(accounts, moment) -%}
    {{ accounts ~ '.is_current' if var('segments_as_of') == 'now' else is_valid_at(accounts, moment) }}
{%- endmacro %}


{#-
    The states of accounts, with the segments of today where segments_as_of: now asks for them. Revenue, and whether an
    account is a customer, stay those of the state: who left today was a customer last year.
-#}
{% macro account_states() -%}
    {%- set history = ref('int_account_history') -%}
    {%- if var('segments_as_of') == 'now' -%}
    (
        select
            states.account_id,
            {%- for segment in segments_from('account') %}
            today.{{ segment.name }},
            {%- endfor %}
            states.annual_revenue,
            states.is_customer,
            states.is_deleted,
            states.valid_from,
            states.valid_to
        from {{ history }} as states
        inner join {{ history }} as today on states.account_id = today.account_id and today.is_current
    )
    {%- else -%}
        {{ history }}
    {%- endif -%}
{%- endmacro %}


{#-
    Is the value known for everyone who was asked, or only for those who answered? Of the latter kind
    (the language of the answer, say) there is no count of invitations, hence no response rate.
-#}
{% macro is_known_when_asked(segment) -%}
    {%- if segment.combine -%}
        {%- set parts = var('segments') | selectattr('name', 'in', segment.combine) | list -%}
        {%- for part in parts if not is_known_when_asked(part) -%}
            {{- return(false) -}}
        {%- endfor -%}
        {{- return(true) -}}
    {%- endif -%}
    {{- return(segment.from != 'answer' or segment.column == 'channel' or segment.get('asked', false)) -}}
{%- endmacro %}


{#-
    In a staging model: the delivered columns of one source that hold segments of `owner`, renamed and typed. `relation`
    names the one they are of, where a model joins several.
-#}
{% macro delivered_segments(owner, source_name, relation=none) -%}
    {%- set prefix = relation ~ '.' if relation else '' -%}
    {%- for segment in segments_from(owner) %}
        {% if segment.column is string -%}
            {%- set delivered = prefix ~ adapter.quote(segment.column) -%}
        {%- elif source_name in segment.column -%}
            {%- set delivered = prefix ~ adapter.quote(segment.column[source_name]) -%}
        {%- else -%}
            {%- set delivered = 'cast(null as ' ~ dbt.type_string() ~ ')' -%}
        {%- endif -%}
        {{ safe_cast_date(delivered) if segment.years is defined else "nullif(trim(" ~ delivered ~ "), '')" }} as {{ segment.name }},
    {%- endfor -%}
{%- endmacro %}


{#-
    In a fact: the value of a segment on `date_column`. Expects the relations accounts (as of the date),
    contacts, surveys and asked (the answer or the invitation) in scope. Unknown is a value, never dropped.
-#}
{% macro segment_value(segment, date_column) -%}
    {%- set owners = {'account': 'accounts', 'contact': 'contacts', 'survey': 'surveys'} -%}
    {%- if segment.from in owners -%}
        {%- set value = owners[segment.from] ~ '.' ~ (segment.column if segment.from == 'survey' else segment.name) -%}
    {%- elif segment.from == 'answer' and segment.column in ['channel', 'language'] -%}
        {%- set value = 'asked.' ~ segment.column -%}
    {%- else -%}
        {%- set value = json_text('asked.attributes', segment.column) -%}
    {%- endif -%}
    {#- Those of accounts and contacts are typed in staging, once per record and not per answer. -#}
    {%- set is_typed = segment.from in ('account', 'contact') -%}
    {%- if segment.years is defined -%}
        {{- age_band(value if is_typed else safe_cast_date(value), date_column, segment.years) -}}
    {%- elif is_typed -%}
        coalesce({{ value }}, 'unknown')
    {%- else -%}
        coalesce(nullif(trim({{ value }}), ''), 'unknown')
    {%- endif -%}
{%- endmacro %}


{#- Full years between a date and a later one, as a band: "under 1 year", "1-2 years", "5+ years"; of none later, unknown. -#}
{% macro age_band(born, date_column, years) -%}
    case
        when {{ born }} is null or {{ born }} > {{ date_column }} then 'unknown'
        {%- for bound in years %}
        when {{ add_months(born, bound * 12) }} > {{ date_column }} then '
            {%- if loop.first -%} under {{ bound }} year{{ 's' if bound > 1 }}
            {%- elif bound - years[loop.index0 - 1] == 1 -%} {{ years[loop.index0 - 1] }} year{{ 's' if bound > 2 }}
            {%- else -%} {{ years[loop.index0 - 1] }}-{{ bound - 1 }} years
            {%- endif -%}'
        {%- endfor %}
        else '{{ years[-1] }}+ years'
    end
{%- endmacro %}
