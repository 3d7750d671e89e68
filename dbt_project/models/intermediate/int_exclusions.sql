-- Grain: one rule of exclusions.csv: an answer by its key, or the answers of some days by a pattern.
{{ config(
    materialized = 'incremental',
    unique_key = 'exclusion_id',
    meta = {'present': 'effect', 'tracked': ['exclusion_id']}
) }}

with exclusions as (
    select * from {{ ref('exclusions') }}
),

rules as (
    select distinct {{ exclusion_rule() | join(', ') }}
    from exclusions
),

-- Days are those of the business; an open end is one that no answer reaches.
final as (
    select
        {{ exclusion_id() }} as exclusion_id,
        source_system,
        source_system || ':' || source_response_id as response_id,
        field,
        pattern,
        coalesce(
            {{ utc_timestamp('cast(starts_on as ' ~ dbt.type_string() ~ ')', time_zone=var('business_time_zone')) }},
            timestamp '0001-01-01'
        ) as starts_at,
        coalesce(
            {{ utc_timestamp(
                'cast(' ~ add_days('ends_on', 1) ~ ' as ' ~ dbt.type_string() ~ ')', time_zone=var('business_time_zone')
            ) }},
            timestamp '9999-12-31'
        ) as ends_before,
        effect
    from rules
)
{%- if is_incremental() %},

-- A rule is never edited: another text is another rule, so those that came and those that went are all that changed.
affected as (
    select final.exclusion_id
    from final
    left join {{ this }} as known on final.exclusion_id = known.exclusion_id
    where known.exclusion_id is null
    union all
    select known.exclusion_id
    from {{ this }} as known
    left join final on known.exclusion_id = final.exclusion_id
    where final.exclusion_id is null
)
{%- endif %}

{{ with_removed_keys('final', 'exclusion_id') }}
