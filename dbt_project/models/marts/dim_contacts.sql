-- Grain: one person, known to the CRM or to a survey tool; without name or address. Merged contacts are their survivor.
{{ config(
    materialized = 'incremental',
    unique_key = 'contact_id',
    meta = {'present': 'match_rule', 'tracked': ['contact_id', 'account_id']}
) }}

with
{%- if is_incremental() %}
affected as (
    select changed_value as contact_id from {{ changed('int_contacts', 'contact_id') }} as contacts
    union
    select changed_value from {{ changed('int_respondents', 'contact_id') }} as respondents
),
{% endif %}
crm_contacts as (
    select * from {{ ref('int_contacts') }}
    where contact_id = surviving_contact_id
    {%- if is_incremental() %}
        and contact_id in (select contact_id from affected)
    {%- endif %}
),

respondents as (
    select
        contact_id,
        max(account_id) as account_id,
        max(match_rule) as match_rule,
        {{ dbt.bool_or('is_staff') }} as is_staff
    from {{ ref('int_respondents') }}
    {%- if is_incremental() %}
    where contact_id in (select contact_id from affected)
    {%- endif %}
    group by contact_id
),

staff_domains as (
    {{ staff_email_domains() }}
),

final as (
    select
        coalesce(crm_contacts.contact_id, respondents.contact_id) as contact_id,
        coalesce(crm_contacts.account_id, respondents.account_id) as account_id,
        crm_contacts.job_title,
        coalesce(respondents.match_rule, 'not_surveyed') as match_rule,
        -- A survivor that was not delivered is known by what was merged into it.
        crm_contacts.contact_id is not null or respondents.match_rule <> 'none' as is_in_crm,
        coalesce(respondents.is_staff, false) or staff_domains.email_domain is not null as is_staff,
        coalesce(crm_contacts.has_opted_out, false) as has_opted_out,
        coalesce(crm_contacts.has_reference_consent, false) as has_reference_consent,
        coalesce(crm_contacts.is_deleted, false) as is_deleted
    from crm_contacts
    full outer join respondents on crm_contacts.contact_id = respondents.contact_id
    left join staff_domains on {{ email_domain('crm_contacts.contact_email') }} = staff_domains.email_domain
)

{{ with_removed_keys('final', 'contact_id') }}
