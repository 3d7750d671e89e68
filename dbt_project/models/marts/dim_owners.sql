-- Grain: one account owner, agent, team or manager; without name or address.
with {{ latest_deliveries('users', ['owner_id']) }},

final as (
    select
        owner_id,
        manager_id,
        job_title,
        is_active
    from latest
)

select * from final
