-- Grain: one owner in one period (quarter, year) for one value of one segment, in one scope: the answers of their own
-- accounts, or those about what they handled themselves; of who has somebody below, also those of the whole domain or
-- team. Owners are those of the account when the answer was given.
{%- set segments = ['all'] + var('scorecard_segments') %}
{%- set grains = ['quarter', 'year'] %}
{%- set counts = response_counts() %}
{%- set cell = ['survey_type', 'scope', 'owner_id', 'segment', 'segment_value'] %}

with answers as (
    select * from {{ ref('int_owner_counts') }}
),

managers as (
    select distinct manager_id from {{ ref('dim_owner_hierarchy') }}
    where depth > 0
),

by_scope as (
    select
        answers.*,
        case answers.credited_as when 'owner' then 'own' else 'handled' end as scope,
        answers.owner_id as card_owner_id
    from answers
    union all
    select
        answers.*,
        case answers.credited_as when 'owner' then 'domain' else 'team' end as scope,
        hierarchy.manager_id as card_owner_id
    from answers
    inner join {{ ref('dim_owner_hierarchy') }} as hierarchy on answers.owner_id = hierarchy.owner_id
    inner join managers on hierarchy.manager_id = managers.manager_id
),

by_period as (
    {%- for segment in segments %}
    {%- set segment_loop = loop %}
    {%- for grain in grains %}
    select
        survey_type,
        scope,
        card_owner_id as owner_id,
        '{{ segment }}' as segment,
        {{ "'all'" if segment == 'all' else segment }} as segment_value,
        '{{ grain }}' as period_grain,
        {{ grain }}_start as period_start,
        {%- for count in counts %}
        cast(sum({{ count }}) as bigint) as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from by_scope
    group by survey_type, scope, card_owner_id, {{ segment ~ ', ' if segment != 'all' }}{{ grain }}_start
    {{ 'union all' if not (loop.last and segment_loop.last) }}
    {%- endfor %}
    {%- endfor %}
),

-- From the first to the last answer of a cell, quiet periods too, so that the row before is the period before.
cells as (
    select
        {{ cell | join(', ') }},
        period_grain,
        min(period_start) as first_start,
        max(period_start) as last_start
    from by_period
    group by {{ cell | join(', ') }}, period_grain
),

periods as (
    select
        survey_type,
        period_grain,
        period_start,
        period_end,
        is_complete_period
    from {{ ref('nps_by_segment_period') }}
    where segment = 'all' and period_grain in ('quarter', 'year')
),

cards as (
    select
        {%- for column in cell %}
        cells.{{ column }},
        {%- endfor %}
        periods.period_grain,
        periods.period_start,
        periods.period_end,
        periods.is_complete_period,
        {%- for count in counts %}
        cast(coalesce(by_period.{{ count }}, 0) as bigint) as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from cells
    inner join periods
        on
            cells.survey_type = periods.survey_type
            and cells.period_grain = periods.period_grain
            and periods.period_start between cells.first_start and cells.last_start
    left join by_period
        on
            periods.period_grain = by_period.period_grain
            and periods.period_start = by_period.period_start
            {%- for column in cell %}
            and cells.{{ column }} = by_period.{{ column }}
            {%- endfor %}
),

confidence as (
    select {{ confidence_z() }} as z
),

{{ comparison_ctes(
    'cards',
    cell_key=cell + ['period_grain'],
    order_by='period_start',
    offset=1,
    family=['survey_type', 'scope', 'segment', 'period_grain', 'period_start'],
) }},

final as (
    select
        compared.survey_type,
        compared.period_grain,
        compared.period_start,
        compared.period_end,
        compared.owner_id,
        compared.scope,
        compared.segment,
        compared.segment_value,
        compared.is_complete_period,
        compared.responses,
        compared.promoters,
        compared.passives,
        compared.detractors,
        {{ score_measures('compared', 'confidence.z') }},
        {{ evidence('compared.responses') }} as evidence,
        {{ controllable_measures('compared') }},
        {{ comparison_measures('compared') }}
    from compared
    cross join confidence
)

select * from final
