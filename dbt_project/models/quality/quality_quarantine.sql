-- Grain: one rejected raw row, for a steward to judge; answers, invitations, follow-ups and lines that are no row.
-- A score that is missing, a repeat or a staff answer is a decision, not a fault: see response_eligibility.
-- depends_on: {{ ref('int_delivered_answers') }}, {{ ref('int_repeated_answers') }}
{{ config(
    materialized = 'incremental',
    unique_key = "load_id || ':' || source_line",
    meta = {'present': 'reason'}
) }}

with
{%- if is_incremental() %}
judged_anew as (
    select * from {{ answers_of('response_id', changed('int_delivered_answers', 'response_id')) }} as answers
),

-- Deliveries of invitations that came or were overtaken.
deliveries as (
    select
        split_part(changed_value, ':', 1) as load_id,
        cast(split_part(changed_value, ':', 2) as bigint) as source_line
    from {{ changed('int_invitations', "load_id || ':' || source_line") }} as deliveries
),

affected as (
    select
        load_id,
        source_line
    from judged_anew
    union
    select
        load_id,
        source_line
    from deliveries
    union
    -- People write few follow-ups, and what one names may be known by now: all are judged each time.
    select
        load_id,
        source_line
    from {{ ref('int_follow_ups') }}
    where activity_type = 'follow_up'
),
{% endif %}
rejected_answers as (
    select
        source_system,
        load_id,
        loaded_at,
        source_file,
        source_line,
        decision as reason,
        source_survey_id
    from {{ 'judged_anew' if is_incremental() else ref('int_answers') }}
    where decision in ('not_integer', 'out_of_range', 'unknown_survey', 'invalid_time')
),

raw_answers as (
    {{ raw_rows('answers', 'rejected_answers') }}
),

-- A group is one row, however many people it invites.
rejected_invitations as (
    select distinct
        invitations.source_system,
        invitations.load_id,
        loads.loaded_at,
        loads.source_file,
        invitations.source_line,
        case when surveys.survey_id is null then 'unknown_survey' else 'invalid_time' end as reason,
        invitations.source_survey_id
    {%- if is_incremental() %}
    from {{ ref('int_invitations') }} as invitations
    inner join deliveries
        on invitations.load_id = deliveries.load_id and invitations.source_line = deliveries.source_line
    {%- else %}
    from {{ ref('int_invitations') }} as invitations
    {%- endif %}
    left join {{ ref('surveys') }} as surveys
        on
            invitations.source_system = surveys.source_system
            and invitations.source_survey_id = surveys.source_survey_id
    left join {{ ref('stg_lake__loads') }} as loads on invitations.load_id = loads.load_id
    where surveys.survey_id is null or invitations.sent_at is null
),

raw_invitations as (
    {{ raw_rows('invitations', 'rejected_invitations') }}
),

rejected_follow_ups as (
    select
        source_system,
        load_id,
        loaded_at,
        source_file,
        source_line,
        fault as reason,
        cast(null as {{ dbt.type_string() }}) as source_survey_id
    from {{ ref('int_follow_ups') }}
    where fault is not null
),

raw_follow_ups as (
    {{ raw_rows('activities', 'rejected_follow_ups') }}
),

-- Such a line cannot be told into columns, so nobody knows what in it names a person.
malformed as (
    select
        source_system,
        load_id,
        loaded_at,
        source_file,
        source_line,
        'malformed_row: ' || reason as reason,
        cast(null as {{ dbt.type_string() }}) as source_survey_id,
        cast(null as {{ dbt.type_string() }}) as raw_row
    from {{ ref('stg_lake__malformed_rows') }}
    {%- if is_incremental() %}
    where {{ is_new_load() }}
    {%- endif %}
),

rejected as (
    select
        rejected_answers.*,
        raw_answers.raw_row
    from rejected_answers
    inner join raw_answers
        on rejected_answers.load_id = raw_answers.load_id and rejected_answers.source_line = raw_answers.source_line
    union all
    select
        rejected_invitations.*,
        raw_invitations.raw_row
    from rejected_invitations
    inner join raw_invitations
        on
            rejected_invitations.load_id = raw_invitations.load_id
            and rejected_invitations.source_line = raw_invitations.source_line
    union all
    select
        rejected_follow_ups.*,
        raw_follow_ups.raw_row
    from rejected_follow_ups
    inner join raw_follow_ups
        on
            rejected_follow_ups.load_id = raw_follow_ups.load_id
            and rejected_follow_ups.source_line = raw_follow_ups.source_line
    union all
    select * from malformed
),

plain as (
    select
        *,
        {{ plain_text('source_survey_id') }} as plain_survey_id,
        {{ plain_text('raw_row') }} as plain_row
    from rejected
),

hidden as (
    select
        *,
        {{ without_contact_details('plain_survey_id') }} as hidden_survey_id,
        {{ without_contact_details('plain_row') }} as hidden_row
    from plain
),

-- As delivered where nothing had to be hidden: a digit of another keyboard may be what is wrong with the row.
final as (
    select
        source_system,
        load_id,
        loaded_at,
        source_file,
        source_line,
        reason,
        case when hidden_survey_id = plain_survey_id then source_survey_id else hidden_survey_id end
            as source_survey_id,
        case when hidden_row = plain_row then raw_row else hidden_row end as raw_row
    from hidden
)

select * from final
{%- if is_incremental() %}
union all
select
    null as source_system,
    affected.load_id,
    null as loaded_at,
    null as source_file,
    affected.source_line,
    null as reason,
    null as source_survey_id,
    null as raw_row
from affected
left join final on affected.load_id = final.load_id and affected.source_line = final.source_line
where final.load_id is null
{%- endif %}
