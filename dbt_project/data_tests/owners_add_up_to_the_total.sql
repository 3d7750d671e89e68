-- In every period the own scorecards of all owners, unknown among them, hold every answer, and those of what was
-- handled every answer of which it is known by whom; a domain or team holds what the scorecards of those in it hold.
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

handled as (
    select
        responses.survey_type,
        dates.year_start,
        count(*) as responses,
        count(case when responses.category = 'promoter' then 1 end) as promoters
    from {{ ref('fct_nps_responses') }} as responses
    inner join {{ ref('dim_dates') }} as dates on responses.response_date = dates.date_day
    where responses.handled_by is not null
    group by responses.survey_type, dates.year_start
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
    union all
    select
        'handled' as scope,
        survey_type,
        'year' as period_grain,
        year_start as period_start,
        responses,
        promoters
    from handled
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

select
    totals.scope,
    totals.survey_type,
    totals.period_grain,
    totals.period_start,
    cast(null as {{ dbt.type_string() }}) as owner_id
from totals
left join owned
    on
        totals.scope = owned.scope
        and totals.survey_type = owned.survey_type
        and totals.period_grain = owned.period_grain
        and totals.period_start = owned.period_start
where totals.responses <> coalesce(owned.responses, 0) or totals.promoters <> coalesce(owned.promoters, 0)
union all
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
