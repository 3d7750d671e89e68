-- Nobody stands below who stands above them: a domain would be that of everybody on the circle. The error names them,
-- since what a test counts does not say whose manager to repair.
{%- set circles %}
select upward.owner_id
from {{ ref('dim_owner_hierarchy') }} as upward
inner join {{ ref('dim_owner_hierarchy') }} as downward
    on upward.owner_id = downward.manager_id and upward.manager_id = downward.owner_id
where upward.depth > 0
group by upward.owner_id
order by upward.owner_id
{%- endset %}
{%- if execute and flags.WHICH in ('build', 'test') %}
{%- set owners = run_query(circles).columns[0].values() %}
{%- if owners %}
{{- exceptions.raise_compiler_error(
    'owners report to each other in a circle: ' ~ owners | join(', ') ~ '; give one of them another manager in the CRM'
) }}
{%- endif %}
{%- endif %}
{{ circles }}
