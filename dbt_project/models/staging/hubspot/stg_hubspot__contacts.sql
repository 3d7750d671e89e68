-- Grain: one delivered row of a contact.
with source as (
    select * from {{ source('hubspot', 'contact') }}
),

raw_companies as (
    select * from {{ source('hubspot', 'company') }}
),

companies as (
    {{ latest_rows('raw_companies', ['id'], ['property_name', 'is_deleted']) }}
),

-- property_company is a text that anybody may type: a name counts when one company alone has it.
companies_by_name as (
    select
        lower(trim(property_name)) as company_name,
        min(id) as account_id
    from companies
    where coalesce(lower(is_deleted), 'false') <> 'true'
    group by lower(trim(property_name))
    having count(*) = 1
),

renamed as (
    select
        source.id as contact_id,
        coalesce(
            nullif(trim(source.property_associatedcompanyid), ''),
            companies.id,
            companies_by_name.account_id
        ) as account_id,
        {{ normalised_email('source.property_email') }} as contact_email,
        source.property_jobtitle as job_title,
        coalesce(lower(source.property_hs_email_optout) = 'true', false) as has_opted_out,
        {{ has_reference_consent('hubspot', 'source') }} as has_reference_consent,
        coalesce(lower(source.is_deleted) = 'true', false) as is_deleted,
        {{ delivered_segments('contact', 'hubspot', 'source') }}
        source._load_id as load_id,
        source._loaded_at as loaded_at,
        source._file as source_file,
        source._line as source_line
    from source
    left join companies on trim(source.property_company) = companies.id
    left join companies_by_name on lower(trim(source.property_company)) = companies_by_name.company_name
)

select * from renamed
