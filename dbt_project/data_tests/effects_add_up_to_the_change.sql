-- Rate and mix effects of the values of a segment add up to the change of the total, and so do promoter gain and
-- detractor loss; each row is rounded to four digits.
select
    survey_type,
    period_grain,
    period_start,
    segment,
    sum(rate_effect + mix_effect) as effects,
    sum(promoter_gain + detractor_loss) as gains,
    min(total_change) as total_change
from {{ ref('nps_change_decomposition') }}
group by survey_type, period_grain, period_start, segment
having
    abs(sum(rate_effect + mix_effect) - min(total_change)) > 0.0001 * count(*)
    or abs(sum(promoter_gain + detractor_loss) - min(total_change)) > 0.0001 * count(*)
