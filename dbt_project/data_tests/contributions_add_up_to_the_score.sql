-- Of each survey type and period, the contributions of themes, unclassified and uncommented answers add up to the
-- score, each row rounded to four digits, and so do those of the three categories. No theme has more answers than
-- there are comments.
select
    themes.survey_type,
    themes.period_grain,
    themes.period_start,
    min(scores.nps) as nps,
    sum(case when themes.category = 'all' then themes.contribution end) as contributions,
    sum(case when themes.category <> 'all' then themes.contribution end) as contributions_by_category
from {{ ref('nps_theme_impact') }} as themes
inner join {{ ref('nps_by_segment_period') }} as scores
    on
        themes.survey_type = scores.survey_type
        and themes.period_grain = scores.period_grain
        and themes.period_start = scores.period_start
        and scores.segment = 'all'
where themes.theme_kind <> 'feature'
group by themes.survey_type, themes.period_grain, themes.period_start
having
    abs(sum(case when themes.category = 'all' then themes.contribution end) - min(scores.nps)) > 0.0001 * count(*)
    or abs(sum(case when themes.category <> 'all' then themes.contribution end) - min(scores.nps)) > 0.0001 * count(*)
    or max(case when themes.theme_kind <> 'uncommented' then themes.answers - themes.commented end) > 0
