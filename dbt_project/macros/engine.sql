{#-
    Everything that differs between engines, one dispatch macro each; the rest of the project is portable SQL.
    This file is the porting guide.
-#}

{% macro type_double() -%}{{ return(adapter.dispatch('type_double', 'nps')()) }}{%- endmacro %}

{% macro default__type_double() -%}double{%- endmacro %}


{#- Does a text match a regular expression? -#}
{% macro matches(text, pattern) -%}{{ return(adapter.dispatch('matches', 'nps')(text, pattern)) }}{%- endmacro %}

{% macro duckdb__matches(text, pattern) -%}regexp_matches({{ text }}, '{{ pattern }}'){%- endmacro %}


{#- Does a regular expression, an SQL expression itself, match the whole of a text? A dot matches the end of a line, too. -#}
{% macro matches_whole(text, pattern) -%}{{ return(adapter.dispatch('matches_whole', 'nps')(text, pattern)) }}{%- endmacro %}

{% macro duckdb__matches_whole(text, pattern) -%}regexp_matches({{ text }}, '^(?s:' || {{ pattern }} || ')$'){%- endmacro %}


{#- Every match of a regular expression replaced. -#}
{% macro replace_matches(text, pattern, replacement) -%}
    {{ return(adapter.dispatch('replace_matches', 'nps')(text, pattern, replacement)) }}
{%- endmacro %}

{% macro duckdb__replace_matches(text, pattern, replacement) -%}
    regexp_replace({{ text }}, '{{ pattern }}', '{{ replacement }}', 'g')
{%- endmacro %}


{#-
    Every run of two to four words of a text that are written like a name (each with a capital, or a particle between),
    as column `phrase`, with the columns `keep` of `relation`.
-#}
{% macro name_phrases(relation, text, keep) -%}
    {{ return(adapter.dispatch('name_phrases', 'nps')(relation, text, keep)) }}
{%- endmacro %}

{% macro duckdb__name_phrases(relation, text, keep) -%}
    {%- set word = "\\p{Lu}[\\p{L}\\p{M}''’.-]*" -%}
    {%- set particle = '(?:al|bin|da|de|del|den|der|di|dos|la|le|ter|van|von|zu)\\b' -%}
    select
        {{ keep | join(', ') }},
        regexp_replace(array_to_string(words[first_word:last_word], ' '), '([''’]s)?[.''’-]*$', '') as phrase
    from (
        select
            *,
            unnest(generate_series(first_word + 1, least(first_word + 3, len(words)))) as last_word
        from (
            select
                *,
                unnest(generate_series(1, len(words) - 1)) as first_word
            from (
                select
                    {{ keep | join(', ') }},
                    string_split_regex(
                        unnest(regexp_extract_all({{ text }}, '{{ word }}(?:\s+(?:{{ particle }}|{{ word }}))+')), '\s+'
                    ) as words
                from {{ relation }}
            ) as runs
        ) as starts
    ) as phrases
{%- endmacro %}


{#- An aggregate: words and names as one regular expression; a name of several words in any case. -#}
{% macro any_of_words(words) -%}{{ return(adapter.dispatch('any_of_words', 'nps')(words)) }}{%- endmacro %}

{% macro duckdb__any_of_words(words) -%}
    string_agg(
        case when {{ words }} like '% %' then '(?i:' else '(?:' end
        || replace(regexp_escape({{ words }}), '\ ', '\s+') || ')', '|'
        order by length({{ words }}) desc, {{ words }}
    )
{%- endmacro %}


{#-
    Whole words that match such an expression, replaced. Twice, since of two that follow each other the first takes the
    blank between them; \b knows ASCII alone.
-#}
{% macro replace_words(text, expression, replacement) -%}
    {{ return(adapter.dispatch('replace_words', 'nps')(text, expression, replacement)) }}
{%- endmacro %}

{% macro duckdb__replace_words(text, expression, replacement) -%}
    {%- set whole = "'(^|[^\\pL])(?:' || " ~ expression ~ " || ')($|[^\\pL])'" -%}
    regexp_replace(
        regexp_replace({{ text }}, {{ whole }}, '\1{{ replacement }}\2', 'g'), {{ whole }}, '\1{{ replacement }}\2', 'g'
    )
{%- endmacro %}


{#-
    The letters of scripts that write blanks between words, as the inside of a class of a regular expression, by their
    blocks: of Han, Kana, Thai, Lao, Khmer and Myanmar any place is the edge of a word. Not \pL, which knows all of that
    apart from the blanks: an expression with it takes five times as long to compile, and there are a hundred.
-#}
{% macro letters() -%}{{ return(adapter.dispatch('letters', 'nps')()) }}{%- endmacro %}

{% macro duckdb__letters() -%}
    a-zA-Z\x{C0}-\x{5FF}\x{620}-\x{963}\x{966}-\x{DFF}\x{10A0}-\x{177F}\x{1800}-\x{1FFF}\x{AC00}-\x{D7A3}
{%- endmacro %}


{#- One value of a JSON text, as text; null where the text is not JSON. -#}
{% macro json_text(json, key) -%}{{ return(adapter.dispatch('json_text', 'nps')(json, key)) }}{%- endmacro %}

{% macro duckdb__json_text(json, key) -%}
    case when json_valid({{ json }}) then json_extract_string({{ json }}, '$."{{ key }}"') end
{%- endmacro %}


{#-
    Several values of a JSON text as text columns, read in one pass: `fields` says {column: key}, and key `a.b` is
    b within a. With the columns `keep` of `relation` (`name`, or `name as other`); all null where the text is not JSON.
-#}
{% macro json_fields(relation, json, fields, keep) -%}
    {{ return(adapter.dispatch('json_fields', 'nps')(relation, json, fields, keep)) }}
{%- endmacro %}

{% macro duckdb__json_fields(relation, json, fields, keep) -%}
    select
        {%- for column in keep %}
        {{ column.split(' as ') | last }},
        {%- endfor %}
        {%- for column in fields %}
        json_values[{{ loop.index }}] as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from (
        select
            {{ keep | join(',\n            ') }},
            json_extract_string(case when json_valid({{ json }}) then {{ json }} end, [
                {%- for key in fields.values() %}'$."{{ key | replace('.', '"."') }}"'{{ ', ' if not loop.last }}{% endfor -%}
            ]) as json_values
        from {{ relation }}
    ) as extracted
{%- endmacro %}


{#-
    One row per element of a JSON list, as columns element and element_number (from 1), with the columns `keep` of
    `relation`. With `key`, the list is that value of a JSON object. What is no list has no elements.
-#}
{% macro json_elements(relation, json, keep, key=none) -%}
    {{ return(adapter.dispatch('json_elements', 'nps')(relation, json, keep, key)) }}
{%- endmacro %}

{% macro duckdb__json_elements(relation, json, keep, key) -%}
    {%- set valid = 'case when json_valid(' ~ json ~ ') then ' ~ json ~ ' end' -%}
    select
        {%- for column in keep %}
        {{ column.split(' as ') | last }},
        {%- endfor %}
        unnest(elements) as element,
        generate_subscripts(elements, 1) as element_number
    from (
        select
            {{ keep | join(',\n            ') }},
            from_json({{ "json_extract(" ~ valid ~ ", '$.\"" ~ key ~ "\"')" if key else valid }}, '["JSON"]') as elements
        from {{ relation }}
    ) as lists
{%- endmacro %}


{#-
    The values at a path like $[*].questions[*].id of a JSON text, as a list of texts, in one pass; empty where there
    are none, null where the text is not JSON.
-#}
{% macro json_texts_at(json, path) -%}{{ return(adapter.dispatch('json_texts_at', 'nps')(json, path)) }}{%- endmacro %}

{% macro duckdb__json_texts_at(json, path) -%}
    json_extract_string(case when json_valid({{ json }}) then {{ json }} end, '{{ path }}')
{%- endmacro %}


{#- The first of them, and one row for each of them as column `name`, with the columns `keep` of `relation`. -#}
{% macro json_first_text(json, path) -%}{{ json_texts_at(json, path) }}[1]{%- endmacro %}

{% macro json_rows_at(relation, json, path, name, keep) -%}
    {{ return(adapter.dispatch('json_rows_at', 'nps')(relation, json, path, name, keep)) }}
{%- endmacro %}

{% macro duckdb__json_rows_at(relation, json, path, name, keep) -%}
    select
        {{ keep | join(',\n        ') }},
        unnest({{ json_texts_at(json, path) }}) as {{ name }}
    from {{ relation }}
{%- endmacro %}


{#- One row per entry of a JSON object whose values are texts, as columns `name` and `value`, with the columns `keep`. -#}
{% macro json_entries(relation, json, name, value, keep) -%}
    {{ return(adapter.dispatch('json_entries', 'nps')(relation, json, name, value, keep)) }}
{%- endmacro %}

{% macro duckdb__json_entries(relation, json, name, value, keep) -%}
    select
        {{ keep | join(',\n        ') }},
        unnest(map_keys(entries)) as {{ name }},
        unnest(map_values(entries)) as {{ value }}
    from (
        select
            {{ keep | join(',\n            ') }},
            cast(cast({{ json }} as json) as map(varchar, varchar)) as entries
        from {{ relation }}
    ) as objects
{%- endmacro %}


{#- One row per part of a text that lists several, as column `name`, with the columns `keep` of `relation`. -#}
{% macro split_parts(relation, text, separator, name, keep) -%}
    {{ return(adapter.dispatch('split_parts', 'nps')(relation, text, separator, name, keep)) }}
{%- endmacro %}

{% macro duckdb__split_parts(relation, text, separator, name, keep) -%}
    select
        {{ keep | join(',\n        ') }},
        trim(unnest(string_split({{ text }}, '{{ separator }}'))) as {{ name }}
    from {{ relation }}
{%- endmacro %}


{#- An aggregate: a JSON text from rows of name and value. -#}
{% macro json_object_from_rows(name, value) -%}
    {{ return(adapter.dispatch('json_object_from_rows', 'nps')(name, value)) }}
{%- endmacro %}

{% macro duckdb__json_object_from_rows(name, value) -%}
    cast(json_group_object({{ name }}, {{ value }}) as varchar)
{%- endmacro %}


{#- A JSON text from named columns. -#}
{% macro json_object_text(columns) -%}{{ return(adapter.dispatch('json_object_text', 'nps')(columns)) }}{%- endmacro %}

{% macro duckdb__json_object_text(columns) -%}
    cast(json_object(
        {%- for name, column in columns.items() %}'{{ name }}', {{ column }}{{ ', ' if not loop.last }}{% endfor -%}
    ) as varchar)
{%- endmacro %}


{#-
    A short, stable key from a text that may name a person; null from null. Only for tables, never for a view: the salt
    is known to dbt's own connection alone (profiles.yml).
-#}
{% macro salted_hash(text) -%}{{ return(adapter.dispatch('salted_hash', 'nps')(text)) }}{%- endmacro %}

{% macro duckdb__salted_hash(text) -%}left(sha256({{ contact_salt() }} || ':' || {{ text }}), 16){%- endmacro %}

{% macro contact_salt() -%}getvariable('contact_salt'){%- endmacro %}


{#-
    Columns as one whole number: the same for the same values, nulls included, and now and then for others. To count
    keys by it takes a fraction of the memory that the keys themselves would take, and to find them a fraction of the
    time: large tables keep that of a key they are asked by as <key>_hash (rows_of()).
-#}
{% macro key_hash(columns) -%}{{ return(adapter.dispatch('key_hash', 'nps')(columns)) }}{%- endmacro %}

{% macro duckdb__key_hash(columns) -%}hash({{ columns | join(', ') }}){%- endmacro %}

{% macro spark__key_hash(columns) -%}xxhash64({{ columns | join(', ') }}){%- endmacro %}


{#-
    A delivered text as a UTC timestamp, null where it is none. `format` is epoch_seconds, epoch_milliseconds,
    iso8601 (an offset in the text wins over `time_zone`) or a strptime format.
-#}
{% macro utc_timestamp(text, format='iso8601', time_zone='UTC') -%}
    {{ return(adapter.dispatch('utc_timestamp', 'nps')(text, format, time_zone)) }}
{%- endmacro %}

{% macro duckdb__utc_timestamp(text, format, time_zone) -%}
    {%- if format in ('epoch_seconds', 'epoch_milliseconds') -%}
        {#- A number too large for a timestamp is a fault of the row, not of the run. -#}
        {%- set number = 'try_cast(' ~ text ~ ' as double)' -%}
        case
            when abs({{ number }}) < {{ '1e11' if format == 'epoch_seconds' else '1e14' }}
                then make_timestamp(cast({{ number }} * {{ 1000000 if format == 'epoch_seconds' else 1000 }} as bigint))
        end
    {%- elif format == 'iso8601' -%}
        case
            when {{ matches(text, ':[0-9]{2}([.][0-9]+)?\s*(Z|[+-][0-9]{2}(:?[0-9]{2})?)\s*$') }}
                then timezone('UTC', try_cast({{ text }} as timestamptz))
            else {{ local_as_utc('try_cast(' ~ text ~ ' as timestamp)', time_zone) }}
        end
    {%- elif '%z' in format -%}
        timezone('UTC', try_strptime(trim({{ text }}), '{{ format }}'))
    {%- else -%}
        {{ local_as_utc("try_strptime(trim(" ~ text ~ "), '" ~ format ~ "')", time_zone) }}
    {%- endif -%}
{%- endmacro %}


{#-
    A local time of a time zone as UTC. One that the clocks pass twice is the second, one that they leave out is as long
    after the change as it is after the hour it began.
-#}
{% macro local_as_utc(timestamp, time_zone) -%}
    {{ return(adapter.dispatch('local_as_utc', 'nps')(timestamp, time_zone)) }}
{%- endmacro %}

{% macro duckdb__local_as_utc(timestamp, time_zone) -%}
    {%- if time_zone == 'UTC' -%}
        {{ timestamp }}
    {%- else -%}
        timezone('UTC', timezone('{{ time_zone }}', {{ timestamp }}))
    {%- endif -%}
{%- endmacro %}


{#- The calendar day of a UTC timestamp in a time zone, and in that of the business. -#}
{% macro local_date(utc_timestamp, time_zone) -%}
    {{ return(adapter.dispatch('local_date', 'nps')(utc_timestamp, time_zone)) }}
{%- endmacro %}

{% macro duckdb__local_date(utc_timestamp, time_zone) -%}
    cast(timezone('{{ time_zone }}', timezone('UTC', {{ utc_timestamp }})) as date)
{%- endmacro %}

{% macro business_date(utc_timestamp) -%}{{ local_date(utc_timestamp, var('business_time_zone')) }}{%- endmacro %}


{#- The quarter of an hour that a timestamp lies in. -#}
{% macro quarter_hour(timestamp) -%}{{ return(adapter.dispatch('quarter_hour', 'nps')(timestamp)) }}{%- endmacro %}

{% macro duckdb__quarter_hour(timestamp) -%}time_bucket(interval 15 minute, {{ timestamp }}){%- endmacro %}


{% macro safe_cast_date(text) -%}{{ return(adapter.dispatch('safe_cast_date', 'nps')(text)) }}{%- endmacro %}

{% macro duckdb__safe_cast_date(text) -%}try_cast({{ text }} as date){%- endmacro %}


{% macro safe_cast_number(text, type) -%}
    {{ return(adapter.dispatch('safe_cast_number', 'nps')(text, type)) }}
{%- endmacro %}

{% macro duckdb__safe_cast_number(text, type) -%}try_cast({{ text }} as {{ type }}){%- endmacro %}


{% macro add_months(date, months) -%}{{ return(adapter.dispatch('add_months', 'nps')(date, months)) }}{%- endmacro %}

{% macro duckdb__add_months(date, months) -%}cast({{ date }} + interval '{{ months }}' month as date){%- endmacro %}


{% macro add_days(date, days) -%}{{ return(adapter.dispatch('add_days', 'nps')(date, days)) }}{%- endmacro %}

{% macro duckdb__add_days(date, days) -%}cast({{ date }} + interval '{{ days }}' day as date){%- endmacro %}


{% macro add_hours(timestamp, hours) -%}{{ return(adapter.dispatch('add_hours', 'nps')(timestamp, hours)) }}{%- endmacro %}

{% macro duckdb__add_hours(timestamp, hours) -%}{{ timestamp }} + interval '{{ hours }}' hour{%- endmacro %}


{% macro add_seconds(timestamp, seconds) -%}{{ return(adapter.dispatch('add_seconds', 'nps')(timestamp, seconds)) }}{%- endmacro %}

{% macro duckdb__add_seconds(timestamp, seconds) -%}{{ timestamp }} + ({{ seconds }}) * interval '1' second{%- endmacro %}


{#- Whole hours from one timestamp to a later one. -#}
{% macro hours_between(earlier, later) -%}
    {{ return(adapter.dispatch('hours_between', 'nps')(earlier, later)) }}
{%- endmacro %}

{% macro duckdb__hours_between(earlier, later) -%}cast(floor(date_diff('second', {{ earlier }}, {{ later }}) / 3600) as bigint){%- endmacro %}


{#- Whole seconds from one timestamp to another. -#}
{% macro seconds_between(earlier, later) -%}
    {{ return(adapter.dispatch('seconds_between', 'nps')(earlier, later)) }}
{%- endmacro %}

{% macro duckdb__seconds_between(earlier, later) -%}date_diff('second', {{ earlier }}, {{ later }}){%- endmacro %}


{#- The start of the hour that a timestamp lies in. -#}
{% macro hour_start(timestamp) -%}date_trunc('hour', {{ timestamp }}){%- endmacro %}


{#- Whole days from one date to a later one. -#}
{% macro days_between(earlier, later) -%}
    {{ return(adapter.dispatch('days_between', 'nps')(earlier, later)) }}
{%- endmacro %}

{% macro duckdb__days_between(earlier, later) -%}date_diff('day', {{ earlier }}, {{ later }}){%- endmacro %}


{#- The first day of the week (Monday), month, quarter or year of a date, on the calendar. -#}
{% macro date_start(grain, date) -%}cast(date_trunc('{{ grain }}', {{ date }}) as date){%- endmacro %}


{#-
    The first day of the fiscal quarter or year of a date: that of the calendar, had the date come as many months
    earlier as the fiscal year starts late.
-#}
{% macro fiscal_start(grain, date) -%}
    {%- set shift = var('fiscal_year_start_month') - 1 -%}
    {{ add_months(date_start(grain, add_months(date_start('month', date), -shift)), shift) }}
{%- endmacro %}


{#- One row per day from `first_date` to `last_date`, two SQL expressions over `relation`, as column date_day. -#}
{% macro date_spine(relation, first_date, last_date) -%}
    {{ return(adapter.dispatch('date_spine', 'nps')(relation, first_date, last_date)) }}
{%- endmacro %}

{% macro duckdb__date_spine(relation, first_date, last_date) -%}
    select cast(unnest(generate_series({{ first_date }}, {{ last_date }}, interval 1 day)) as date) as date_day
    from {{ relation }}
{%- endmacro %}


{#- One row per number 1..group_size for each row of `relation`, as column position_in_group. -#}
{% macro expand_group(relation, size) -%}
    {{ return(adapter.dispatch('expand_group', 'nps')(relation, size)) }}
{%- endmacro %}

{% macro duckdb__expand_group(relation, size) -%}
    select
        *,
        unnest(generate_series(1, {{ size }})) as position_in_group
    from {{ relation }}
{%- endmacro %}


{#- One row per number 1..last, an SQL expression over `relation`, as column `name`. -#}
{% macro number_spine(relation, last, name) -%}
    {{ return(adapter.dispatch('number_spine', 'nps')(relation, last, name)) }}
{%- endmacro %}

{% macro duckdb__number_spine(relation, last, name) -%}
    select unnest(generate_series(1, cast({{ last }} as bigint))) as {{ name }}
    from {{ relation }}
{%- endmacro %}


{#-
    `columns` (the key among them) of the rows of a table whose `key` is among `keys`, a subquery of one column. Read in
    two passes where that is cheaper: one over the key alone, or its hash where the table has one, one over the few rows
    it found.
-#}
{% macro rows_of(relation, key, keys, columns=['*']) -%}
    {{ return(adapter.dispatch('rows_of', 'nps')(relation, key, keys, columns)) }}
{%- endmacro %}

{% macro default__rows_of(relation, key, keys, columns) -%}
    (
        select {{ columns | join(', ') }} from {{ relation }}
        where {{ key }} in ({{ keys }})
    )
{%- endmacro %}

{#- Materialized, or the planner reads all columns of all rows to join them first. -#}
{% macro duckdb__rows_of(relation, key, keys, columns) -%}
    {%- set is_hashed = has_column(relation, key ~ '_hash') -%}
    (
        with found as materialized (
            select {{ columns | join(', ') }} from {{ relation }}
            where
                rowid in (
                    select rowid from {{ relation }}
                    where
                    {%- if is_hashed %}
                        {{ key }}_hash in (
                            select {{ key_hash(['wanted.wanted_key']) }} from ({{ keys }}) as wanted (wanted_key)
                            where wanted.wanted_key is not null
                        )
                    {%- else %}
                        {{ key }} in ({{ keys }})
                    {%- endif %}
                )
        )
        select * from found
        {%- if is_hashed %}
        where {{ key }} in ({{ keys }})
        {%- endif %}
    )
{%- endmacro %}


{#- Does the table have this column? -#}
{% macro has_column(relation, column) -%}
    {%- set query -%}
        select count(*) from duckdb_columns()
        where
            schema_name = '{{ relation.schema }}'
            and table_name = '{{ relation.identifier }}'
            and column_name = '{{ column | replace("'", "''") }}'
    {%- endset -%}
    {{- return(execute and asked_once(query)[0][0] > 0) -}}
{%- endmacro %}
