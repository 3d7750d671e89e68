{#- Raw answer rows with the one decision each ends in; `answers` holds rows of int_delivered_answers. -#}
{% macro with_final_decision(answers) -%}
    select
        answers.source_system,
        answers.source_response_id,
        answers.response_id,
        answers.source_survey_id,
        answers.source_account_id,
        answers.survey_id,
        answers.survey_type,
        answers.touchpoint,
        answers.invitation_id,
        answers.contact_id,
        answers.account_id,
        answers.contact_match_rule,
        answers.account_match_rule,
        answers.score_text,
        answers.score_number,
        answers.comment,
        answers.language,
        answers.channel,
        answers.attributes,
        answers.ticket_id,
        answers.named_handler,
        answers.submitted_at,
        answers.load_id,
        answers.loaded_at,
        answers.source_file,
        answers.source_line,
        answers.exclusion_id,
        answers.mark_id,
        case when repeated.load_id is null then answers.decision else 'duplicate' end as decision,
        repeated.load_id is not null as is_repeated
    from {{ answers }} as answers
    left join {{ ref('int_repeated_answers') }} as repeated
        on answers.load_id = repeated.load_id and answers.source_line = repeated.source_line
{%- endmacro %}


{#- What a rule of exclusions.csv says of answers, without who approved it and why; and the key of that rule. -#}
{% macro exclusion_rule() -%}
    {{- return([
        'source_system', 'source_response_id', 'field', 'pattern', 'starts_on', 'ends_on', 'effect',
    ]) -}}
{%- endmacro %}


{% macro exclusion_id() -%}
    {%- set texts = [] -%}
    {%- for column in exclusion_rule() -%}
        {%- do texts.append("coalesce(cast(" ~ column ~ " as " ~ dbt.type_string() ~ "), '')") -%}
    {%- endfor -%}
    left(md5({{ texts | join(" || '|' || ") }}), 16)
{%- endmacro %}


{#- Does an answer match the pattern of a rule of int_exclusions, which the query calls `exclusions`? -#}
{% macro meets_pattern(answers) -%}
    exclusions.pattern is not null
        and (exclusions.source_system is null or {{ answers }}.source_system = exclusions.source_system)
        and {{ answers }}.submitted_at >= exclusions.starts_at
        and {{ answers }}.submitted_at < exclusions.ends_before
        and {{ matches_whole(
            'case exclusions.field'
            ~ " when 'survey' then " ~ answers ~ '.survey_id'
            ~ " when 'account' then " ~ answers ~ '.account_id'
            ~ " when 'comment' then " ~ answers ~ '.comment end',
            'exclusions.pattern'
        ) }}
{%- endmacro %}


{#-
    In an incremental build: the rows of int_answers whose `key` is among `keys`. A view cannot be read in two passes,
    the table behind it can.
-#}
{% macro answers_of(key, keys) -%}
    (
        {{ with_final_decision(rows_of(ref('int_delivered_answers'), key, keys)) }}
    )
{%- endmacro %}
