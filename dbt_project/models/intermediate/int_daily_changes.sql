-- Grain: one survey type on one day for one segment value and one cause: how the counts moved since the last
-- publication. An answer that changed leaves where it was counted and joins where it counts now.
with changes as (
    select * from {{ ref('int_answer_changes') }}
),

moves as (
    select
        cause,
        survey_type,
        response_date,
        category,
        segments,
        1 as direction
    from changes
    where decision = 'counted'
    union all
    select
        cause,
        published_survey_type as survey_type,
        published_response_date as response_date,
        published_category as category,
        published_segments as segments,
        -1 as direction
    from changes
    where published_decision = 'counted'
),

by_segment as (
    {{ json_entries(
        'moves', 'segments', 'segment', 'segment_value',
        ['cause', 'survey_type', 'response_date', 'category', 'direction']
    ) }}
),

final as (
    select
        survey_type,
        response_date as count_date,
        segment,
        segment_value,
        cause,
        cast(sum(case when category = 'promoter' then direction else 0 end) as bigint) as promoters,
        cast(sum(case when category = 'passive' then direction else 0 end) as bigint) as passives,
        cast(sum(case when category = 'detractor' then direction else 0 end) as bigint) as detractors
    from by_segment
    group by survey_type, response_date, segment, segment_value, cause
)

select * from final
where promoters <> 0 or passives <> 0 or detractors <> 0
