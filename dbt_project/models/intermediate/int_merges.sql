-- Grain: one record of a CRM that was merged into another, with the record that survives in the end.
{{ config(
    materialized = 'incremental',
    unique_key = 'merge_key',
    meta = {'present': 'merged_id', 'tracked': ['merged_id', 'survivor_id']}
) }}

{%- set delivered %}
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
        {{ 'union all' if not loop.last }}
        {%- endfor %}
{%- endset %}
{%- set links %}
    with merging as (
        select * from ({{ delivered }}) as delivered
        where merged_id <> merged_into_id
    ),

    merged as (
        select
            record_type,
            merged_id
        from merging
        union
        select
            record_type,
            merged_id
        from {{ this if is_incremental() else 'merging' }}
    ),

    -- Every record that lives comes without a survivor; that says something of those alone which had one.
    taken_back as (
        select delivered.*
        from ({{ delivered }}) as delivered
        inner join merged on delivered.record_type = merged.record_type and delivered.merged_id = merged.merged_id
        where delivered.merged_into_id is null
    ),

    ranked as (
        select
            *,
            row_number() over (
                partition by record_type, merged_id
                order by load_id desc, source_line desc, merged_into_id asc
            ) as delivery_rank
        from (
            select * from merging
            union all
            select * from taken_back
        ) as deliveries
    )

    select
        record_type,
        merged_id,
        merged_into_id
    from ranked
    where delivery_rank = 1 and merged_into_id is not null
    {%- if is_incremental() %}
    -- Merges are few: a new one may lengthen any chain, and all are followed again.
    union all
    select
        record_type,
        merged_id,
        merged_into_id
    from {{ this }}
    where merge_key not in (select record_type || ':' || merged_id from ranked)
    {%- endif %}
{%- endset %}

with {{ followed_merges_ctes(links) }},

keyed as (
    select
        followed.record_type || ':' || followed.merged_id as merge_key,
        followed.*
    from followed
)

{{ only_moved('keyed', 'merge_key', ['record_type', 'merged_id', 'merged_into_id', 'survivor_id']) }}
