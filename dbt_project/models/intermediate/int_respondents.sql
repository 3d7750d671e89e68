-- Grain: one respondent as one survey tool knows them.
{{ config(
    materialized = 'incremental',
    unique_key = 'respondent_key',
    meta = {'present': 'contact_id', 'tracked': ['respondent_key', 'contact_id', 'account_id']}
) }}

{%- set delivered %}
    select
        {{ respondent_key() }} as respondent_key,
        source_system,
        source_contact_id,
        contact_email,
        external_contact_id,
        load_id,
        source_line
    from (
        {{ union_staging('people', [
            'source_system', 'source_contact_id', 'contact_email', 'external_contact_id', 'load_id', 'source_line',
        ]) }}
    ) as staged
    where source_contact_id is not null
{%- endset %}

{#- Every answer may be a row about a person, and one without an address or key takes nothing back. -#}
{%- set given %}
    select
        respondent_key,
        max(source_system) as source_system,
        max(source_contact_id) as source_contact_id,
        {{ latest_given('contact_email') }} as contact_email,
        {{ latest_given('external_contact_id') }} as external_contact_id
    from (
        select * from delivered
        {%- if is_incremental() %}
        union all
        select
            respondent_key,
            null as source_system,
            null as source_contact_id,
            contact_email,
            external_contact_id,
            '' as load_id,
            0 as source_line
        from {{ rows_of(this, 'respondent_key', 'select respondent_key from delivered') }} as known
        where
            true
            {%- for source_name in sources_read_again('people') %}
            and respondent_key not like '{{ source_name }}:%'
            {%- endfor %}
        {%- endif %}
    ) as deliveries
    group by respondent_key
{%- endset %}

{%- set people %}
    select
        respondent_key,
        {{ anonymous_contact_id('contact_email', 'external_contact_id', 'source_system', 'source_contact_id') }}
            as anonymous_contact_id,
        external_contact_id,
        contact_email
    from given
    {%- if is_incremental() %}
    union all
    -- Those whose key of the CRM or address may now lead to another contact or account.
    select
        respondent_key,
        anonymous_contact_id,
        external_contact_id,
        contact_email
    from {{ this }}
    where
        (
            external_contact_id in {{ changed('int_contacts', 'contact_id') }}
            or contact_email in {{ changed('int_contacts', 'contact_email') }}
        )
        and respondent_key not in (select respondent_key from given)
    {%- endif %}
{%- endset %}

with {{ computed_once('delivered', delivered) }},

{{ computed_once('given', given, reads=['delivered']) }},

{{ computed_once('people', people, reads=['given']) }},

contacts as (
    select
        contact_id,
        surviving_contact_id,
        account_id,
        contact_email,
        is_deleted
    from {{ ref('int_contacts') }}
    {%- if is_incremental() %}
    where
        contact_email in (select contact_email from people)
        or contact_id in (select external_contact_id from people)
    {%- endif %}
),

-- Few tools carry the CRM's key; those people alone are looked up by it.
contacts_by_key as (
    select
        people.respondent_key,
        contacts.contact_id,
        contacts.surviving_contact_id,
        contacts.account_id,
        contacts.contact_email
    from people
    inner join contacts on people.external_contact_id = contacts.contact_id
    where people.external_contact_id is not null
),

{{ contacts_by_email_ctes() }},

staff_domains as (
    {{ staff_email_domains() }}
),

matched as (
    select
        people.respondent_key,
        {{ key_hash(['people.respondent_key']) }} as respondent_key_hash,
        people.anonymous_contact_id,
        people.external_contact_id,
        people.contact_email,
        coalesce(
            contacts_by_key.surviving_contact_id, contacts_by_email.surviving_contact_id, people.anonymous_contact_id
        ) as contact_id,
        case
            when contacts_by_key.contact_id is not null then contacts_by_key.account_id
            else contacts_by_email.account_id
        end as account_id,
        case
            when contacts_by_key.contact_id <> contacts_by_key.surviving_contact_id then 'external_id_merged'
            when contacts_by_key.contact_id is not null then 'external_id'
            when contacts_by_email.contact_id <> contacts_by_email.surviving_contact_id then 'email_merged'
            when contacts_by_email.contact_id is not null then 'email'
            else 'none'
        end as match_rule,
        staff_domains.email_domain is not null or staff_domains_by_key.email_domain is not null as is_staff
    from people
    left join contacts_by_key on people.respondent_key = contacts_by_key.respondent_key
    left join contacts_by_email on people.contact_email = contacts_by_email.contact_email
    left join staff_domains on {{ email_domain('people.contact_email') }} = staff_domains.email_domain
    -- Of whom a link names by the key, the CRM alone has an address.
    left join staff_domains as staff_domains_by_key
        on {{ email_domain('contacts_by_key.contact_email') }} = staff_domains_by_key.email_domain
)

{{ only_changed('matched', 'respondent_key', [
    'respondent_key', 'respondent_key_hash', 'anonymous_contact_id', 'external_contact_id', 'contact_email',
    'contact_id', 'account_id', 'match_rule', 'is_staff',
]) }}
