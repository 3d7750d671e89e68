-- Grain: one survey type for one value of one segment, over the whole history.
with counts as (
    select
        survey_type,
        segment,
        segment_value,
        min(count_date) as first_date,
        max(count_date) as last_date,
        sum(invited) as invited,
        sum(delivered) as delivered,
        sum(answered) as answered,
        sum(responses) as responses,
        sum(promoters) as promoters,
        sum(passives) as passives,
        sum(detractors) as detractors
    from {{ ref('int_daily_counts') }}
    group by survey_type, segment, segment_value
),

confidence as (
    select {{ confidence_z() }} as z
),

final as (
    select
        counts.survey_type,
        counts.segment,
        counts.segment_value,
        counts.first_date,
        counts.last_date,
        {{ nps_measures('counts', 'confidence.z') }}
    from counts
    cross join confidence
)

select * from final
