-- In every period the values of each segment add up to the total, count by count.
with by_segment as (
    select
        survey_type,
        period_grain,
        period_start,
        segment,
        sum(invited) as invited,
        sum(responses) as responses,
        sum(promoters) as promoters,
        sum(detractors) as detractors,
        sum(controllable_responses) as controllable_responses
    from {{ ref('nps_by_segment_period') }}
    group by survey_type, period_grain, period_start, segment
)

select
    by_segment.*,
    total.responses as total_responses
from by_segment
inner join by_segment as total
    on
        by_segment.survey_type = total.survey_type
        and by_segment.period_grain = total.period_grain
        and by_segment.period_start = total.period_start
        and total.segment = 'all'
where
    by_segment.responses <> total.responses
    or by_segment.promoters <> total.promoters
    or by_segment.detractors <> total.detractors
    or by_segment.invited <> total.invited
    or by_segment.controllable_responses <> total.controllable_responses
