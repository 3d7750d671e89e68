-- Grain: one account in one span of time during which nothing about it changed.
{{ config(
    materialized = 'incremental',
    unique_key = 'account_id',
    meta = {
        'present': 'valid_from', 'tracked': ['account_id'],
        'differences': ['account_id', 'valid_from', 'valid_to', 'is_current', 'annual_revenue', 'is_customer', 'is_deleted']
            + segments_from('account') | map(attribute='name') | list,
    }
) }}

with delivered as (
    select * from {{ ref('int_account_versions') }}
    {%- if is_incremental() %}
    where account_id in {{ changed('int_account_versions', 'account_id') }}
    {%- endif %}
),

accounts_with_history as (
    select distinct account_id
    from delivered
    where valid_from is not null
),

-- Where the CRM keeps no history, an account changed when a load first showed it so.
versions as (
    select
        delivered.*,
        coalesce(delivered.valid_from, delivered.observed_at) as changed_at
    from delivered
    left join accounts_with_history on delivered.account_id = accounts_with_history.account_id
    where delivered.valid_from is not null or accounts_with_history.account_id is null
),

final as (
    select
        account_id,
        account_name,
        parent_account_id,
        owner_id,
        annual_revenue,
        employees,
        country,
        is_customer,
        is_deleted,
        {%- for segment in segments_from('account') %}
        {{ segment.name }},
        {%- endfor %}
        -- History starts when the connector or the first load was: what was true then stands for all time before.
        case
            when row_number() over (partition by account_id order by changed_at) = 1 then timestamp '1900-01-01'
            else changed_at
        end as valid_from,
        changed_at as known_from,
        coalesce(
            lead(changed_at) over (partition by account_id order by changed_at), timestamp '9999-12-31'
        ) as valid_to,
        lead(changed_at) over (partition by account_id order by changed_at) is null as is_current
    from versions
)

select * from final
