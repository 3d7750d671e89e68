-- Grain: one key of a CRM contact, as last delivered; with the contact that survives where it was merged, also when the
-- CRM delivers no more of it than that.
{{ config(
    materialized = 'incremental',
    unique_key = 'contact_id',
    meta = {'present': 'contact_id', 'tracked': ['contact_id', 'contact_email']}
) }}
{%- set attributes = canonical_columns('contacts').keys()
    | reject('in', ['contact_id', 'account_id', 'load_id', 'loaded_at', 'source_file', 'source_line']) | list %}

with {{ latest_deliveries('contacts', ['contact_id']) }},

contact_merges as (
    select
        merged_id,
        survivor_id
    from {{ ref('int_merges') }}
    where record_type = 'contact'
),

account_merges as (
    select
        merged_id,
        survivor_id
    from {{ ref('int_merges') }}
    where record_type = 'account'
),

{% if is_incremental() %}
-- Those whose account was merged; and the merged ones with their survivors, who are few, each time.
of_merges as (
    select contact_id from {{ this }}
    where delivered_account_id in {{ changed('int_merges', 'merged_id') }}
    union
    select merged_id from contact_merges
    union
    select survivor_id from contact_merges
),
{% endif %}
identified as (
    select
        contact_id,
        account_id as delivered_account_id,
        {{ attributes | join(', ') }}
    from latest
    where contact_id is not null
    {%- if is_incremental() %}
    union all
    select
        contact_id,
        delivered_account_id,
        {{ attributes | join(', ') }}
    from {{ rows_of(this, 'contact_id', 'select contact_id from of_merges') }} as known
    where
        contact_id not in (
            select contact_id from latest
            where contact_id is not null
        )
    {%- endif %}
),

resolved as (
    select
        identified.*,
        coalesce(account_merges.survivor_id, identified.delivered_account_id) as own_account_id
    from identified
    left join account_merges on identified.delivered_account_id = account_merges.merged_id
),

survivors as (
    select
        contact_merges.merged_id,
        contact_merges.survivor_id,
        resolved.own_account_id as account_id
    from contact_merges
    left join resolved on contact_merges.survivor_id = resolved.contact_id
),

final as (
    select
        coalesce(resolved.contact_id, survivors.merged_id) as contact_id,
        {{ key_hash(['coalesce(resolved.contact_id, survivors.merged_id)']) }} as contact_id_hash,
        coalesce(survivors.survivor_id, resolved.contact_id) as surviving_contact_id,
        coalesce(survivors.account_id, resolved.own_account_id) as account_id,
        resolved.delivered_account_id,
        {%- for column in attributes %}
        resolved.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from resolved
    full outer join survivors on resolved.contact_id = survivors.merged_id
)

{{ only_changed(
    'final', 'contact_id',
    ['contact_id', 'contact_id_hash', 'surviving_contact_id', 'account_id', 'delivered_account_id'] + attributes
) }}
