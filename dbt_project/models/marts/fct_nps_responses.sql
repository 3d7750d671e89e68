-- Grain: one counted answer.
with asked as (
    select answers.*
    from {{ ref('int_answers') }} as answers
    inner join {{ ref('int_answer_decisions') }} as decisions
        on answers.load_id = decisions.load_id and answers.source_line = decisions.source_line
    where decisions.decision = 'counted'
),

accounts as (
    select * from {{ ref('int_account_history') }}
),

contacts as (
    select * from {{ ref('int_contacts') }}
),

surveys as (
    select * from {{ ref('surveys') }}
),

invitations as (
    select
        answered.response_id,
        invitations.invitation_id,
        invitations.channel
    from {{ ref('int_invitation_answers') }} as answered
    inner join {{ ref('int_invitations') }} as invitations
        on answered.invitation_id = invitations.invitation_id
),

marks as (
    select
        source_system,
        source_response_id
    from {{ ref('exclusions') }}
    where effect = 'outside_control'
    group by source_system, source_response_id
),

scored as (
    select
        asked.response_id,
        asked.source_system,
        asked.source_response_id,
        asked.survey_id,
        asked.survey_type,
        asked.contact_id,
        asked.account_id,
        asked.submitted_at,
        {{ business_date('asked.submitted_at') }} as response_date,
        cast(asked.score_number as integer) as score,
        asked.comment,
        asked.loaded_at
    from asked
),

-- The previous answer of the same person to the same kind of survey; kinds are never compared.
previous as (
    select
        response_id,
        lag(score) over ladder as previous_score,
        lag(response_date) over ladder as previous_date
    from scored
    where contact_id is not null
    window ladder as (partition by contact_id, survey_type order by submitted_at, response_id)
),

found as (
    select
        scored.response_id,
        scored.source_system,
        scored.source_response_id,
        scored.survey_id,
        scored.survey_type,
        coalesce(surveys.touchpoint, 'unknown') as touchpoint,
        coalesce(asked.channel, invitations.channel, 'unknown') as channel,
        invitations.invitation_id,
        scored.contact_id,
        scored.account_id,
        accounts.owner_id,
        scored.submitted_at,
        scored.response_date,
        scored.score,
        {{ nps_category('scored.score') }} as category,
        {{ nps_contribution('scored.score') }} as nps_contribution,
        marks.source_response_id is null as is_controllable,
        {{ without_emails('scored.comment') }} as comment,
        coalesce(asked.language, 'unknown') as language,
        {%- for segment in segments_added_to_facts() %}
        {{ segment_value(segment, 'scored.response_date') }} as {{ segment.name }},
        {%- endfor %}
        previous.previous_score,
        {{ nps_category('previous.previous_score') }} as previous_category,
        cast({{ days_between('previous.previous_date', 'scored.response_date') }} as integer) as days_since_previous,
        scored.loaded_at
    from scored
    inner join asked on scored.response_id = asked.response_id
    left join surveys
        on asked.source_system = surveys.source_system and asked.source_survey_id = surveys.source_survey_id
    left join invitations on scored.response_id = invitations.response_id
    left join contacts on scored.contact_id = contacts.contact_id
    left join accounts
        on
            scored.account_id = accounts.account_id
            and {{ as_of('accounts', 'scored.submitted_at') }}
    left join marks
        on scored.source_system = marks.source_system and scored.source_response_id = marks.source_response_id
    left join previous on scored.response_id = previous.response_id
),

final as (
    select
        {%- for segment in combined_segments() %}
        {{ combined_value(segment) }} as {{ segment.name }},
        {%- endfor %}
        *
    from found
)

select * from final
