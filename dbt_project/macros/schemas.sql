{#- Schemas are named as in the documentation (marts, quality), not prefixed with the target's own. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
