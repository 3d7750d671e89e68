-- Grain: one CRM contact, as last delivered.
{{ config(
    materialized = 'incremental',
    unique_key = 'contact_id',
    meta = {'present': 'contact_id', 'tracked': ['contact_id', 'contact_email']}
) }}
{%- set stamps = ['load_id', 'loaded_at', 'source_file', 'source_line'] %}

with {{ latest_deliveries('contacts', ['contact_id']) }},

identified as (
    select * from latest
    where contact_id is not null
)

{{ only_changed('identified', 'contact_id', canonical_columns('contacts').keys() | reject('in', stamps) | list) }}
