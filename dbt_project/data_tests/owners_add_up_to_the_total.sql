-- In every period the own scorecards of all owners, unknown among them, hold every answer; a domain holds what the own
-- scorecards of those in it hold.
with own as (
    select * from {{ ref('nps_by_owner') }}
    where scope = 'own' and segment = 'all'
),

owned as (
    select
        survey_type,
        period_grain,
        period_start,
        sum(responses) as responses,
        sum(promoters) as promoters
    from own
    group by survey_type, period_grain, period_start
),

below as (
    select
        own.survey_type,
        own.period_grain,
        own.period_start,
        hierarchy.manager_id as owner_id,
        sum(own.responses) as responses,
        sum(own.promoters) as promoters
    from own
    inner join {{ ref('dim_owner_hierarchy') }} as hierarchy on own.owner_id = hierarchy.owner_id
    group by own.survey_type, own.period_grain, own.period_start, hierarchy.manager_id
)

select
    totals.survey_type,
    totals.period_grain,
    totals.period_start,
    cast(null as {{ dbt.type_string() }}) as owner_id
from {{ ref('nps_by_segment_period') }} as totals
left join owned
    on
        totals.survey_type = owned.survey_type
        and totals.period_grain = owned.period_grain
        and totals.period_start = owned.period_start
where
    totals.segment = 'all'
    and totals.period_grain in ('quarter', 'year')
    and (totals.responses <> coalesce(owned.responses, 0) or totals.promoters <> coalesce(owned.promoters, 0))
union all
select
    domains.survey_type,
    domains.period_grain,
    domains.period_start,
    domains.owner_id
from {{ ref('nps_by_owner') }} as domains
left join below
    on
        domains.survey_type = below.survey_type
        and domains.period_grain = below.period_grain
        and domains.period_start = below.period_start
        and domains.owner_id = below.owner_id
where
    domains.scope = 'domain'
    and domains.segment = 'all'
    and (domains.responses <> coalesce(below.responses, 0) or domains.promoters <> coalesce(below.promoters, 0))
