{#-
    Everything that differs between engines, one dispatch macro each; the rest of the project is portable SQL.
    This file is the porting guide.
-#}

{% macro type_double() -%}{{ return(adapter.dispatch('type_double', 'nps')()) }}{%- endmacro %}

{% macro default__type_double() -%}double{%- endmacro %}

{% macro postgres__type_double() -%}double precision{%- endmacro %}


{#- A text as an SQL literal. Spark reads backslashes in one as escapes, and takes '' for the end of one and the start of the next. -#}
{% macro text_literal(text) -%}{{ return(adapter.dispatch('text_literal', 'nps')(text)) }}{%- endmacro %}

{% macro default__text_literal(text) -%}'{{ text | string | replace("'", "''") }}'{%- endmacro %}

{% macro spark__text_literal(text) -%}'{{ text | string | replace('\\', '\\\\') | replace("'", "\\'") }}'{%- endmacro %}

{#- Texts as a list of SQL literals. -#}
{% macro literals(values) -%}
    {%- for value in values %}{{ text_literal(value) }}{{ ', ' if not loop.last }}{% endfor -%}
{%- endmacro %}

{#- The text that `texts` ({text: text}) has for an expression; none for what it does not have. -#}
{% macro text_of(expression, texts) -%}
    {%- if texts -%}
    case {{ expression }}
        {%- for known, text in texts.items() %}
        when {{ text_literal(known) }} then {{ text_literal(text) }}
        {%- endfor %}
    end
    {%- else -%}
    cast(null as {{ dbt.type_string() }})
    {%- endif -%}
{%- endmacro %}


{#-
    A regular expression of the project, written for RE2, as a literal for Java's engine to mean the same: \b and (?i) of
    one know ASCII alone and all letters, those of the other the opposite; $ is the end of the text and nothing before
    it; a dot matches all but \n; and classes have no named ones within.
-#}
{% macro java_expression(pattern) -%}
    {%- set word = '[0-9A-Za-z_]' -%}
    {%- set edge = '(?:(?<=' ~ word ~ ')(?!' ~ word ~ ')|(?<!' ~ word ~ ')(?=' ~ word ~ '))' -%}
    {%- set pattern = pattern | replace('\\b', edge) | replace('[:alnum:]', '0-9A-Za-z')
        | replace('(?i', '(?iu') | replace('(?:$|', '(?:\\z|') | replace('($|', '(\\z|') | replace('|$)', '|\\z)') -%}
    {{- return(text_literal('(?d)' ~ (pattern[:-1] ~ '\\z' if pattern.endswith('$') else pattern))) -}}
{%- endmacro %}

{#-
    The same for PostgreSQL's: it has no categories of Unicode, \b, \w and \d know all letters, a dot matches the end
    of a line, and no group has options of its own. Of alternatives it takes the longest, RE2 the first that leads to a
    match: the macros are tested to come to the same (tests/postgres).
-#}
{% macro posix_expression(pattern) -%}
    {%- set word = '[0-9A-Za-z_]' -%}
    {%- set classes = {
        '\\pL': '[:alpha:]', '\\p{L}': '[:alpha:]', '\\p{Lu}': '[:upper:]', '\\p{M}': '\\u0300-\\u036F',
        '\\pN': '[:digit:]', '[:alnum:]': '0-9A-Za-z', '\\w': '0-9A-Za-z_', '\\d': '0-9',
    } -%}
    {%- set others = {
        '.': '[^\\n]',
        '\\b': '(?:(?<=' ~ word ~ ')(?!' ~ word ~ ')|(?<!' ~ word ~ ')(?=' ~ word ~ '))',
    } -%}
    {%- set escapes = '\\\\[xp]\\{\\w+\\}|\\\\p\\w|\\\\.' -%}
    {%- set token = escapes ~ '|\\[:\\w+:\\]|\\(\\?\\w*[:)]|[^\\\\\\[\\](.)]+|(?s:.)' -%}
    {#- Is the part within a class, and how many groups are open within one whose letters are of any case? -#}
    {%- set read = namespace(in_class=false, open=0) -%}
    {%- set written = [] -%}
    {#- A group for the character before, (^|[^...]), would rather take that than leave it to what follows. -#}
    {%- set before = '\\(\\^\\|\\[\\^((?:\\[:\\w+:\\]|[^\\]])*)\\]\\)' -%}
    {%- set pattern = modules.re.sub(before, '((?<![\\1]))', pattern) -%}
    {%- for part in modules.re.findall(token, pattern) -%}
        {%- if part in classes -%}
            {%- do written.append(classes[part] if read.in_class else '[' ~ classes[part] ~ ']') -%}
        {%- elif part.startswith('\\x') -%}
            {%- do written.append('\\U%08X' | format(part[3:-1] | int(base=16))) -%}
        {%- elif part in others and not read.in_class -%}
            {%- do written.append(others[part]) -%}
        {%- elif part == '(?i:' -%}
            {%- set read.open = 1 -%}
            {%- do written.append('(?:') -%}
        {%- elif read.open and part[0] not in '\\[]()' -%}
            {%- for letter in part -%}
                {%- set both = letter | lower ~ letter | upper if letter | lower != letter | upper else letter -%}
                {%- do written.append('[' ~ both ~ ']' if both != letter and not read.in_class else both) -%}
            {%- endfor -%}
        {%- else -%}
            {%- if not read.in_class and part[0] in '()' and read.open -%}
                {%- set read.open = read.open + (1 if part[0] == '(' else -1) -%}
            {%- endif -%}
            {%- set read.in_class = part == '[' or (read.in_class and part != ']') -%}
            {%- do written.append(part) -%}
        {%- endif -%}
    {%- endfor -%}
    {{- return(text_literal(written | join)) -}}
{%- endmacro %}


{#- Does a text match a regular expression? -#}
{% macro matches(text, pattern) -%}{{ return(adapter.dispatch('matches', 'nps')(text, pattern)) }}{%- endmacro %}

{% macro duckdb__matches(text, pattern) -%}regexp_matches({{ text }}, {{ text_literal(pattern) }}){%- endmacro %}

{% macro spark__matches(text, pattern) -%}({{ text }}) rlike {{ java_expression(pattern) }}{%- endmacro %}

{% macro postgres__matches(text, pattern) -%}({{ text }}) ~ {{ posix_expression(pattern) }}{%- endmacro %}


{#- Does a regular expression, an SQL expression itself, match the whole of a text? A dot matches the end of a line, too. -#}
{% macro matches_whole(text, pattern) -%}{{ return(adapter.dispatch('matches_whole', 'nps')(text, pattern)) }}{%- endmacro %}

{% macro duckdb__matches_whole(text, pattern) -%}regexp_matches({{ text }}, '^(?s:' || {{ pattern }} || ')$'){%- endmacro %}

{% macro spark__matches_whole(text, pattern) -%}{{ text }} rlike concat('^(?s:', {{ pattern }}, ')\\z'){%- endmacro %}

{#- Options stand at the beginning of the whole. -#}
{% macro postgres__matches_whole(text, pattern) -%}
    {{ text }} ~ regexp_replace({{ pattern }}, '^(\(\?[a-z]+\))?(.*)$', '\1^(?:\2)$')
{%- endmacro %}


{#- Every match of a regular expression replaced. -#}
{% macro replace_matches(text, pattern, replacement) -%}
    {{ return(adapter.dispatch('replace_matches', 'nps')(text, pattern, replacement)) }}
{%- endmacro %}

{% macro duckdb__replace_matches(text, pattern, replacement) -%}
    regexp_replace({{ text }}, {{ text_literal(pattern) }}, '{{ replacement }}', 'g')
{%- endmacro %}

{#- Groups are $1 and not \1 here. -#}
{% macro spark__replace_matches(text, pattern, replacement) -%}
    regexp_replace({{ text }}, {{ java_expression(pattern) }}, '{{ replacement | replace('\\', '$') }}')
{%- endmacro %}

{% macro postgres__replace_matches(text, pattern, replacement) -%}
    regexp_replace({{ text }}, {{ posix_expression(pattern) }}, '{{ replacement }}', 'g')
{%- endmacro %}


{#- Words that are written like a name, with a comma where the last is first; and what of it is none at its end, as in "Ann Lee's". -#}
{% macro name_run() -%}
    {%- set word = "\\p{Lu}[\\p{L}\\p{M}'’.-]*" -%}
    {%- set particle = '(?:al|bin|da|de|del|den|der|di|dos|la|le|ter|van|von|zu)\\b' -%}
    {{- return(word ~ '(?:,?\\s+(?:' ~ particle ~ '|' ~ word ~ '))+') -}}
{%- endmacro %}

{% macro name_ending() -%}{{- return("(['’]s)?[.'’-]*$") -}}{%- endmacro %}


{#-
    Every run of two to four words of a text that are written like a name (each with a capital, or a particle between),
    as column `phrase`, with the columns `keep` of `relation`.
-#}
{% macro name_phrases(relation, text, keep) -%}
    {{ return(adapter.dispatch('name_phrases', 'nps')(relation, text, keep)) }}
{%- endmacro %}

{% macro duckdb__name_phrases(relation, text, keep) -%}
    select
        {{ keep | join(', ') }},
        regexp_replace(array_to_string(words[first_word:last_word], ' '), {{ text_literal(name_ending()) }}, '') as phrase
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
                        unnest(regexp_extract_all({{ text }}, {{ text_literal(name_run()) }})), ',?\s+'
                    ) as words
                from {{ relation }}
            ) as runs
        ) as starts
    ) as phrases
{%- endmacro %}

{% macro spark__name_phrases(relation, text, keep) -%}
    select
        {{ keep | join(', ') }},
        regexp_replace(array_join(slice(words, first_word, number_of_words), ' '), {{ java_expression(name_ending()) }}, '')
            as phrase
    from (
        select
            *,
            explode(sequence(2, least(4, size(words) - first_word + 1))) as number_of_words
        from (
            select
                *,
                explode(sequence(1, size(words) - 1)) as first_word
            from (
                select
                    {{ keep | join(', ') }},
                    split(name_run, {{ java_expression(',?\\s+') }}) as words
                from (
                    select
                        {{ keep | join(', ') }},
                        explode(regexp_extract_all({{ text }}, {{ java_expression(name_run()) }}, 0)) as name_run
                    from {{ relation }}
                ) as found
            ) as runs
        ) as starts
    ) as phrases
{%- endmacro %}

{% macro postgres__name_phrases(relation, text, keep) -%}
    select
        {{ keep | join(', ') }},
        regexp_replace(array_to_string(words[first_word:last_word], ' '), {{ posix_expression(name_ending()) }}, '')
            as phrase
    from (
        select
            {{ keep | join(', ') }},
            regexp_split_to_array(name_run[1], ',?\s+') as words
        from {{ relation }}
        cross join lateral regexp_matches({{ text }}, {{ posix_expression(name_run()) }}, 'g') as found (name_run)
    ) as runs
    cross join lateral generate_series(1, cardinality(words) - 1) as first_word
    cross join lateral generate_series(first_word + 1, least(first_word + 3, cardinality(words))) as last_word
{%- endmacro %}


{#- An aggregate: words and names as one regular expression; a name of several words in any case. -#}
{% macro any_of_words(words) -%}{{ return(adapter.dispatch('any_of_words', 'nps')(words)) }}{%- endmacro %}

{% macro duckdb__any_of_words(words) -%}
    string_agg(
        case when {{ words }} like '% %' then '(?i:' else '(?:' end
        || replace(regexp_escape({{ words }}), '\ ', ',?\s+') || ')', '|'
        order by length({{ words }}) desc, {{ words }}
    )
{%- endmacro %}

{#- No aggregate joins texts in an order: a list is sorted, its longest words first. -#}
{% macro spark__any_of_words(words) -%}
    array_join(
        transform(
            array_sort(collect_list(struct(-length({{ words }}) as place, {{ words }} as words))),
            found -> concat(
                case when found.words like '% %' then '(?iu:' else '(?:' end,
                replace(regexp_replace(found.words, '([^0-9A-Za-z\\pL ])', '\\\\$1'), ' ', ',?\\s+'), ')'
            )
        ), '|'
    )
{%- endmacro %}

{#- No group has an option of its own: a letter in any case is a class of two. -#}
{% macro postgres__any_of_words(words) -%}
    string_agg(
        '(?:' || (
            select
                string_agg(
                    case
                        when letter = ' ' then ',?\s+'
                        when {{ words }} like '% %' and lower(letter) <> upper(letter)
                            then '[' || lower(letter) || upper(letter) || ']'
                        when letter ~ '[^0-9A-Za-z[:alpha:]]' then '\' || letter
                        else letter
                    end, '' order by place
                )
            from regexp_split_to_table({{ words }}, '') with ordinality as letters (letter, place)
        ) || ')', '|'
        order by length({{ words }}) desc, {{ words }}
    )
{%- endmacro %}


{#- An aggregate: texts in their order, as one. -#}
{% macro joined(text, separator) -%}{{ return(adapter.dispatch('joined', 'nps')(text, separator)) }}{%- endmacro %}

{% macro default__joined(text, separator) -%}
    {{ dbt.listagg(text, text_literal(separator), 'order by ' ~ text) }}
{%- endmacro %}

{% macro spark__joined(text, separator) -%}
    array_join(array_sort(collect_list({{ text }})), {{ text_literal(separator) }})
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

{% macro spark__replace_words(text, expression, replacement) -%}
    {%- set whole = "concat('(^|[^\\\\pL])(?:', " ~ expression ~ ", ')(\\\\z|[^\\\\pL])')" -%}
    regexp_replace(
        regexp_replace({{ text }}, {{ whole }}, '$1{{ replacement }}$2'), {{ whole }}, '$1{{ replacement }}$2'
    )
{%- endmacro %}

{#- What stands around a word can be looked at without being taken. -#}
{% macro postgres__replace_words(text, expression, replacement) -%}
    regexp_replace(
        {{ text }}, '(?<![[:alpha:]])(?:' || {{ expression }} || ')(?![[:alpha:]])', '{{ replacement }}', 'g'
    )
{%- endmacro %}


{#-
    The letters of scripts that write blanks between words, as the inside of a class of a regular expression, by their
    blocks: of Han, Kana, Thai, Lao, Khmer and Myanmar any place is the edge of a word. Not \pL, which knows all of that
    apart from the blanks: an expression with it takes five times as long to compile, and there are a hundred.
-#}
{% macro letters() -%}{{ return(adapter.dispatch('letters', 'nps')()) }}{%- endmacro %}

{% macro default__letters() -%}
    a-zA-Z\x{C0}-\x{5FF}\x{620}-\x{963}\x{966}-\x{DFF}\x{10A0}-\x{177F}\x{1800}-\x{1FFF}\x{AC00}-\x{D7A3}
{%- endmacro %}


{#- Is the text JSON? -#}
{% macro is_json(text) -%}{{ return(adapter.dispatch('is_json', 'nps')(text)) }}{%- endmacro %}

{% macro duckdb__is_json(text) -%}json_valid({{ text }}){%- endmacro %}

{% macro spark__is_json(text) -%}get_json_object({{ text }}, '$') is not null{%- endmacro %}

{% macro postgres__is_json(text) -%}try_cast({{ text }}, cast(null as json)) is not null{%- endmacro %}


{#- One value of a JSON text, as text; null where the text is not JSON. -#}
{% macro json_text(json, key) -%}{{ return(adapter.dispatch('json_text', 'nps')(json, key)) }}{%- endmacro %}

{% macro duckdb__json_text(json, key) -%}
    case when json_valid({{ json }}) then json_extract_string({{ json }}, {{ duckdb_json_path([key]) }}) end
{%- endmacro %}

{% macro duckdb_json_path(keys) -%}
    {%- set path = ['$'] -%}
    {%- for key in keys -%}
        {%- do path.append('."' ~ (key | replace('\\', '\\\\') | replace('"', '\\"')) ~ '"') -%}
    {%- endfor -%}
    {{- text_literal(path | join) -}}
{%- endmacro %}

{#- A path of Spark's has a key in quotes, which holds no quote or question mark, or bare, up to a dot or a bracket. -#}
{% macro spark__json_text(json, key) -%}
    {%- set is_bare = ("'" in key or '?' in key) and '[' not in key -%}
    get_json_object({{ json }}, {{ text_literal('$.' ~ key if is_bare else "$['" ~ key ~ "']") }})
{%- endmacro %}

{% macro postgres__json_text(json, key) -%}
    (try_cast({{ json }}, cast(null as json)) ->> {{ text_literal(key) }})
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
                {%- for key in fields.values() %}{{ duckdb_json_path(key.split('.')) }}{{ ', ' if not loop.last }}{% endfor -%}
            ]) as json_values
        from {{ relation }}
    ) as extracted
{%- endmacro %}

{% macro spark__json_fields(relation, json, fields, keep) -%}
    select
        {{ keep | join(',\n        ') }},
        {%- for column, key in fields.items() %}
        {{ json_text(json, key | replace('.', "']['")) }} as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ relation }}
{%- endmacro %}

{% macro postgres__json_fields(relation, json, fields, keep) -%}
    select
        {%- for column in keep %}
        {{ column.split(' as ') | last }},
        {%- endfor %}
        {%- for column, key in fields.items() %}
        json_value #>> array[{{ literals(key.split('.')) }}] as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from (
        select
            {{ keep | join(',\n            ') }},
            try_cast({{ json }}, cast(null as json)) as json_value
        from {{ relation }}
    ) as parsed
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
            from_json({{ 'json_extract(' ~ valid ~ ', ' ~ duckdb_json_path([key]) ~ ')' if key else valid }}, '["JSON"]') as elements
        from {{ relation }}
    ) as lists
{%- endmacro %}

{% macro spark__json_elements(relation, json, keep, key) -%}
    select
        {%- for column in keep %}
        {{ column.split(' as ') | last }},
        {%- endfor %}
        element_place + 1 as element_number,
        element
    from (
        select
            {{ keep | join(',\n            ') }},
            posexplode(from_json({{ json_text(json, key) if key else json }}, 'array<string>')) as (element_place, element)
        from {{ relation }}
    ) as lists
{%- endmacro %}

{% macro postgres__json_elements(relation, json, keep, key) -%}
    select
        {%- for column in keep %}
        {{ column.split(' as ') | last }},
        {%- endfor %}
        cast(elements.element as text) as element,
        elements.element_number
    from (
        select
            {{ keep | join(',\n            ') }},
            try_cast({{ json }}, cast(null as json)){{ ' -> ' ~ text_literal(key) if key }} as json_value
        from {{ relation }}
    ) as parsed
    cross join lateral json_array_elements(
        case when json_typeof(parsed.json_value) = 'array' then parsed.json_value end
    ) with ordinality as elements (element, element_number)
{%- endmacro %}


{#-
    The values at a path like $[*].questions[*].id of a JSON text, as a list of texts, in one pass; empty where there
    are none, null where the text is not JSON.
-#}
{% macro json_texts_at(json, path) -%}{{ return(adapter.dispatch('json_texts_at', 'nps')(json, path)) }}{%- endmacro %}

{% macro duckdb__json_texts_at(json, path) -%}
    json_extract_string(case when json_valid({{ json }}) then {{ json }} end, '{{ path }}')
{%- endmacro %}

{#- get_json_object() gives one value of several otherwise than many: the lists are read as such. -#}
{% macro spark__json_texts_at(json, path) -%}
    {%- set names = path.split('[*].') -%}
    {%- set places = (names[1:] | map('replace', '[*]', '') | list) -%}
    {%- set type = namespace(text='array<string>' if path.endswith('[*]') else 'string') -%}
    {%- for place in places | reverse -%}
        {%- for name in place.split('.') | reverse -%}
            {%- set type.text = 'struct<' ~ name ~ ':' ~ type.text ~ '>' -%}
        {%- endfor -%}
        {%- set type.text = 'array<' ~ type.text ~ '>' -%}
    {%- endfor -%}
    {%- set found = namespace(sql='from_json(' ~ json ~ ", '" ~ type.text ~ "')") -%}
    {%- for place in places -%}
        {%- set values = 'transform(' ~ found.sql ~ ', element -> element.' ~ place ~ ')' -%}
        {%- set is_list = not loop.last or path.endswith('[*]') -%}
        {%- set found.sql = 'flatten(filter(' ~ values ~ ', list -> list is not null))' if is_list else values -%}
    {%- endfor -%}
    filter({{ found.sql }}, text -> text is not null)
{%- endmacro %}

{% macro postgres__json_texts_at(json, path) -%}
    jsonb_path_query_array(try_cast({{ json }}, cast(null as jsonb)), '{{ path }}')
{%- endmacro %}


{#- Texts as a list, those of a list that are not null, each of them once, and how many a list has. -#}
{% macro list_of(texts) -%}{{ return(adapter.dispatch('list_of', 'nps')(texts)) }}{%- endmacro %}

{% macro duckdb__list_of(texts) -%}[{{ texts | join(', ') }}]{%- endmacro %}

{% macro spark__list_of(texts) -%}array({{ texts | join(', ') }}){%- endmacro %}

{#- Lists are JSON there, as json_texts_at() gives them. -#}
{% macro postgres__list_of(texts) -%}jsonb_build_array({{ texts | join(', ') }}){%- endmacro %}

{% macro present_values(list) -%}{{ return(adapter.dispatch('present_values', 'nps')(list)) }}{%- endmacro %}

{% macro duckdb__present_values(list) -%}list_filter({{ list }}, lambda text: text is not null){%- endmacro %}

{% macro spark__present_values(list) -%}filter({{ list }}, text -> text is not null){%- endmacro %}

{% macro postgres__present_values(list) -%}jsonb_path_query_array({{ list }}, '$[*] ? (@ != null)'){%- endmacro %}

{% macro distinct_values(list) -%}{{ return(adapter.dispatch('distinct_values', 'nps')(list)) }}{%- endmacro %}

{% macro default__distinct_values(list) -%}array_distinct({{ list }}){%- endmacro %}

{% macro postgres__distinct_values(list) -%}
    (select jsonb_agg(distinct value) from jsonb_array_elements_text({{ list }}) as texts (value))
{%- endmacro %}

{% macro list_length(list) -%}{{ return(adapter.dispatch('list_length', 'nps')(list)) }}{%- endmacro %}

{% macro duckdb__list_length(list) -%}len({{ list }}){%- endmacro %}

{% macro spark__list_length(list) -%}size({{ list }}){%- endmacro %}

{% macro postgres__list_length(list) -%}jsonb_array_length({{ list }}){%- endmacro %}


{#- The first of them, and one row for each of them as column `name`, with the columns `keep` of `relation`. -#}
{% macro json_first_text(json, path) -%}{{ return(adapter.dispatch('json_first_text', 'nps')(json, path)) }}{%- endmacro %}

{% macro duckdb__json_first_text(json, path) -%}{{ json_texts_at(json, path) }}[1]{%- endmacro %}

{% macro spark__json_first_text(json, path) -%}{{ json_texts_at(json, path) }}[0]{%- endmacro %}

{% macro postgres__json_first_text(json, path) -%}({{ json_texts_at(json, path) }} ->> 0){%- endmacro %}


{% macro json_rows_at(relation, json, path, name, keep) -%}
    {{ return(adapter.dispatch('json_rows_at', 'nps')(relation, json, path, name, keep)) }}
{%- endmacro %}

{% macro duckdb__json_rows_at(relation, json, path, name, keep) -%}
    select
        {{ keep | join(',\n        ') }},
        unnest({{ json_texts_at(json, path) }}) as {{ name }}
    from {{ relation }}
{%- endmacro %}

{% macro spark__json_rows_at(relation, json, path, name, keep) -%}
    select
        {{ keep | join(',\n        ') }},
        explode({{ json_texts_at(json, path) }}) as {{ name }}
    from {{ relation }}
{%- endmacro %}

{% macro postgres__json_rows_at(relation, json, path, name, keep) -%}
    select
        {{ keep | join(',\n        ') }},
        jsonb_array_elements_text({{ json_texts_at(json, path) }}) as {{ name }}
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

{% macro spark__json_entries(relation, json, name, value, keep) -%}
    select
        {{ keep | join(',\n        ') }},
        explode(from_json({{ json }}, 'map<string, string>')) as ({{ name }}, {{ value }})
    from {{ relation }}
{%- endmacro %}

{% macro postgres__json_entries(relation, json, name, value, keep) -%}
    select
        {{ keep | join(',\n        ') }},
        entries.{{ name }},
        entries.{{ value }}
    from {{ relation }}
    cross join lateral json_each_text(cast({{ json }} as json)) as entries ({{ name }}, {{ value }})
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

{% macro spark__split_parts(relation, text, separator, name, keep) -%}
    select
        {{ keep | join(',\n        ') }},
        trim({{ name }}) as {{ name }}
    from (
        select
            {{ keep | join(',\n            ') }},
            explode(split({{ text }}, '[{{ separator }}]')) as {{ name }}
        from {{ relation }}
    ) as parts
{%- endmacro %}

{% macro postgres__split_parts(relation, text, separator, name, keep) -%}
    select
        {{ keep | join(',\n        ') }},
        trim(regexp_split_to_table({{ text }}, '[{{ separator }}]')) as {{ name }}
    from {{ relation }}
{%- endmacro %}


{#- An aggregate: a JSON text from rows of name and value. -#}
{% macro json_object_from_rows(name, value) -%}
    {{ return(adapter.dispatch('json_object_from_rows', 'nps')(name, value)) }}
{%- endmacro %}

{% macro duckdb__json_object_from_rows(name, value) -%}
    cast(json_group_object({{ name }}, {{ value }}) as varchar)
{%- endmacro %}

{% macro spark__json_object_from_rows(name, value) -%}
    to_json(map_from_entries(collect_list(struct({{ name }}, {{ value }}))), map('ignoreNullFields', 'false'))
{%- endmacro %}

{% macro postgres__json_object_from_rows(name, value) -%}
    cast(json_object_agg({{ name }}, {{ value }}) as text)
{%- endmacro %}


{#- A JSON text from named columns. -#}
{% macro json_object_text(columns) -%}{{ return(adapter.dispatch('json_object_text', 'nps')(columns)) }}{%- endmacro %}

{% macro duckdb__json_object_text(columns) -%}
    cast(json_object(
        {%- for name, column in columns.items() %}{{ text_literal(name) }}, {{ column }}{{ ', ' if not loop.last }}{% endfor -%}
    ) as varchar)
{%- endmacro %}

{% macro spark__json_object_text(columns) -%}
    {%- if columns -%}
    to_json(named_struct(
        {%- for name, column in columns.items() %}{{ text_literal(name) }}, {{ column }}{{ ', ' if not loop.last }}{% endfor -%}
    ), map('ignoreNullFields', 'false'))
    {%- else -%}
    '{}'
    {%- endif -%}
{%- endmacro %}

{#- A row as JSON has no blanks, an object built of its parts would. -#}
{% macro postgres__json_object_text(columns) -%}
    {%- if columns -%}
    (
        select cast(row_to_json(named) as text)
        from (
            select
                {%- for name, column in columns.items() %}
                {{ column }} as {{ adapter.quote(name) }}{{ ',' if not loop.last }}
                {%- endfor %}
        ) as named
    )
    {%- else -%}
    '{}'
    {%- endif -%}
{%- endmacro %}


{#-
    A short, stable key from a text that may name a person; null from null. Only for tables, never for a view: the salt
    is known to dbt's own connection alone (profiles.yml).
-#}
{% macro salted_hash(text) -%}{{ return(adapter.dispatch('salted_hash', 'nps')(text)) }}{%- endmacro %}

{% macro duckdb__salted_hash(text) -%}left(sha256({{ contact_salt() }} || ':' || {{ text }}), 16){%- endmacro %}

{#- Spark puts the variable of the environment into the statement when it parses it: no log of dbt's holds it. -#}
{% macro spark__salted_hash(text) -%}left(sha2({{ contact_salt() }} || ':' || {{ text }}, 256), 16){%- endmacro %}

{% macro postgres__salted_hash(text) -%}
    left(encode(sha256(convert_to({{ contact_salt() }} || ':' || {{ text }}, 'UTF8')), 'hex'), 16)
{%- endmacro %}

{% macro contact_salt() -%}{{ return(adapter.dispatch('contact_salt', 'nps')()) }}{%- endmacro %}

{% macro duckdb__contact_salt() -%}getvariable('contact_salt'){%- endmacro %}

{% macro spark__contact_salt() -%}'${env:DBT_ENV_SECRET_CONTACT_SALT}'{%- endmacro %}

{% macro postgres__contact_salt() -%}current_setting('nps.contact_salt'){%- endmacro %}


{#-
    Columns as one whole number: the same for the same values, nulls included, and now and then for others. To count
    keys by it takes a fraction of the memory that the keys themselves would take, and to find them a fraction of the
    time: large tables keep that of a key they are asked by as <key>_hash (rows_of()).
-#}
{% macro key_hash(columns) -%}{{ return(adapter.dispatch('key_hash', 'nps')(columns)) }}{%- endmacro %}

{% macro duckdb__key_hash(columns) -%}hash({{ columns | join(', ') }}){%- endmacro %}

{% macro spark__key_hash(columns) -%}xxhash64({{ columns | join(', ') }}){%- endmacro %}

{#- Of a row, since of texts put together two may be the same. -#}
{% macro postgres__key_hash(columns) -%}hash_record_extended(row({{ columns | join(', ') }}), 0){%- endmacro %}


{#-
    A delivered text as a UTC timestamp, null where it is none. `format` is epoch_seconds, epoch_milliseconds,
    iso8601 (an offset in the text, Z, UTC or GMT wins over `time_zone`) or a strptime format of the directives in
    orchestration/sources.py.
-#}
{% macro utc_timestamp(text, format='iso8601', time_zone='UTC') -%}
    {{ return(adapter.dispatch('utc_timestamp', 'nps')(text, format, time_zone)) }}
{%- endmacro %}

{#-
    What a text of iso8601 must look like, since every engine reads more than that, and drops or guesses what it does
    not know ("10:00:00 PST" is 10:00:00, "infinity" a time): a local time, one that names its offset, and the offset.
-#}
{% macro time_expressions() -%}
    {%- set day = ' *[0-9]{4,6}[-/][0-9]{1,2}[-/][0-9]{1,2}' -%}
    {%- set clock = '[0-9]{1,2}:[0-9]{1,2}(:[0-5]?[0-9]([.][0-9]*)?)?' -%}
    {%- set offset = '[+-][0-9]{2}(:?[0-9]{2})?' -%}
    {{- return({
        'local': '^' ~ day ~ '(( +|T)' ~ clock ~ ' *)?$',
        'with_offset': '^' ~ day ~ '[ T]' ~ clock ~ '(Z| +(?i:utc|gmt)|' ~ offset ~ ') *$',
        'ends_with_offset': ':[0-9]{2}([.][0-9]+)?\\s*(Z|(?i:utc|gmt)|' ~ offset ~ ')\\s*$',
        'offset': offset,
    }) -}}
{%- endmacro %}

{% macro duckdb__utc_timestamp(text, format, time_zone) -%}
    {%- set expressions = time_expressions() -%}
    {%- if format in ('epoch_seconds', 'epoch_milliseconds') -%}
        {#- A number too large for a timestamp is a fault of the row, not of the run. -#}
        {%- set number = 'try_cast(' ~ text ~ ' as double)' -%}
        case
            when abs({{ number }}) < {{ '1e11' if format == 'epoch_seconds' else '1e14' }}
                then make_timestamp(cast({{ number }} * {{ 1000000 if format == 'epoch_seconds' else 1000 }} as bigint))
        end
    {%- elif format == 'iso8601' -%}
        case
            when {{ matches(text, expressions.ends_with_offset) }}
                then timezone('UTC', try_cast({{ text }} as timestamptz))
            when {{ matches(text, expressions.local) }}
                then {{ local_as_utc('try_cast(' ~ text ~ ' as timestamp)', time_zone) }}
        end
    {%- elif '%z' in format -%}
        timezone('UTC', try_strptime(regexp_replace(trim({{ text }}), 'Z$', '+00:00'), {{ text_literal(format) }}))
    {%- else -%}
        {{ local_as_utc('try_strptime(trim(' ~ text ~ '), ' ~ text_literal(format) ~ ')', time_zone) }}
    {%- endif -%}
{%- endmacro %}

{% macro spark__utc_timestamp(text, format, time_zone) -%}
    {%- set expressions = time_expressions() -%}
    {%- if format in ('epoch_seconds', 'epoch_milliseconds') -%}
        {%- set number = safe_cast_number(text, 'double') -%}
        case
            when abs({{ number }}) < {{ '1e11' if format == 'epoch_seconds' else '1e14' }}
                then timestamp_micros(cast(rint({{ number }} * {{ 1000000 if format == 'epoch_seconds' else 1000 }}) as bigint))
        end
    {%- elif format == 'iso8601' -%}
        case
            when {{ matches(text, expressions.ends_with_offset) }}
                then try_cast(
                    regexp_replace(
                        regexp_replace({{ text }}, '(?i:utc|gmt)\\s*\\z', 'Z'), '\\s+(?=[Z+-][0-9:]*\\s*\\z)', ''
                    ) as timestamp
                )
            when {{ matches(text, expressions.local) }}
                then {{ local_as_utc('try_cast(' ~ text ~ ' as timestamp)', time_zone) }}
        end
    {%- elif '%z' in format -%}
        try_to_timestamp(trim({{ text }}), {{ text_literal(java_time_format(format)) }})
    {%- else -%}
        {{ local_as_utc('try_to_timestamp(trim(' ~ text ~ '), ' ~ text_literal(java_time_format(format)) ~ ')', time_zone) }}
    {%- endif -%}
{%- endmacro %}

{#-
    A strptime format as a pattern of Java's. A single letter takes one digit or two, as strptime does, but not before
    another number.
-#}
{% macro java_time_format(format) -%}
    {%- set letters = {
        'Y': 'yyyy', 'y': 'yy', 'm': 'M', 'd': 'd', 'H': 'H', 'I': 'h', 'M': 'm', 'S': 's', 'f': 'SSSSSS', 'p': 'a', 'b': 'MMM',
        'B': 'MMMM', 'a': 'EEE', 'A': 'EEEE', 'z': 'XXX', 'j': 'DDD',
    } -%}
    {%- set parts = [] -%}
    {%- for part in format.split('%') -%}
        {%- if loop.first -%}
            {%- do parts.append("'" ~ part ~ "'" if part else '') -%}
        {%- else -%}
            {%- set letter = letters[part[0]] -%}
            {%- set is_before_number = part | length == 1 and not loop.last -%}
            {%- do parts.append(letter * 2 if is_before_number and letter | length == 1 else letter) -%}
            {%- do parts.append("'" ~ part[1:] | replace("'", "''") ~ "'" if part | length > 1 else '') -%}
        {%- endif -%}
    {%- endfor -%}
    {{- return(parts | join) -}}
{%- endmacro %}

{#-
    PostgreSQL rounds what is finer than microseconds: that is cut off. Of other formats the text is judged as well, and
    to_timestamp() says whether there is such a time.
-#}
{% macro postgres__utc_timestamp(text, format, time_zone) -%}
    {%- set expressions = time_expressions() -%}
    {%- if format in ('epoch_seconds', 'epoch_milliseconds') -%}
        {%- set number = safe_cast_number(text, type_double()) -%}
        case
            when abs({{ number }}) < {{ '1e11' if format == 'epoch_seconds' else '1e14' }}
                then timezone('UTC', to_timestamp({{ number }}{{ ' / 1000' if format == 'epoch_milliseconds' }}))
        end
    {%- elif format == 'iso8601' -%}
        {%- set read = 'regexp_replace(' ~ text ~ ", '([.][0-9]{6})[0-9]+', '\\1')" -%}
        case
            when {{ matches(text, expressions.with_offset) }}
                then timezone('UTC', try_cast({{ read }}, cast(null as timestamptz)))
            when {{ matches(text, expressions.local) }}
                then {{ local_as_utc('try_cast(' ~ read ~ ', cast(null as timestamp))', time_zone) }}
        end
    {%- else -%}
        {%- set parts = posix_time_format(format, expressions.offset) -%}
        {%- set trimmed = 'trim(' ~ text ~ ')' -%}
        {%- set read = trimmed -%}
        {%- if '%z' in format -%}
            {#- Of an offset without a colon the template would read all as hours. -#}
            {%- set offset = "regexp_replace(regexp_replace(" ~ trimmed ~ ", 'Z$', '+00:00')" -%}
            {%- set read = offset ~ ", '([+-][0-9]{2})([0-9]{2})$', '\\1:\\2')" -%}
        {%- endif -%}
        {%- set time -%}
            case
                when {{ matches(trimmed, parts.pattern) }}
                    then try_to_timestamp({{ read }}, {{ text_literal(parts.template) }})
            end
        {%- endset -%}
        {{ time if '%z' in format else local_as_utc(time, time_zone) }}
    {%- endif -%}
{%- endmacro %}

{#- A strptime format as a template of to_timestamp(), which reads what it can, and as an expression of what must stand. -#}
{% macro posix_time_format(format, offset) -%}
    {%- set two = '[0-9]{1,2}' -%}
    {%- set name = '[A-Za-z]+' -%}
    {%- set letters = {
        'Y': ('YYYY', '[0-9]{1,4}'), 'y': ('YY', '[0-9]{2}'), 'm': ('MM', two), 'd': ('DD', two), 'H': ('HH24', two),
        'I': ('HH12', two), 'M': ('MI', two), 'S': ('SS', two), 'f': ('US', '[0-9]{1,6}'), 'p': ('AM', '[AaPp][Mm]'),
        'b': ('Mon', name), 'B': ('Month', name), 'a': ('Dy', name), 'A': ('Day', name), 'j': ('DDD', '[0-9]{1,3}'),
        'z': ('TZH:TZM', '(Z|' ~ offset ~ ')'),
    } -%}
    {%- set template, pattern = [], ['^'] -%}
    {%- for part in format.split('%') -%}
        {%- set letter = letters[part[0]] if not loop.first -%}
        {%- set text = part if loop.first else part[1:] -%}
        {%- do template.extend([letter[0] if letter, '"' ~ text ~ '"' if text]) -%}
        {%- do pattern.extend([letter[1] if letter, modules.re.escape(text)]) -%}
    {%- endfor -%}
    {{- return({'template': template | join, 'pattern': pattern | join ~ '\\s*$'}) -}}
{%- endmacro %}


{#-
    A local time of a time zone as UTC. One that the clocks pass twice is the second, one that they leave out is as long
    after the change as it is after the hour it began.
-#}
{% macro local_as_utc(timestamp, time_zone) -%}
    {{ return(adapter.dispatch('local_as_utc', 'nps')(timestamp, time_zone)) }}
{%- endmacro %}

{% macro default__local_as_utc(timestamp, time_zone) -%}
    {%- if time_zone == 'UTC' -%}
        {{ timestamp }}
    {%- else -%}
        timezone('UTC', timezone('{{ time_zone }}', {{ timestamp }}))
    {%- endif -%}
{%- endmacro %}

{#- Of the two times that a local one may be when the clocks go back, Spark takes the first. -#}
{% macro spark__local_as_utc(timestamp, time_zone) -%}
    {%- if time_zone == 'UTC' -%}
        {{ timestamp }}
    {%- else -%}
        {%- set first = 'to_utc_timestamp(' ~ timestamp ~ ", '" ~ time_zone ~ "')" -%}
        case
            {%- for minutes in [60, 30] %}
            when from_utc_timestamp({{ first }} + interval '{{ minutes }}' minute, '{{ time_zone }}') = {{ timestamp }}
                then {{ first }} + interval '{{ minutes }}' minute
            {%- endfor %}
            else {{ first }}
        end
    {%- endif -%}
{%- endmacro %}


{#- The calendar day of a UTC timestamp in a time zone, and in that of the business. -#}
{% macro local_date(utc_timestamp, time_zone) -%}
    {{ return(adapter.dispatch('local_date', 'nps')(utc_timestamp, time_zone)) }}
{%- endmacro %}

{% macro default__local_date(utc_timestamp, time_zone) -%}
    cast(timezone('{{ time_zone }}', timezone('UTC', {{ utc_timestamp }})) as date)
{%- endmacro %}

{% macro spark__local_date(utc_timestamp, time_zone) -%}
    cast(from_utc_timestamp({{ utc_timestamp }}, '{{ time_zone }}') as date)
{%- endmacro %}

{% macro business_date(utc_timestamp) -%}{{ local_date(utc_timestamp, var('business_time_zone')) }}{%- endmacro %}

{#- The moment in UTC at which a day of the business is over. -#}
{% macro business_day_end(date) -%}
    {{ local_as_utc('cast(' ~ add_days(date, 1) ~ ' as timestamp)', var('business_time_zone')) }}
{%- endmacro %}


{#- The quarter of an hour that a timestamp lies in. -#}
{% macro quarter_hour(timestamp) -%}{{ return(adapter.dispatch('quarter_hour', 'nps')(timestamp)) }}{%- endmacro %}

{% macro duckdb__quarter_hour(timestamp) -%}time_bucket(interval 15 minute, {{ timestamp }}){%- endmacro %}

{% macro spark__quarter_hour(timestamp) -%}timestamp_seconds(floor(unix_seconds({{ timestamp }}) / 900) * 900){%- endmacro %}

{% macro postgres__quarter_hour(timestamp) -%}
    date_bin(interval '15' minute, {{ timestamp }}, timestamp '2000-01-01')
{%- endmacro %}


{% macro safe_cast_date(text) -%}{{ return(adapter.dispatch('safe_cast_date', 'nps')(text)) }}{%- endmacro %}

{#- Words such as epoch and infinity, and years before Christ, are dates to DuckDB. -#}
{% macro duckdb__safe_cast_date(text) -%}
    case
        when {{ matches(text, '^\s*[0-9]{4,6}[-/][0-9]{1,2}[-/][0-9]{1,2}([ T]+[0-9].*|\s*)$') }}
            then try_cast({{ text }} as date)
    end
{%- endmacro %}

{#- A year alone is a date to Spark. -#}
{% macro spark__safe_cast_date(text) -%}
    case when {{ matches(text, '^\s*[0-9]{4,6}-[0-9]{1,2}-[0-9]{1,2}') }} then try_cast({{ text }} as date) end
{%- endmacro %}

{% macro postgres__safe_cast_date(text) -%}
    case
        when {{ matches(text, '^ *[0-9]{4,6}[-/][0-9]{1,2}[-/][0-9]{1,2}([ T][0-9].*| *)$') }}
            then try_cast({{ text }}, cast(null as date))
    end
{%- endmacro %}


{% macro safe_cast_number(text, type) -%}
    {{ return(adapter.dispatch('safe_cast_number', 'nps')(text, type)) }}
{%- endmacro %}

{% macro duckdb__safe_cast_number(text, type) -%}try_cast({{ text }} as {{ type }}){%- endmacro %}

{#- Spark takes 1d and NaN for numbers, and cuts off what DuckDB rounds. -#}
{% macro spark__safe_cast_number(text, type) -%}
    case
        when {{ matches(text, '^\s*[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?\s*$') }}
            then try_cast({{ 'round(try_cast(' ~ text ~ ' as decimal(38, 10)))' if type == 'bigint' else text }} as {{ type }})
    end
{%- endmacro %}

{#- try_cast() knows types without their precision: what is too large for that is found before. -#}
{% macro postgres__safe_cast_number(text, type) -%}
    {%- set number = 'try_cast(' ~ text ~ ', cast(null as numeric))' -%}
    {%- set largest = '9223372036854775807' -%}
    {%- if type.startswith('decimal') -%}
        {%- set precision, scale = type[8:-1].split(', ') -%}
        {%- set largest = '9' * (precision | int - scale | int) -%}
    {%- endif -%}
    case
        when not {{ matches(text, '^\s*[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?\s*$') }} then null
        {%- if type == type_double() %}
        else try_cast({{ text }}, cast(null as {{ type }}))
        {%- else %}
        when abs({{ number }}) <= {{ largest }} then cast({{ number }} as {{ type }})
        {%- endif %}
    end
{%- endmacro %}


{% macro add_months(date, months) -%}{{ return(adapter.dispatch('add_months', 'nps')(date, months)) }}{%- endmacro %}

{% macro default__add_months(date, months) -%}cast({{ date }} + interval '{{ months }}' month as date){%- endmacro %}

{% macro spark__add_months(date, months) -%}add_months({{ date }}, {{ months }}){%- endmacro %}


{% macro add_days(date, days) -%}{{ return(adapter.dispatch('add_days', 'nps')(date, days)) }}{%- endmacro %}

{% macro default__add_days(date, days) -%}cast({{ date }} + interval '{{ days }}' day as date){%- endmacro %}

{% macro spark__add_days(date, days) -%}date_add({{ date }}, {{ days }}){%- endmacro %}


{% macro add_hours(timestamp, hours) -%}{{ return(adapter.dispatch('add_hours', 'nps')(timestamp, hours)) }}{%- endmacro %}

{% macro default__add_hours(timestamp, hours) -%}{{ timestamp }} + interval '{{ hours }}' hour{%- endmacro %}


{% macro add_seconds(timestamp, seconds) -%}{{ return(adapter.dispatch('add_seconds', 'nps')(timestamp, seconds)) }}{%- endmacro %}

{% macro default__add_seconds(timestamp, seconds) -%}{{ timestamp }} + ({{ seconds }}) * interval '1' second{%- endmacro %}


{#- Whole hours from one timestamp to a later one. -#}
{% macro hours_between(earlier, later) -%}
    cast(floor({{ seconds_between(earlier, later) }} / 3600e0) as bigint)
{%- endmacro %}


{#- Whole seconds from one timestamp to another. -#}
{% macro seconds_between(earlier, later) -%}
    {{ return(adapter.dispatch('seconds_between', 'nps')(earlier, later)) }}
{%- endmacro %}

{% macro duckdb__seconds_between(earlier, later) -%}date_diff('second', {{ earlier }}, {{ later }}){%- endmacro %}

{% macro spark__seconds_between(earlier, later) -%}(unix_seconds({{ later }}) - unix_seconds({{ earlier }})){%- endmacro %}

{% macro postgres__seconds_between(earlier, later) -%}
    cast(floor(extract(epoch from {{ later }})) - floor(extract(epoch from {{ earlier }})) as bigint)
{%- endmacro %}


{#- The start of the hour that a timestamp lies in. -#}
{% macro hour_start(timestamp) -%}date_trunc('hour', {{ timestamp }}){%- endmacro %}


{#- Whole days from one date to a later one. -#}
{% macro days_between(earlier, later) -%}
    {{ return(adapter.dispatch('days_between', 'nps')(earlier, later)) }}
{%- endmacro %}

{% macro duckdb__days_between(earlier, later) -%}date_diff('day', {{ earlier }}, {{ later }}){%- endmacro %}

{% macro spark__days_between(earlier, later) -%}cast(datediff({{ later }}, {{ earlier }}) as bigint){%- endmacro %}

{% macro postgres__days_between(earlier, later) -%}
    cast(cast({{ later }} as date) - cast({{ earlier }} as date) as bigint)
{%- endmacro %}


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


{#- The days of a query, `date_day`, each with the periods that it lies in. -#}
{% macro with_periods(days) -%}
    select
        date_day,
        week_start,
        {{ add_days('week_start', 6) }} as week_end,
        month_start,
        {{ add_days(add_months('month_start', 1), -1) }} as month_end,
        quarter_start,
        {{ add_days(add_months('quarter_start', 3), -1) }} as quarter_end,
        year_start,
        {{ add_days(add_months('year_start', 12), -1) }} as year_end
    from (
        select
            date_day,
            {{ date_start('week', 'date_day') }} as week_start,
            {{ date_start('month', 'date_day') }} as month_start,
            {{ fiscal_start('quarter', 'date_day') }} as quarter_start,
            {{ fiscal_start('year', 'date_day') }} as year_start
        from ({{ days }}) as days
    ) as starts
{%- endmacro %}


{#- Whole numbers over the last `rows` rows of a window, `in_order`, up to its current one. -#}
{% macro trailing_sum(number, in_order, rows) -%}
    {{ return(adapter.dispatch('trailing_sum', 'nps')(number, in_order, rows)) }}
{%- endmacro %}

{% macro default__trailing_sum(number, in_order, rows) -%}
    sum({{ number }}) over ({{ in_order }}
            rows between {{ rows - 1 }} preceding and current row
        )
{%- endmacro %}

{#- Spark adds up every frame anew, unless it begins with the first row. -#}
{% macro spark__trailing_sum(number, in_order, rows) -%}
    sum({{ number }}) over ({{ in_order }}
            rows between unbounded preceding and current row
        ) - coalesce(sum({{ number }}) over ({{ in_order }}
            rows between unbounded preceding and {{ rows }} preceding
        ), 0)
{%- endmacro %}


{#- One row per day from `first_date` to `last_date`, two SQL expressions over `relation`, as column date_day. -#}
{% macro date_spine(relation, first_date, last_date) -%}
    {{ return(adapter.dispatch('date_spine', 'nps')(relation, first_date, last_date)) }}
{%- endmacro %}

{% macro duckdb__date_spine(relation, first_date, last_date) -%}
    select cast(unnest(generate_series({{ first_date }}, {{ last_date }}, interval 1 day)) as date) as date_day
    from {{ relation }}
{%- endmacro %}

{#- A sequence that would run backwards is an error, and an aggregate cannot stand in one that makes rows. -#}
{% macro spark__date_spine(relation, first_date, last_date) -%}
    select explode(sequence(first_date, last_date, interval '1' day)) as date_day
    from (
        select
            {{ first_date }} as first_date,
            {{ last_date }} as last_date
        from {{ relation }}
    ) as spans
    where first_date <= last_date
{%- endmacro %}

{% macro postgres__date_spine(relation, first_date, last_date) -%}
    select cast(generate_series({{ first_date }}, {{ last_date }}, interval '1' day) as date) as date_day
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

{% macro spark__expand_group(relation, size) -%}
    select
        *,
        explode(sequence(1L, cast({{ size }} as bigint))) as position_in_group
    from {{ relation }}
    where {{ size }} >= 1
{%- endmacro %}

{% macro postgres__expand_group(relation, size) -%}
    select
        *,
        generate_series(1, cast({{ size }} as bigint)) as position_in_group
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

{% macro spark__number_spine(relation, last, name) -%}
    select explode(sequence(1L, last_number)) as {{ name }}
    from (
        select cast({{ last }} as bigint) as last_number
        from {{ relation }}
    ) as lengths
    where last_number >= 1
{%- endmacro %}

{% macro postgres__number_spine(relation, last, name) -%}
    select generate_series(1, cast({{ last }} as bigint)) as {{ name }}
    from {{ relation }}
{%- endmacro %}


{#-
    `columns` (the key among them) of the rows of a table whose `key` is among `keys`, a subquery of one column. Read in
    two passes where that is cheaper: one over the key alone, or its hash where the table has one, one over the few rows
    it found. Where only rows that meet a `condition` matter, the others need not be looked at.
-#}
{% macro rows_of(relation, key, keys, columns=['*'], condition='true') -%}
    {{ return(adapter.dispatch('rows_of', 'nps')(relation, key, keys, columns, condition)) }}
{%- endmacro %}

{% macro default__rows_of(relation, key, keys, columns, condition) -%}
    (
        select {{ columns | join(', ') }} from {{ relation }}
        where {{ condition }} and {{ key }} in ({{ keys }})
    )
{%- endmacro %}

{#- In two brackets, a subquery is a single value there. -#}
{% macro spark__rows_of(relation, key, keys, columns, condition) -%}
    (
        select {{ columns | join(', ') }} from {{ relation }}
        where {{ condition }} and {{ key }} in (select wanted.* from ({{ keys }}) as wanted)
    )
{%- endmacro %}

{#-
    Materialized, or the planner reads all columns of all rows to join them first. The row numbers go through a list, or it
    takes them for more than the rows that other conditions leave, and makes these into the hash table.
-#}
{% macro duckdb__rows_of(relation, key, keys, columns, condition) -%}
    {%- set is_hashed = (key ~ '_hash') in column_types(relation) -%}
    (
        with found as materialized (
            select {{ columns | join(', ') }} from {{ relation }}
            where
                rowid in (
                    select unnest(list(rowid)) from {{ relation }}
                    where
                        {{ condition }}
                    {%- if is_hashed %}
                        and {{ key }}_hash in (
                            select {{ key_hash(['wanted.wanted_key']) }} from ({{ keys }}) as wanted (wanted_key)
                            where wanted.wanted_key is not null
                        )
                    {%- else %}
                        and {{ key }} in ({{ keys }})
                    {%- endif %}
                )
        )
        select * from found
        {%- if is_hashed %}
        where {{ key }} in ({{ keys }})
        {%- endif %}
    )
{%- endmacro %}


{#- The columns of a table of DuckDB, each with its type. -#}
{% macro column_types(relation) -%}
    {%- set query -%}
        select column_name, data_type from duckdb_columns()
        where schema_name = '{{ relation.schema }}' and table_name = '{{ relation.identifier }}'
    {%- endset -%}
    {{- return(dict(asked_once(query, in_all=true) | map('list')) if execute else {}) -}}
{%- endmacro %}


{#- Rows of texts, each a mapping by the names of `columns`; what is not there is null. -#}
{% macro literal_rows(columns, rows) -%}{{ return(adapter.dispatch('literal_rows', 'nps')(columns, rows)) }}{%- endmacro %}

{% macro default__literal_rows(columns, rows) -%}
    {%- for row in rows %}
    select
        {%- for column in columns %}
        {{ text_literal(row[column]) if row[column] else 'null' }} as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- A union of hundreds takes a minute to analyse. -#}
{% macro spark__literal_rows(columns, rows) -%}
    select * from (
        values
        {%- for row in rows %}
        (
            {%- for column in columns %}
            {{- text_literal(row[column]) if row[column] else 'null' }}{{ ', ' if not loop.last }}
            {%- endfor -%}
        ){{ ',' if not loop.last }}
        {%- endfor %}
    ) as literal_rows ({{ columns | join(', ') }})
{%- endmacro %}


{#- Of the rows of a group, the value of `column` that was delivered last; one without a value says nothing. -#}
{% macro latest_given(column) -%}{{ return(adapter.dispatch('latest_given', 'nps')(column)) }}{%- endmacro %}

{% macro default__latest_given(column) -%}
    max_by({{ column }}, (load_id, source_line)) filter (where {{ column }} is not null)
{%- endmacro %}

{% macro postgres__latest_given(column) -%}
    (array_agg({{ column }} order by load_id desc, source_line desc) filter (where {{ column }} is not null))[1]
{%- endmacro %}


{#-
    A CTE that others read more than once: `query` as `name`, which may read the ones named in `reads`, made by this macro
    before. Dear ones only: what an engine keeps by itself need not be told.
-#}
{% macro computed_once(name, query, reads=[]) -%}
    {{ return(adapter.dispatch('computed_once', 'nps')(name, query, reads)) }}
{%- endmacro %}

{% macro default__computed_once(name, query, reads) -%}
{{ name }} as (
    {{- query }}
)
{%- endmacro %}

{#-
    Spark writes a CTE into each place that reads it, and a view as well: of six that read the one before twice, it would
    compute the first 64 times. So it is a table.
-#}
{% macro spark__computed_once(name, query, reads) -%}
    {%- set prefix = 'steps.' ~ this.identifier ~ '__' -%}
    {%- if execute and flags.WHICH in ('run', 'build') -%}
        {%- call statement() -%}create database if not exists steps{%- endcall -%}
        {%- call statement() -%}
            create or replace table {{ prefix ~ name }} using iceberg as
            {%- for other in reads %}
            {{ 'with' if loop.first else ',' }} {{ other }} as (select * from {{ prefix ~ other }})
            {%- endfor %}
            select * from ({{ query }}) as computed
        {%- endcall -%}
    {%- endif -%}
{{ name }} as (
    select * from {{ prefix ~ name }}
)
{%- endmacro %}


{#-
    What `step` makes of `first` when it is taken `times` over, as CTEs of which the last is `name`: two queries as text,
    of which `step` reads `previous`.
-#}
{% macro repeated(name, first, step, times) -%}
    {%- for time in range(times + 1) -%}
        {%- set previous = name ~ '_' ~ (time - 1) -%}
        {{ computed_once(
            name if loop.last else name ~ '_' ~ time,
            first if loop.first else step | replace('previous', previous),
            reads=[] if loop.first else [previous],
        ) }}{{ ',\n' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
