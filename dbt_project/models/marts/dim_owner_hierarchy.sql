-- Grain: one owner and one who stands above them at any distance, and each owner with themselves: whose domain an owner
-- is in.
{#- Chains of up to 2 ^ doublings levels are followed; hierarchy_is_followed_to_its_end fails when one is longer. -#}
{%- set doublings = 6 %}

with owners as (
    select
        owner_id,
        manager_id
    from {{ ref('dim_owners') }}
),

-- Who is their own manager has none.
levels_1 as (
    select
        owner_id,
        manager_id,
        1 as depth
    from owners
    where manager_id <> owner_id
),
{% for doubling in range(doublings) %}
{%- set levels = 'levels_' ~ 2 ** doubling %}
levels_{{ 2 ** (doubling + 1) }} as (
    select
        owner_id,
        manager_id,
        min(depth) as depth
    from (
        select
            owner_id,
            manager_id,
            depth
        from {{ levels }}
        union all
        select
            near.owner_id,
            far.manager_id,
            near.depth + far.depth as depth
        from {{ levels }} as near
        inner join {{ levels }} as far on near.manager_id = far.owner_id
    ) as reached
    group by owner_id, manager_id
),
{% endfor %}
-- Also whom no list of owners has: an account is theirs, or the cases of nobody are.
everybody as (
    select owner_id from owners
    union
    select manager_id from levels_1
    union
    select owner_id from {{ ref('dim_accounts') }}
    where owner_id is not null
    union
    select '{{ var('follow_up').desk | replace("'", "''") }}' as owner_id
),

final as (
    select
        manager_id,
        owner_id,
        cast(depth as integer) as depth
    from levels_{{ 2 ** doublings }}
    -- On a circle one stands above oneself; owners_report_in_no_circle refuses it.
    where manager_id <> owner_id
    union all
    select
        owner_id as manager_id,
        owner_id,
        0 as depth
    from everybody
)

select * from final
