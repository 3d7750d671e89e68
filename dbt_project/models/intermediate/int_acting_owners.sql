-- Grain: one account owner, with who acts for them now and to whom that one's cases escalate. In an incremental build
-- those for whom that is another than before.
{{ config(
    materialized = 'incremental',
    unique_key = 'owner_id',
    meta = {'present': 'is_active', 'tracked': ['owner_id']}
) }}

with owners as (
    select
        owner_id,
        is_active
    from {{ ref('dim_owners') }}
),

-- Each owner and those above who are still there, from the nearest on.
there as (
    select
        hierarchy.owner_id,
        hierarchy.manager_id,
        row_number() over (
            partition by hierarchy.owner_id
            order by hierarchy.depth, hierarchy.manager_id
        ) as place
    from {{ ref('dim_owner_hierarchy') }} as hierarchy
    inner join owners on hierarchy.manager_id = owners.owner_id and owners.is_active
),

final as (
    select
        owners.owner_id,
        owners.is_active,
        nearest.manager_id as acting_owner_id,
        above.manager_id as escalation_owner_id
    from owners
    left join there as nearest on owners.owner_id = nearest.owner_id and nearest.place = 1
    left join there as above on owners.owner_id = above.owner_id and above.place = 2
)

{{ only_moved('final', 'owner_id', ['is_active', 'acting_owner_id', 'escalation_owner_id']) }}
