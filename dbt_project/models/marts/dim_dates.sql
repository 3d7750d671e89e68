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
)

{{ with_periods('select date_day from spine') }}
