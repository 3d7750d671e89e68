-- Grain: one version of an account as the CRM's history has it (valid_from), or its present state where there is none.
{{ config(
    materialized = 'incremental',
    unique_key = 'version_key',
    meta = {'present': 'account_id', 'tracked': ['account_id']}
) }}
{%- set stamps = ['load_id', 'loaded_at', 'source_file', 'source_line'] %}

with {{ latest_deliveries('account_history', ['account_id', 'valid_from']) }},

keyed as (
    select
        *,
        account_id || '@' || coalesce(cast(valid_from as {{ dbt.type_string() }}), 'now') as version_key
    from latest
    where account_id is not null
)

{{ only_changed(
    'keyed', 'version_key',
    ['version_key'] + canonical_columns('account_history').keys() | reject('in', stamps) | list
) }}
