-- Grain: one account in one span of time during which nothing about it changed. The history of an account that was
-- merged is that of its survivor.
-- A view: the published file holds a table.
{{ config(materialized = 'view') }}

select
    accounts.account_id,
    valid_from,
    valid_to,
    is_current,
    owner_id,
    {%- for segment in segments_from('account') if segment.years is not defined %}
    coalesce({{ segment.name }}, 'unknown') as {{ segment.name }},
    {%- endfor %}
    annual_revenue
from {{ ref('int_account_history') }} as accounts
left join {{ ref('int_merges') }} as merges
    on accounts.account_id = merges.merged_id and merges.record_type = 'account'
where coalesce(merges.survivor_id, accounts.account_id) = accounts.account_id
