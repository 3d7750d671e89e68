-- Grain: one numeric column of a published table.
{%- set columns = ['table_name', 'column_name', 'unit', 'aggregation', 'additive_over', 'formula', 'statistic'] %}
with listed as (
    {{ literal_rows(columns, aggregations()) }}
),

final as (
    select
        {%- for column in columns %}
        cast({{ column }} as {{ dbt.type_string() }}) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from listed
)

select * from final
