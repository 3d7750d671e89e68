-- Grain: one account owner, with who acts for them now and to whom that one's cases escalate.
{#- Up to 2 ^ doublings managers one above the other are passed. -#}
{%- set doublings = 4 %}
with owners as (
    select
        owner_id,
        manager_id,
        is_active
    from {{ ref('dim_owners') }}
),

-- Who is there acts; for who is not, the manager, and so on.
steps_1 as (
    select
        owner_id,
        case when is_active then owner_id else manager_id end as reached_id
    from owners
),
{% for doubling in range(doublings) %}
steps_{{ 2 ** (doubling + 1) }} as (
    select
        near.owner_id,
        far.reached_id
    from steps_{{ 2 ** doubling }} as near
    left join steps_{{ 2 ** doubling }} as far on near.reached_id = far.owner_id
),
{% endfor %}
-- Nobody, where all are gone, or each stands above the other.
acting as (
    select
        steps.owner_id,
        owners.owner_id as acting_owner_id,
        owners.manager_id
    from steps_{{ 2 ** doublings }} as steps
    left join owners on steps.reached_id = owners.owner_id and owners.is_active
),

final as (
    select
        acting.owner_id,
        acting.acting_owner_id,
        -- Not to oneself, where a CRM has people report to themselves.
        nullif(above.acting_owner_id, acting.acting_owner_id) as escalation_owner_id
    from acting
    left join acting as above on acting.manager_id = above.owner_id
)

select * from final
