-- Grain: one delivered figure of Delighted's own for a span of time.
with source as (
    select * from {{ source('delighted', 'metrics') }}
),

renamed as (
    select
        _source_system as source_system,
        {{ utc_timestamp('since', 'epoch_seconds') }} as starts_at,
        -- The last second that counts.
        {{ add_seconds(utc_timestamp(adapter.quote('until'), 'epoch_seconds'), 1) }} as ends_before,
        {{ safe_cast_number('promoter_count', 'bigint') }} as promoters,
        {{ safe_cast_number('passive_count', 'bigint') }} as passives,
        {{ safe_cast_number('detractor_count', 'bigint') }} as detractors,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
)

select * from renamed
