-- Grain: one survey of one tool, fact (answers or invitations), and rules by which contact and account were found.
{{ config(
    materialized = 'incremental',
    unique_key = "source_system || ':' || survey_id || ':' || fact",
    meta = {'present': 'records'}
) }}
{%- set columns = match_columns() %}

with
{%- if is_incremental() %}
{%- for name, fact in counted_facts().items() %}
{{ name }} as (
    select * from {{ differences(fact.model) }} as differences
),
{% endfor %}
{%- endif %}
matched as (
    {%- for name, fact in counted_facts().items() %}
    select
        '{{ name }}' as fact,
        {{ columns | join(', ') }},
        {{ 'sum(row_change)' if is_incremental() else 'count(*)' }} as records
    from {{ name if is_incremental() else ref(fact.model) }}
    group by {{ columns | join(', ') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
    {%- if is_incremental() %}
    {%- for name in counted_facts() %}
    union all
    select
        fact, {{ columns | join(', ') }}, records
    from {{ this }}
    where
        fact = '{{ name }}'
        and source_system || ':' || survey_id in (select source_system || ':' || survey_id from {{ name }})
    {%- endfor %}
    {%- endif %}
),

totals as (
    select
        fact,
        {{ columns | join(', ') }},
        cast(sum(records) as bigint) as records
    from matched
    group by fact, {{ columns | join(', ') }}
),

final as (
    select
        source_system,
        survey_id,
        fact,
        contact_match_rule,
        account_match_rule,
        nullif(records, 0) as records, -- none left, no row
        {{ rate('records', 'sum(records) over (partition by source_system, survey_id, fact)') }} as share
    from totals
)

select * from final
