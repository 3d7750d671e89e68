-- Grain: one version of an account: as the CRM's history has it (valid_from), or as it was first seen in a load
-- (observed_at) that was delivered after the account's history.
{{ config(
    materialized = 'incremental',
    unique_key = 'version_key',
    meta = {'present': 'account_id', 'tracked': ['account_id']}
) }}
{%- set columns = canonical_columns('account_history').keys()
    | reject('in', ['load_id', 'loaded_at', 'source_file', 'source_line']) | list %}
{%- set values = columns | reject('in', ['account_id', 'valid_from', 'ended_at', 'observed_at']) | list %}

{%- set states %}
    with {{ latest_deliveries('account_history', ['account_id', 'valid_from', 'observed_at']) }},

    -- By account and not by CRM: a connector delivers the history of changed accounts alone, and a second export may be
    -- of a few. Those of new loads suffice: whatever was read before is older than each of these.
    histories as (
        select
            account_id,
            max(loaded_at) as last_loaded_at
        from latest
        where valid_from is not null
        group by account_id
    ),

    delivered as (
        select
            {{ columns | join(', ') }},
            account_id || '@' || coalesce(
                cast(valid_from as {{ dbt.type_string() }}),
                'seen ' || cast(observed_at as {{ dbt.type_string() }})
            ) as version_key
        from latest
        where account_id is not null
    ),

    known as (
        select * from delivered
        {%- if is_incremental() %}
        union all
        select
            {{ columns | join(', ') }},
            version_key
        from {{ this }}
        where
            account_id in (select account_id from delivered)
            and version_key not in (select version_key from delivered)
        {%- endif %}
    )

    select
        known.*,
        known.valid_from is null and coalesce(known.observed_at <= histories.last_loaded_at, false) as is_covered
    from known
    left join histories on known.account_id = histories.account_id
{%- endset %}

with {{ computed_once('states', states) }},

seen_again as (
    select account_id
    from states
    where not is_covered
    group by account_id
    having count(*) > 1 and count(case when valid_from is null then 1 end) > 0
),

in_order as (
    select
        states.*,
        row_number() over (
            partition by states.account_id
            order by coalesce(states.valid_from, states.observed_at)
        ) as state_number
    from states
    inner join seen_again on states.account_id = seen_again.account_id
    where not states.is_covered
),

-- An export repeats every account each time: only what differs from what was known before is a version.
repeated as (
    select later.version_key
    from in_order as later
    inner join in_order as earlier
        on later.account_id = earlier.account_id and later.state_number = earlier.state_number + 1
    where
        later.valid_from is null
        {%- for column in values | reject('equalto', 'is_deleted') %}
        and later.{{ column }} is not distinct from earlier.{{ column }}
        {%- endfor %}
        -- Where the history of an account ended, it was deleted (int_account_history).
        and later.is_deleted is not distinct from (earlier.is_deleted or earlier.ended_at is not null)
),

versions as (
    select states.*
    from states
    left join repeated on states.version_key = repeated.version_key
    where repeated.version_key is null and not states.is_covered
)

{{ only_changed('versions', 'version_key', ['version_key'] + columns) }}
{%- if is_incremental() %}
union all
select
    version_key,
    {%- for column in columns %}
    null as {{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
from states
where is_covered
{%- endif %}
