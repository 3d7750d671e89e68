-- Grain: one calendar day in the business time zone, over the whole years that have answers or invitations.

with bounds as (
    select
        {{ date_start('year', add_months('min(first_date)', -12)) }} as first_day,
        {{ add_months(date_start('year', 'max(last_date)'), 24) }} as last_day
    from (
        select
            min(response_date) as first_date,
            max(response_date) as last_date
        from {{ ref('fct_nps_responses') }}
        union all
        select
            min(sent_date) as first_date,
            max(sent_date) as last_date
        from {{ ref('fct_survey_invitations') }}
    ) as facts
),

spine as (
    {{ date_spine('bounds', 'first_day', 'last_day') }}
),

starts as (
    select
        date_day,
        {{ date_start('week', 'date_day') }} as week_start,
        {{ date_start('month', 'date_day') }} as month_start,
        {{ fiscal_start('quarter', 'date_day') }} as quarter_start,
        {{ fiscal_start('year', 'date_day') }} as year_start
    from spine
),

final as (
    select
        date_day,
        week_start,
        {{ add_days('week_start', 6) }} as week_end,
        month_start,
        {{ add_days(add_months('month_start', 1), -1) }} as month_end,
        quarter_start,
        {{ add_days(add_months('quarter_start', 3), -1) }} as quarter_end,
        year_start,
        {{ add_days(add_months('year_start', 12), -1) }} as year_end
    from starts
)

select * from final
