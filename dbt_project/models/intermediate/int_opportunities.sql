-- Grain: one opportunity that was won or lost, with the account that its account is now.
{{ config(
    materialized = 'incremental',
    unique_key = 'opportunity_id',
    meta = {'present': 'close_date', 'tracked': ['account_id']}
) }}
{%- set columns = ['opportunity_id', 'delivered_account_id', 'amount', 'is_won', 'close_date'] %}

with {{ latest_deliveries('opportunities', ['opportunity_id']) }},

closed as (
    select
        opportunity_id,
        account_id as delivered_account_id,
        amount,
        is_won,
        close_date
    from latest
    where is_closed and not is_deleted and close_date is not null
    {%- if is_incremental() %}
    union all
    select {{ columns | join(', ') }}
    from {{ this }}
    where
        delivered_account_id in {{ changed('int_merges', 'merged_id') }}
        and opportunity_id not in (select latest.opportunity_id from latest)
    {%- endif %}
),

account_merges as (
    select
        merged_id,
        survivor_id
    from {{ ref('int_merges') }}
    where record_type = 'account'
),
{% if is_incremental() %}
affected as (
    select opportunity_id from latest
    union
    select opportunity_id from closed
),
{% endif %}
final as (
    select
        closed.opportunity_id,
        closed.delivered_account_id,
        coalesce(account_merges.survivor_id, closed.delivered_account_id) as account_id,
        closed.amount,
        closed.is_won,
        closed.close_date
    from closed
    left join account_merges on closed.delivered_account_id = account_merges.merged_id
)

{{ with_removed_keys('final', 'opportunity_id') }}
