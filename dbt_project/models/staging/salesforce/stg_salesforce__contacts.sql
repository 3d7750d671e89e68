-- Grain: one delivered row of a contact.
with source as (
    select * from {{ source('salesforce', 'contact') }}
),

renamed as (
    select
        id as contact_id,
        nullif(account_id, '') as account_id,
        {{ normalised_email('email') }} as contact_email,
        title as job_title,
        coalesce(lower(has_opted_out_of_email) = 'true', false) as has_opted_out,
        {{ has_reference_consent('salesforce') }} as has_reference_consent,
        coalesce(lower(is_deleted) = 'true', false) as is_deleted,
        {{ delivered_segments('contact', 'salesforce') }}
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from source
)

select * from renamed
