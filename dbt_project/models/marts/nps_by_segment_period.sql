-- Grain: one survey type in one period (day, week, month, quarter, year) for one value of one segment.
{%- set grains = ['day', 'week', 'month', 'quarter', 'year'] %}

with counts as (
    select * from {{ ref('int_nps_daily_counts') }}
),

dates as (
    select
        *,
        date_day as day_start,
        date_day as day_end
    from {{ ref('dim_dates') }}
),

-- What was loaded last tells how far the figures reach: a later period cannot be complete.
horizon as (
    select {{ business_date('max(loaded_at)') }} as as_of_date from {{ ref('stg_lake__loads') }}
),

confidence as (
    select {{ confidence_z() }} as z
),

by_period as (
    {%- for grain in grains %}
    select
        counts.survey_type,
        '{{ grain }}' as period_grain,
        dates.{{ grain }}_start as period_start,
        dates.{{ grain }}_end as period_end,
        counts.segment,
        counts.segment_value,
        sum(counts.invited) as invited,
        sum(counts.delivered) as delivered,
        sum(counts.answered) as answered,
        sum(counts.responses) as responses,
        sum(counts.promoters) as promoters,
        sum(counts.passives) as passives,
        sum(counts.detractors) as detractors
    from counts
    inner join dates on counts.count_date = dates.date_day
    group by
        counts.survey_type,
        dates.{{ grain }}_start,
        dates.{{ grain }}_end,
        counts.segment,
        counts.segment_value
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- Every cell that ever had an answer or an invitation keeps its row in every period of its survey type,
-- so that a quiet month is a row without a score and not a gap. Where nobody knows a segment of those who did not
-- answer, the counts of invitations are empty, and not 0.
cells as (
    select
        survey_type,
        segment,
        segment_value,
        count(invited) > 0 as has_invitations
    from counts
    group by survey_type, segment, segment_value
),

spans as (
    select
        survey_type,
        min(count_date) as first_date,
        max(count_date) as last_date
    from counts
    group by survey_type
),

periods as (
    {%- for grain in grains %}
    select distinct
        spans.survey_type,
        '{{ grain }}' as period_grain,
        dates.{{ grain }}_start as period_start,
        dates.{{ grain }}_end as period_end
    from dates
    inner join spans on dates.date_day between spans.first_date and spans.last_date
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

filled as (
    select
        periods.survey_type,
        periods.period_grain,
        periods.period_start,
        periods.period_end,
        cells.segment,
        cells.segment_value,
        {%- for count in ['invited', 'delivered', 'answered'] %}
        case when cells.has_invitations then coalesce(by_period.{{ count }}, 0) end as {{ count }},
        {%- endfor %}
        coalesce(by_period.responses, 0) as responses,
        coalesce(by_period.promoters, 0) as promoters,
        coalesce(by_period.passives, 0) as passives,
        coalesce(by_period.detractors, 0) as detractors
    from periods
    inner join cells on periods.survey_type = cells.survey_type
    left join by_period
        on
            periods.survey_type = by_period.survey_type
            and periods.period_grain = by_period.period_grain
            and periods.period_start = by_period.period_start
            and cells.segment = by_period.segment
            and cells.segment_value = by_period.segment_value
),

final as (
    select
        filled.survey_type,
        filled.period_grain,
        filled.period_start,
        filled.period_end,
        filled.segment,
        filled.segment_value,
        filled.period_end < horizon.as_of_date as is_complete_period,
        {{ nps_measures('filled', 'confidence.z') }}
    from filled
    cross join horizon
    cross join confidence
)

select * from final
