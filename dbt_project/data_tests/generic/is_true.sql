{#- An identity that every row must fulfil; a row for which it is unknown (null) passes. -#}
{% test is_true(model, expression) %}
select *
from {{ rows_to_test(model) }}
where not ({{ expression }})
{% endtest %}
