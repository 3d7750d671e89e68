-- Grain: one published number (survey type, period, segment value, publication) that is another one now, for one cause
-- of the difference. Only periods that were complete when published: one that still runs is expected to move.
{%- set counts = ['promoters', 'passives', 'detractors'] %}
{%- set cell = ['survey_type', 'period_grain', 'period_start', 'period_end', 'segment', 'segment_value'] %}
{%- set of_number %}
            partition by publication_id, {{ cell | join(', ') }}
        {%- endset %}

with numbers as (
    select * from {{ ref('stg_lake__published_numbers') }}
),

present as (
    select * from {{ ref('nps_by_segment_period') }}
),

-- From publication to publication, and since the last one. What is no segment any more has no number now.
daily as (
    {%- for relation, moved_at in {
        'stg_lake__published_changes': 'published_at', 'int_daily_changes': "timestamp '9999-12-31'",
    }.items() %}
    select
        {{ moved_at }} as moved_at,
        survey_type,
        count_date,
        segment,
        segment_value,
        cause,
        {{ counts | join(', ') }}
    from {{ ref(relation) }}
    where
        segment in (
            {%- for segment in segments_with_total() %}
            '{{ segment.name }}'{{ ',' if not loop.last }}
            {%- endfor %}
        )
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- Also days that have no answers any more, which dim_dates may not have either.
dates as (
    select
        *,
        date_day as day_start,
        date_day as day_end
    from (
        {{ with_periods('select distinct count_date as date_day from daily') }}
    ) as days
),

moves as (
    {%- for grain in ['day', 'week', 'month', 'quarter', 'year'] %}
    select
        daily.moved_at,
        daily.survey_type,
        '{{ grain }}' as period_grain,
        dates.{{ grain }}_start as period_start,
        dates.{{ grain }}_end as period_end,
        daily.segment,
        daily.segment_value,
        daily.cause,
        daily.promoters,
        daily.passives,
        daily.detractors
    from daily
    inner join dates on daily.count_date = dates.date_day
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

explained as (
    select
        numbers.publication_id,
        numbers.published_at,
        {%- for column in cell %}
        numbers.{{ column }},
        {%- endfor %}
        numbers.promoters as published_promoters,
        numbers.passives as published_passives,
        numbers.detractors as published_detractors,
        numbers.nps as published_nps,
        moves.cause,
        case moves.cause
            {%- for cause in restatement_causes() %}
            when '{{ cause }}' then {{ loop.index }}
            {%- endfor %}
        end as cause_number,
        cast(sum(moves.promoters) as bigint) as promoters,
        cast(sum(moves.passives) as bigint) as passives,
        cast(sum(moves.detractors) as bigint) as detractors
    from numbers
    inner join moves
        on
            {%- for column in cell %}
            numbers.{{ column }} = moves.{{ column }} and
            {%- endfor %}
            numbers.published_at < moves.moved_at
    group by
        numbers.publication_id,
        numbers.published_at,
        {%- for column in cell %}
        numbers.{{ column }},
        {%- endfor %}
        numbers.promoters,
        numbers.passives,
        numbers.detractors,
        numbers.nps,
        moves.cause
),

-- The causes one after the other: what the number is before and after each of them.
steps as (
    select
        *,
        {%- for count in counts %}
        sum({{ count }}) over ({{ of_number }}
        ) as {{ count }}_difference,
        published_{{ count }} + sum({{ count }}) over ({{ of_number }}
            order by cause_number
            rows between unbounded preceding and current row
        ) as {{ count }}_after{{ ',' if not loop.last }}
        {%- endfor %}
    from explained
),

-- A step that runs out of answers has no score; 0 stands in, which the next step starts from.
scored as (
    select
        *,
        {%- for moment, own in {'before': ' - ', 'after': none}.items() %}
        {%- set step = {} %}
        {%- for count in counts %}
        {%- do step.update({count: '(' ~ count ~ '_after' ~ (own ~ count if own else '') ~ ')'}) %}
        {%- endfor %}
        coalesce({{ points(nps(step.promoters, step.detractors, '(' ~ step.values() | join(' + ') ~ ')')) }}, 0)
            as nps_{{ moment }}{{ ',' if not loop.last }}
        {%- endfor %}
    from steps
    where
        (promoters_difference <> 0 or passives_difference <> 0 or detractors_difference <> 0)
        and (promoters <> 0 or passives <> 0 or detractors <> 0)
),

final as (
    select
        {%- for column in cell %}
        scored.{{ column }},
        {%- endfor %}
        scored.publication_id,
        scored.published_at,
        scored.cause,
        scored.published_promoters + scored.published_passives + scored.published_detractors as published_responses,
        scored.published_promoters,
        scored.published_passives,
        scored.published_detractors,
        scored.published_nps,
        coalesce(present.responses, 0) as current_responses,
        {%- for count in counts %}
        coalesce(present.{{ count }}, 0) as current_{{ count }},
        {%- endfor %}
        present.nps as current_nps,
        scored.promoters + scored.passives + scored.detractors as responses_change,
        {%- for count in counts %}
        scored.{{ count }} as {{ count }}_change,
        {%- endfor %}
        cast(
            case
                when scored.published_nps is not null and present.nps is not null
                    then scored.nps_after - scored.nps_before
            end as decimal(9, 4)
        ) as nps_effect
    from scored
    left join present
        on
            {%- for column in cell %}
            {{ 'and ' if not loop.first }}scored.{{ column }} = present.{{ column }}
            {%- endfor %}
)

select * from final
