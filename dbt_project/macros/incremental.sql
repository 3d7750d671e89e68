{#-
    Incremental models: the work follows what is new, and what results is what a full build would make.

    Three tables in the schema `builds` hold what a later run must know. A model writes its part of them in the
    transaction that changes its rows, so that a run may be killed anywhere and simply be repeated:
      model_builds   when each model was built, as of when, and whether in full
      seen_loads     which loads each model has read
      changes        which values its batches touched, before and after: the models behind it look up what to redo, and
                     data tests what to look at
    A batch replaces rows by key (`unique_key`). A key that comes without the column `meta.present` has no row any
    more and is only removed; `meta.tracked` lists the columns whose touched values are written down. With
    `meta.differences`, a list of columns, the table builds.<model>_differences holds the rows that batches removed
    and added, for a model that counts them.
    In a large table a key is looked up in one narrow pass, and only the rows found are read whole (rows_of()).
    How Spark, which has no transactions over several tables, keeps all that stands in spark.sql. Where nothing keeps it
    (keeps_builds()), each build is one in full.
-#}

{#- Does the engine keep what a later run must know of a build? -#}
{% macro keeps_builds() -%}{{ return(adapter.dispatch('keeps_builds', 'nps')()) }}{%- endmacro %}

{% macro default__keeps_builds() -%}{{ return(true) }}{%- endmacro %}

{% macro postgres__keeps_builds() -%}{{ return(false) }}{%- endmacro %}


{#- The builds of some models, as a table. -#}
{% macro builds_of(models) -%}{{ return(adapter.dispatch('builds_of', 'nps')(models)) }}{%- endmacro %}

{% macro default__builds_of(models) -%}{{ return('builds.model_builds') }}{%- endmacro %}


{#- The changes of a model, as a table. -#}
{% macro changes_of(model_name) -%}{{ return(adapter.dispatch('changes_of', 'nps')(model_name)) }}{%- endmacro %}

{% macro default__changes_of(model_name) -%}{{ return('builds.changes') }}{%- endmacro %}


{#- At the start of an invocation: the loads that all its models see, whatever is loaded meanwhile. -#}
{% macro begin_build() -%}
    {%- if flags.WHICH in ('run', 'build') and keeps_builds() -%}
        {{- adapter.dispatch('begin_build', 'nps')() -}}
    {%- endif -%}
{%- endmacro %}

{% macro default__begin_build() %}
    create schema if not exists builds;
    create table if not exists builds.model_builds (
        model_name varchar, built_at timestamp, is_full boolean, definition varchar, as_of timestamp
    );
    alter table builds.model_builds add column if not exists as_of timestamp;
    create table if not exists builds.seen_loads (model_name varchar, load_id varchar);
    create table if not exists builds.changes (
        model_name varchar, column_name varchar, changed_value varchar, built_at timestamp
    );
    create or replace table builds.current_loads as
    select load_id, lake_source, table_name from {{ source('lake', 'loads') }};
    create or replace table builds.last_publication as
    select max(built_at) as built_at from {{ source('lake', 'publications') }};
    -- What every model has read is of no more use, but for the comparison with the last publication.
    {%- set logs = ['builds.changes'] %}
    {%- for node in graph.get('nodes', {}).values() if node.config.meta.differences %}
        {%- do logs.append('builds.' ~ node.name ~ '_differences') %}
    create table if not exists {{ logs[-1] }} (built_at timestamp);
    {%- endfor %}
    {%- for log in logs %}
    delete from {{ log }}
    where
        built_at <= (
            select min(last_built_at)
            from (
                select max(built_at) as last_built_at from builds.model_builds
                where definition = '{{ definition() }}'
                group by model_name
                union all
                select max(built_at) from {{ source('lake', 'publications') }}
                having max(built_at) is not null
            ) as builds
        );
    {%- endfor %}
{%- endmacro %}


{#- At the end of an invocation, however it went. -#}
{% macro end_build() -%}
    {%- if execute and flags.WHICH in ('run', 'build') and keeps_builds() -%}
        {{- adapter.dispatch('end_build', 'nps')() -}}
    {%- endif -%}
{%- endmacro %}

{% macro default__end_build() -%}{%- endmacro %}


{#-
    The rows a query gives, asked once: macros are expanded many times, and each asking takes milliseconds of every batch.
    Once in a node of dbt's; with `in_all`, for what no node of this invocation changes any more once another asks, once
    for all of them. `graph` is dbt's own record of the project, which its nodes share.
-#}
{% macro asked_once(query, in_all=false) -%}
    {%- set answers = graph.setdefault('asked_once', {}).setdefault((invocation_id, in_all or model.unique_id), {}) -%}
    {%- if query not in answers -%}
        {%- do answers.update({query: run_query(query).rows}) -%}
    {%- endif -%}
    {{- return(answers[query]) -}}
{%- endmacro %}


{#-
    The moment of this invocation, the same for all its models; a run gives one that no earlier build has. Asked for when
    SQL is run only: dbt parses every model again that reads another value than the last time.
-#}
{% macro built_at() -%}
    {%- set started_at = run_started_at.strftime('%Y-%m-%d %H:%M:%S.%f') -%}
    timestamp '{{ env_var("NPS_BUILT_AT", started_at) if execute else started_at }}'
{%- endmacro %}


{#- The code and configuration that the models are built by, as a hash (orchestration/settings.py). -#}
{% macro definition() -%}{{ env_var('NPS_DEFINITION', '') }}{%- endmacro %}


{#-
    Overrides dbt's own: what was built by other code or another configuration is built anew, in full, and so is what
    changes with time alone (`meta.passes`) where as_of went back. Commands that only compile show the SQL of a full
    build.
-#}
{% macro should_full_refresh() -%}
    {%- set is_full = config.get('full_refresh') -%}
    {%- if is_full is none -%}
        {%- set is_full = flags.FULL_REFRESH -%}
    {%- endif -%}
    {%- if is_full or not execute or config.get('materialized') != 'incremental' -%}
        {{- return(is_full) -}}
    {%- elif flags.WHICH not in ('run', 'build') or not keeps_builds() -%}
        {{- return(true) -}}
    {%- endif -%}
    {%- set build = last_build() -%}
    {{- return(
        not build or build.definition != definition() or (config.get('meta').passes and build.has_gone_back)
    ) -}}
{%- endmacro %}


{#- What is known of the last build of this model; none where there was none. -#}
{% macro last_build() -%}
    {%- set builds = asked_once(
        "select definition, as_of, coalesce(as_of > " ~ as_of_moment() ~ ", true) as has_gone_back"
        ~ " from " ~ builds_of([this.identifier]) ~ " as model_builds where model_name = '" ~ this.identifier
        ~ "' order by built_at desc limit 1"
    ) -%}
    {{- return(builds[0] if builds else none) -}}
{%- endmacro %}


{#-
    In an incremental build: whether as_of passed a time, or so many days after it, since this model was built. That
    changes rows which no batch has touched, of a model with `meta.passes`.
-#}
{% macro has_passed(moment, days=0) -%}
    (
        {{ moment }} > {{ add_hours("timestamp '" ~ last_build().as_of ~ "'", -24 * days) }}
        and {{ moment }} <= {{ add_hours(as_of_moment(), -24 * days) }}
    )
{%- endmacro %}


{#-
    In an incremental build: whether a day came into a window of so many days that ends with the last day, or left it,
    since this model was built.
-#}
{% macro has_left_or_entered(day, window_days) -%}
    {%- set first_end, last_end = asked_once(
        'select min(cast(changed_value as date)), max(cast(changed_value as date)) from '
        ~ changed('int_last_day', 'last_date') ~ ' as moved'
    )[0].values() -%}
    {%- if first_end is none -%}
        false
    {%- else -%}
        (
            {{ day }} > date '{{ first_end }}' and {{ day }} <= date '{{ last_end }}'
            or {{ day }} > {{ add_days("date '" ~ first_end ~ "'", -window_days) }}
            and {{ day }} <= {{ add_days("date '" ~ last_end ~ "'", -window_days) }}
        )
    {%- endif -%}
{%- endmacro %}


{#- In an incremental build: a condition on the loads that this model has not read yet. -#}
{% macro is_new_load(load_id='load_id') -%}
    {%- set found = asked_once(
        "select load_id from builds.current_loads where load_id not in "
        ~ "(select load_id from builds.seen_loads where model_name = '" ~ this.identifier ~ "') order by load_id"
    ) -%}
    {%- if found -%}
        {{ load_id }} in ('{{ found | map(attribute=0) | join("', '") }}')
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}


{#-
    In an incremental build: a condition on the staged rows of a source, true for those to be read. A new delivery of a
    table that the staging models look things up in (tools()) may change any row of the source.
-#}
{% macro is_read_again(source_name) -%}
    {%- set lookups = tools()[source_name].get('lookups', []) -%}
    {%- set query -%}
        select count(*) from builds.current_loads
        where
            lake_source = '{{ source_name }}'
            and table_name in ('{{ lookups | join("', '") }}')
            and load_id not in (select load_id from builds.seen_loads where model_name = '{{ this.identifier }}')
    {%- endset -%}
    {{- 'true' if lookups and asked_once(query)[0][0] else is_new_load() -}}
{%- endmacro %}


{#- The sources that an incremental build reads all staged rows of an entity of, and not only the new ones. -#}
{% macro sources_read_again(entity) -%}
    {%- set names = [] -%}
    {%- for source_name in staging_models(entity) if is_incremental() and is_read_again(source_name) == 'true' -%}
        {%- do names.append(source_name) -%}
    {%- endfor -%}
    {{- return(names) -}}
{%- endmacro %}


{#- When this model was built; it must have been after the last full build of `model_name`, which it reads the changes of. -#}
{% macro last_build_after(model_name) -%}
    {%- set read = [] -%}
    {%- for unique_id in model.depends_on.nodes | sort if unique_id in graph.nodes -%}
        {%- if graph.nodes[unique_id].config.materialized == 'incremental' -%}
            {%- do read.append(graph.nodes[unique_id].name) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if model_name not in read -%}
        {{- exceptions.raise_compiler_error(model.name ~ " reads the changes of " ~ model_name ~ ", and not the model") -}}
    {%- endif -%}
    {%- set query -%}
        select
            coalesce(max(case when model_name = '{{ this.identifier }}' then built_at end), timestamp '1900-01-01')
            {%- for name in read %},
            coalesce(max(case when model_name = '{{ name }}' and is_full then built_at end), timestamp '1900-01-01')
            {%- endfor %}
        from {{ builds_of([this.identifier] + read) }} as model_builds
    {%- endset -%}
    {%- set times = asked_once(query)[0].values() -%}
    {%- if times[read.index(model_name) + 1] > times[0] -%}
        {{- exceptions.raise_compiler_error(
            model_name ~ " was built in full after " ~ this.identifier ~ "; build everything with --full-refresh"
        ) -}}
    {%- endif -%}
    timestamp '{{ times[0] }}'
{%- endmacro %}


{#- In an incremental build: the values of a column of `model` that changed since this model was built. -#}
{% macro changed(model, column) -%}
    (
        select changed_value from {{ changes_of(model) }} as changes
        where
            model_name = '{{ model }}'
            and column_name = {{ text_literal(column) }}
            and built_at > {{ last_build_after(model) }}
    )
{%- endmacro %}


{#-
    The values of a column of `model_name` that batches touched since a build, as a subquery of changed_value. None
    where there was no such build, this warehouse does not hold it, or the model was built in full after it.
-#}
{% macro touched_since(build, model_name, column) -%}
    {%- set query -%}
        select
            count(case when model_name = 'int_answer_changes' and built_at = timestamp '{{ build }}' then 1 end),
            count(case
                when model_name = '{{ model_name }}' and is_full and built_at > timestamp '{{ build }}' then 1
            end)
        from {{ builds_of(['int_answer_changes', model_name]) }} as model_builds
    {%- endset -%}
    {%- set touched -%}
        (
            select changed_value from {{ changes_of(model_name) }} as changes
            where
                model_name = '{{ model_name }}'
                and column_name = {{ text_literal(column) }}
                and built_at > timestamp '{{ build }}'
        )
    {%- endset -%}
    {{- return(touched if build and asked_once(query, in_all=true)[0].values() | list == [1, 0] else none) -}}
{%- endmacro %}


{#-
    What a data test has to look at of `relation`: in a build, the rows that batches touched since the last publication,
    before which every test of all rows had passed. All rows where that is not known, of views and small tables, in a
    command that only tests, and of a test that does not block, since nobody need have mended what it told.
    A test of rows each by itself names no columns. One that compares rows names those in which the rows it looks for are
    equal: a tracked one among them finds both.
-#}
{% macro rows_to_test(relation, equal_in=none) -%}
    {{ return(adapter.dispatch('rows_to_test', 'nps')(relation, equal_in)) }}
{%- endmacro %}

{% macro default__rows_to_test(relation, equal_in) -%}{{ return(relation) }}{%- endmacro %}

{% macro duckdb__rows_to_test(relation, equal_in) -%}
    {%- if not execute or flags.WHICH != 'build' or model.config.severity | lower != 'error' -%}
        {{- return(relation) -}}
    {%- endif -%}
    {%- set config = graph.nodes.get('model.nps.' ~ relation.identifier, {'config': {}}).config -%}
    {%- set tracked = config.meta.tracked if config.materialized == 'incremental' else [] -%}
    {%- set candidates = [config.unique_key] if equal_in is none else equal_in + [equal_in | join(" || ':' || ")] -%}
    {%- set found = candidates | select('in', tracked or []) | list -%}
    {%- if not found -%}
        {{- return(relation) -}}
    {%- endif -%}
    {%- set published = asked_once('select built_at from builds.last_publication', in_all=true)[0][0] -%}
    {%- set touched = touched_since(published, relation.identifier, found[0]) -%}
    {%- if not touched -%}
        {{- return(relation) -}}
    {%- endif -%}
    {#- Touched values are written down as texts. -#}
    {%- set keys -%}
        select cast(changed_value as {{ column_types(relation).get(found[0], 'varchar') }}) as touched_value
        from {{ touched }} as touched
    {%- endset -%}
    {#- A row that is equal to a touched one may be on any day. -#}
    {%- set day = config.meta.day if equal_in is none else none -%}
    {%- set touched_days -%}
        select {{ day }} from builds.{{ relation.identifier }}_differences where built_at > timestamp '{{ published }}'
    {%- endset -%}
    {%- set on_its_days = day ~ ' in (' ~ touched_days ~ ')' if day else 'true' -%}
    (
        select * from {{ rows_of(relation, found[0], keys, condition=on_its_days) }} as touched_rows
        -- What is null is written down nowhere.
        union all
        select * from {{ relation }}
        where {{ found[0] }} is null{{ ' or ' ~ day ~ ' is null' if day }}
    ) as tested
{%- endmacro %}

{#- dbt's own test `unique`, of the rows that it has to look at. -#}
{% macro default__test_unique(model, column_name) %}
select
    {{ column_name }} as unique_field,
    count(*) as n_records
from {{ rows_to_test(model, equal_in=[column_name]) }}
where {{ column_name }} is not null
group by {{ column_name }}
having count(*) > 1
{% endmacro %}


{#-
    In an incremental build: the rows that left `model` (row_change -1) and came to it (1) since this model was built,
    with the columns of its `meta.differences`.
-#}
{% macro differences(model) -%}
    (
        select * from builds.{{ model }}_differences
        where built_at > {{ last_build_after(model) }}
    )
{%- endmacro %}


{#- Of `relation`, the rows that differ from what this model holds under the same key; all of them in a full build. -#}
{% macro only_changed(relation, key, columns) -%}
    select {% for column in columns %}{{ relation }}.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
    from {{ relation }}
    {%- if is_incremental() %}
    left join {{ rows_of(this, key, 'select ' ~ key ~ ' from ' ~ relation) }} as known
        on {{ relation }}.{{ key }} = known.{{ key }}
    where
        known.{{ key }} is null
        {%- for column in columns if column != key %}
        or {{ relation }}.{{ column }} is distinct from known.{{ column }}
        {%- endfor %}
    {%- endif %}
{%- endmacro %}


{#-
    Of `relation`, which is computed whole, the rows that differ from what this model holds under the same key, and the keys
    that it has no more, bare; all rows in a full build.
-#}
{% macro only_moved(relation, key, columns) -%}
    {%- if not is_incremental() -%}
    select {{ ([key] + columns) | join(', ') }} from {{ relation }}
    {%- else -%}
    select
        coalesce({{ relation }}.{{ key }}, known.{{ key }}) as {{ key }},
        {%- for column in columns %}
        {{ relation }}.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ relation }}
    full outer join {{ this }} as known on {{ relation }}.{{ key }} = known.{{ key }}
    where
        {{ relation }}.{{ key }} is null
        or known.{{ key }} is null
        {%- for column in columns %}
        or {{ relation }}.{{ column }} is distinct from known.{{ column }}
        {%- endfor %}
    {%- endif %}
{%- endmacro %}


{#-
    What to read of `relation`: in an incremental build the rows whose `key` is among `keys`, otherwise all. Those that do
    not meet the `condition` are of no use to the model.
-#}
{% macro concerned(relation, key, keys, columns=['*'], condition='true') -%}
    {{ rows_of(relation, key, keys, columns, condition) ~ ' as concerned' if is_incremental() else relation }}
{%- endmacro %}


{#-
    The rows of `relation`; in an incremental build also the keys of the CTE `affected` that have no row any more, bare,
    so that the old row goes.
-#}
{% macro with_removed_keys(relation, key) -%}
    {%- if is_incremental() -%}
        select *
        from affected
        left join {{ relation }} using ({{ key }})
    {%- else -%}
        select * from {{ relation }}
    {%- endif -%}
{%- endmacro %}


{#- A statement that writes down that this model is built now. -#}
{% macro note_build(is_full) -%}{{ return(adapter.dispatch('note_build', 'nps')(is_full)) }}{%- endmacro %}

{% macro default__note_build(is_full) -%}
    insert into builds.model_builds (model_name, built_at, is_full, definition, as_of)
    select '{{ this.identifier }}', {{ built_at() }}, {{ is_full }}, '{{ definition() }}', {{ as_of_moment() }}
{%- endmacro %}


{#- The incremental strategy `replace`; dbt finds it by its name. -#}
{% macro get_incremental_replace_sql(arguments) -%}
    {%- set target = arguments.target_relation -%}
    {%- set batch = arguments.temp_relation -%}
    {%- set key = arguments.unique_key -%}
    {%- set columns = arguments.dest_columns | map(attribute='quoted') | join(', ') -%}
    {%- set present = config.get('meta').present ~ ' is not null' -%}
    {%- set tracked = config.get('meta').get('tracked', []) -%}
    {%- set differences = config.get('meta').get('differences', []) -%}
    {%- set old_columns = ['rowid as row_number', key] + differences | reject('equalto', key) | list -%}
    {%- for column in tracked -%}
        {%- do old_columns.append('cast(' ~ column ~ ' as varchar) as tracked_' ~ loop.index) -%}
    {%- endfor %}
    {%- set day = config.get('meta').day -%}
    {%- set on_its_days = day ~ ' in (select ' ~ day ~ ' from ' ~ batch ~ ')' if day else 'true' %}
    -- What all models change is written into the file at the end, once, and not after each.
    set global checkpoint_threshold = '1GB';
    create or replace temporary table replaced as
    select *
    from {{ rows_of(target, key, 'select ' ~ key ~ ' from ' ~ batch, old_columns, on_its_days) }} as replaced_rows;
    {{ note_build(is_full=false) }};
    {% for column in tracked %}
    insert into builds.changes
    select '{{ this.identifier }}', {{ text_literal(column) }}, touched.changed_value, {{ built_at() }}
    from (
        select cast({{ column }} as varchar) as changed_value from {{ batch }}
        union
        select tracked_{{ loop.index }} from replaced
    ) as touched
    where touched.changed_value is not null;
    {% endfor %}
    {% if differences %}
    insert into builds.{{ this.identifier }}_differences
    select {{ built_at() }}, -1, {{ differences | join(', ') }} from replaced
    union all
    select {{ built_at() }}, 1, {{ differences | join(', ') }} from {{ batch }}
    where {{ present }};
    {% endif %}
    delete from {{ target }} where rowid in (select row_number from replaced);
    insert into {{ target }} ({{ columns }})
    select {{ columns }} from {{ batch }}
    where {{ present }};
    drop table replaced;
{%- endmacro %}


{#-
    Overrides dbt's: descriptions go into the database in one statement, and with what is made anew only. A batch leaves
    those that the full build of the same files wrote.
-#}
{% macro duckdb__persist_docs(relation, model, for_relation, for_columns) -%}
    {%- if not is_incremental() %}
        {%- set comments %}
            {%- if model.description %}
    comment on {{ relation.type }} {{ relation }} is {{ text_literal(model.description) }};
            {%- endif %}
            {%- for name in column_types(relation) if model.columns.get(name, {}).description %}
    comment on column {{ relation }}.{{ adapter.quote(name) }} is {{ text_literal(model.columns[name].description) }};
            {%- endfor %}
        {%- endset %}
        {%- do run_query(comments) if comments | trim %}
    {%- endif -%}
{%- endmacro %}


{#- After every model, in its transaction. A build that the strategy has not written down was one in full. -#}
{% macro end_model() -%}
    {%- if config.get('materialized') == 'incremental' and keeps_builds() -%}
        {{- adapter.dispatch('end_model', 'nps')() -}}
    {%- endif -%}
{%- endmacro %}

{% macro default__end_model() %}
    {%- set logs = {'builds.changes': "model_name = '" ~ this.identifier ~ "'"} -%}
    {%- if config.get('meta').differences -%}
        {%- set differences = 'builds.' ~ this.identifier ~ '_differences' -%}
        {%- do logs.update({differences: 'true'}) -%}
        {%- if should_full_refresh() %}
    create or replace table {{ differences }} as
    select {{ built_at() }} as built_at, 1 as row_change, {{ config.get('meta').differences | join(', ') }}
    from {{ this }}
    where false;
        {%- endif -%}
    {%- endif %}
    {%- for log, of_this_model in logs.items() %}
    delete from {{ log }}
    where
        {{ of_this_model }}
        and not exists (
            select 1 from builds.model_builds
            where model_name = '{{ this.identifier }}' and built_at = {{ built_at() }}
        );
    {%- endfor %}
    {{ note_build(is_full=true) }}
    where
        not exists (
            select 1 from builds.model_builds
            where model_name = '{{ this.identifier }}' and built_at = {{ built_at() }}
        );
    insert into builds.seen_loads
    select '{{ this.identifier }}', load_id
    from builds.current_loads
    where load_id not in (select load_id from builds.seen_loads where model_name = '{{ this.identifier }}');
{%- endmacro %}
