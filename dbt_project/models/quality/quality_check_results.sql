-- Grain: one check of one run. A view, since the checks of a run end after the models are built.
{{ config(materialized = 'view') }}

with results as (
    select * from {{ source('lake', 'check_results') }}
),

final as (
    select
        run_id,
        checked_at,
        suite,
        table_name,
        item,
        column_name,
        expectation,
        severity,
        is_success,
        observed_value,
        unexpected_count,
        unexpected_percent,
        threshold,
        owner,
        action,
        source_system,
        survey_id,
        segment,
        segment_value
    from results
)

select * from final
