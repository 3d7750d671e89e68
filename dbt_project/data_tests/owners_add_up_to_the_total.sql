-- In every period the own scorecards of all owners, unknown among them, hold every answer, and those of what was
-- handled every answer of which it is known by whom; a domain or team holds what the scorecards of those in it hold.
{%- set grains = ['quarter', 'year'] %}
with own as (
    select * from {{ ref('nps_by_owner') }}
    where scope in ('own', 'handled') and segment = 'all'
),

owned as (
    select
        scope,
        survey_type,
        period_grain,
        period_start,
        sum(responses) as responses,
        sum(promoters) as promoters
    from own
    group by scope, survey_type, period_grain, period_start
),

-- What the scorecards are made of, also in periods that they leave out.
counted as (
    {%- for grain in grains %}
    select
        case credited_as when 'owner' then 'own' else 'handled' end as scope,
        survey_type,
        '{{ grain }}' as period_grain,
        {{ grain }}_start as period_start,
        sum(responses) as responses,
        sum(promoters) as promoters
    from {{ ref('int_owner_counts') }}
    group by credited_as, survey_type, {{ grain }}_start
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

handled as (
    select
        responses.survey_type,
        dates.quarter_start,
        dates.year_start,
        count(*) as responses,
        count(case when responses.category = 'promoter' then 1 end) as promoters
    from {{ ref('fct_nps_responses') }} as responses
    inner join {{ ref('dim_dates') }} as dates on responses.response_date = dates.date_day
    where responses.handled_by is not null
    group by responses.survey_type, dates.quarter_start, dates.year_start
),

totals as (
    select
        'own' as scope,
        survey_type,
        period_grain,
        period_start,
        responses,
        promoters
    from {{ ref('nps_by_segment_period') }}
    where segment = 'all' and period_grain in ('quarter', 'year')
    {%- for grain in grains %}
    union all
    select
        'handled' as scope,
        survey_type,
        '{{ grain }}' as period_grain,
        {{ grain }}_start as period_start,
        sum(responses) as responses,
        sum(promoters) as promoters
    from handled
    group by survey_type, {{ grain }}_start
    {%- endfor %}
),

below as (
    select
        case own.scope when 'own' then 'domain' else 'team' end as scope,
        own.survey_type,
        own.period_grain,
        own.period_start,
        hierarchy.manager_id as owner_id,
        sum(own.responses) as responses,
        sum(own.promoters) as promoters
    from own
    inner join {{ ref('dim_owner_hierarchy') }} as hierarchy on own.owner_id = hierarchy.owner_id
    group by own.scope, own.survey_type, own.period_grain, own.period_start, hierarchy.manager_id
)

{%- for sums in ['owned', 'counted'] %}
select
    coalesce(totals.scope, {{ sums }}.scope) as scope,
    coalesce(totals.survey_type, {{ sums }}.survey_type) as survey_type,
    coalesce(totals.period_grain, {{ sums }}.period_grain) as period_grain,
    coalesce(totals.period_start, {{ sums }}.period_start) as period_start,
    cast(null as {{ dbt.type_string() }}) as owner_id
from totals
full outer join {{ sums }}
    on
        totals.scope = {{ sums }}.scope
        and totals.survey_type = {{ sums }}.survey_type
        and totals.period_grain = {{ sums }}.period_grain
        and totals.period_start = {{ sums }}.period_start
where
    coalesce(totals.responses, 0) <> coalesce({{ sums }}.responses, 0)
    or coalesce(totals.promoters, 0) <> coalesce({{ sums }}.promoters, 0)
union all
{%- endfor %}
select
    domains.scope,
    domains.survey_type,
    domains.period_grain,
    domains.period_start,
    domains.owner_id
from {{ ref('nps_by_owner') }} as domains
left join below
    on
        domains.scope = below.scope
        and domains.survey_type = below.survey_type
        and domains.period_grain = below.period_grain
        and domains.period_start = below.period_start
        and domains.owner_id = below.owner_id
where
    domains.scope in ('domain', 'team')
    and domains.segment = 'all'
    and (domains.responses <> coalesce(below.responses, 0) or domains.promoters <> coalesce(below.promoters, 0))
