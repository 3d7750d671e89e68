-- Grain: one account in one span of time during which nothing about it changed. The history of an account that was
-- merged is that of its survivor.
-- A view: the published file holds a table.
{{ config(materialized = 'view') }}

with account_merges as (
    select
        merged_id,
        survivor_id
    from {{ ref('int_merges') }}
    where record_type = 'account'
)

select
    accounts.account_id,
    accounts.valid_from,
    accounts.valid_to,
    accounts.is_current,
    accounts.owner_id,
    {%- for segment in segments_from('account') if segment.years is not defined %}
    coalesce(accounts.{{ segment.name }}, 'unknown') as {{ segment.name }},
    {%- endfor %}
    cast(accounts.annual_revenue as decimal(18, 2)) as annual_revenue,
    accounts.is_customer and not coalesce(accounts.is_deleted, false) as is_customer
from {{ ref('int_account_history') }} as accounts
left join account_merges on accounts.account_id = account_merges.merged_id
where coalesce(account_merges.survivor_id, accounts.account_id) = accounts.account_id
