-- Grain: one counted answer.
-- depends_on: {{ ref('int_delivered_answers') }}, {{ ref('int_repeated_answers') }}
{{ config(
    materialized = 'incremental',
    unique_key = 'response_id',
    meta = {
        'present': 'survey_type', 'tracked': ['response_id', 'contact_id', 'account_id'],
        'differences': counted_facts().answers.columns,
    }
) }}

with
{%- if is_incremental() %}
judged_again as (
    select changed_value as response_id from {{ changed('int_delivered_answers', 'response_id') }} as answers
    union
    select changed_value from {{ changed('int_repeated_answers', 'response_id') }} as repeated
),

-- Whoever answers again has another answer before the next one: of the same person those are affected that follow one
-- which was or is judged again.
ladder_steps as (
    select
        answers.contact_id,
        answers.survey_type,
        answers.submitted_at,
        answers.response_id,
        judged_again.response_id is not null as is_judged_again
    from {{ answers_of('contact_id', changed('int_delivered_answers', 'contact_id')) }} as answers
    left join judged_again on answers.response_id = judged_again.response_id
    where answers.decision = 'counted'
    union all
    select
        contact_id,
        survey_type,
        submitted_at,
        response_id,
        true as is_judged_again
    from
        {{ rows_of(
            this, 'response_id', 'select response_id from judged_again',
            columns=['contact_id', 'survey_type', 'submitted_at', 'response_id']
        ) }} as before_batch
    where contact_id is not null
),

followed as (
    select
        response_id,
        lag(is_judged_again) over (
            partition by contact_id, survey_type
            order by submitted_at, response_id
        ) as follows_one_judged_again
    from ladder_steps
),

affected as (
    select response_id from judged_again
    union
    select changed_value from {{ changed('int_invitation_answers', 'response_id') }} as answered
    union
    select changed_value from {{ changed('int_hidden_comments', 'response_id') }} as hidden
    union
    select response_id from followed
    where follows_one_judged_again
    union
    select response_id from {{ this }}
    where account_id in {{ changed('int_account_history', 'account_id') }}
    union
    select response_id from {{ this }}
    where ticket_id in {{ changed('int_activities', 'source_activity_id') }}
    {%- if segments_from('contact') %}
    union
    select response_id from {{ this }}
    where contact_id in {{ changed('int_contacts', 'contact_id') }}
    {%- endif %}
),
{% endif %}
asked as (
    select *
    from {{ answers_of('response_id', 'select response_id from affected') if is_incremental() else ref('int_answers') }}
    where decision = 'counted'
),

days as (
    select * from {{ ref('int_business_days') }}
),

accounts as (
    select * from {{ ref('int_account_history') }}
),
{% if segments_from('contact') %}
contacts as (
    select * from {{ ref('int_contacts') }}
),
{% endif %}
{%- if segments_from('survey') | rejectattr('name', 'equalto', 'touchpoint') | list %}
surveys as (
    select * from {{ ref('surveys') }}
),
{% endif %}
answered as (
    select * from {{ concerned(ref('int_invitation_answers'), 'response_id', 'select response_id from asked') }}
),

hidden_comments as (
    select * from {{ ref('int_hidden_comments') }}
),

-- Whoever solved a ticket first, or else had it first: a survey asks once it is solved, and who has it later was not
-- asked about.
tickets as (
    select
        ticket_id,
        owner_id
    from (
        select
            source_activity_id as ticket_id,
            owner_id,
            row_number() over (
                partition by source_activity_id
                order by resolved_at nulls last, contacted_at nulls last, owner_id
            ) as place
        from {{ concerned(ref('int_activities'), 'source_activity_id', 'select ticket_id from asked') }}
        where activity_type in ('ticket', 'case') and owner_id is not null
    ) as ranked
    where place = 1
),

-- The previous answer of the same person to the same kind of survey; kinds are never compared.
ladders as (
    select
        response_id,
        lag(score_number) over ladder as previous_score,
        lag(submitted_at) over ladder as previous_submitted_at
    from {{ answers_of('contact_id', 'select contact_id from asked') if is_incremental() else ref('int_answers') }}
    where decision = 'counted' and contact_id is not null
    window ladder as (partition by contact_id, survey_type order by submitted_at, response_id)
),

previous as (
    select
        ladders.response_id,
        cast(ladders.previous_score as integer) as previous_score,
        days.business_date as previous_date
    from ladders
    inner join days on {{ quarter_hour('ladders.previous_submitted_at') }} = days.quarter_hour
),

found as (
    select
        asked.response_id,
        asked.source_system,
        asked.source_response_id,
        asked.survey_id,
        asked.survey_type,
        coalesce(asked.touchpoint, 'unknown') as touchpoint,
        coalesce(asked.channel, answered.channel, 'unknown') as channel,
        answered.invitation_id,
        asked.contact_id,
        asked.account_id,
        asked.contact_match_rule,
        asked.account_match_rule,
        accounts.owner_id,
        asked.ticket_id,
        coalesce(asked.named_handler, tickets.owner_id, {{ touchpoint_team('asked.touchpoint') }}) as handled_by,
        asked.submitted_at,
        days.business_date as response_date,
        cast(asked.score_number as integer) as score,
        {{ nps_category('asked.score_number') }} as category,
        {{ nps_contribution('asked.score_number') }} as nps_contribution,
        asked.mark_id is null as is_controllable,
        coalesce(hidden_comments.comment, asked.comment) as comment,
        coalesce(asked.language, 'unknown') as language,
        {%- for segment in segments_added_to_facts() %}
        {{ segment_value(segment, 'days.business_date') }} as {{ segment.name }},
        {%- endfor %}
        previous.previous_score,
        {{ nps_category('previous.previous_score') }} as previous_category,
        cast({{ days_between('previous.previous_date', 'days.business_date') }} as integer) as days_since_previous,
        asked.loaded_at
    from asked
    -- Every time has its day: a left join only for the planner, which would take an inner one to lose most rows.
    left join days on {{ quarter_hour('asked.submitted_at') }} = days.quarter_hour
    {%- if segments_from('survey') | rejectattr('name', 'equalto', 'touchpoint') | list %}
    left join surveys
        on asked.source_system = surveys.source_system and asked.source_survey_id = surveys.source_survey_id
    {%- endif %}
    left join answered on asked.response_id = answered.response_id
    left join hidden_comments on asked.response_id = hidden_comments.response_id
    {%- if segments_from('contact') %}
    left join contacts on asked.contact_id = contacts.contact_id
    {%- endif %}
    left join accounts
        on
            asked.account_id = accounts.account_id
            and {{ as_of('accounts', 'asked.submitted_at') }}
    left join tickets on asked.ticket_id = tickets.ticket_id
    left join previous on asked.response_id = previous.response_id
),

final as (
    select
        {%- for segment in combined_segments() %}
        {{ combined_value(segment) }} as {{ segment.name }},
        {%- endfor %}
        *
    from found
)

{{ with_removed_keys('final', 'response_id') }}
