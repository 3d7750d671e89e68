-- Every counted detractor answer to a survey that is followed up is one case, counted once for its owner and once for
-- all.
with detractors as (
    select
        survey_type,
        count(*) as detractors
    from {{ ref('fct_nps_responses') }}
    where {{ is_case() }}
    group by survey_type
),

cases as (
    select
        survey_type,
        count(*) as cases
    from {{ ref('detractor_recovery') }}
    group by survey_type
),

counted as (
    select
        survey_type,
        sum(case when owner_id = 'all' then cases end) as cases_of_all,
        sum(case when owner_id <> 'all' then cases end) as cases_of_owners
    from {{ ref('recovery_performance') }}
    where period_grain = 'month'
    group by survey_type
)

select
    detractors.survey_type,
    detractors.detractors,
    cases.cases,
    counted.cases_of_all,
    counted.cases_of_owners
from detractors
left join cases on detractors.survey_type = cases.survey_type
left join counted on detractors.survey_type = counted.survey_type
where
    cases.cases is distinct from detractors.detractors
    or counted.cases_of_all is distinct from detractors.detractors
    or counted.cases_of_owners is distinct from detractors.detractors
