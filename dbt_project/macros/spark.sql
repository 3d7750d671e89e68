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


{#- Overrides the adapter's: a view of Iceberg's that is replaced goes on to answer by its old query. -#}
{% macro spark__create_view_as(relation, sql) -%}
    {%- call statement() -%}drop view if exists {{ relation }}{%- endcall -%}
    create view {{ relation }}
    {{ comment_clause() }}
    {%- if config.get('contract').enforced %}
    {{ get_assert_columns_equivalent(sql) }}
    {%- endif %}
    as {{ sql }}
{%- endmacro %}


{#-
    Overrides the adapter's: a batch as incremental.sql describes it. Spark changes one table at a time, so

      builds.<model>   holds the builds of a model and the values that its batches touched (column_name, changed_value):
                       one table each, since models are built side by side
      builds.running   is there while a build goes on. What it finds at its start was left by one that was killed or had a
                       model fail: nothing is known then, and everything is built in full

    A batch is written down before its rows are changed, and these are changed by one statement.
-#}
{% materialization incremental, adapter='spark' -%}
    {%- if not is_incremental() -%}
        {{- return(materialization_table_spark()) -}}
    {%- endif -%}
    {%- set key = config.get('unique_key') -%}
    {%- set present = config.get('meta').present ~ ' is not null' -%}
    {%- set tracked = config.get('meta').get('tracked', []) -%}
    {%- set differences = config.get('meta').get('differences', []) -%}
    {%- set batch = 'steps.' ~ this.identifier ~ '__batch' -%}
    {%- set replaced = '(select * from ' ~ this ~ ' where ' ~ key ~ ' in (select ' ~ key ~ ' from ' ~ batch ~ '))' -%}
    {%- set names = adapter.get_columns_in_relation(this) | map(attribute='name') | list -%}
    {{ run_hooks(pre_hooks) }}
    {%- call statement() -%}create database if not exists steps{%- endcall -%}
    {%- call statement('main') -%}create or replace table {{ batch }} using iceberg as {{ compiled_code }}{%- endcall -%}
    {%- call statement() -%}
        insert into builds.{{ this.identifier }}
        {{ build_record(is_full=false) }}
        {%- for column in tracked %}
        union all
        select {{ built_at() }}, false, null, null, {{ text_literal(column) }}, changed_value
        from (
            select cast({{ column }} as string) as changed_value from {{ batch }}
            union
            select cast({{ column }} as string) from {{ replaced }} as replaced
        ) as touched
        where changed_value is not null
        {%- endfor %}
    {%- endcall -%}
    {%- if differences -%}
    {%- call statement() -%}
        insert into builds.{{ this.identifier }}_differences
        select {{ built_at() }}, -1, {{ differences | join(', ') }} from {{ replaced }} as replaced
        union all
        select {{ built_at() }}, 1, {{ differences | join(', ') }} from {{ batch }}
        where {{ present }}
    {%- endcall -%}
    {%- endif -%}
    {%- call statement() -%}
        merge into {{ this }}
        using (
            select
                replaced_keys.replaced_key
                {%- for name in names %},
                batch.{{ name }} as new_{{ name }}
                {%- endfor %}
            from (select distinct {{ key }} as replaced_key from {{ batch }} where {{ key }} is not null) as replaced_keys
            left join {{ batch }} as batch on false
            union all
            select null, {{ names | join(', ') }} from {{ batch }}
            where {{ present }}
        ) as changes
            on {{ key }} = changes.replaced_key
        when matched then delete
        when not matched and changes.replaced_key is null then
            insert ({{ names | join(', ') }}) values (new_{{ names | join(', new_') }})
    {%- endcall -%}
    {%- do model.update({'is_batch': true}) -%}
    {{ run_hooks(post_hooks) }}
    {{- return({'relations': [this.incorporate(type='table')]}) -}}
{%- endmaterialization %}


{#- A row of builds.<model>: the build of now. -#}
{% macro build_record(is_full) -%}
    select
        {{ built_at() }} as built_at,
        {{ is_full }} as is_full,
        '{{ definition() }}' as definition,
        {{ as_of_moment() }} as as_of,
        cast(null as string) as column_name,
        cast(null as string) as changed_value
{%- endmacro %}


{% macro spark__builds_of(models) -%}
    {%- set tables = [] -%}
    {%- for model_name in models if execute and run_query("show tables in builds like '" ~ model_name ~ "'").rows -%}
        {%- do tables.append(
            "select '" ~ model_name ~ "' as model_name, * from builds." ~ model_name ~ ' where column_name is null'
        ) -%}
    {%- endfor -%}
    {%- set nothing = 'select cast(null as string) as model_name, record.* from (' ~ build_record(false) ~ ') as record where false' -%}
    {{- return('(' ~ (tables or [nothing]) | join(' union all ') ~ ')') -}}
{%- endmacro %}


{% macro spark__changes_of(model_name) -%}
    {{- return("(select '" ~ model_name ~ "' as model_name, * from builds." ~ model_name ~ ' where column_name is not null)') -}}
{%- endmacro %}


{% macro spark__begin_build() -%}
    {%- if execute -%}
        {%- if run_query("show databases like 'builds'").rows and run_query("show tables in builds like 'running'").rows -%}
            {%- call statement() -%}drop database builds cascade{%- endcall -%}
        {%- endif -%}
        {%- call statement() -%}create database if not exists builds{%- endcall -%}
        {%- call statement() -%}
            create table builds.running using iceberg as
            select {{ built_at() }} as built_at
        {%- endcall -%}
        {%- call statement() -%}
            create or replace table builds.current_loads using iceberg as
            select load_id, lake_source, table_name from {{ source('lake', 'loads') }}
        {%- endcall -%}
        {%- call statement() -%}
            create table if not exists builds.seen_loads (model_name string, load_id string) using iceberg
        {%- endcall -%}
    {%- endif -%}
{%- endmacro %}


{#- A build in full begins the notes of a model anew. -#}
{% macro spark__end_model() -%}
    {%- if execute and flags.WHICH in ('run', 'build') and not model.get('is_batch') -%}
        {{- spark__note_build(is_full=true) -}}
        {%- if config.get('meta').differences -%}
        {%- call statement() -%}
            create or replace table builds.{{ this.identifier }}_differences using iceberg as
            select {{ built_at() }} as built_at, 1 as row_change, {{ config.get('meta').differences | join(', ') }}
            from {{ this }}
            where false
        {%- endcall -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro spark__note_build(is_full) -%}
    {%- call statement() -%}
        create or replace table builds.{{ this.identifier }} using iceberg as
        {{ build_record(is_full) }}
    {%- endcall -%}
{%- endmacro %}


{#-
    What each model has read; and, where all were built, what is of no more use but for the comparison with the last
    publication goes.
-#}
{% macro spark__end_build() -%}
    {%- set built, failed, logs = [], [], [] -%}
    {%- for result in results if result.node.resource_type == 'model' -%}
        {%- if result.status == 'error' -%}
            {%- do failed.append(result.node.name) -%}
        {%- elif result.node.config.materialized == 'incremental' and result.status == 'success' -%}
            {%- do built.append(result.node.name) -%}
            {%- if result.node.config.meta.tracked -%}
                {%- do logs.append('builds.' ~ result.node.name ~ ' where column_name is not null and ') -%}
            {%- endif -%}
            {%- if result.node.config.meta.differences -%}
                {%- do logs.append('builds.' ~ result.node.name ~ '_differences where ') -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if built -%}
        {%- call statement() -%}
            insert into builds.seen_loads
            select models.model_name, current_loads.load_id
            from (values ('{{ built | join("'), ('") }}')) as models (model_name)
            cross join builds.current_loads
            left join builds.seen_loads
                on models.model_name = seen_loads.model_name and current_loads.load_id = seen_loads.load_id
            where seen_loads.load_id is null
        {%- endcall -%}
    {%- endif -%}
    {%- set incremental = graph.nodes.values() | selectattr('config.materialized', 'equalto', 'incremental') | list -%}
    {%- for log in logs if built | length == incremental | length -%}
        {%- call statement() -%}
            delete from {{ log }} built_at <= coalesce(
                (select max(built_at) from {{ source('lake', 'publications') }}), {{ built_at() }}
            )
        {%- endcall -%}
    {%- endfor -%}
    {%- if not failed -%}
        {%- call statement() -%}drop table builds.running{%- endcall -%}
    {%- endif -%}
{%- endmacro %}


{#-
    After a build: the tables of `schemas` and the `others` as Parquet files, <folder>/<schema>/<table>/*.parquet. Written
    where the data is; Spark's moments are UTC.
-#}
{% macro write_tables(folder, schemas, others) -%}
    {%- set names = others | list -%}
    {%- for schema in schemas -%}
        {%- for row in run_query('show tables in ' ~ schema).rows if row['tableName'] not in var('unpublished') -%}
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
