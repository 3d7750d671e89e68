-- Grain: one numeric column of a published table.
{%- set columns = ['table_name', 'column_name', 'unit', 'aggregation', 'additive_over', 'formula', 'statistic'] %}
with listed as (
    {%- for figure in aggregations() %}
    select
        {%- for column in columns %}
        {{ dbt.string_literal(dbt.escape_single_quotes(figure[column])) if figure[column] else 'null' }} as {{ column }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    {{ 'union all' if not loop.last }}
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
