-- Grain: one survey type in one period (day, week, month, quarter, year) for one value of one segment.
with cells as (
    select * from {{ ref('int_period_counts') }}
),

confidence as (
    select {{ confidence_z() }} as z
),

{{ comparison_ctes(
    'cells',
    cell_key=['survey_type', 'period_grain', 'segment', 'segment_value'],
    order_by='period_start',
    offset=1,
    family=['survey_type', 'period_grain', 'period_start', 'segment'],
) }},

final as (
    select
        compared.survey_type,
        compared.period_grain,
        compared.period_start,
        compared.period_end,
        compared.segment,
        compared.segment_value,
        compared.is_complete_period,
        {{ nps_measures('compared', 'confidence.z') }},
        {{ comparison_measures('compared') }}
    from compared
    cross join confidence
)

select * from final
