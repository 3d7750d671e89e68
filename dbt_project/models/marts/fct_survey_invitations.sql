-- Grain: one invitation to a known survey.
{{ config(
    materialized = 'incremental',
    unique_key = 'invitation_id',
    meta = {
        'present': 'survey_id', 'tracked': ['invitation_id', 'contact_id', 'account_id'],
        'differences': counted_facts().invitations.columns,
    }
) }}

with
{%- if is_incremental() %}
touched as (
    select changed_value as invitation_id from {{ changed('int_invitations', 'invitation_id') }} as invitations
    union
    select changed_value from {{ changed('int_invitation_answers', 'invitation_id') }} as answered
    union
    select invitation_id from {{ ref('int_invitations') }}
    where respondent_key in {{ changed('int_respondents', 'respondent_key') }}
    union
    select invitation_id from {{ ref('int_invitations') }}
    where source_account_id in {{ changed('int_account_aliases', 'account_alias') }}
    union
    select invitation_id from {{ this }}
    where account_id in {{ changed('int_account_history', 'account_id') }}
    union
    select invitation_id from {{ this }}
    where contact_id in (
        select contact_id from {{ ref('int_respondents') }}
        where respondent_key in {{ changed('int_opt_outs', 'respondent_key') }}
    )
    union
    -- An opt-out comes and goes with its respondent, also for those in other tools who are the same contact.
    select invitation_id from {{ this }}
    where contact_id in {{ changed('int_respondents', 'contact_id') }}
    {%- if segments_from('contact') %}
    union
    select invitation_id from {{ this }}
    where contact_id in {{ changed('int_contacts', 'contact_id') }}
    {%- endif %}
),

-- What comes, goes or moves between two invitations of a person changes whether the later one was within the rules.
touched_contacts as (
    select
        contact_id,
        min(sent_at) as first_sent_at
    from (
        select
            contact_id,
            sent_at
        from
            {{ rows_of(
                this, 'invitation_id', 'select invitation_id from touched', columns=['contact_id', 'sent_at']
            ) }} as before_batch
        union all
        select
            respondents.contact_id,
            invitations.sent_at
        from {{ rows_of(ref('int_invitations'), 'invitation_id', 'select invitation_id from touched') }} as invitations
        inner join {{ ref('int_respondents') }} as respondents
            on invitations.respondent_key = respondents.respondent_key
    ) as touched_times
    where contact_id is not null
    group by contact_id
),

of_touched_contacts as (
    select *
    from
        {{ rows_of(
            this, 'contact_id', 'select contact_id from touched_contacts',
            columns=['invitation_id', 'contact_id', 'survey_type', 'sent_at', 'delivered_at']
        ) }} as invitations
),

affected as (
    select invitation_id from touched
    union
    select of_touched_contacts.invitation_id
    from of_touched_contacts
    inner join touched_contacts on of_touched_contacts.contact_id = touched_contacts.contact_id
    where of_touched_contacts.sent_at >= touched_contacts.first_sent_at
),
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

-- What reached a person, read by itself: wide rows are dear to rank.
reached as (
    select
        invitations.invitation_id,
        respondents.contact_id,
        surveys.survey_type,
        invitations.sent_at
    from {{ 'asked' if is_incremental() else ref('int_invitations') }} as invitations
    inner join surveys
        on
            invitations.source_system = surveys.source_system
            and invitations.source_survey_id = surveys.source_survey_id
    inner join {{ 'respondents' if is_incremental() else ref('int_respondents') }} as respondents
        on invitations.respondent_key = respondents.respondent_key
    where invitations.delivered_at is not null
    {%- if is_incremental() %}
    union all
    select
        invitation_id,
        contact_id,
        survey_type,
        sent_at
    from of_touched_contacts
    where delivered_at is not null and invitation_id not in (select invitation_id from affected)
    {%- endif %}
),

-- When others had reached the person before, in one order for every type: by the person's hash and the time alone,
-- which are sorted many times faster than texts. Of invitations at the same moment any may come first here.
{%- set person = 'partition by ' ~ key_hash(['contact_id']) ~ ' order by sent_at' %}
{%- set earlier = 'over (' ~ person ~ ' rows between unbounded preceding and 1 preceding)' %}

ordered as (
    select
        invitation_id,
        {{ key_hash(['contact_id']) }} as person_hash,
        survey_type,
        sent_at,
        {%- for type in survey_types() %}
        max(case when survey_type = '{{ type }}' then sent_at end) {{ earlier }} as {{ type }}_sent_at,
        {%- endfor %}
        max(sent_at) {{ earlier }} as any_sent_at,
        lead(sent_at) over ({{ person }}) as next_sent_at
    from reached
    where sent_at is not null
),

-- Most invitations are none of these.
suspected as (
    select *
    from ordered
    where
        ordered.sent_at < {{ asked_again_at('ordered.survey_type', 'ordered') }}
        or ordered.sent_at in (ordered.any_sent_at, ordered.next_sent_at)
),

-- Of the same moment, the invitation's key decides: before it was what was before all of them, and those with lesser
-- keys.
{%- set moment = 'partition by person_hash, sent_at' %}
{%- set before_it = 'over (' ~ moment ~ ' order by invitation_id rows between unbounded preceding and 1 preceding)' %}

spaced as (
    select
        invitation_id,
        survey_type,
        sent_at,
        {%- for type in survey_types() %}
        {%- set column = type ~ '_sent_at' %}
        coalesce(
            max(case when survey_type = '{{ type }}' then sent_at end) {{ before_it }},
            case when count({{ column }}) over ({{ moment }}) = count(*) over ({{ moment }})
                then min({{ column }}) over ({{ moment }}) end
        ) as {{ column }},
        {%- endfor %}
        coalesce(
            max(sent_at) {{ before_it }},
            case when count(any_sent_at) over ({{ moment }}) = count(*) over ({{ moment }})
                then min(any_sent_at) over ({{ moment }}) end
        ) as any_sent_at
    from suspected
),

-- These alone are looked up.
too_soon as (
    select spaced.invitation_id
    from spaced
    where spaced.sent_at < {{ asked_again_at('spaced.survey_type', 'spaced') }}
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
        asked.delivered_at,
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
            when asked.delivered_at is null then 'bounced'
            when
                opt_outs.opted_out_at >= asked.sent_at
                and opt_outs.opted_out_at < {{ add_hours('asked.sent_at', var('opt_out_window_days') * 24) }}
                then 'opted_out'
            else 'silent'
        end as outcome,
        case
            when asked.delivered_at is not null and respondents.contact_id is not null
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
)

{{ with_removed_keys('final', 'invitation_id') }}
