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

last_of_history as (
    select
        account_id,
        max(valid_from) as valid_from
    from delivered
    where valid_from is not null
    group by account_id
),

-- A load changed an account when it first showed it so. Where the CRM's history ended and no version followed, the
-- account was deleted then.
versions as (
    select
        delivered.*,
        false as is_end,
        coalesce(delivered.valid_from, delivered.observed_at) as changed_at
    from delivered
    union all
    select
        delivered.*,
        true as is_end,
        delivered.ended_at as changed_at
    from delivered
    inner join last_of_history
        on delivered.account_id = last_of_history.account_id and delivered.valid_from = last_of_history.valid_from
    where delivered.ended_at is not null and not coalesce(delivered.is_deleted, false)
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
        is_deleted or is_end as is_deleted,
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
