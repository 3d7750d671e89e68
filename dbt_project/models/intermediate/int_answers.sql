-- Grain: one raw answer row with the one decision it ends in.
{{ config(materialized = 'view') }}

with answers as (
    select * from {{ ref('int_delivered_answers') }}
),

repeated as (
    select * from {{ ref('int_repeated_answers') }}
),

final as (
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
        answers.submitted_at,
        answers.load_id,
        answers.loaded_at,
        answers.source_file,
        answers.source_line,
        case when repeated.load_id is null then answers.decision else 'duplicate' end as decision
    from answers
    left join repeated
        on answers.load_id = repeated.load_id and answers.source_line = repeated.source_line
)

select * from final
