-- Over the whole history every grain holds the same answers and invitations as the days.
with by_grain as (
    select
        survey_type,
        segment,
        segment_value,
        period_grain,
        sum(invited) as invited,
        sum(responses) as responses,
        sum(promoters) as promoters,
        sum(detractors) as detractors,
        sum(controllable_responses) as controllable_responses
    from {{ ref('nps_by_segment_period') }}
    group by survey_type, segment, segment_value, period_grain
)

select
    by_grain.*,
    days.responses as day_responses
from by_grain
inner join by_grain as days
    on
        by_grain.survey_type = days.survey_type
        and by_grain.segment = days.segment
        and by_grain.segment_value = days.segment_value
        and days.period_grain = 'day'
where
    by_grain.responses <> days.responses
    or by_grain.promoters <> days.promoters
    or by_grain.detractors <> days.detractors
    or by_grain.invited <> days.invited
    or by_grain.controllable_responses <> days.controllable_responses
