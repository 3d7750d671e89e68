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


{#-
    Of the answers in a group the last one, without sorting them: `last_answer_times` are aggregates of a relation that
    has submitted_at and category, over the answers that meet `condition`; last_category() reads them. Of two answers of
    the same moment the worse one stands.
-#}
{% macro last_answer_times(answers, condition='true') -%}
    max(case when {{ condition }} then {{ answers }}.submitted_at end) as answered_at,
    {%- for category in ['detractor', 'passive', 'promoter'] %}
        max(case when {{ answers }}.category = '{{ category }}' and {{ condition }} then {{ answers }}.submitted_at end)
            as last_{{ category }}_at{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{% macro last_category() -%}
    case answered_at
        when last_detractor_at then 'detractor'
        when last_passive_at then 'passive'
        when last_promoter_at then 'promoter'
    end
{%- endmacro %}


{#-
    Did a respondent give one and the same value in every rating beside the score? Null where too few ratings were given
    to tell; of the ratings `rating` of a group, or below of those in a list of texts.
-#}
{% macro is_straight_line(rating) -%}
    case when count({{ rating }}) >= {{ var('straight_line_ratings') }} then min({{ rating }}) = max({{ rating }}) end
{%- endmacro %}

{% macro is_straight_list(ratings) -%}
    {%- set given = present_values(ratings) -%}
    case
        when {{ list_length(given) }} >= {{ var('straight_line_ratings') }}
            then {{ list_length(distinct_values(given)) }} = 1
    end
{%- endmacro %}
