-- Grain: one invitation to a known survey.
{{ config(
    materialized = 'incremental',
    unique_key = 'invitation_id',
    meta = {
        'present': 'survey_id', 'tracked': ['invitation_id', 'contact_id', 'account_id'],
        'differences': counted_facts().invitations.columns, 'day': 'sent_date',
    }
) }}

{%- if is_incremental() %}
{%- set touched %}
    select changed_value as invitation_id from {{ changed('int_invitations', 'invitation_id') }} as invitations
    union
    select changed_value from {{ changed('int_invitation_answers', 'invitation_id') }} as answered
    union
    select changed_value from {{ changed('int_invitations_too_soon', 'invitation_id') }} as too_soon
    union
    select invitation_id
    from
        {{ rows_of(
            ref('int_invitations'), 'respondent_key', changed('int_respondents', 'respondent_key'),
            columns=['invitation_id', 'respondent_key']
        ) }} as of_respondents
    union
    select invitation_id from {{ ref('int_invitations') }}
    where source_account_id in {{ changed('int_account_aliases', 'account_alias') }}
    union
    select invitation_id from {{ this }}
    where account_id in {{ changed('int_account_history', 'account_id') }}
    union
    select invitation_id from {{ this }}
    where contact_id in (
        -- An opt-out comes and goes with its respondent, also for those in other tools who are the same contact.
        select changed_value from {{ changed('int_respondents', 'contact_id') }} as respondents
        union
        select contact_id from {{ ref('int_respondents') }}
        where respondent_key in {{ changed('int_opt_outs', 'respondent_key') }}
        {%- if segments_from('contact') %}
        union
        select changed_value from {{ changed('int_contacts', 'contact_id') }} as contacts
        {%- endif %}
    )
{%- endset %}
{%- endif %}

with
{% if is_incremental() %}
{{ computed_once('affected', touched) }},
{% endif %}
asked as (
    select * from {{ concerned(ref('int_invitations'), 'invitation_id', 'select invitation_id from affected') }}
),

accounts as (
    select * from {{ ref('int_account_history') }}
),
{% if segments_from('contact') %}
contacts as (
    select * from {{ ref('int_contacts') }}
),
{% endif %}
surveys as (
    select * from {{ ref('surveys') }}
),

account_aliases as (
    select * from {{ ref('int_account_aliases') }}
),

respondents as (
    select * from {{ concerned(ref('int_respondents'), 'respondent_key', 'select respondent_key from asked') }}
),

answered as (
    select * from {{ concerned(ref('int_invitation_answers'), 'invitation_id', 'select invitation_id from affected') }}
),

opt_outs as (
    select
        respondents.contact_id,
        min(opt_outs.opted_out_at) as opted_out_at
    from {{ ref('int_opt_outs') }} as opt_outs
    inner join {{ ref('int_respondents') }} as respondents on opt_outs.respondent_key = respondents.respondent_key
    group by respondents.contact_id
),

too_soon as (
    select invitation_id
    from
        {{ concerned(
            ref('int_invitations_too_soon'), 'invitation_id', 'select invitation_id from affected', ['invitation_id']
        ) }}
),

found as (
    select
        asked.invitation_id,
        asked.source_system,
        surveys.survey_id,
        surveys.survey_type,
        coalesce(surveys.touchpoint, 'unknown') as touchpoint,
        coalesce(asked.channel, 'unknown') as channel,
        respondents.contact_id,
        {{ account_found('asked') }} as account_id,
        coalesce(respondents.match_rule, 'anonymous') as contact_match_rule,
        {{ account_match_rule('asked') }} as account_match_rule,
        asked.sent_at,
        days.business_date as sent_date,
        {{ reached_at('asked', 'answered') }} as delivered_at,
        asked.opened_at,
        asked.started_at,
        answered.submitted_at as responded_at,
        answered.response_id,
        {%- for segment in segments_added_to_facts() if is_known_when_asked(segment) %}
        {{ segment_value(segment, 'days.business_date') }} as {{ segment.name }},
        {%- endfor %}
        case
            -- Staff were never customers to be asked, and nobody was asked before the survey began or after it ended.
            when respondents.is_staff then 'ineligible'
            {%- if var('forgotten_answers') == 'removed' %}
            when {{ is_forgotten('asked.respondent_key') }} then 'ineligible'
            {%- endif %}
            when days.business_date < surveys.starts_on or days.business_date > surveys.ends_on then 'ineligible'
            when answered.decision = 'counted' then 'answered'
            when answered.decision = 'partial' then 'partial'
            when {{ reached_at('asked', 'answered') }} is null then 'bounced'
            when
                opt_outs.opted_out_at >= asked.sent_at
                and opt_outs.opted_out_at < {{ add_hours('asked.sent_at', var('opt_out_window_days') * 24) }}
                then 'opted_out'
            else 'silent'
        end as outcome,
        case
            when {{ reached_at('asked', 'answered') }} is not null and respondents.contact_id is not null
                then too_soon.invitation_id is null and coalesce(opt_outs.opted_out_at > asked.sent_at, true)
        end as is_within_contact_rules
    from asked
    inner join surveys
        on asked.source_system = surveys.source_system and asked.source_survey_id = surveys.source_survey_id
    -- Every time has its day: a left join only for the planner, which would take an inner one to lose most rows.
    left join {{ ref('int_business_days') }} as days on {{ quarter_hour('asked.sent_at') }} = days.quarter_hour
    left join respondents on asked.respondent_key = respondents.respondent_key
    left join account_aliases
        on
            asked.source_system = account_aliases.source_system
            and asked.source_account_id = account_aliases.account_alias
    left join answered on asked.invitation_id = answered.invitation_id
    left join opt_outs on respondents.contact_id = opt_outs.contact_id
    left join too_soon on asked.invitation_id = too_soon.invitation_id
    {%- if segments_from('contact') %}
    left join contacts on respondents.contact_id = contacts.contact_id
    {%- endif %}
    left join accounts
        on
            {{ account_found('asked') }} = accounts.account_id
            and {{ as_of('accounts', 'asked.sent_at') }}
    where asked.sent_at is not null
),

final as (
    select
        {%- for segment in combined_segments() if is_known_when_asked(segment) %}
        {{ combined_value(segment) }} as {{ segment.name }},
        {%- endfor %}
        *
    from found
){% if is_incremental() %},

-- The facts lie in the order of time, more or less: only the days are looked through on which something was or is.
touched_days as (
    select sent_date from final
    union
    select days.business_date as sent_date
    from {{ ref('int_business_days') }} as days
    inner join {{ changed('int_invitations', quarter_hour('sent_at')) }} as moved
        on days.quarter_hour = cast(moved.changed_value as timestamp)
),

-- Each as it was and as it is: what has no row on a day any more is removed from it.
places as (
    select
        invitation_id,
        sent_date
    from
        {{ rows_of(
            this, 'invitation_id', 'select invitation_id from affected', columns=['invitation_id', 'sent_date'],
            condition='sent_date in (select sent_date from touched_days)'
        ) }} as before_batch
    union
    select
        invitation_id,
        sent_date
    from final
)

select *
from places
left join final using (invitation_id, sent_date)
{%- else %}

select * from final
{%- endif %}
