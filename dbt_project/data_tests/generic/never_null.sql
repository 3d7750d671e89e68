{#- Columns that are never null: one query per table, where a not_null test per column would be ten. -#}
{% test never_null(model, columns) %}
select {{ columns | join(', ') }}
from {{ rows_to_test(model) }}
where {% for column in columns %}{{ column }} is null{{ ' or ' if not loop.last }}{% endfor %}
{% endtest %}
