{#-
    How a numeric column of a published table may be aggregated, by the columns of metrics_catalog. The yml beside a model says what its rows may be added up over (meta.additive_over) and what is special
    about a column (its meta); everything else follows from the type of the contract and the name:

    sum        counts and amounts of money add up over the rows of additive_over, and over no others
    derive     sum the counts over the same rows, then compute `formula`; an NPS where its counts stand beside it
    average    the mean over any rows of one survey type
    none       a figure of its own row: neither summed nor averaged, nor computed from other columns
    attribute  a property of the row, to filter and group by
-#}
{% macro aggregation_of(model, column) -%}
    {%- set meta = column.config.meta -%}
    {%- set type = column.data_type | lower | replace(' ', '') -%}
    {%- set additive_over = model.config.meta.additive_over or [] -%}
    {%- set counts = {} -%}
    {%- for count in ['promoters', 'detractors', 'responses'] -%}
        {%- do counts.update({count: column.name | replace('nps', count)}) -%}
    {%- endfor -%}
    {%- set is_nps = 'nps' in column.name
        and counts.values() | select('in', model.columns) | list | length == counts | length -%}
    {%- set formula = meta.formula -%}
    {%- if is_nps and not formula -%}
        {%- set formula = nps(
            'sum(' ~ counts.promoters ~ ')', 'sum(' ~ counts.detractors ~ ')', 'sum(' ~ counts.responses ~ ')'
        ) -%}
    {%- endif -%}
    {%- if type == 'integer' -%}
        {%- set aggregation = 'attribute' -%}
    {%- elif formula -%}
        {%- set aggregation = 'derive' -%}
    {%- elif type in ('bigint', 'decimal(18,2)') and additive_over -%}
        {%- set aggregation = 'sum' -%}
    {%- else -%}
        {%- set aggregation = 'none' -%}
    {%- endif -%}
    {%- set aggregation = meta.aggregation or aggregation -%}

    {%- if 'hours' in column.name -%}
        {%- set unit = 'hours' -%}
    {%- elif column.name.endswith('_value') -%}
        {%- set unit = 'probability' -%}
    {%- else -%}
        {%- set unit = {
            'decimal(9,4)': 'points', 'decimal(18,2)': 'money', 'decimal(18,6)': 'share', 'bigint': 'count'
        }.get(type, 'number') -%}
    {%- endif -%}

    {%- if is_nps -%}
        {%- set statistic = 'nps' -%}
    {%- elif column.name.endswith(('ci_low', 'ci_high')) -%}
        {%- set statistic = 'nps_bound' -%}
    {%- elif column.name.endswith('p_value') -%}
        {%- set statistic = 'normal_tail' -%}
    {%- elif column.name.endswith('q_value') -%}
        {%- set statistic = 'false_discovery_ctes' -%}
    {%- endif -%}

    {{- return({
        'table_name': model.schema ~ '.' ~ model.name,
        'column_name': column.name,
        'aggregation': aggregation,
        'additive_over': additive_over | join(', ') if aggregation in ('sum', 'derive') else none,
        'formula': formula if aggregation in ('derive', 'average') else none,
        'unit': meta.unit or unit,
        'statistic': meta.statistic or statistic,
    }) -}}
{%- endmacro %}


{#- The models of the published tables, as the graph has them once everything is parsed. -#}
{% macro published_models() -%}
    {%- set found = [] -%}
    {%- for model in graph.get('nodes', {}).values() | sort(attribute='unique_id')
        if model.resource_type == 'model' and model.schema in ('marts', 'quality') -%}
        {%- do found.append(model) -%}
    {%- endfor -%}
    {{- return(found) -}}
{%- endmacro %}


{#- aggregation_of() each numeric column of the published tables, as their contracts have them. -#}
{% macro aggregations() -%}
    {%- set found = [] -%}
    {%- for model in published_models() -%}
        {%- for column in model.columns.values()
            if column.data_type in ('integer', 'bigint', 'double') or column.data_type.startswith('decimal') -%}
            {%- do found.append(aggregation_of(model, column)) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{- return(found) -}}
{%- endmacro %}
