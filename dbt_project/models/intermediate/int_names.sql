-- Grain: one personal name and the address it was delivered with; never published, only hidden.
{{ config(
    materialized = 'incremental',
    unique_key = "person_name || ' ' || coalesce(contact_email, '')",
    meta = {'present': 'person_name', 'tracked': ['person_name', 'contact_email']}
) }}

with delivered as (
    select distinct
        person_name,
        contact_email
    from {{ ref('stg_lake__names') }}
    where
        person_name is not null
        {%- if is_incremental() %}
        and {{ is_new_load() }}
        {%- endif %}
)

select
    delivered.person_name,
    delivered.contact_email
from delivered
{%- if is_incremental() %}
left join {{ this }} as known
    on
        delivered.person_name = known.person_name
        and coalesce(delivered.contact_email, '') = coalesce(known.contact_email, '')
where known.person_name is null
{%- endif %}
