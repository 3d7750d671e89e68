{{ config(meta = {'dagster': {'ref': {'name': 'nps_by_segment_period'}}}) }} -- whose check it is on the Dagster page

-- The average of nps_contribution over the answers of a month is the NPS the mart shows for it, with and without the
-- answers that a steward marked as outside the control of the business.
with facts as (
    select
        responses.survey_type,
        dates.month_start,
        avg(cast(responses.nps_contribution as {{ type_double() }})) as nps,
        count(*) as responses,
        avg(case when responses.is_controllable then cast(responses.nps_contribution as {{ type_double() }}) end)
            as controllable_nps,
        count(case when responses.is_controllable then 1 end) as controllable_responses
    from {{ ref('fct_nps_responses') }} as responses
    inner join {{ ref('dim_dates') }} as dates on responses.response_date = dates.date_day
    group by responses.survey_type, dates.month_start
)

select
    facts.*,
    marts.nps as mart_nps
from facts
left join {{ ref('nps_by_segment_period') }} as marts
    on
        facts.survey_type = marts.survey_type
        and facts.month_start = marts.period_start
        and marts.period_grain = 'month'
        and marts.segment = 'all'
where
    marts.responses is null
    or facts.responses <> marts.responses
    or abs(facts.nps - marts.nps) > 0.0001
    or facts.controllable_responses <> marts.controllable_responses
    or abs(facts.controllable_nps - marts.controllable_nps) > 0.0001
