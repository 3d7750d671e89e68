-- Over the causes of a restated number, the changes are the difference of each count, the effects that of the score.
select
    publication_id,
    survey_type,
    period_grain,
    period_start,
    segment,
    segment_value,
    sum(promoters_change) as promoters_change,
    sum(passives_change) as passives_change,
    sum(detractors_change) as detractors_change,
    sum(nps_effect) as nps_effects
from {{ ref('nps_restatements') }}
group by publication_id, survey_type, period_grain, period_start, segment, segment_value
having
    sum(promoters_change) <> min(current_promoters - published_promoters)
    or sum(passives_change) <> min(current_passives - published_passives)
    or sum(detractors_change) <> min(current_detractors - published_detractors)
    or sum(nps_effect) <> min(current_nps - published_nps)
