-- Grain: one activity with one person, account or answer, as soon as any delivery shows when somebody worked on it.
-- A record that is reopened, deleted or given to another person later takes no time back: the earliest ones delivered
-- stay, and who it is of is part of the key.
{%- set named = [
    'source_system', 'source_activity_id', 'activity_type', 'response_id', 'external_contact_id', 'source_contact_id',
    'contact_email', 'source_account_id', 'owner_id',
] %}
{%- set earliest = ['created_at', 'contacted_at', 'resolved_at', 'load_id', 'loaded_at'] %}
{{ config(
    materialized = 'incremental',
    unique_key = 'activity_key',
    meta = {'present': 'activity_key', 'tracked': ['source_activity_id']}
) }}

with delivered as (
    {{ union_staging('activities') }}
),

keyed as (
    select
        *,
        {% for column in named -%}
            coalesce({{ column }}, ''){{ " || '|' || " if not loop.last }}
        {%- endfor %} as activity_key
    from delivered
),

evidence as (
    select * from keyed
    {%- if is_incremental() %}
    union all
    select
        {%- for column in canonical_columns('activities') %}
        {{ column }},
        {%- endfor %}
        activity_key
    from {{ rows_of(this, 'activity_key', 'select activity_key from keyed') }} as known
    {%- endif %}
),

-- A line is one of its own file: both are of the first delivery.
traced as (
    select
        *,
        min(load_id) over (partition by activity_key) as first_load_id
    from evidence
),

final as (
    select
        activity_key,
        {%- for column in named %}
        {{ column }},
        {%- endfor %}
        {{ dbt.bool_or('has_invalid_time') }} as has_invalid_time,
        {%- for column in earliest %}
        min({{ column }}) as {{ column }},
        {%- endfor %}
        min(case when load_id = first_load_id then source_file end) as source_file,
        min(case when load_id = first_load_id then source_line end) as source_line
    from traced
    group by activity_key, {{ named | join(', ') }}
)

select * from final
