-- Grain: one delivered row of an opportunity.
with source as (
    select * from {{ source('salesforce', 'opportunity') }}
),

renamed as (
    select
        id as opportunity_id,
        nullif(account_id, '') as account_id,
        {{ safe_cast_number('amount', 'decimal(18, 2)') }} as amount,
        coalesce(lower(is_won) = 'true', false) as is_won,
        -- Where the column was not delivered, what had to be closed before the load is.
        coalesce(
            lower(nullif(is_closed, '')) = 'true',
            lower(is_won) = 'true' or {{ safe_cast_date('close_date') }} < {{ business_date('_loaded_at') }}
        ) as is_closed,
        coalesce(lower(is_deleted) = 'true', false) as is_deleted,
        {{ safe_cast_date('close_date') }} as close_date,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
)

select * from renamed
