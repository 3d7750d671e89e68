-- Grain: one version of an account: as the CRM's history has it (valid_from), or as it was first seen in a load
-- (observed_at).
{{ config(
    materialized = 'incremental',
    unique_key = 'version_key',
    meta = {'present': 'account_id', 'tracked': ['account_id']}
) }}
{%- set columns = canonical_columns('account_history').keys()
    | reject('in', ['load_id', 'loaded_at', 'source_file', 'source_line']) | list %}
{%- set values = columns | reject('in', ['account_id', 'valid_from', 'observed_at']) | list %}

{%- set states %}
    with {{ latest_deliveries('account_history', ['account_id', 'valid_from', 'observed_at']) }}

    select {{ columns | join(', ') }}
    from latest
    where account_id is not null
    {%- if is_incremental() %}
    union all
    select {{ columns | join(', ') }}
    from {{ this }}
    where
        valid_from is null
        and account_id in (
            select account_id from latest
            where valid_from is null
        )
    {%- endif %}
{%- endset %}

with {{ computed_once('states', states) }},

seen_again as (
    select account_id
    from states
    where valid_from is null
    group by account_id
    having count(*) > 1
),

observed as (
    select
        states.*,
        row_number() over (partition by states.account_id order by states.observed_at) as observation
    from states
    inner join seen_again on states.account_id = seen_again.account_id
    where states.valid_from is null
),

-- An export repeats every account each time: only what differs from the load before is a version.
repeated as (
    select
        later.account_id,
        later.observed_at
    from observed as later
    inner join observed as earlier
        on later.account_id = earlier.account_id and later.observation = earlier.observation + 1
    where
        {%- for column in values %}
        {{ 'and ' if not loop.first }}later.{{ column }} is not distinct from earlier.{{ column }}
        {%- endfor %}
),

versions as (
    select
        states.*,
        states.account_id || '@' || coalesce(
            cast(states.valid_from as {{ dbt.type_string() }}),
            'seen ' || cast(states.observed_at as {{ dbt.type_string() }})
        ) as version_key
    from states
    left join repeated
        on
            states.valid_from is null
            and states.account_id = repeated.account_id
            and states.observed_at = repeated.observed_at
    where repeated.account_id is null
)

{{ only_changed('versions', 'version_key', ['version_key'] + columns) }}
