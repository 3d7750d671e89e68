-- Grain: one person in one wave who was reached in it, or answered: the category of the last answer, or silent. In an
-- incremental build all waves of the people whom a batch touched are looked up again.
{{ config(
    materialized = 'incremental',
    unique_key = 'contact_id',
    meta = {
        'present': 'category', 'tracked': ['contact_id'],
        'differences': ['survey_type', 'wave_number', 'contact_id', 'account_id', 'category'],
    }
) }}
{%- set affected = 'select contact_id from affected' %}
{%- set is_in_waves = 'survey_type in (' ~ literals(var('waves')) ~ ')' %}

with waves as (
    select distinct
        survey_type,
        wave,
        wave_number
    from {{ ref('int_wave_days') }}
),
{% if is_incremental() %}
affected as (
    select changed_value as contact_id from {{ changed('fct_nps_responses', 'contact_id') }} as answers
    union
    select changed_value from {{ changed('fct_survey_invitations', 'contact_id') }} as invitations
    union
    -- A wave that comes late moves those after it.
    select known.contact_id
    from {{ this }} as known
    left join waves on known.survey_type = waves.survey_type and known.wave = waves.wave
    where known.wave_number is distinct from waves.wave_number
),
{% endif %}
-- An invitation that was answered counts where the answer does.
seen as (
    select
        survey_id,
        response_date as count_date,
        contact_id,
        account_id,
        submitted_at,
        category
    from
        {{ concerned(
            ref('fct_nps_responses'), 'contact_id', affected,
            ['survey_id', 'survey_type', 'response_date', 'contact_id', 'account_id', 'submitted_at', 'category'],
            condition=is_in_waves
        ) }}
    where contact_id is not null and {{ is_in_waves }}
    union all
    select
        survey_id,
        sent_date as count_date,
        contact_id,
        account_id,
        cast(null as timestamp) as submitted_at,
        cast(null as {{ dbt.type_string() }}) as category
    from
        {{ concerned(
            ref('fct_survey_invitations'), 'contact_id', affected,
            ['survey_id', 'survey_type', 'sent_date', 'contact_id', 'account_id', 'delivered_at', 'outcome'],
            condition=is_in_waves
        ) }}
    where
        contact_id is not null
        and {{ is_in_waves }}
        and delivered_at is not null
        and outcome not in ('answered', 'ineligible')
),

people as (
    select
        days.survey_type,
        days.wave_number,
        seen.contact_id,
        max(seen.account_id) as account_id,
        {{ last_answer_times('seen') }}
    from seen
    inner join {{ ref('int_wave_days') }} as days
        on seen.survey_id = days.survey_id and seen.count_date = days.count_date
    group by days.survey_type, days.wave_number, seen.contact_id
),

final as (
    select
        people.survey_type,
        waves.wave,
        people.wave_number,
        people.contact_id,
        {{ key_hash(['people.contact_id']) }} as contact_id_hash,
        people.account_id,
        coalesce({{ last_category() }}, 'silent') as category
    from people
    inner join waves on people.survey_type = waves.survey_type and people.wave_number = waves.wave_number
)

{{ with_removed_keys('final', 'contact_id') }}
