-- Grain: one figure that a guard judges, of one survey, one segment value of a survey type, or one source.
-- Windows are those of the variable guard_windows; what is accepted stands in expectations/thresholds.yml.
{%- set windows = var('guard_windows') %}
{%- set scores = range(11) %}
{%- set spans = {'now': 'in_window', 'before': 'in_history'} %}
{%- set weeks_before = 'days_ago between 7 and ' ~ (7 * windows.weeks + 6) %}
{%- set string = dbt.type_string() %}
{%- set bins, bins_before = [], [] %}
{%- for score in scores %}
{%- do bins.append('score_' ~ score ~ '_now') %}
{%- do bins_before.append('score_' ~ score ~ '_before') %}
{%- endfor %}
{#- Each figure: where it is from, what it is, and on how many it rests. -#}
{%- set figures = {
    'answers': {'relation': 'compared', 'observed': 'responses', 'basis': 'delivered', 'where': 'true'},
    'response_rate': {
        'relation': 'compared', 'observed': 'response_rate', 'basis': 'delivered_now', 'where': 'true',
    },
    'response_rate_ratio': {
        'relation': 'compared', 'observed': 'response_rate / nullif(response_rate_before, 0e0)',
        'basis': '1e0 * delivered_now * answered_before / nullif(delivered_before, 0)',
        'compared_with': 'response_rate_before', 'where': 'true',
    },
    'volume_ratio': {
        'relation': 'compared', 'observed': 'responses_of_day / nullif(responses_of_weekday, 0e0)',
        'basis': 'responses_of_weekday', 'compared_with': 'responses_of_weekday', 'where': 'true',
    },
    'score_drift': {
        'relation': 'compared', 'observed': stability_index(bins, bins_before),
        'basis': 'least(responses_now, responses_before)', 'where': 'responses_now > 0 and responses_before > 0',
    },
    'tens_share': {
        'relation': 'compared', 'observed': 'score_10_now / nullif(responses, 0)', 'basis': 'responses',
        'where': 'survey_id is not null',
    },
    'unmatched_share': {
        'relation': 'compared', 'observed': 'unmatched / nullif(responses_of_all, 0)', 'basis': 'responses_of_all',
        'where': "survey_id is not null or segment_value = 'unknown'",
    },
    'busiest_hour': {
        'relation': 'busiest_hours', 'observed': 'responses / usual_responses', 'basis': 'responses',
        'compared_with': 'usual_responses', 'detail': "channel || ' at ' || cast(hour_start as " ~ string ~ ")",
    },
    'answers_per_person': {
        'relation': 'busiest_people', 'observed': 'responses', 'basis': 'responses',
        'detail': "'on ' || cast(day as " ~ string ~ ") || ', such as ' || example",
    },
    'answers_per_address': {
        'relation': 'busiest_addresses', 'observed': 'responses', 'basis': 'responses',
        'detail': "'on ' || cast(day as " ~ string ~ ") || ', such as ' || example",
    },
    'straight_line_share': {
        'relation': 'lined', 'observed': 'straight_lines / responses', 'basis': 'responses', 'detail': 'example',
        'where': 'true',
    },
    'owner_lead': {
        'relation': 'leading_owners', 'observed': 'lead_points', 'basis': 'responses',
        'compared_with': nps('promoters_of_rest', 'detractors_of_rest', 'responses_of_rest'),
        'detail': "'owner ' || owner_id",
    },
    'repeated_verbatim_share': {
        'relation': 'commonest_verbatims', 'observed': 'case when uses > 1 then uses else 0 end / verbatims',
        'basis': 'verbatims', 'detail': "cast(uses as " ~ string ~ ") || ' times, such as ' || example",
    },
    'fast_share': {
        'relation': 'timed', 'observed': 'fast_responses / responses', 'basis': 'responses', 'where': 'true',
    },
    'quarantined_share': {
        'relation': 'sources', 'observed': 'quarantined_rows / nullif(delivered_rows, 0)', 'basis': 'delivered_rows',
        'where': 'true',
    },
    'unscored_share': {
        'relation': 'sources', 'observed': 'unscored_rows / nullif(delivered_rows, 0)', 'basis': 'delivered_rows',
        'where': 'true',
    },
} %}

with survey_days as (
    select * from {{ ref('int_survey_days') }}
),

reach as (
    select last_date from {{ ref('int_last_day') }}
),

-- A window is after its first date, up to and with its last.
bounds as (
    select
        last_date,
        {{ add_days('last_date', -windows.days) }} as window_start,
        {{ add_days('last_date', -windows.days * (1 + windows.history)) }} as history_start,
        {{ add_days('last_date', -windows.settle_days) }} as settled_last_date,
        {{ add_days('last_date', -windows.settle_days - windows.days) }} as settled_window_start,
        {{ add_days('last_date', -windows.settle_days - windows.days * (1 + windows.history)) }}
            as settled_history_start
    from reach
),

-- A segment has no answers by score; its three categories stand in the places of three scores.
item_days as (
    select
        survey_id as item,
        survey_id,
        survey_type,
        cast(null as {{ dbt.type_string() }}) as segment,
        cast(null as {{ dbt.type_string() }}) as segment_value,
        count_date,
        delivered,
        answered,
        responses,
        unmatched,
        {%- for score in scores %}
        score_{{ score }}{{ ',' if not loop.last }}
        {%- endfor %}
    from survey_days
    union all
    select
        survey_type || ' ' || segment || ' ' || segment_value as item,
        null as survey_id,
        survey_type,
        segment,
        segment_value,
        count_date,
        delivered,
        answered,
        responses,
        case when segment_value = 'unknown' then responses else 0 end as unmatched,
        {%- for score in scores %}
        {{ ['detractors', 'passives', 'promoters'][score] or '0' }} as score_{{ score }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('int_daily_counts') }}
    where segment <> 'all'
),

placed as (
    select
        item_days.*,
        item_days.count_date > bounds.window_start as in_window,
        item_days.count_date <= bounds.window_start as in_history,
        item_days.count_date > bounds.settled_window_start
        and item_days.count_date <= bounds.settled_last_date as in_settled_window,
        item_days.count_date > bounds.settled_history_start
        and item_days.count_date <= bounds.settled_window_start as in_settled_history,
        {{ days_between('item_days.count_date', 'bounds.last_date') }} as days_ago
    from item_days
    inner join bounds
        on item_days.count_date > bounds.settled_history_start and item_days.count_date <= bounds.last_date
),

items as (
    select
        item,
        survey_id,
        survey_type,
        segment,
        segment_value,
        coalesce(sum(case when in_window then responses end), 0) as responses,
        coalesce(sum(case when in_window then unmatched end), 0) as unmatched,
        coalesce(sum(case when in_window then delivered end), 0) as delivered,
        {%- for span, condition in spans.items() %}
        coalesce(sum(case when {{ condition.replace('in_', 'in_settled_') }} then delivered end), 0)
            as delivered_{{ span }},
        coalesce(sum(case when {{ condition.replace('in_', 'in_settled_') }} then answered end), 0)
            as answered_{{ span }},
        {%- for score in scores %}
        coalesce(sum(case when {{ condition }} then score_{{ score }} end), 0) as score_{{ score }}_{{ span }},
        {%- endfor %}
        {%- endfor %}
        coalesce(sum(case when days_ago = 0 then responses end), 0) as responses_of_day,
        coalesce(sum(case when mod(days_ago, 7) = 0 and {{ weeks_before }} then responses end), 0)
            as responses_of_weekdays,
        coalesce(sum(case when days_ago < 7 then delivered end), 0) as delivered_of_week,
        coalesce(sum(case when {{ weeks_before }} then delivered end), 0) as delivered_of_weeks,
        greatest(1, least({{ windows.weeks }}, floor(max(days_ago) / 7e0))) as weeks
    from placed
    group by item, survey_id, survey_type, segment, segment_value
),

compared as (
    select
        *,
        1e0 * answered_now / nullif(delivered_now, 0) as response_rate,
        1e0 * answered_before / nullif(delivered_before, 0) as response_rate_before,
        {% for span in spans -%}
        {% for score in scores %}score_{{ score }}_{{ span }}{{ '
        + ' if not loop.last }}{% endfor %} as responses_{{ span }},
        {% endfor -%}
        case when segment is null then responses else sum(responses) over (partition by survey_type, segment) end
            as responses_of_all,
        -- A wave begins and ends: as many more or fewer answers as invitations went out in the last week.
        case
            when delivered_of_weeks > 0 then 1e0 * responses_of_weekdays * delivered_of_week / delivered_of_weeks
            else 1e0 * responses_of_weekdays / weeks
        end as responses_of_weekday
    from items
),

{# ---------------------------------------------------------------- what may be gamed, within the window -#}

answers as (
    select
        response_id,
        survey_id,
        survey_type,
        channel,
        contact_match_rule,
        owner_id,
        submitted_at,
        response_date,
        category,
        comment
    from {{ ref('fct_nps_responses') }}
    where
        response_date > (select bounds.history_start from bounds)
        and response_date <= (select bounds.last_date from bounds)
),

recent as (
    select * from answers
    where response_date > (select bounds.window_start from bounds)
),

-- Whoever answers through a link is nobody: what shows is how many come at once.
link_hours as (
    select
        survey_id,
        survey_type,
        channel,
        {{ hour_start('submitted_at') }} as hour_start,
        count(*) as responses
    from recent
    where contact_match_rule = 'anonymous'
    group by survey_id, survey_type, channel, {{ hour_start('submitted_at') }}
),

busiest_hours as (
    select
        *,
        row_number() over (
            partition by survey_id order by responses desc, hour_start asc, channel asc nulls last
        ) as place,
        median(responses) over (partition by survey_id, channel) as usual_responses
    from link_hours
),

-- Also those that only the last of a person's answers within hours is counted for.
given as (
    select
        response_id,
        survey_id,
        survey_type,
        contact_id,
        network_hash,
        is_straight_line,
        cast(submitted_at as date) as day
    from {{ ref('int_delivered_answers') }}
    where decision = 'counted' and submitted_at > (select bounds.window_start from bounds)
),
{% for busiest, key in {'busiest_people': 'contact_id', 'busiest_addresses': 'network_hash'}.items() %}
{{ busiest }} as (
    select
        *,
        row_number() over (partition by survey_id order by responses desc, day asc, example asc) as place
    from (
        select
            survey_id,
            survey_type,
            day,
            min(response_id) as example,
            count(distinct response_id) as responses
        from given
        where {{ key }} is not null
        group by survey_id, survey_type, {{ key }}, day
    ) as days_of_one
),
{% endfor %}
-- Of those with ratings enough to tell.
lined as (
    select
        survey_id,
        survey_type,
        count(*) as responses,
        count(case when is_straight_line then 1 end) as straight_lines,
        'such as ' || min(case when is_straight_line then response_id end) as example
    from given
    where is_straight_line is not null
    group by survey_id, survey_type
),

-- A window of an owner holds too few answers: over window and history together.
owners as (
    select
        survey_id,
        survey_type,
        owner_id,
        count(*) as responses,
        count(case when category = 'promoter' then 1 end) as promoters,
        count(case when category = 'detractor' then 1 end) as detractors
    from answers
    where owner_id is not null
    group by survey_id, survey_type, owner_id
),

-- Of so many owners one is always ahead by chance: the level is shared among them (Dunn 1961).
owners_and_rest as (
    select
        *,
        (sum(responses) over survey) - responses as responses_of_rest,
        (sum(promoters) over survey) - promoters as promoters_of_rest,
        (sum(detractors) over survey) - detractors as detractors_of_rest,
        1e0 - (1e0 - {{ var('confidence_level') }}) / count(*) over survey as level
    from owners
    window survey as (partition by survey_id)
),

owner_levels as (
    select
        *,
        {{ normal_quantile('level') }} as z
    from owners_and_rest
    where responses >= {{ var('evidence_minimum').directional }}
),

owner_leads as (
    select
        *,
        {{ nps_lead(
            'promoters', 'detractors', 'responses', 'promoters_of_rest', 'detractors_of_rest', 'responses_of_rest', 'z'
        ) }} as lead_points
    from owner_levels
),

leading_owners as (
    select
        *,
        row_number() over (partition by survey_id order by lead_points desc, owner_id asc) as place
    from owner_leads
),

verbatims as (
    select
        survey_id,
        survey_type,
        response_id,
        {{ key_hash(['lower(trim(comment))']) }} as text_hash
    from recent
    where length(trim(comment)) >= {{ var('verbatim_characters') }}
),

repeated_verbatims as (
    select
        survey_id,
        survey_type,
        min(response_id) as example,
        count(*) as uses
    from verbatims
    group by survey_id, survey_type, text_hash
),

commonest_verbatims as (
    select
        *,
        sum(uses) over (partition by survey_id) as verbatims,
        row_number() over (partition by survey_id order by uses desc, example asc) as place
    from repeated_verbatims
),

timed as (
    select
        survey_id,
        survey_type,
        count(*) as responses,
        count(case
            when responded_at < {{ add_seconds('coalesce(started_at, opened_at)', var('reading_seconds')) }} then 1
        end) as fast_responses
    from {{ ref('fct_survey_invitations') }}
    where
        outcome = 'answered'
        and responded_at > (select bounds.window_start from bounds)
        and responded_at >= coalesce(started_at, opened_at)
    group by survey_id, survey_type
),

{# ---------------------------------------------------------------- what a source delivered -#}

quarantined as (
    select
        load_id,
        count(*) as quarantined_rows
    from {{ ref('quality_quarantine') }}
    group by load_id
),

-- The loads of answers, each with the moment of the source's last one.
loads as (
    select
        reconciled.source_system,
        reconciled.loaded_at,
        reconciled.delivered_rows,
        reconciled.missing_score + reconciled.not_nps as unscored_rows,
        coalesce(quarantined.quarantined_rows, 0) as quarantined_rows,
        max(reconciled.loaded_at) over (partition by reconciled.source_system) as last_loaded_at
    from {{ ref('quality_reconciliation') }} as reconciled
    left join quarantined on reconciled.load_id = quarantined.load_id
),

sources as (
    select
        source_system,
        sum(delivered_rows) as delivered_rows,
        sum(quarantined_rows) as quarantined_rows,
        sum(unscored_rows) as unscored_rows
    from loads
    where loaded_at >= {{ add_hours('last_loaded_at', -24 * windows.days) }}
    group by source_system
),

figures as (
    {%- for name, figure in figures.items() %}
    select
        '{{ name }}' as figure,
        {%- if figure.relation == 'compared' %}
        item,
        cast(null as {{ string }}) as source_system,
        survey_id,
        survey_type,
        segment,
        segment_value,
        {%- elif figure.relation == 'sources' %}
        source_system as item,
        source_system,
        cast(null as {{ string }}) as survey_id,
        cast(null as {{ string }}) as survey_type,
        cast(null as {{ string }}) as segment,
        cast(null as {{ string }}) as segment_value,
        {%- else %}
        survey_id as item,
        cast(null as {{ string }}) as source_system,
        survey_id,
        survey_type,
        cast(null as {{ string }}) as segment,
        cast(null as {{ string }}) as segment_value,
        {%- endif %}
        1e0 * {{ figure.observed }} as observed,
        floor({{ figure.basis }}) as basis,
        cast({{ figure.compared_with or 'null' }} as {{ type_double() }}) as compared_with,
        cast({{ figure.detail or 'null' }} as {{ string }}) as detail
    from {{ figure.relation }}
    where {{ figure.where or 'place = 1' }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

final as (
    select
        figure,
        item,
        source_system,
        survey_id,
        survey_type,
        segment,
        segment_value,
        {{ six_digits('observed') }} as observed,
        cast(basis as bigint) as basis,
        {{ six_digits('compared_with') }} as compared_with,
        detail
    from figures
    where observed is not null
)

select * from final
