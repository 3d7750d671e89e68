{#- The counts that the period marts are made of; every mart sums these and no other. -#}

{#- Of invitations, by the day they were sent. Ineligible ones were never asked and are in none of the others. -#}
{% macro invitation_counts() -%}
    {{- return({
        'invited': "outcome <> 'ineligible'",
        'delivered': "outcome <> 'ineligible' and delivered_at is not null",
        'opened': "outcome <> 'ineligible' and opened_at is not null",
        'started': "outcome <> 'ineligible' and started_at is not null",
        'answered': "outcome = 'answered'",
        'partial': "outcome = 'partial'",
        'broke_off': "outcome = 'silent' and started_at is not null",
        'opted_out': "outcome = 'opted_out'",
        'bounced': "outcome = 'bounced'",
        'ineligible': "outcome = 'ineligible'",
    }) -}}
{%- endmacro %}


{#- Of answers, by the day they were given. -#}
{% macro response_counts() -%}
    {{- return({
        'responses': 'true',
        'promoters': "category = 'promoter'",
        'passives': "category = 'passive'",
        'detractors': "category = 'detractor'",
    }) -}}
{%- endmacro %}


{% macro count_names() -%}
    {{- return((invitation_counts().keys() | list) + (response_counts().keys() | list)) -}}
{%- endmacro %}


{#- The total and every segment, as the period marts list them. -#}
{% macro segments_with_total() -%}
    {{- return([{'name': 'all', 'from': 'survey', 'column': 'all'}] + var('segments')) -}}
{%- endmacro %}
