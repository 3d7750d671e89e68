-- Over the reasons, what the tool counts is its figure, and what is counted here is ours.
{%- set counts = ['vendor_promoters', 'vendor_passives', 'vendor_detractors', 'promoters', 'passives', 'detractors'] %}
select
    source_system,
    source_survey_id,
    period_start,
    period_end
from {{ ref('quality_vendor_comparison') }}
group by source_system, source_survey_id, period_start, period_end
having
    {%- for count in counts %}
    {{ 'or ' if not loop.first }}sum(case when reason = 'all' then {{ count }} end)
    is distinct from coalesce(sum(case when reason <> 'all' then {{ count }} end), 0)
    {%- endfor %}
