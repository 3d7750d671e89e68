-- Grain: one survey type on one day for one value of one segment, over the days up to and including it.
{%- set days = var('trailing_window_days') %}
{%- set in_order %}
            partition by survey_type, segment, segment_value
            order by period_start
        {%- endset %}

with daily as (
    select * from {{ ref('int_period_counts') }}
    where period_grain = 'day'
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
