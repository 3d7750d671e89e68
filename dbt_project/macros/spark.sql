{#-
    What dbt does otherwise on Spark than its own adapter would: the lake is registered, seeds are loaded, incremental
    models are built, tables are written out. The SQL that models contain stands in engine.sql.
-#}

{#- At the start of an invocation: makes the files of the lake tables, where the engine cannot name files in a query. -#}
{% macro register_sources() -%}
    {%- if execute and flags.WHICH in ('run', 'build', 'test') -%}
        {%- do adapter.dispatch('register_sources', 'nps')() -%}
    {%- endif -%}
{%- endmacro %}

{% macro default__register_sources() -%}{%- endmacro %}

{#-
    Anew each time, and refreshed: a session keeps the list of the files that a table of this name had, also when it was
    dropped in between, and goes on reading those alone. The first quoted text of what DuckDB reads is where the files lie.
-#}
{% macro spark__register_sources() -%}
    {%- do check_spark() -%}
    {%- set read = [] -%}
    {%- for node in graph.nodes.values() -%}
        {%- do read.extend(node.depends_on.nodes) -%}
    {%- endfor -%}
    {%- for node in graph.sources.values() if node.unique_id in read -%}
        {%- set table = node.schema ~ '.' ~ adapter.quote(node.identifier) -%}
        {%- set location = (node.meta.spark_location or node.meta.external_location or node.source_meta.external_location) -%}
        {%- set path = location.split("'")[1] | replace('{name}', node.name) if "'" in location else location -%}
        {%- call statement() -%}create database if not exists {{ node.schema }}{%- endcall -%}
        {%- call statement() -%}drop table if exists {{ table }}{%- endcall -%}
        {%- call statement() -%}
            create table {{ table }} using {{ 'json' if path.endswith('.json') else 'parquet' }}
            options (
                path {{ text_literal(path.split('/*')[0]) }}, pathGlobFilter {{ text_literal(path.split('/') | last) }},
                recursiveFileLookup 'true', mergeSchema 'true'
            )
        {%- endcall -%}
        {%- call statement() -%}refresh table {{ table }}{%- endcall -%}
    {%- endfor -%}
{%- endmacro %}


{#- Refuses a Spark by which the figures, or the keys of persons, would be others. -#}
{% macro check_spark() -%}
    {%- for name, value in fromjson(env_var('NPS_SPARK_SETTINGS', '{}')).items() -%}
        {%- set found = run_query('set ' ~ adapter.quote(name)).rows[0][1] -%}
        {%- if found != value -%}
            {{- exceptions.raise_compiler_error('Spark: ' ~ name ~ ' is ' ~ found ~ ', and must be ' ~ value) -}}
        {%- endif -%}
    {%- endfor -%}
    {%- if run_query('select ' ~ contact_salt() ~ " like '${%'").rows[0][0] -%}
        {{- exceptions.raise_compiler_error('Spark: the variable DBT_ENV_SECRET_CONTACT_SALT is not in its environment') -}}
    {%- endif -%}
{%- endmacro %}


{#- Overrides the adapter's: in session mode that writes an empty value as the text None, and a quote as it stands. -#}
{% macro spark__load_csv_rows(model, agate_table) -%}
    {%- set types = model.config.column_types -%}
    {%- set rows -%}
        insert into {{ this }}
        {%- for row in agate_table.rows %}
        {{ 'values' if loop.first }} (
            {%- for name in agate_table.column_names -%}
                cast({{ 'null' if row[name] is none else text_literal(row[name]) }} as {{ types[name] }}){{ ', ' if not loop.last }}
            {%- endfor -%}
        ){{ ',' if not loop.last }}
        {%- endfor %}
    {%- endset -%}
    {%- if agate_table.rows -%}
        {%- call statement() -%}{{ rows }}{%- endcall -%}
    {%- endif -%}
    {{- return(rows) -}}
{%- endmacro %}


{#- Overrides the adapter's: without builds that are kept (incremental.sql), an incremental model is a table. -#}
{% materialization incremental, adapter='spark' -%}
    {{- return(materialization_table_spark()) -}}
{%- endmaterialization %}


{#-
    After a build: the tables of `schemas` and the `others` as Parquet files, <folder>/<schema>/<table>/*.parquet. Written
    where the data is; Spark's moments are UTC.
-#}
{% macro write_tables(folder, schemas, others) -%}
    {%- set names = others | list -%}
    {%- for schema in schemas -%}
        {%- for row in run_query('show tables in ' ~ schema).rows -%}
            {%- do names.append(schema ~ '.' ~ row['tableName']) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for name in names -%}
        {%- call statement() -%}
            insert overwrite directory {{ text_literal(folder ~ '/' ~ name | replace('.', '/')) }} using parquet
            select * from {{ name }}
        {%- endcall -%}
    {%- endfor -%}
{%- endmacro %}
