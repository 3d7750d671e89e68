{#-
    What comments are about, by the taxonomy that users edit (seeds/reference/themes.csv and negations.csv, docs/themes.md).
    The patterns are written into the SQL, since an engine compiles a constant pattern once, and any other for each row.
-#}

{#- The lines of both files, once these are seeds; none where SQL is only parsed. -#}
{% macro theme_lines() -%}
    {{- return(reference_lines(ref('themes'), 'theme, feature, language, pattern, unless_negated')) -}}
{%- endmacro %}

{% macro negation_lines() -%}
    {{- return(reference_lines(ref('negations'), 'language, position, pattern')) -}}
{%- endmacro %}

{% macro reference_lines(relation, columns) -%}
    {%- set lines = [] -%}
    {%- if execute and flags.WHICH in ('run', 'build') -%}
        {%- for row in asked_once('select ' ~ columns ~ ' from ' ~ relation ~ ' order by ' ~ columns) -%}
            {%- do lines.append(row.dict()) -%}
        {%- endfor -%}
    {%- endif -%}
    {{- return(lines) -}}
{%- endmacro %}


{#- A comment as it is matched: typographic apostrophes are plain ones. -#}
{% macro matched_text(comment) -%}replace({{ comment }}, '’', {{ text_literal("'") }}){%- endmacro %}


{#- The language of an answer as the taxonomy names it: en of en-GB. -#}
{% macro main_language(language) -%}lower(split_part(replace({{ language }}, '_', '-'), '-', 1)){%- endmacro %}


{#-
    The themes of a text as one text, separated by |; empty where it has none. Lines of the answer's language are tried, and
    those of any; where the taxonomy does not know the language, all.
-#}
{% macro themes_of(text, language) -%}
    {%- set lines = theme_lines() -%}
    {%- set negations = negation_lines() -%}
    {%- set languages = lines | map(attribute='language') | select | unique | sort -%}
    concat_ws(
        '|'
        {%- for theme in lines | map(attribute='theme') | unique | sort -%}
        {%- set of_theme = lines | selectattr('theme', 'equalto', theme) | list %},
        case
            when
                {%- if languages %}
                case {{ language }}
                    {%- for spoken in languages %}
                    when '{{ spoken }}' then {{ meets_theme(text, in_language(of_theme, spoken), in_language(negations, spoken)) }}
                    {%- endfor %}
                    else {{ meets_theme(text, of_theme, negations) }}
                end
                {%- else %}
                {{ meets_theme(text, of_theme, negations) }}
                {%- endif %}
                then {{ text_literal(theme) }}
        end
        {%- else -%}
        , ''
        {%- endfor %}
    )
{%- endmacro %}


{#- The lines for a language: its own, and those for any. -#}
{% macro in_language(lines, language) -%}
    {{- return((lines | selectattr('language', 'equalto', language) | list) + (lines | rejectattr('language') | list)) -}}
{%- endmacro %}


{#- Does a text match one of the lines of a theme? Negations are looked for only where a line that minds them matches. -#}
{% macro meets_theme(text, lines, negations) -%}
    {%- set unconditional = lines | rejectattr('unless_negated') | map(attribute='pattern') | list -%}
    {%- set conditional = lines | selectattr('unless_negated') | map(attribute='pattern') | list -%}
    case
        when {{ meets_any(text, unconditional) }} then true
        when {{ meets_any(text, conditional) }}
            then {{ meets_any(without_negated(text, conditional, negations), conditional) }}
        else false
    end
{%- endmacro %}


{% macro meets_any(text, patterns) -%}{{ matches(text, whole_words(patterns)) if patterns else 'false' }}{%- endmacro %}


{#- A text without the matches that are negated: a negation some words before, in the same clause, or directly after. -#}
{% macro without_negated(text, patterns, negations) -%}
    {%- set stops = negations | selectattr('position', 'equalto', 'stop') | map(attribute='pattern') | list -%}
    {%- set before = negations | selectattr('position', 'equalto', 'before') | map(attribute='pattern') | list -%}
    {%- set after = negations | selectattr('position', 'equalto', 'after') | map(attribute='pattern') | list -%}
    {%- set negated = [] -%}
    {%- if before -%}
        {%- set between = "(?:\\s+[^\\s,.;:!?()]+){0," ~ var('negation_reach') ~ "}\\s+" -%}
        {%- do negated.append(any_of(before) ~ between ~ any_of(patterns)) -%}
    {%- endif -%}
    {%- if after -%}
        {%- do negated.append(any_of(patterns) ~ '\\s*' ~ any_of(after)) -%}
    {%- endif -%}
    {%- set clauses = replace_matches(text, whole_words(stops), ', ') if stops else text -%}
    {{- replace_matches(clauses, whole_words(negated), ' ') if negated else text -}}
{%- endmacro %}


{#- Patterns as one that matches whole words in any case; \w is a letter of any language. -#}
{% macro whole_words(patterns) -%}
    {%- set words = any_of(patterns) | replace('\\w', '[' ~ letters() ~ ']') -%}
    (?i)(?:^|[^{{ letters() }}]){{ words }}(?:$|[^{{ letters() }}])
{%- endmacro %}

{% macro any_of(patterns) -%}(?:{{ patterns | join('|') }}){%- endmacro %}


{#- The feature of a theme; empty where it is of none. -#}
{% macro feature_of(theme) -%}
    {%- set features = {} -%}
    {%- for line in theme_lines() if line.feature -%}
        {%- do features.update({line.theme: line.feature}) -%}
    {%- endfor -%}
    {{ text_of(theme, features) }}
{%- endmacro %}


{#- Is a theme of a feature, and none of the same feature before it in `themes`, those of the answer? -#}
{% macro is_first_of_feature(theme, feature, themes) -%}
    {{ feature }} is not null
        {%- set seen = {} -%}
        {%- for line in theme_lines() | selectattr('feature') | unique(attribute='theme') | sort(attribute='theme') -%}
        {%- set earlier = seen.setdefault(line.feature, []) -%}
        {%- for other in earlier %}
        and not (
            {{ theme }} = {{ text_literal(line.theme) }}
            and position({{ text_literal('|' ~ other ~ '|') }} in '|' || {{ themes }} || '|') > 0
        )
        {%- endfor -%}
        {%- do earlier.append(line.theme) -%}
        {%- endfor -%}
{%- endmacro %}
