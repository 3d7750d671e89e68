-- Grain: one delivered row of a user, with the account that the CRM knows the user's organization by.
with users as (
    select * from {{ source('zendesk', 'user') }}
),

organizations as (
    {{ latest_rows(source('zendesk', 'organization'), ['id'], ['external_id']) }}
),

renamed as (
    select
        'zendesk' as source_system,
        users.id as source_contact_id,
        {{ normalised_email('users.email') }} as contact_email,
        nullif(trim(organizations.external_id), '') as source_account_id,
        users._load_id as load_id,
        users._loaded_at as loaded_at,
        users._file as source_file,
        users._line as source_line
    from users
    left join organizations on users.organization_id = organizations.id
)

select * from renamed
