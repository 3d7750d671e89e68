{#- How often anybody may be asked: the variable `contact_rules`. Nothing else reads it. -#}

{#-
    The first moment at which a person may be asked by a survey of this type; empty where they never were before. The
    relation `before` has when a survey reached them last: any_sent_at, and <survey type>_sent_at for each type.
-#}
{% macro asked_again_at(survey_type, before) -%}
    {%- set days = var('contact_rules').days_between -%}
    greatest(
        {{ add_hours(before ~ '.any_sent_at', days.get('any', 0) * 24) }},
        case {{ survey_type }}
            {%- for type in survey_types() %}
            when '{{ type }}' then {{ add_hours(before ~ '.' ~ type ~ '_sent_at', days.get(type, 0) * 24) }}
            {%- endfor %}
        end
    )
{%- endmacro %}


{% macro survey_types() -%}{{ return(['relationship', 'transactional', 'episodic']) }}{%- endmacro %}
