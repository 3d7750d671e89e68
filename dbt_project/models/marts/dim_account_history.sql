-- Grain: one account in one span of time during which nothing about it changed.
-- A view: the published file holds a table.
{{ config(materialized = 'view') }}

select
    account_id,
    valid_from,
    valid_to,
    is_current,
    owner_id,
    {%- for segment in segments_from('account') if segment.years is not defined %}
    coalesce({{ segment.name }}, 'unknown') as {{ segment.name }},
    {%- endfor %}
    annual_revenue
from {{ ref('int_account_history') }}
