-- A key that no answer has is a typing mistake in exclusions.csv: its line excludes nothing. A source that has delivered
-- no answer yet, or is switched off, has none to name.
{{ config(severity = 'warn') }}

with named as (
    select
        source_system,
        source_response_id
    from {{ ref('exclusions') }}
    where source_response_id is not null
),

known as (
    select distinct
        source_system,
        source_response_id
    from {{ ref('response_eligibility') }}
    where source_response_id in (select named.source_response_id from named)
),

delivering as (
    select distinct source_system from {{ ref('quality_reconciliation') }}
)

select
    named.source_system,
    named.source_response_id
from named
inner join delivering on named.source_system = delivering.source_system
left join known
    on named.source_system = known.source_system and named.source_response_id = known.source_response_id
where known.source_response_id is null
