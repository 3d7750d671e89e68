-- Grain: one delivered row of a version of an account.
{%- set start = utc_timestamp('_fivetran_start') %}
{%- set end = utc_timestamp('_fivetran_end') %}

with source as (
    select * from {{ source('salesforce', 'account_history') }}
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
        {{ start }} as valid_from,
        -- What is active may have an end as well, of 9999.
        case
            when
                lower(trim(_fivetran_active)) in ('false', '0')
                and {{ end }} > {{ start }}
                and {{ end }} <= _loaded_at
                then {{ end }}
        end as ended_at,
        case when {{ start }} is null then _loaded_at end as observed_at,
        {{ delivered_segments('account', 'salesforce') }}
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
)

select * from renamed
