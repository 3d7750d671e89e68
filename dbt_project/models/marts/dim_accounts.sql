-- Grain: one account, as it is now; accounts that only a survey names are here too.
with crm_accounts as (
    select * from {{ ref('int_account_history') }}
    where is_current
),

-- Those that a survey names, or a contact that the CRM knows.
named_accounts as (
    select account_id from {{ ref('int_respondents') }}
    where account_id is not null
    union
    select account_id from {{ ref('int_delivered_answers') }}
    where account_id is not null
    union
    select account_id from {{ ref('fct_survey_invitations') }}
    where account_id is not null
),

all_accounts as (
    select account_id from crm_accounts
    union
    select account_id from named_accounts
),

final as (
    select
        all_accounts.account_id,
        coalesce(crm_accounts.account_name, all_accounts.account_id) as account_name,
        crm_accounts.parent_account_id,
        crm_accounts.owner_id,
        {%- for segment in segments_from('account') if segment.years is not defined %}
        coalesce(crm_accounts.{{ segment.name }}, 'unknown') as {{ segment.name }},
        {%- endfor %}
        crm_accounts.country,
        crm_accounts.annual_revenue,
        crm_accounts.employees,
        crm_accounts.account_id is not null as is_in_crm,
        coalesce(crm_accounts.is_deleted, false) as is_deleted
    from all_accounts
    left join crm_accounts on all_accounts.account_id = crm_accounts.account_id
)

select * from final
