{#- What a score is and which category it falls into: the one place for both rules. -#}

{#-
    A text as a number, or null where it is none. "10", " 10 " and "9.0" are numbers; "", "ten" and "1e1" are not.
    The eleven usual texts come first, since a pattern is dear.
-#}
{% macro score_number(text_column) -%}
    case
        when {{ text_column }} in ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10')
            then cast({{ text_column }} as {{ type_double() }})
        when {{ matches(text_column, '^\s*[+-]?[0-9]{1,15}([.][0-9]{0,15})?\s*$') }}
            then cast(trim({{ text_column }}) as {{ type_double() }})
    end
{%- endmacro %}


{#- Null falls into no category: a missing score must never become a detractor or a promoter. -#}
{% macro nps_category(score) -%}
    case
        when {{ score }} >= {{ var('promoter_minimum') }} then 'promoter'
        when {{ score }} >= {{ var('passive_minimum') }} then 'passive'
        when {{ score }} < {{ var('passive_minimum') }} then 'detractor'
    end
{%- endmacro %}


{#- 100, 0 or -100: the average over any slice of answers is the NPS of that slice. -#}
{% macro nps_contribution(score) -%}
    case
        when {{ score }} >= {{ var('promoter_minimum') }} then 100
        when {{ score }} >= {{ var('passive_minimum') }} then 0
        when {{ score }} < {{ var('passive_minimum') }} then -100
    end
{%- endmacro %}
