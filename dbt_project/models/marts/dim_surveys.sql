-- Grain: one survey.
with surveys as (
    select * from {{ ref('surveys') }}
),

final as (
    select
        survey_id,
        min(survey_name) as survey_name,
        min(survey_type) as survey_type,
        min(touchpoint) as touchpoint,
        count(*) as source_surveys
    from surveys
    group by survey_id
)

select * from final
