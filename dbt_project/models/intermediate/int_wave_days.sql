-- Grain: one survey on one day, of the kinds that come in waves: which wave that is. The variable `waves` says what a
-- wave of each kind of survey is.

with survey_days as (
    select
        days.survey_id,
        days.survey_type,
        days.count_date,
        case days.survey_type
            {%- for survey_type, wave in var('waves').items() %}
            {%- set period = 'cast(dates.' ~ wave ~ '_start as ' ~ dbt.type_string() ~ ')' %}
            when '{{ survey_type }}' then {{ 'days.survey_id' if wave == 'survey' else period }}
            {%- endfor %}
        end as wave,
        case
            {%- for survey_type, wave in var('waves').items() if wave != 'survey' %}
            when days.survey_type = '{{ survey_type }}' then dates.{{ wave }}_end
            {%- endfor %}
            when days.delivered > 0 then days.count_date
        end as last_sent
    from {{ ref('int_survey_days') }} as days
    inner join {{ ref('dim_dates') }} as dates on days.count_date = dates.date_day
    where days.survey_type in ({{ literals(var('waves')) }})
),

-- A wave is over once the last invitation had time to be answered.
waves as (
    select
        spans.survey_type,
        spans.wave,
        {{ add_days('spans.last_sent', var('guard_windows').settle_days) }} <= last_day.last_date as is_complete,
        row_number() over (partition by spans.survey_type order by spans.first_date, spans.wave) as wave_number
    from (
        select
            survey_type,
            wave,
            min(count_date) as first_date,
            coalesce(max(last_sent), max(count_date)) as last_sent
        from survey_days
        group by survey_type, wave
    ) as spans
    cross join {{ ref('int_last_day') }} as last_day
),

final as (
    select
        survey_days.survey_id,
        survey_days.count_date,
        waves.survey_type,
        waves.wave,
        cast(waves.wave_number as integer) as wave_number,
        waves.is_complete
    from survey_days
    inner join waves on survey_days.survey_type = waves.survey_type and survey_days.wave = waves.wave
)

select * from final
