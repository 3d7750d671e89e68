{#- No two rows agree in all of `columns`. -#}
{% test unique_combination(model, columns) %}
select
    {{ columns | join(', ') }},
    count(*) as row_count
from {{ rows_to_test(model, equal_in=columns) }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}

