-- Grain: one invitation; an invited group becomes as many invitations as it has people.
with delivered as (
    {{ union_staging('invitations') }}
),

-- Only invitations that were delivered more than once are ranked: they are few, and ranking wide rows is dear.
delivered_again as (
    select
        source_system,
        source_invitation_id
    from delivered
    group by source_system, source_invitation_id
    having count(*) > 1
),

ranked as (
    select
        delivered.load_id,
        delivered.source_line,
        row_number() over (
            partition by delivered.source_system, delivered.source_invitation_id
            order by delivered.load_id desc, delivered.source_line desc
        ) as delivery_rank
    from delivered
    inner join delivered_again
        on
            delivered.source_system = delivered_again.source_system
            and delivered.source_invitation_id = delivered_again.source_invitation_id
),

latest as (
    select delivered.*
    from delivered
    left join ranked
        on delivered.load_id = ranked.load_id and delivered.source_line = ranked.source_line
    where ranked.delivery_rank is null or ranked.delivery_rank = 1
),

individuals as (
    select
        *,
        cast(null as bigint) as position_in_group
    from latest
    where group_size is null
),

groups_of_people as (
    select * from latest
    where group_size > 0
),

members as (
    {{ expand_group('groups_of_people', 'group_size') }}
),

invitations as (
    select * from individuals
    union all
    select * from members
),

respondents as (
    select * from {{ ref('int_respondents') }}
),

surveys as (
    select * from {{ ref('surveys') }}
),

account_aliases as (
    select * from {{ ref('account_aliases') }}
),

final as (
    select
        invitations.source_system || ':' || invitations.source_invitation_id
        || coalesce('#' || cast(invitations.position_in_group as {{ dbt.type_string() }}), '') as invitation_id,
        invitations.source_system,
        invitations.source_invitation_id,
        invitations.position_in_group,
        invitations.source_survey_id,
        surveys.survey_id,
        surveys.survey_type,
        surveys.touchpoint,
        invitations.channel,
        invitations.attributes,
        respondents.contact_id,
        coalesce(
            respondents.account_id, account_aliases.account_id, invitations.source_account_id
        ) as account_id,
        -- Staff were never customers to be asked, and nobody was asked before the survey began or after it ended.
        coalesce(respondents.is_staff, false)
        or coalesce({{ business_date('invitations.sent_at') }} < surveys.starts_on, false)
        or coalesce({{ business_date('invitations.sent_at') }} > surveys.ends_on, false) as is_ineligible,
        invitations.sent_at,
        invitations.delivered_at,
        invitations.opened_at,
        invitations.started_at,
        invitations.load_id,
        invitations.source_file,
        invitations.source_line
    from invitations
    left join respondents
        on
            invitations.source_system = respondents.source_system
            and invitations.source_contact_id = respondents.source_contact_id
    left join surveys
        on
            invitations.source_system = surveys.source_system
            and invitations.source_survey_id = surveys.source_survey_id
    left join account_aliases
        on
            invitations.source_system = account_aliases.source_system
            and invitations.source_account_id = account_aliases.account_alias
)

select * from final
