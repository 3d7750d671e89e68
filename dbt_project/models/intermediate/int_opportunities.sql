-- Grain: one opportunity that was won or lost, with the account that its account is now.
with {{ latest_deliveries('opportunities', ['opportunity_id']) }},

account_merges as (
    select
        merged_id,
        survivor_id
    from {{ ref('int_merges') }}
    where record_type = 'account'
),

final as (
    select
        latest.opportunity_id,
        coalesce(account_merges.survivor_id, latest.account_id) as account_id,
        latest.amount,
        latest.is_won,
        latest.close_date
    from latest
    left join account_merges on latest.account_id = account_merges.merged_id
    where latest.is_closed and not latest.is_deleted and latest.close_date is not null
)

select * from final
