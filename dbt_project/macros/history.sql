{#-
    What was known when: building as of a past moment (the variable `as_known_at`), and what the publication log
    (lake/publications, orchestration/publications.py) says of the last publication.
-#}

{#-
    Overrides dbt's own, the one door through which the lake comes in: with `as_known_at`, only what was written by
    then is there. Without it the relation is dbt's, and costs nothing.
-#}
{% macro source(source_name, table_name) -%}
    {%- set relation = builtins.source(source_name, table_name) -%}
    {%- if not given_moment('as_known_at') -%}
        {{- return(relation) -}}
    {%- endif -%}
    {%- set written_at = '_loaded_at' -%}
    {%- if source_name == 'lake' and table_name != 'malformed_rows' -%}
        {%- set written_at = {'loads': 'loaded_at', 'check_results': 'checked_at'}.get(table_name, 'published_at') -%}
    {%- endif -%}
    {{- return(
        '(select * from ' ~ relation ~ ' where cast(' ~ written_at ~ ' as timestamp) <= ' ~ as_known_at() ~ ')'
    ) -}}
{%- endmacro %}


{#-
    The variable `name`, or what a run sets in the environment in its place, since dbt parses everything again where a
    variable is another one than the last time; none if neither is there.
-#}
{% macro given_moment(name) -%}
    {{- return(var(name) or (env_var('NPS_BUILD_' ~ name | upper, '') if execute else '')) -}}
{%- endmacro %}


{% macro as_known_at() -%}timestamp '{{ given_moment("as_known_at") }}'{%- endmacro %}


{#- As of when cases are open or overdue and people may be asked again; nothing else asks for the time. -#}
{% macro as_of_moment() -%}
    {%- if given_moment('as_known_at') -%}{{ as_known_at() }}
    {%- elif given_moment('as_of') -%}timestamp '{{ given_moment("as_of") }}'
    {%- else -%}{{ built_at() }}
    {%- endif -%}
{%- endmacro %}


{#- After the seed of exclusions: those that were not approved yet at `as_known_at` do not exist. -#}
{% macro forget_later_exclusions() -%}
    {%- if given_moment('as_known_at') -%}
        delete from {{ this }} where approved_on > {{ business_date(as_known_at()) }}
    {%- endif -%}
{%- endmacro %}


{#- When the models that were published last were built; none before the first publication. -#}
{% macro published_build() -%}
    {%- if not execute or flags.WHICH not in ('run', 'build') -%}
        {{- return(none) -}}
    {%- endif -%}
    {%- set found = asked_once(
        'select built_at from ' ~ ref('stg_lake__publications') ~ ' order by publication_id desc limit 1'
    ) -%}
    {{- return(found[0][0] if found else none) -}}
{%- endmacro %}


{#- The answers that may differ from what was published last, as touched_since() gives them; none, for all of them. -#}
{% macro touched_since_publication() -%}
    {{- return(touched_since(published_build(), 'fct_nps_responses', 'response_id') if keeps_builds() else none) -}}
{%- endmacro %}


{#- After int_answer_changes, in its transaction: which build compared the answers with the last publication. -#}
{% macro end_comparison() -%}
    {%- if keeps_builds() -%}
        {{ note_build(is_full=true) }}
    {%- endif -%}
{%- endmacro %}


{#-
    Why an answer counts otherwise than it was published, in the order in which nps_restatements adds the effects:
    answers that came, then those that moved, then those that went, so that no step runs out of answers.
-#}
{% macro restatement_causes() -%}
    {{- return([
        'late_answer', 'exclusion_lifted', 'edited', 'account_remapped', 'definition_changed', 'replaced', 'withdrawn',
        'newly_excluded',
    ]) -}}
{%- endmacro %}
