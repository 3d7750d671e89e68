-- Grain: one invitation that was answered, wholly or in part, with the answer.
-- depends_on: {{ ref('int_delivered_answers') }}, {{ ref('int_repeated_answers') }}
{{ config(
    materialized = 'incremental',
    unique_key = 'invitation_id',
    meta = {'present': 'response_id', 'tracked': ['invitation_id', 'response_id']}
) }}

{#- The answers that may be the outcome of an invitation; in a full build read where needed, never held all at once. -#}
{%- set answers %}
        select
            response_id,
            invitation_id,
            decision,
            submitted_at
        from {{ 'affected_answers' if is_incremental() else ref('int_answers') }}
        where decision in ('counted', 'partial') and invitation_id is not null
{%- endset %}

with
{%- if is_incremental() %}
affected as (
    select changed_value as invitation_id from {{ changed('int_invitations', 'invitation_id') }} as invitations
    union
    select changed_value from {{ changed('int_delivered_answers', 'invitation_id') }} as answers
    union
    select changed_value from {{ changed('int_repeated_answers', 'invitation_id') }} as repeated
    {%- if are_groups_invited() %}
    -- Groups are few, and any answer without an invitation may be theirs: they are placed anew each time.
    union
    select invitation_id from {{ ref('int_invitations') }}
    where group_id is not null
    {%- endif %}
),

affected_answers as (
    select * from {{ answers_of('invitation_id', 'select invitation_id from affected') }} as answers
),
{% endif %}
-- Of two answers to one invitation, the counted and then the later one is its outcome.
answered_again as (
    select {{ key_hash(['invitation_id']) }} as key_hash
    from ({{ answers }}
    ) as answers
    group by {{ key_hash(['invitation_id']) }}
    having count(*) > 1
),

preferred as (
    select
        answers.response_id,
        row_number() over (
            partition by answers.invitation_id
            order by answers.decision asc, answers.submitted_at desc, answers.response_id asc
        ) as preference
    from ({{ answers }}
    ) as answers
    inner join answered_again on {{ key_hash(['answers.invitation_id']) }} = answered_again.key_hash
),

overtaken as (
    select response_id
    from preferred
    where preference > 1
),

named as (
    select
        invitations.invitation_id,
        answers.response_id,
        answers.decision,
        answers.submitted_at,
        invitations.channel
    from ({{ answers }}
    ) as answers
    {%- if is_incremental() %}
    inner join
        {{ rows_of(
            ref('int_invitations'), 'invitation_id', 'select invitation_id from affected_answers',
            columns=['invitation_id', 'channel']
        ) }} as invitations on answers.invitation_id = invitations.invitation_id
    {%- else %}
    inner join {{ ref('int_invitations') }} as invitations on answers.invitation_id = invitations.invitation_id
    {%- endif %}
    left join overtaken on answers.response_id = overtaken.response_id
    where overtaken.response_id is null
){% if are_groups_invited() %},

-- A group was asked as one: its answers are those of its account to its survey since it was asked, and the
-- first of them take its places. More answers than places stay without an invitation.
members as (
    select
        invitations.invitation_id,
        invitations.group_id,
        invitations.position_in_group,
        invitations.source_system,
        surveys.survey_id,
        coalesce(account_aliases.account_id, invitations.source_account_id) as account_id,
        invitations.sent_at,
        invitations.channel
    from {{ ref('int_invitations') }} as invitations
    inner join {{ ref('surveys') }} as surveys
        on
            invitations.source_system = surveys.source_system
            and invitations.source_survey_id = surveys.source_survey_id
    left join {{ ref('int_account_aliases') }} as account_aliases
        on
            invitations.source_system = account_aliases.source_system
            and invitations.source_account_id = account_aliases.account_alias
    where invitations.group_id is not null
),

invited_groups as (
    select distinct
        group_id,
        source_system,
        survey_id,
        account_id,
        sent_at
    from members
),

answers_of_groups as (
    select
        answers.response_id,
        answers.decision,
        answers.submitted_at,
        invited_groups.group_id,
        row_number() over (
            partition by answers.response_id
            order by invited_groups.sent_at desc, invited_groups.group_id asc
        ) as nearness
    from {{ ref('int_answers') }} as answers
    inner join invited_groups
        on
            answers.source_system = invited_groups.source_system
            and answers.survey_id = invited_groups.survey_id
            and answers.account_id = invited_groups.account_id
            and answers.submitted_at >= invited_groups.sent_at
    where answers.invitation_id is null and answers.decision = 'counted'
),

placed as (
    select
        *,
        row_number() over (
            partition by group_id
            order by submitted_at, response_id
        ) as place
    from answers_of_groups
    where nearness = 1
),

grouped as (
    select
        members.invitation_id,
        placed.response_id,
        placed.decision,
        placed.submitted_at,
        members.channel
    from placed
    inner join members on placed.group_id = members.group_id and placed.place = members.position_in_group
),

linked as (
    select * from named
    union all
    select * from grouped
)
{%- else %},

linked as (
    select * from named
)
{%- endif %}

select
    *,
    {{ key_hash(['invitation_id']) }} as invitation_id_hash,
    {{ key_hash(['response_id']) }} as response_id_hash
from ({{ with_removed_keys('linked', 'invitation_id') }}) as final
