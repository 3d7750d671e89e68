-- Grain: one person, known to the CRM or to a survey tool; without name or address.
with crm_contacts as (
    select * from {{ ref('int_contacts') }}
),

respondents as (
    select
        contact_id,
        max(account_id) as account_id,
        max(match_rule) as match_rule,
        {{ dbt.bool_or('is_staff') }} as is_staff
    from {{ ref('int_respondents') }}
    group by contact_id
),

all_contacts as (
    select contact_id from crm_contacts
    union
    select contact_id from respondents
),

final as (
    select
        all_contacts.contact_id,
        coalesce(crm_contacts.account_id, respondents.account_id) as account_id,
        crm_contacts.job_title,
        coalesce(respondents.match_rule, 'not_surveyed') as match_rule,
        crm_contacts.contact_id is not null as is_in_crm,
        coalesce(respondents.is_staff, false) as is_staff,
        coalesce(crm_contacts.has_opted_out, false) as has_opted_out
    from all_contacts
    left join crm_contacts on all_contacts.contact_id = crm_contacts.contact_id
    left join respondents on all_contacts.contact_id = respondents.contact_id
)

select * from final
