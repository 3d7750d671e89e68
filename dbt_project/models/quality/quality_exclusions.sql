-- Grain: one rule of exclusions.csv, with the answers it takes out or marks.
with lines as (
    select
        {{ exclusion_id() }} as exclusion_id,
        source_system,
        source_response_id,
        field,
        -- A pattern of comments quotes what customers write, and may name them.
        case when field <> 'comment' then pattern end as pattern,
        starts_on,
        ends_on,
        effect,
        {{ without_contact_details(plain_text('reason')) }} as reason,
        approved_on,
        row_number() over (partition by {{ exclusion_id() }} order by approved_on, reason) as line_number
    from {{ ref('exclusions') }}
),

-- The rule that an answer bears of each effect, and the decision by which the rule changed a count.
met as (
    {%- for effect, decision in {'exclusion_id': 'excluded_by_steward', 'mark_id': 'counted'}.items() %}
    select
        {{ effect }} as exclusion_id,
        submitted_at,
        case when decision = '{{ decision }}' then {{ nps_category('score_number') }} end as category
    from {{ ref('int_answers') }}
    where {{ effect }} is not null
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

counted as (
    select
        exclusion_id,
        count(*) as rows_met,
        count(category) as responses,
        count(case when category = 'promoter' then 1 end) as promoters,
        count(case when category = 'passive' then 1 end) as passives,
        count(case when category = 'detractor' then 1 end) as detractors,
        max(case when category is not null then submitted_at end) as last_submitted_at
    from met
    group by exclusion_id
),

final as (
    select
        lines.exclusion_id,
        lines.source_system,
        lines.source_response_id,
        lines.field,
        lines.pattern,
        lines.starts_on,
        lines.ends_on,
        lines.effect,
        lines.reason,
        lines.approved_on,
        coalesce(counted.rows_met, 0) as rows_met,
        coalesce(counted.responses, 0) as responses,
        coalesce(counted.promoters, 0) as promoters,
        coalesce(counted.passives, 0) as passives,
        coalesce(counted.detractors, 0) as detractors,
        counted.last_submitted_at
    from lines
    left join counted on lines.exclusion_id = counted.exclusion_id
    -- Of a rule that was written more than once, the line that was approved first.
    where lines.line_number = 1
)

select * from final
