-- Grain: one survey type in one period (day, week, month, quarter, year) for one value of one segment.
with cells as (
    select * from {{ ref('int_period_counts') }}
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
        coalesce(compared.period_end < horizon.loaded_date and compared.period_end <= horizon.as_of_date, false)
            as is_complete_period,
        {{ nps_measures('compared', 'confidence.z') }},
        {{ comparison_measures('compared') }}
    from compared
    cross join horizon
    cross join confidence
)

select * from final
