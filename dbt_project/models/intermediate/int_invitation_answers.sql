-- Grain: one invitation that was answered, wholly or in part, with the answer.
with answers as (
    select
        answers.response_id,
        answers.source_system,
        answers.source_invitation_id,
        answers.survey_id,
        answers.account_id,
        answers.submitted_at,
        decisions.decision
    from {{ ref('int_answers') }} as answers
    inner join {{ ref('int_answer_decisions') }} as decisions
        on answers.load_id = decisions.load_id and answers.source_line = decisions.source_line
    where decisions.decision in ('counted', 'partial')
),

invitations as (
    select * from {{ ref('int_invitations') }}
),

-- Of two answers to one invitation, the counted and then the later one is its outcome.
named as (
    select
        invitation_id,
        response_id,
        decision,
        submitted_at
    from (
        select
            invitations.invitation_id,
            answers.response_id,
            answers.decision,
            answers.submitted_at,
            row_number() over (
                partition by invitations.invitation_id
                order by answers.decision asc, answers.submitted_at desc, answers.response_id asc
            ) as preference
        from answers
        inner join invitations
            on
                answers.source_system = invitations.source_system
                and answers.source_invitation_id = invitations.source_invitation_id
        where invitations.position_in_group is null
    ) as ranked
    where preference = 1
),

-- A group was asked as one: its answers are those of its account to its survey since it was asked, and the
-- first of them take its places. More answers than places stay without an invitation.
invited_groups as (
    select distinct
        source_system,
        source_invitation_id,
        survey_id,
        account_id,
        sent_at
    from invitations
    where position_in_group is not null
),

answers_of_groups as (
    select
        answers.response_id,
        answers.decision,
        answers.submitted_at,
        invited_groups.source_system,
        invited_groups.source_invitation_id,
        row_number() over (
            partition by answers.response_id
            order by invited_groups.sent_at desc, invited_groups.source_invitation_id asc
        ) as nearness
    from answers
    inner join invited_groups
        on
            answers.source_system = invited_groups.source_system
            and answers.survey_id = invited_groups.survey_id
            and answers.account_id = invited_groups.account_id
            and answers.submitted_at >= invited_groups.sent_at
    where answers.source_invitation_id is null and answers.decision = 'counted'
),

placed as (
    select
        *,
        row_number() over (
            partition by source_system, source_invitation_id
            order by submitted_at, response_id
        ) as place
    from answers_of_groups
    where nearness = 1
),

grouped as (
    select
        invitations.invitation_id,
        placed.response_id,
        placed.decision,
        placed.submitted_at
    from placed
    inner join invitations
        on
            placed.source_system = invitations.source_system
            and placed.source_invitation_id = invitations.source_invitation_id
            and placed.place = invitations.position_in_group
),

final as (
    select * from named
    union all
    select * from grouped
)

select * from final
