-- Grain: one respondent who opted out of surveys, with the first time they did.
{{ config(
    materialized = 'incremental',
    unique_key = 'respondent_key',
    meta = {'present': 'opted_out_at', 'tracked': ['respondent_key']}
) }}

with events as (
    select
        {{ respondent_key() }} as respondent_key,
        opted_out_at
    from (
        {{ union_staging('opt_outs') }}
    ) as delivered
    where source_contact_id is not null
    {%- if is_incremental() %}
    union all
    select
        respondent_key,
        opted_out_at
    from {{ this }}
    {%- endif %}
),

first_events as (
    select
        respondent_key,
        min(opted_out_at) as opted_out_at
    from events
    where opted_out_at is not null
    group by respondent_key
)

{{ only_changed('first_events', 'respondent_key', ['respondent_key', 'opted_out_at']) }}
