-- Grain: one respondent as one survey tool knows them.
with {{ latest_deliveries('people', ['source_system', 'source_contact_id']) }},

-- An address that two contacts share resolves to the one that is not deleted, then to the older key,
-- so that the same person is the same contact in every run.
contacts_by_email as (
    select
        contact_email,
        contact_id,
        account_id
    from (
        select
            contact_email,
            contact_id,
            account_id,
            row_number() over (partition by contact_email order by is_deleted, contact_id) as preference
        from {{ ref('int_contacts') }}
        where contact_email is not null
    ) as ranked
    where preference = 1
),

staff_domains as (
    select lower(trim(domain)) as email_domain from {{ ref('staff_domains') }} -- noqa: RF02
),

final as (
    select
        people.source_system,
        people.source_contact_id,
        coalesce(
            contacts_by_email.contact_id,
            {{ anonymous_contact_id('people.source_system', 'people.source_contact_id') }}
        ) as contact_id,
        contacts_by_email.account_id,
        case when contacts_by_email.contact_id is null then 'none' else 'email' end as match_rule,
        staff_domains.email_domain is not null as is_staff
    from latest as people
    left join contacts_by_email on people.contact_email = contacts_by_email.contact_email
    left join staff_domains on {{ email_domain('people.contact_email') }} = staff_domains.email_domain
    where people.source_contact_id is not null
)

select * from final
