-- Grain: one owner and one who stands above them at any distance, and each owner with themselves: whose domain an owner
-- is in.
{#- Chains of up to 2 ^ doublings levels are followed; hierarchy_is_followed_to_its_end fails when one is longer. -#}
{%- set doublings = 6 %}

{#-
    Everybody stands above themselves at no distance, also who is named as a manager alone, and whom no list of owners has:
    an account is theirs, they handled something, or the cases of nobody are theirs.
-#}
{%- set levels %}
    with owners as (
        select
            owner_id,
            manager_id
        from {{ ref('dim_owners') }}
    ),

    -- Who is their own manager has none.
    managed as (
        select
            owner_id,
            manager_id
        from owners
        where manager_id <> owner_id
    ),

    everybody as (
        select owner_id from owners
        union
        select manager_id from managed
        union
        select owner_id from {{ ref('dim_accounts') }}
        where owner_id is not null
        union
        select owner_id from {{ ref('int_owner_counts') }}
        where credited_as = 'handler'
        union
        select {{ text_literal(var('follow_up').desk) }} as owner_id
    )

    select
        owner_id,
        manager_id,
        1 as depth
    from managed
    union all
    select
        owner_id,
        owner_id as manager_id,
        0 as depth
    from everybody
{%- endset %}
{%- set twice_as_high %}
    select
        near.owner_id,
        far.manager_id,
        min(near.depth + far.depth) as depth
    from previous as near
    inner join previous as far on near.manager_id = far.owner_id
    group by near.owner_id, far.manager_id
{%- endset %}

with {{ repeated('levels', levels, twice_as_high, doublings) }},

final as (
    select
        manager_id,
        owner_id,
        cast(depth as integer) as depth
    from levels
)

select * from final
