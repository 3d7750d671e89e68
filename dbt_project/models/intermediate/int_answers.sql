-- Grain: one raw answer row, typed, with its survey, contact and account; every row of every survey tool.
with answers as (
    {{ union_staging('answers') }}
),

respondents as (
    select * from {{ ref('int_respondents') }}
),

surveys as (
    select * from {{ ref('surveys') }}
),

account_aliases as (
    select * from {{ ref('account_aliases') }}
),

final as (
    select
        answers.source_system,
        answers.source_response_id,
        answers.source_system || ':' || answers.source_response_id as response_id,
        answers.source_survey_id,
        surveys.survey_id,
        surveys.survey_type,
        surveys.touchpoint,
        answers.score_type,
        answers.source_invitation_id,
        respondents.contact_id,
        coalesce(
            respondents.account_id, account_aliases.account_id, answers.source_account_id
        ) as account_id,
        answers.score_text,
        {{ score_number('answers.score_text') }} as score_number,
        answers.comment,
        answers.language,
        answers.channel,
        answers.attributes,
        answers.is_partial,
        answers.is_test,
        coalesce(respondents.is_staff, false) as is_staff,
        answers.is_withdrawn,
        answers.submitted_at,
        answers.updated_at,
        answers.row_hash,
        answers.load_id,
        answers.loaded_at,
        answers.source_file,
        answers.source_line
    from answers
    left join respondents
        on
            answers.source_system = respondents.source_system
            and answers.source_contact_id = respondents.source_contact_id
    left join surveys
        on
            answers.source_system = surveys.source_system
            and answers.source_survey_id = surveys.source_survey_id
    left join account_aliases
        on
            answers.source_system = account_aliases.source_system
            and answers.source_account_id = account_aliases.account_alias
)

select * from final
