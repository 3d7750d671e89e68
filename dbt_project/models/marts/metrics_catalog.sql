-- Grain: one numeric column of a published table.
{%- set columns = ['table_name', 'column_name', 'unit', 'aggregation', 'additive_over', 'formula', 'statistic'] %}
with listed ({{ columns | join(', ') }}) as (
    values
    {%- for figure in aggregations() %}
    (
        {%- for column in columns %}
        {{- text_literal(figure[column]) if figure[column] else 'null' }}{{ ', ' if not loop.last }}
        {%- endfor -%}
    ){{ ',' if not loop.last }}
    {%- endfor %}
),

final as (
    select
        {%- for column in columns %}
        cast({{ column }} as {{ dbt.type_string() }}) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from listed
)

select * from final
