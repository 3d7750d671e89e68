{#-
    Who handled what an answer is about, as the variable `handled_by` configures it; orchestration/handled_by.py checks
    that before anything runs. Nothing else reads the variable.
-#}

{#- What the attributes of an answer say of `name` (agent, ticket, team); nothing where no attribute is configured. -#}
{% macro handling_attribute(attributes, name) -%}
    {%- set attribute = var('handled_by').get(name) -%}
    {%- if attribute -%}
        nullif(trim({{ json_text(attributes, attribute) }}), '')
    {%- else -%}
        cast(null as {{ dbt.type_string() }})
    {%- endif -%}
{%- endmacro %}


{#-
    The agent, else the team, that the survey tool names. An agent is named by a key; what looks like an address or a
    name is a person's, and only its salted hash goes on. A team has a name of its own, and may have an address.
-#}
{% macro named_handler(attributes) -%}
    {%- set agent = handling_attribute(attributes, 'agent') -%}
    {%- set team = handling_attribute(attributes, 'team') -%}
    coalesce(
        {% if var('handled_by').agent is defined -%}
        case
            when {{ matches(agent, '@|\\pL\\s+\\pL') }} then 'agent:' || {{ salted_hash('lower(' ~ agent ~ ')') }}
            else {{ agent }}
        end,
        {%- endif %}
        case when {{ team }} like '%@%' then 'team:' || {{ salted_hash('lower(' ~ team ~ ')') }} else {{ team }} end
    )
{%- endmacro %}


{#- The team that answers about a touchpoint are about, where neither an agent nor a ticket is known. -#}
{% macro touchpoint_team(touchpoint) -%}
    {{ text_of(touchpoint, var('handled_by').get('touchpoints') or {}) }}
{%- endmacro %}


{#- The key of a team that is a group of Zendesk; a group and a user may have the same number there. -#}
{% macro zendesk_team(group_id) -%}'group-' || nullif({{ group_id }}, ''){%- endmacro %}
