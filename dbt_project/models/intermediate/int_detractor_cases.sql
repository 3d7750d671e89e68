-- Grain: one counted detractor answer of a survey that is followed up, with the time by which: whenever it was given,
-- since which of them are cases depends on the moment as of which.
{{ config(materialized = 'incremental', unique_key = 'response_id', meta = {'present': 'opened_at'}) }}

with
{%- if is_incremental() %}
affected as (
    select changed_value as response_id from {{ changed('fct_nps_responses', 'response_id') }} as answers
),
{% endif %}
answers as (
    select
        response_id,
        submitted_at as opened_at,
        {{ answer_calendar() }} as calendar,
        {{ answer_seconds() }} as seconds_allowed
    from {{ concerned(ref('fct_nps_responses'), 'response_id', 'select response_id from affected') }}
    where {{ is_followed_up() }}
),

business_hours as (
    select * from {{ ref('int_business_hours') }}
),

placed as (
    select
        *,
        {{ calendar_date('calendar', 'opened_at') }} as local_date
    from answers
),

-- The number, since the calendar began, of the working second by which somebody must have been in contact.
counted as (
    select
        placed.response_id,
        placed.opened_at,
        placed.calendar,
        business_hours.seconds_before
        + greatest(0, least(
            business_hours.working_seconds, {{ seconds_between('business_hours.opens_at', 'placed.opened_at') }}
        ))
        + placed.seconds_allowed as due_second
    from placed
    left join business_hours
        on placed.calendar = business_hours.calendar and placed.local_date = business_hours.local_date
),

-- The day with that second is found by its hour: by the second alone, each case would be compared with every day.
numbered as (
    select
        *,
        cast(floor((due_second - 1) / 3600e0) as bigint) as due_hour
    from counted
),

working_days as (
    select
        *,
        cast(floor(seconds_before / 3600e0) as bigint) as first_hour,
        cast(floor((seconds_before + working_seconds - 1) / 3600e0) as bigint) as last_hour
    from business_hours
    where working_seconds > 0
),

working_hours as (
    {{ expand_group('working_days', 'last_hour - first_hour + 1') }}
),

hours_of_days as (
    select
        calendar,
        first_hour + position_in_group - 1 as working_hour,
        opens_at,
        seconds_before,
        working_seconds
    from working_hours
),

final as (
    select
        numbered.response_id,
        numbered.opened_at,
        numbered.calendar,
        {{ add_seconds('hours_of_days.opens_at', 'numbered.due_second - hours_of_days.seconds_before') }} as due_at
    from numbered
    left join hours_of_days
        on
            numbered.calendar = hours_of_days.calendar
            and numbered.due_hour = hours_of_days.working_hour
            and numbered.due_second > hours_of_days.seconds_before
            and numbered.due_second <= hours_of_days.seconds_before + hours_of_days.working_seconds
)

{{ with_removed_keys('final', 'response_id') }}
