{#-
    The closed loop, as the variable `follow_up` configures it; orchestration/follow_up.py checks that before anything
    runs. Nothing else reads the variable.
-#}

{#- The first day whose answers are cases: of whole years, so that no period is cut. -#}
{% macro first_case_date() -%}
    {{ add_months(fiscal_start('year', business_date(as_of_moment())), 12 - 12 * var('follow_up').years) }}
{%- endmacro %}


{#- Is an answer of the fact one that is followed up, whenever it was given? -#}
{% macro is_followed_up() -%}
    category = 'detractor'
    and survey_type in ({{ literals(var('follow_up').survey_types) }})
{%- endmacro %}


{#- Is it a case as of now? -#}
{% macro is_case() -%}
    {{ is_followed_up() }}
    and response_date >= {{ first_case_date() }}
    and submitted_at <= {{ as_of_moment() }}
{%- endmacro %}


{#- The calendars of working hours by name: default, and one per value of a segment. -#}
{% macro business_calendars() -%}
    {%- set calendars = var('follow_up').calendars -%}
    {%- set named = {'default': calendars.default} -%}
    {%- do named.update(calendars.get('values', {})) -%}
    {{- return(named) -}}
{%- endmacro %}


{#- Seconds from midnight of a local time like "09:30". -#}
{% macro seconds_of_day(clock) -%}
    {%- set hours, minutes = clock.split(':') -%}
    {{- return(hours | int * 3600 + minutes | int * 60) -}}
{%- endmacro %}


{#-
    What a setting has for the segment's value of an answer: for each of `choices`, {value: SQL}, its SQL, and `default`
    for the rest; also for all where no such segment is configured.
-#}
{% macro by_segment(segment, choices, default) -%}
    {%- if choices and var('segments') | selectattr('name', 'equalto', segment) | list -%}
        case {{ segment }}
            {%- for value, chosen in choices.items() %}
            when {{ text_literal(value) }} then {{ chosen }}
            {%- endfor %}
            else {{ default }}
        end
    {%- else -%}
        {{ default }}
    {%- endif -%}
{%- endmacro %}


{#- The calendar of an answer. -#}
{% macro answer_calendar() -%}
    {%- set names = {} -%}
    {%- for name in business_calendars() if name != 'default' -%}
        {%- do names.update({name: text_literal(name)}) -%}
    {%- endfor -%}
    {{ by_segment(var('follow_up').calendars.get('segment'), names, "'default'") }}
{%- endmacro %}


{#- Within how many working seconds somebody must have contacted the person who gave an answer. -#}
{% macro answer_seconds() -%}
    {%- set hours = var('follow_up').hours -%}
    {%- set seconds = {} -%}
    {%- for value, number in hours.get('values', {}).items() -%}
        {%- do seconds.update({value: (number * 3600) | int}) -%}
    {%- endfor -%}
    {{ by_segment(hours.get('segment'), seconds, (hours.default * 3600) | int) }}
{%- endmacro %}


{#- The day of a UTC timestamp on the calendar that a column names. -#}
{% macro calendar_date(calendar, utc_timestamp) -%}
    case {{ calendar }}
        {%- for name, settings in business_calendars().items() %}
        when {{ text_literal(name) }} then {{ local_date(utc_timestamp, settings.time_zone) }}
        {%- endfor %}
    end
{%- endmacro %}


{#-
    By how many days the calendars must outlast the last answer: twice those that hold the longest deadline, for days
    off, and two months. The test of int_detractor_cases fails where that is too short.
-#}
{% macro calendar_days_ahead() -%}
    {%- set hours = var('follow_up').hours -%}
    {%- set longest = ([hours.default] + hours.get('values', {}).values() | list) | max -%}
    {%- set days = [60] -%}
    {%- for calendar in business_calendars().values() -%}
        {%- set day = seconds_of_day(calendar.closes) - seconds_of_day(calendar.opens) -%}
        {%- do days.append(60 + (longest * 3600 / day * 7 / (calendar.days | length) * 2) | int) -%}
    {%- endfor -%}
    {{- return(days | max) -}}
{%- endmacro %}
