-- What no answer meets is a typing mistake in exclusions.csv: its line excludes nothing. A source that has delivered no
-- answer yet, or is switched off, has none to meet.
{{ config(severity = 'warn') }}

with delivering as (
    select distinct source_system from {{ ref('quality_reconciliation') }}
)

select
    lines.exclusion_id,
    lines.source_system,
    lines.source_response_id,
    lines.field,
    lines.pattern,
    lines.reason
from {{ ref('quality_exclusions') }} as lines
where
    lines.rows_met = 0
    and (lines.source_system is null or lines.source_system in (select delivering.source_system from delivering))
