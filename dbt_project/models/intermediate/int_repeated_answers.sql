-- Grain: one answer that its person gave again to the same survey within hours: they corrected themselves, and the
-- last word counts.
{{ config(
    materialized = 'incremental',
    unique_key = 'contact_id',
    meta = {'present': 'load_id', 'tracked': ['response_id', 'invitation_id']}
) }}

{%- set answers = 'affected_answers' if is_incremental() else ref('int_delivered_answers') %}

with
{%- if is_incremental() %}
affected_answers as (
    select *
    from
        {{ rows_of(
            ref('int_delivered_answers'), 'contact_id', changed('int_delivered_answers', 'contact_id'),
            columns=[
                'contact_id', 'survey_id', 'response_id', 'invitation_id', 'source_response_id', 'load_id',
                'source_line', 'submitted_at', 'decision',
            ]
        ) }} as known
),
{% endif %}
repeating_contacts as (
    select {{ key_hash(['contact_id', 'survey_id']) }} as key_hash
    from {{ answers }}
    where decision = 'counted' and contact_id is not null
    group by {{ key_hash(['contact_id', 'survey_id']) }}
    having count(*) > 1
),

followed as (
    select
        answers.contact_id,
        answers.response_id,
        answers.invitation_id,
        answers.load_id,
        answers.source_line,
        answers.submitted_at,
        lead(answers.submitted_at) over (
            partition by answers.contact_id, answers.survey_id
            order by answers.submitted_at, answers.source_response_id
        ) as next_submitted_at
    from {{ answers }} as answers
    inner join repeating_contacts
        on {{ key_hash(['answers.contact_id', 'answers.survey_id']) }} = repeating_contacts.key_hash
    where answers.decision = 'counted' and answers.contact_id is not null
),

final as (
    select
        contact_id,
        response_id,
        invitation_id,
        load_id,
        source_line
    from followed
    where next_submitted_at <= {{ add_hours('submitted_at', var('repeat_window_hours')) }}
)

select * from final
{%- if is_incremental() %}
union all
select
    contact_id,
    null as response_id,
    null as invitation_id,
    null as load_id,
    null as source_line
from {{ this }}
where contact_id in {{ changed('int_delivered_answers', 'contact_id') }}
{%- endif %}
