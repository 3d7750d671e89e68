-- Grain: one raw answer row, with the one decision it ended in.
with answers as (
    select * from {{ ref('int_answers') }}
),

decisions as (
    select * from {{ ref('int_answer_decisions') }}
),

final as (
    select
        answers.response_id,
        answers.source_system,
        answers.source_response_id,
        decisions.decision,
        answers.score_text,
        answers.submitted_at,
        answers.survey_id,
        answers.load_id,
        answers.loaded_at,
        answers.source_file,
        answers.source_line
    from answers
    inner join decisions
        on answers.load_id = decisions.load_id and answers.source_line = decisions.source_line
)

select * from final
