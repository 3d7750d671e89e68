-- Grain: one text by which a survey tool may name an account that has another key: an alias of the reference file, or
-- the key of a merged account, in every tool.
{{ config(
    materialized = 'incremental',
    unique_key = 'alias_key',
    meta = {'present': 'account_alias', 'tracked': ['account_alias']}
) }}

with account_merges as (
    select
        merged_id,
        survivor_id
    from {{ ref('int_merges') }}
    where record_type = 'account'
),

aliases as (
    select
        account_aliases.source_system,
        account_aliases.account_alias,
        coalesce(account_merges.survivor_id, account_aliases.account_id) as account_id
    from {{ ref('account_aliases') }} as account_aliases
    left join account_merges on account_aliases.account_id = account_merges.merged_id
),

tools as (
    {%- for source_name in var('sources') %}
    select '{{ source_name }}' as source_system
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

merged_accounts as (
    select
        tools.source_system,
        account_merges.merged_id,
        account_merges.survivor_id
    from account_merges
    cross join tools
),

final as (
    select
        source_system || ':' || account_alias as alias_key,
        source_system,
        account_alias,
        account_id,
        'alias' as match_rule
    from aliases
    union all
    select
        merged_accounts.source_system || ':' || merged_accounts.merged_id as alias_key,
        merged_accounts.source_system,
        merged_accounts.merged_id as account_alias,
        merged_accounts.survivor_id as account_id,
        'named_merged' as match_rule
    from merged_accounts
    left join aliases
        on
            merged_accounts.source_system = aliases.source_system
            and merged_accounts.merged_id = aliases.account_alias
    where aliases.account_alias is null
)

{{ only_moved('final', 'alias_key', ['source_system', 'account_alias', 'account_id', 'match_rule']) }}
