-- Grain: one survey type in one period in which cases were opened, for one owner of accounts or for all of them.
{%- set enough = var('evidence_minimum').interval %}
{%- set groups = ['contacted', 'uncontacted'] %}
with cases as (
    select
        survey_type,
        owner_when_opened_id,
        opened_date,
        state,
        is_contacted_in_time,
        first_contact_at is not null as is_contacted,
        {{ seconds_between('opened_at', 'first_contact_at') }} / 3600e0 as hours_to_contact,
        is_recovered
    from {{ ref('detractor_recovery') }}
),

dates as (
    select * from {{ ref('dim_dates') }}
),

-- Where there is a case, there is an answer.
periods as (
    select
        survey_type,
        period_grain,
        period_start,
        is_complete_period
    from {{ ref('nps_by_segment_period') }}
    where segment = 'all' and period_grain in ('month', 'quarter', 'year')
),

confidence as (
    select {{ confidence_z() }} as z
),

of_owners as (
    select
        cases.owner_when_opened_id as owner_id,
        cases.*
    from cases
    union all
    select
        'all' as owner_id,
        cases.*
    from cases
),

counts as (
    {%- for grain in ['month', 'quarter', 'year'] %}
    select
        of_owners.survey_type,
        '{{ grain }}' as period_grain,
        dates.{{ grain }}_start as period_start,
        dates.{{ grain }}_end as period_end,
        of_owners.owner_id,
        count(*) as cases,
        count(case when of_owners.is_contacted then 1 end) as contacted,
        count(case when of_owners.is_contacted_in_time then 1 end) as contacted_in_time,
        count(case when of_owners.is_contacted_in_time is not null then 1 end) as judged,
        count(case when of_owners.state = 'resolved' then 1 end) as resolved,
        count(case when of_owners.state = 'overdue' then 1 end) as overdue,
        median(of_owners.hours_to_contact) as median_hours_to_contact,
        {%- for group in groups %}
        {%- set of_group = 'of_owners.is_contacted' if group == 'contacted' else 'not of_owners.is_contacted' %}
        count(case when {{ of_group }} then of_owners.is_recovered end) as {{ group }}_answered_again,
        count(case when {{ of_group }} and of_owners.is_recovered then 1 end) as {{ group }}_recovered
        {{- ',' if not loop.last }}
        {%- endfor %}
    from of_owners
    inner join dates on of_owners.opened_date = dates.date_day
    group by
        of_owners.survey_type, dates.{{ grain }}_start, dates.{{ grain }}_end, of_owners.owner_id
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- Null where the evidence is insufficient, so that nobody reads a rate into three answers.
rates as (
    select
        counts.*,
        periods.is_complete_period
        {%- for group in groups %}
        {%- set answered, recovered = 'counts.' ~ group ~ '_answered_again', 'counts.' ~ group ~ '_recovered' %},
        case
            when {{ answered }} >= {{ enough }} then 1e0 * {{ recovered }} / {{ answered }}
        end as {{ group }}_rate,
        {%- for bound, side in {'low': -1, 'high': 1}.items() %}
        case
            when {{ answered }} >= {{ enough }} then {{ wilson_bound(recovered, answered, 'confidence.z', side) }}
        end as {{ group }}_{{ bound }}{{ ',' if not loop.last }}
        {%- endfor %}
        {%- endfor %}
    from counts
    inner join periods
        on
            counts.survey_type = periods.survey_type
            and counts.period_grain = periods.period_grain
            and counts.period_start = periods.period_start
    cross join confidence
),

final as (
    select
        survey_type,
        period_grain,
        period_start,
        period_end,
        is_complete_period,
        owner_id,
        cast(cases as bigint) as cases,
        cast(contacted as bigint) as contacted,
        cast(judged as bigint) as judged,
        cast(contacted_in_time as bigint) as contacted_in_time,
        cast(resolved as bigint) as resolved,
        cast(overdue as bigint) as overdue,
        {{ rate('contacted_in_time', 'judged') }} as in_time_rate,
        {{ rate('resolved', 'cases') }} as closure_rate,
        {{ six_digits('median_hours_to_contact') }} as median_hours_to_contact,
        {%- for group in groups %}
        cast({{ group }}_answered_again as bigint) as {{ group }}_answered_again,
        cast({{ group }}_recovered as bigint) as {{ group }}_recovered,
        {{ six_digits(group ~ '_rate') }} as {{ group }}_recovery_rate,
        {{ six_digits(group ~ '_low') }} as {{ group }}_ci_low,
        {{ six_digits(group ~ '_high') }} as {{ group }}_ci_high,
        {%- endfor %}
        {{ six_digits('contacted_rate - uncontacted_rate') }} as recovery_difference,
        {%- for bound, side in {'low': -1, 'high': 1}.items() %}
        {{ six_digits(newcombe_bound(
            {'rate': 'contacted_rate', 'low': 'contacted_low', 'high': 'contacted_high'},
            {'rate': 'uncontacted_rate', 'low': 'uncontacted_low', 'high': 'uncontacted_high'},
            side
        )) }} as difference_ci_{{ bound }},
        {%- endfor %}
        {{ evidence('least(contacted_answered_again, uncontacted_answered_again)') }} as evidence
    from rates
)

select * from final
