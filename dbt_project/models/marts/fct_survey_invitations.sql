-- Grain: one invitation to a known survey.
with asked as (
    select
        *,
        {{ business_date('sent_at') }} as sent_date
    from {{ ref('int_invitations') }}
    where survey_id is not null and sent_at is not null
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

answered as (
    select * from {{ ref('int_invitation_answers') }}
),

opt_outs as (
    select * from {{ ref('int_opt_outs') }}
),

found as (
    select
        asked.invitation_id,
        asked.survey_id,
        asked.survey_type,
        coalesce(asked.touchpoint, 'unknown') as touchpoint,
        coalesce(asked.channel, 'unknown') as channel,
        asked.contact_id,
        asked.account_id,
        asked.sent_at,
        asked.sent_date,
        asked.delivered_at,
        asked.opened_at,
        asked.started_at,
        answered.submitted_at as responded_at,
        answered.response_id,
        {%- for segment in segments_added_to_facts() if is_known_when_asked(segment) %}
        {{ segment_value(segment, 'asked.sent_date') }} as {{ segment.name }},
        {%- endfor %}
        case
            when asked.is_ineligible then 'ineligible'
            when answered.decision = 'counted' then 'answered'
            when answered.decision = 'partial' then 'partial'
            when asked.delivered_at is null then 'bounced'
            when
                opt_outs.opted_out_at >= asked.sent_at
                and opt_outs.opted_out_at < {{ add_hours('asked.sent_at', var('opt_out_window_days') * 24) }}
                then 'opted_out'
            else 'silent'
        end as outcome
    from asked
    left join surveys
        on asked.source_system = surveys.source_system and asked.source_survey_id = surveys.source_survey_id
    left join answered on asked.invitation_id = answered.invitation_id
    left join contacts on asked.contact_id = contacts.contact_id
    left join opt_outs on asked.contact_id = opt_outs.contact_id
    left join accounts
        on
            asked.account_id = accounts.account_id
            and {{ as_of('accounts', 'asked.sent_at') }}
),

final as (
    select
        {%- for segment in combined_segments() if is_known_when_asked(segment) %}
        {{ combined_value(segment) }} as {{ segment.name }},
        {%- endfor %}
        *
    from found
)

select * from final
