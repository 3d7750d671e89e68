-- Grain: one record of a CRM that was merged into another, with the record that survives in the end.
{{ config(
    materialized = 'incremental',
    unique_key = 'merge_key',
    meta = {'present': 'merged_id', 'tracked': ['merged_id', 'survivor_id']}
) }}
{#- Chains of up to 2 ^ doublings merges are followed; merges_end_at_a_survivor fails when one is longer. -#}
{%- set doublings = 6 %}

{%- set links %}
    with delivered as (
        {%- for record_type in ['contact', 'account'] %}
        select
            '{{ record_type }}' as record_type,
            merged_{{ record_type }}_id as merged_id,
            surviving_{{ record_type }}_id as merged_into_id,
            load_id,
            source_line
        from (
            {{ union_staging(record_type ~ '_merges') }}
        ) as {{ record_type }}_merges
        where merged_{{ record_type }}_id <> surviving_{{ record_type }}_id
        {{ 'union all' if not loop.last }}
        {%- endfor %}
    ),

    ranked as (
        select
            *,
            row_number() over (
                partition by record_type, merged_id
                order by load_id desc, source_line desc, merged_into_id asc
            ) as delivery_rank
        from delivered
    )

    select
        record_type,
        merged_id,
        merged_into_id,
        merged_into_id as reached_id,
        merged_id as least_id
    from ranked
    where delivery_rank = 1
    {%- if is_incremental() %}
    -- Merges are few: a new one may lengthen any chain, and all are followed again.
    union all
    select
        record_type,
        merged_id,
        merged_into_id,
        merged_into_id as reached_id,
        merged_id as least_id
    from {{ this }}
    where merge_key not in (select record_type || ':' || merged_id from ranked)
    {%- endif %}
{%- endset %}
{%- set twice_as_far %}
    select
        near.record_type,
        near.merged_id,
        near.merged_into_id,
        coalesce(far.reached_id, near.reached_id) as reached_id,
        least(near.least_id, coalesce(far.least_id, near.least_id)) as least_id
    from previous as near
    left join previous as far on near.record_type = far.record_type and near.reached_id = far.merged_id
{%- endset %}

with {{ repeated('hops', links, twice_as_far, doublings) }},

-- What is reached by then and still was merged lies on a circle, two records each merged into the other. The least key
-- on it survives, so that nobody is lost.
followed as (
    select
        hops.record_type || ':' || hops.merged_id as merge_key,
        hops.record_type,
        hops.merged_id,
        hops.merged_into_id,
        coalesce(circles.least_id, hops.reached_id) as survivor_id
    from hops
    left join hops as circles on hops.record_type = circles.record_type and hops.reached_id = circles.merged_id
)

{{ only_changed('followed', 'merge_key', ['merge_key', 'record_type', 'merged_id', 'merged_into_id', 'survivor_id']) }}
