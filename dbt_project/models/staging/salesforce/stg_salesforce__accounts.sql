-- Grain: one delivered row of an account, as it is now.
with source as (
    select * from {{ source('salesforce', 'account') }}
),

renamed as (
    select
        id as account_id,
        name as account_name,
        parent_id as parent_account_id,
        owner_id,
        {{ safe_cast_number(adapter.quote(var('revenue_column').salesforce), 'decimal(18, 2)') }} as annual_revenue,
        {{ safe_cast_number('number_of_employees', 'bigint') }} as employees,
        billing_country as country,
        {{ is_customer('type') }} as is_customer,
        lower(is_deleted) = 'true' as is_deleted,
        cast(null as timestamp) as valid_from,
        cast(null as timestamp) as ended_at,
        _loaded_at as observed_at,
        {{ delivered_segments('account', 'salesforce') }}
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
)

select * from renamed
