-- Grain: one delivered row of a company, as it is now.
with source as (
    select * from {{ source('hubspot', 'company') }}
),

renamed as (
    select
        id as account_id,
        property_name as account_name,
        nullif(trim(property_hs_parent_company_id), '') as parent_account_id,
        nullif(trim(property_hubspot_owner_id), '') as owner_id,
        {{ safe_cast_number(adapter.quote(var('revenue_column').hubspot), 'decimal(18, 2)') }} as annual_revenue,
        {{ safe_cast_number('property_numberofemployees', 'bigint') }} as employees,
        property_country as country,
        {{ is_customer('property_lifecyclestage') }} as is_customer,
        coalesce(lower(is_deleted) = 'true', false) as is_deleted,
        cast(null as timestamp) as valid_from,
        cast(null as timestamp) as ended_at,
        _loaded_at as observed_at,
        {{ delivered_segments('account', 'hubspot') }}
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
)

select * from renamed
