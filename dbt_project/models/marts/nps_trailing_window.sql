-- Grain: one survey type on one day for one value of one segment, over the days up to and including it.
{%- set days = var('trailing_window_days') %}
{%- set in_order %}
            partition by survey_type, segment, segment_value
            order by period_start
        {%- endset %}

with counted as (
    select * from {{ ref('int_period_counts') }}
    where period_grain = 'day'
),

cells as (
    select
        survey_type,
        segment,
        segment_value,
        max(period_start) as last_date,
        count(invited) > 0 as has_invitations
    from counted
    group by survey_type, segment, segment_value
),

-- Where nothing came any more, answers go on to leave the window, until it holds none.
daily as (
    select
        survey_type,
        segment,
        segment_value,
        period_start,
        {{ count_names() | join(', ') }}
    from counted
    union all
    select
        cells.survey_type,
        cells.segment,
        cells.segment_value,
        dates.date_day as period_start,
        {%- for count in invitation_counts() %}
        cast(case when cells.has_invitations then 0 end as bigint) as {{ count }},
        {%- endfor %}
        {%- for count in response_counts() %}
        cast(0 as bigint) as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from cells
    inner join {{ ref('dim_dates') }} as dates
        on cells.last_date < dates.date_day and {{ add_days('cells.last_date', days) }} > dates.date_day
    inner join {{ ref('int_last_day') }} as last_day on dates.date_day <= last_day.last_date
),

windows as (
    select
        survey_type,
        segment,
        segment_value,
        period_start as window_end,
        {{ add_days('period_start', 1 - days) }} as window_start,
        row_number() over ({{ in_order }}
        ) >= {{ days }} as is_complete_window,
        {%- for count in count_names() %}
        {{ trailing_sum(count, in_order, days) }} as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from daily
),

confidence as (
    select {{ confidence_z() }} as z
),

{{ comparison_ctes(
    'windows',
    cell_key=['survey_type', 'segment', 'segment_value'],
    order_by='window_end',
    offset=days,
    family=['survey_type', 'window_end', 'segment'],
    complete='is_complete_window',
) }},

final as (
    select
        compared.survey_type,
        compared.window_start,
        compared.window_end,
        compared.segment,
        compared.segment_value,
        compared.is_complete_window,
        {{ nps_measures('compared', 'confidence.z') }},
        {{ comparison_measures('compared') }}
    from compared
    cross join confidence
)

select * from final
