-- Grain: one figure of a survey tool's own and one reason; `all` is the whole figure, the others add up to it. A figure
-- is that of a survey in a month, where the tool groups its answers, or a total that it gives for a span of time.
{%- set figure = ['source_system', 'source_survey_id', 'period_start', 'period_end'] %}
{%- set counts = [] %}
{%- for side in ['vendor_', ''] %}
{%- for category in ['promoter', 'passive', 'detractor'] %}
{%- do counts.append(side ~ category ~ 's') %}
{%- endfor %}
{%- endfor %}

with {{ latest_deliveries('vendor_totals', ['source_system', 'starts_at', 'ends_before']) }},

totals as (
    select
        *,
        {{ business_date('starts_at') }} as period_start,
        {{ business_date(add_hours('ends_before', -1)) }} as period_end
    from latest
    where starts_at is not null and ends_before is not null
),

-- Once for each answer, as it was delivered last; one that was withdrawn is in no figure of the tool's either.
standing as (
    select
        answers.source_system,
        coalesce(answers.source_survey_id, 'unknown') as source_survey_id,
        answers.vendor_category,
        answers.score_number,
        answers.submitted_at,
        coalesce(answers.submitted_at, answers.loaded_at) as given_at,
        case when repeated.load_id is null then answers.decision else 'duplicate' end as decision
    from {{ ref('int_delivered_answers') }} as answers
    left join {{ ref('int_repeated_answers') }} as repeated
        on answers.load_id = repeated.load_id and answers.source_line = repeated.source_line
    where answers.decision not in ('duplicate', 'superseded', 'withdrawn') and answers.score_type = 'nps'
),

grouped_surveys as (
    select distinct
        source_system,
        source_survey_id
    from standing
    where vendor_category is not null
),

grouped_answers as (
    select
        standing.*,
        {{ date_start('month', business_date('standing.given_at')) }} as period_start
    from standing
    inner join grouped_surveys
        on
            standing.source_system = grouped_surveys.source_system
            and standing.source_survey_id = grouped_surveys.source_survey_id
),

-- Which answers a total counts, the tool does not say: those with a score, grouped as everybody does.
answers as (
    select
        source_system,
        source_survey_id,
        period_start,
        {{ add_days(add_months('period_start', 1), -1) }} as period_end,
        vendor_category,
        score_number,
        decision
    from grouped_answers
    union all
    select
        totals.source_system,
        'all' as source_survey_id,
        totals.period_start,
        totals.period_end,
        case
            when standing.score_number <> floor(standing.score_number) then null
            when standing.score_number between 9 and 10 then 'promoter'
            when standing.score_number between 7 and 8 then 'passive'
            when standing.score_number between 0 and 6 then 'detractor'
        end as vendor_category,
        standing.score_number,
        standing.decision
    from totals
    inner join standing
        on
            totals.source_system = standing.source_system
            and totals.starts_at <= standing.submitted_at
            and totals.ends_before > standing.submitted_at
),

compared as (
    select
        {{ figure | join(', ') }},
        vendor_category,
        case when decision = 'counted' then {{ nps_category('score_number') }} end as category,
        case
            when decision <> 'counted' then decision
            when vendor_category is null then 'no_group'
            when vendor_category = {{ nps_category('score_number') }} then 'same'
            else 'other_group'
        end as reason
    from answers
    where vendor_category is not null or decision = 'counted'
),

reasons as (
    select
        {{ figure | join(', ') }},
        reason,
        {%- for count in counts %}
        {%- set column = 'vendor_category' if count.startswith('vendor_') else 'category' %}
        count(case when {{ column }} = '{{ count.split('_')[-1][:-1] }}' then 1 end) as {{ count }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    from compared
    group by {{ figure | join(', ') }}, reason
),

sums as (
    select
        {{ figure | join(', ') }},
        {%- for count in counts %}
        sum({{ count }}) as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from reasons
    group by {{ figure | join(', ') }}
),

given_totals as (
    select
        totals.source_system,
        'all' as source_survey_id,
        totals.period_start,
        totals.period_end,
        {%- for count in counts %}
        {%- if count.startswith('vendor_') %}
        totals.{{ count.split('_')[1] }} as {{ count }},
        totals.{{ count.split('_')[1] }} - coalesce(sums.{{ count }}, 0) as rest_{{ count }},
        {%- else %}
        coalesce(sums.{{ count }}, 0) as {{ count }}{{ ',' if not loop.last }}
        {%- endif %}
        {%- endfor %}
    from totals
    left join sums
        on
            totals.source_system = sums.source_system
            and sums.source_survey_id = 'all'
            and totals.period_start = sums.period_start
            and totals.period_end = sums.period_end
),

figures as (
    select
        {{ figure | join(', ') }},
        'all' as reason,
        {{ counts | join(', ') }}
    from sums
    where source_survey_id <> 'all'
    union all
    select
        {{ figure | join(', ') }},
        'all' as reason,
        {{ counts | join(', ') }}
    from given_totals
    union all
    select
        {{ figure | join(', ') }},
        reason,
        {{ counts | join(', ') }}
    from reasons
    union all
    select
        {{ figure | join(', ') }},
        'not_delivered' as reason,
        {%- for count in counts %}
        {{ 'rest_' ~ count if count.startswith('vendor_') else '0' }} as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from given_totals
    where rest_vendor_promoters <> 0 or rest_vendor_passives <> 0 or rest_vendor_detractors <> 0
),

final as (
    select
        {{ figure | join(', ') }},
        reason,
        {%- for count in counts %}
        cast({{ count }} as bigint) as {{ count }},
        {%- endfor %}
        {%- for side in ['vendor_', ''] %}
        {%- set p, a, d = side ~ 'promoters', side ~ 'passives', side ~ 'detractors' %}
        case
            when reason = 'all' then {{ points(nps(p, d, '(' ~ p ~ ' + ' ~ a ~ ' + ' ~ d ~ ')')) }}
        end as {{ side }}nps{{ ',' if not loop.last }}
        {%- endfor %}
    from figures
)

select * from final
