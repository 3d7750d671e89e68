-- Grain: one account owner or manager; without name or address.
with delivered as (
    {{ union_staging('users') }}
),

users as (
    {{ latest_delivery('delivered', 'users', ['owner_id']) }}
),

final as (
    select
        owner_id,
        manager_id,
        job_title,
        is_active
    from users
)

select * from final
