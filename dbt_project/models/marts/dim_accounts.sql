-- Grain: one account, as it is now; accounts that only a survey names are here too, merged ones are their survivor.
{{ config(
    materialized = 'incremental',
    unique_key = 'account_id',
    meta = {'present': 'account_name', 'tracked': ['account_id']}
) }}

with named_by_surveys as (
    select distinct
        source_system,
        source_account_id
    from {{ ref('int_delivered_answers') }}
    where source_account_id is not null
    union
    select distinct
        source_system,
        source_account_id
    from {{ ref('int_invitations') }}
    where source_account_id is not null
),

named as (
    select coalesce(account_aliases.account_id, named_by_surveys.source_account_id) as account_id
    from named_by_surveys
    left join {{ ref('int_account_aliases') }} as account_aliases
        on
            named_by_surveys.source_system = account_aliases.source_system
            and named_by_surveys.source_account_id = account_aliases.account_alias
),

account_merges as (
    select
        merged_id,
        survivor_id
    from {{ ref('int_merges') }}
    where record_type = 'account'
),
{% if is_incremental() %}
affected as (
    select changed_value as account_id from {{ changed('int_account_history', 'account_id') }} as accounts
    union
    select changed_value from {{ changed('int_respondents', 'account_id') }} as respondents
    union
    select changed_value from {{ changed('int_merges', 'merged_id') }} as merged
    union
    select changed_value from {{ changed('int_merges', 'survivor_id') }} as survivors
    union
    select account_id from {{ ref('int_account_history') }}
    where is_current and parent_account_id in {{ changed('int_merges', 'merged_id') }}
    -- Those that surveys name, and those that they named before.
    {%- for relation in ['int_delivered_answers', 'int_invitations'] %}
    union
    select changed_value from {{ changed(relation, 'source_account_id') }} as {{ relation }}
    union
    select account_id from {{ ref('int_account_aliases') }}
    where account_alias in {{ changed(relation, 'source_account_id') }}
    {%- endfor %}
    union
    select changed_value from {{ changed('int_account_aliases', 'account_alias') }} as aliases
),
{% endif %}
crm_accounts as (
    select accounts.*
    from {{ ref('int_account_history') }} as accounts
    left join account_merges on accounts.account_id = account_merges.merged_id
    where
        accounts.is_current
        and coalesce(account_merges.survivor_id, accounts.account_id) = accounts.account_id
    {%- if is_incremental() %}
        and accounts.account_id in (select account_id from affected)
    {%- endif %}
),

-- Also those that the CRM does not know: a contact belongs to them, or a survey names them.
all_accounts as (
    select account_id from crm_accounts
    union
    select account_id from {{ ref('int_respondents') }}
    where account_id is not null
    {%- if is_incremental() %}
        and account_id in (select account_id from affected)
    {%- endif %}
    union
    select account_id from named
    {%- if is_incremental() %}
    where account_id in (select account_id from affected)
    {%- endif %}
),

final as (
    select
        all_accounts.account_id,
        coalesce(crm_accounts.account_name, all_accounts.account_id) as account_name,
        -- What was merged into its own parent, or the parent into it, belongs to nobody.
        nullif(coalesce(account_merges.survivor_id, crm_accounts.parent_account_id), all_accounts.account_id)
            as parent_account_id,
        crm_accounts.owner_id,
        {%- for segment in segments_from('account') if segment.years is not defined %}
        coalesce(crm_accounts.{{ segment.name }}, 'unknown') as {{ segment.name }},
        {%- endfor %}
        crm_accounts.country,
        crm_accounts.annual_revenue,
        crm_accounts.employees,
        crm_accounts.account_id is not null as is_in_crm,
        -- Whom only a survey names, it named as a customer.
        coalesce(crm_accounts.is_customer, true) as is_customer,
        coalesce(crm_accounts.is_deleted, false) as is_deleted
    from all_accounts
    left join crm_accounts on all_accounts.account_id = crm_accounts.account_id
    left join account_merges on crm_accounts.parent_account_id = account_merges.merged_id
)

{{ with_removed_keys('final', 'account_id') }}
