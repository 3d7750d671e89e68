-- Grain: one logged action and one survey type: the customers it was for, and all others, before it and after.
{%- set days = var('action_window_days') %}
{#- The first day of each window, counted from the start of the action; in the earlier one nothing had been done yet. #}
{%- set windows = {'earlier': -2 * days, 'before': -days, 'after': 0} %}
{%- set groups = {'target': 'is_target', 'comparison': 'not is_target'} %}
{%- set counts = ['responses', 'promoters', 'passives', 'detractors'] %}
{%- set cells = {} %}
{%- for group in groups %}
    {%- for window in windows %}
        {%- set names = [] %}
        {%- for count in ['promoters', 'detractors', 'responses'] %}
            {%- do names.append(group ~ '_' ~ count ~ '_' ~ window) %}
        {%- endfor %}
        {%- do cells.update({group ~ '_' ~ window: names}) %}
    {%- endfor %}
{%- endfor %}
{%- set gain = [cells.target_after, cells.target_before, cells.comparison_after, cells.comparison_before] %}
{%- set earlier_gain = [cells.target_before, cells.target_earlier, cells.comparison_before, cells.comparison_earlier] %}
{%- set enough = 'fewest_responses >= ' ~ var('evidence_minimum').directional %}
{%- set enough_earlier = 'fewest_earlier_responses >= ' ~ var('evidence_minimum').directional %}

with actions as (
    select * from {{ ref('actions') }}
),

daily_counts as (
    select * from {{ ref('int_daily_counts') }}
),

last_day as (
    select last_date from {{ ref('int_last_day') }}
),

confidence as (
    select {{ confidence_z() }} as z
),

numbered as (
    select
        actions.action_id,
        daily_counts.survey_type,
        daily_counts.segment_value = actions.segment_value as is_target,
        {{ days_between('actions.starts_on', 'daily_counts.count_date') }} as day_number,
        {%- for count in counts %}
        daily_counts.{{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from actions
    inner join daily_counts on actions.segment = daily_counts.segment
    where coalesce(actions.survey_type, daily_counts.survey_type) = daily_counts.survey_type
),

counted as (
    select
        {%- for group, condition in groups.items() %}
        {%- for window, first_day in windows.items() %}
        {%- for count in counts %}
        cast(sum(
            case
                when {{ condition }} and day_number >= {{ first_day }} and day_number < {{ first_day + days }}
                    then {{ count }}
                else 0
            end
        ) as bigint) as {{ group }}_{{ count }}_{{ window }},
        {%- endfor %}
        {%- endfor %}
        {%- endfor %}
        action_id,
        survey_type
    from numbered
    group by action_id, survey_type
),

-- Actions at about the same time that may have met the same customers: all but those for another value of the same
-- segment. What each did cannot be told apart.
parallel as (
    select
        actions.action_id,
        count(*) as parallel_actions
    from actions
    inner join actions as others
        on
            actions.action_id <> others.action_id
            and abs({{ days_between('actions.starts_on', 'others.starts_on') }}) < {{ days }}
            and (actions.segment <> others.segment or actions.segment_value = others.segment_value)
    where coalesce(actions.survey_type, others.survey_type, '') = coalesce(others.survey_type, actions.survey_type, '')
    group by actions.action_id
),

differences as (
    select
        *,
        {{ difference_of_differences(gain) }} as impact,
        sqrt({{ difference_of_differences_variance(gain) }}) as impact_error,
        {{ difference_of_differences(earlier_gain) }} as earlier_impact,
        sqrt({{ difference_of_differences_variance(earlier_gain) }}) as earlier_error,
        least({{ gain | map('last') | join(', ') }}) as fewest_responses,
        least({{ earlier_gain | map('last') | join(', ') }}) as fewest_earlier_responses
    from counted
),

with_z as (
    select
        *,
        case when {{ enough }} then impact / impact_error end as impact_z,
        case when {{ enough_earlier }} then earlier_impact / earlier_error end as earlier_z
    from differences
),

with_p as (
    select
        *,
        2e0 * {{ normal_tail('abs(impact_z)') }} as p,
        2e0 * {{ normal_tail('abs(earlier_z)') }} as earlier_p
    from with_z
),

{{ false_discovery_ctes('with_p', ['survey_type'], 'tested') }},

final as (
    select
        tested.action_id,
        actions.action_name,
        tested.survey_type,
        actions.segment,
        actions.segment_value,
        actions.responsible,
        actions.description,
        actions.starts_on,
        {{ add_days('actions.starts_on', -days) }} as before_starts_on,
        {{ add_days('actions.starts_on', days - 1) }} as after_ends_on,
        {{ add_days('actions.starts_on', days - 1) }} <= last_day.last_date as is_complete_window,
        cast(coalesce(parallel.parallel_actions, 0) as bigint) as parallel_actions,
        {%- for group in groups %}
        {%- for window in ['before', 'after'] %}
        {%- for count in counts %}
        tested.{{ group }}_{{ count }}_{{ window }},
        {%- endfor %}
        {%- set cell = cells[group ~ '_' ~ window] %}
        case when {{ cell[2] }} >= {{ var('evidence_minimum').interval }} then {{ points(nps(*cell)) }} end
            as {{ group }}_nps_{{ window }},
        {%- endfor %}
        {%- endfor %}
        case when {{ enough }} then {{ points('100e0 * impact') }} end as impact,
        case when {{ enough }} then {{ points('100e0 * (impact - confidence.z * impact_error)') }} end
            as impact_ci_low,
        case when {{ enough }} then {{ points('100e0 * (impact + confidence.z * impact_error)') }} end
            as impact_ci_high,
        {{ six_digits('impact_z') }} as impact_z,
        {{ significance_measures('tested') }},
        case when {{ enough_earlier }} then {{ points('100e0 * earlier_impact') }} end as earlier_impact,
        {{ six_digits('earlier_p') }} as earlier_p_value
    from tested
    inner join actions on tested.action_id = actions.action_id
    left join parallel on tested.action_id = parallel.action_id
    cross join last_day
    cross join confidence
)

select * from final
