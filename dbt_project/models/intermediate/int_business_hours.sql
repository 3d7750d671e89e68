-- Grain: one day of one calendar of the variable `follow_up`, with its working hours.
with bounds as (
    -- A day of the business may be the one before or after elsewhere.
    select
        {{ add_days('min(response_date)', -2) }} as first_day,
        {{ add_days('max(response_date)', calendar_days_ahead()) }} as last_day
    from {{ ref('fct_nps_responses') }}
),

spine as (
    {{ date_spine('bounds', 'first_day', 'last_day') }}
),

days as (
    select
        date_day,
        cast(date_day as timestamp) as midnight,
        {{ days_between(date_start('week', 'date_day'), 'date_day') }} + 1 as day_of_week
    from spine
),

holidays as (
    select * from {{ ref('holidays') }}
),

days_off as (
    {%- for name in business_calendars() %}
    select distinct
        {{ text_literal(name) }} as calendar,
        holiday_on
    from holidays
    where calendar is null or calendar = {{ text_literal(name) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- Opening and closing are moments: where the clocks change in between, the day is shorter or longer.
open_days as (
    {%- for name, calendar in business_calendars().items() %}
    select
        {{ text_literal(name) }} as calendar,
        date_day as local_date,
        {{ local_as_utc(add_seconds('midnight', seconds_of_day(calendar.opens)), calendar.time_zone) }} as opens_at,
        {{ local_as_utc(add_seconds('midnight', seconds_of_day(calendar.closes)), calendar.time_zone) }} as closes_at,
        day_of_week in ({{ calendar.days | join(', ') }}) as is_weekday
    from days
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

counted as (
    select
        open_days.calendar,
        open_days.local_date,
        open_days.opens_at,
        case
            when open_days.is_weekday and days_off.holiday_on is null
                then {{ seconds_between('open_days.opens_at', 'open_days.closes_at') }}
            else 0
        end as working_seconds
    from open_days
    left join days_off
        on open_days.calendar = days_off.calendar and open_days.local_date = days_off.holiday_on
),

final as (
    select
        calendar,
        local_date,
        opens_at,
        cast(working_seconds as bigint) as working_seconds,
        cast(coalesce(sum(working_seconds) over (
            partition by calendar order by local_date
            rows between unbounded preceding and 1 preceding
        ), 0) as bigint) as seconds_before
    from counted
)

select * from final
