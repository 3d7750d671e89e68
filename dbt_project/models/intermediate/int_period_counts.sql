-- Grain: one survey type in one period (day, week, month, quarter, year) for one value of one segment, with no gaps:
-- every cell that ever had an answer or an invitation has a row in every period of its survey type, so that a quiet
-- month is a row of zeros and the row before is the period before.
{%- set grains = ['day', 'week', 'month', 'quarter', 'year'] %}

with counts as (
    select * from {{ ref('int_daily_counts') }}
),

dates as (
    select
        *,
        date_day as day_start,
        date_day as day_end
    from {{ ref('dim_dates') }}
),

-- Where nobody knows a segment of those who did not answer, the counts of invitations are empty, and not 0.
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

by_period as (
    {%- for grain in grains %}
    select
        counts.survey_type,
        '{{ grain }}' as period_grain,
        dates.{{ grain }}_start as period_start,
        counts.segment,
        counts.segment_value,
        {%- for count in count_names() %}
        sum(counts.{{ count }}) as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from counts
    inner join dates on counts.count_date = dates.date_day
    group by counts.survey_type, dates.{{ grain }}_start, counts.segment, counts.segment_value
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- Answers that were loaded last tell how far the figures reach: a later period cannot be complete, however fresh the
-- CRM is, nor one that ends after the day that is shown.
horizon as (
    select
        loaded.loaded_date,
        {{ business_date(as_of_moment()) }} as as_of_date
    from (
        {{ answers_loaded_on() }}
    ) as loaded
),

final as (
    select
        periods.survey_type,
        periods.period_grain,
        periods.period_start,
        periods.period_end,
        coalesce(periods.period_end < horizon.loaded_date and periods.period_end <= horizon.as_of_date, false)
            as is_complete_period,
        cells.segment,
        cells.segment_value,
        {%- for count in invitation_counts() %}
        cast(case when cells.has_invitations then coalesce(by_period.{{ count }}, 0) end as bigint) as {{ count }},
        {%- endfor %}
        {%- for count in response_counts() %}
        cast(coalesce(by_period.{{ count }}, 0) as bigint) as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from periods
    cross join horizon
    inner join cells on periods.survey_type = cells.survey_type
    left join by_period
        on
            periods.survey_type = by_period.survey_type
            and periods.period_grain = by_period.period_grain
            and periods.period_start = by_period.period_start
            and cells.segment = by_period.segment
            and cells.segment_value = by_period.segment_value
)

select * from final
