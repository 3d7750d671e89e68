-- Grain: one counted detractor answer that is to be followed up: a case, with where it stands. In an incremental build
-- those cases are looked at again that a batch touched, or for which a time is over.
{{ config(
    materialized = 'incremental',
    unique_key = 'response_id',
    meta = {'present': 'survey_id', 'tracked': ['response_id'], 'passes': true}
) }}
{%- set desk = text_literal(var('follow_up').desk) %}
{%- set affected = 'select response_id from affected' %}
{%- if is_incremental() %}
{%- set touched_cases %}
    with moved_follow_ups as (
        select
            response_id,
            contact_id,
            account_id
        from {{ ref('int_follow_ups') }}
        where
            {{ has_passed('contacted_at') }}
            or {{ has_passed('resolved_at') }}
            or owner_id in {{ changed('int_acting_owners', 'owner_id') }}
    ),

    touched as (
        select changed_value as response_id from {{ changed('fct_nps_responses', 'response_id') }} as answers
        union
        select changed_value from {{ changed('int_answer_themes', 'response_id') }} as themes
        union
        select changed_value from {{ changed('int_follow_ups', 'response_id') }} as follow_ups
        union
        select response_id from moved_follow_ups
        union
        select response_id from {{ ref('fct_nps_responses') }}
        where {{ has_passed('submitted_at') }}
    ),

    touched_contacts as (
        select changed_value as contact_id from {{ changed('fct_nps_responses', 'contact_id') }} as answers
        union
        select changed_value from {{ changed('int_follow_ups', 'contact_id') }} as follow_ups
        union
        select contact_id from moved_follow_ups
        union
        select contact_id from {{ ref('fct_nps_responses') }}
        where {{ has_passed('submitted_at') }}
    ),

    touched_accounts as (
        select changed_value as account_id from {{ changed('dim_accounts', 'account_id') }} as accounts
        union
        select changed_value from {{ changed('int_follow_ups', 'account_id') }} as follow_ups
        union
        select account_id from moved_follow_ups
        union
        select account_id from {{ ref('dim_accounts') }}
        where owner_id in {{ changed('int_acting_owners', 'owner_id') }}
    )

    select response_id from touched
    where response_id is not null
    union
    select response_id from {{ this }}
    where
        contact_id in (select touched_contacts.contact_id from touched_contacts)
        or account_id in (select touched_accounts.account_id from touched_accounts)
        or {{ has_passed('due_at') }}
        or opened_date < {{ first_case_date() }}
{%- endset %}
{%- endif %}

with
{% if is_incremental() %}
{{ computed_once('affected', touched_cases) }},
{% endif %}
follow_ups as (
    select * from {{ ref('int_follow_ups') }}
    where
        fault is null
        and activity_type in ({{ literals(var('follow_up').activity_types) }})
),

followed_up as (
    select
        response_id,
        survey_id,
        survey_type,
        touchpoint,
        contact_id,
        account_id,
        owner_id as owner_when_opened_id,
        response_date,
        score,
        comment
    from
        {{ concerned(
            ref('fct_nps_responses'), 'response_id', affected,
            [
                'response_id', 'survey_id', 'survey_type', 'touchpoint', 'contact_id', 'account_id', 'owner_id',
                'response_date', 'score', 'comment', 'category', 'submitted_at',
            ]
        ) }}
    where {{ is_case() }}
),

deadlines as (
    select * from {{ concerned(ref('int_detractor_cases'), 'response_id', affected) }}
),

cases as (
    select
        followed_up.*,
        deadlines.opened_at,
        deadlines.due_at
    from followed_up
    left join deadlines on followed_up.response_id = deadlines.response_id
),

-- What names an answer followed up that one; what names a person, all that this person had answered in the days before;
-- and what names an account alone, all that anybody there had.
matched as (
    {%- for key, condition in {
        'response_id': 'true',
        'contact_id': 'follow_ups.response_id is null',
        'account_id': 'follow_ups.response_id is null and follow_ups.contact_id is null',
    }.items() %}
    select
        cases.response_id,
        follow_ups.owner_id,
        follow_ups.contacted_at,
        case when follow_ups.resolved_at <= {{ as_of_moment() }} then follow_ups.resolved_at end as resolved_at
    from cases
    inner join follow_ups on cases.{{ key }} = follow_ups.{{ key }}
    where
        {{ condition }}
        and follow_ups.contacted_at <= {{ as_of_moment() }}
        and follow_ups.contacted_at >= cases.opened_at
        {%- if key != 'response_id' %}
        and follow_ups.created_at >= cases.opened_at
        and follow_ups.created_at < {{ add_hours('cases.opened_at', var('follow_up').activity_days * 24) }}
        {%- endif %}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

in_order as (
    select
        *,
        min(contacted_at) over (partition by response_id) as first_contact_at
    from matched
),

-- Contacted by whoever was first, if the CRM knows them; files may have other names for people.
contacts as (
    select
        in_order.response_id,
        min(in_order.first_contact_at) as first_contact_at,
        min(case when in_order.contacted_at = in_order.first_contact_at then owners.owner_id end) as contacted_by,
        min(in_order.resolved_at) as resolved_at
    from in_order
    left join {{ ref('dim_owners') }} as owners on in_order.owner_id = owners.owner_id
    group by in_order.response_id
),

contacted as (
    select
        cases.*,
        contacts.first_contact_at,
        contacts.contacted_by,
        contacts.resolved_at
    from cases
    left join contacts on cases.response_id = contacts.response_id
),

answers as (
    select
        response_id,
        contact_id,
        survey_type,
        submitted_at,
        score,
        category
    from
        {{ concerned(
            ref('fct_nps_responses'), 'contact_id', 'select cases.contact_id from cases',
            ['response_id', 'contact_id', 'survey_type', 'submitted_at', 'score', 'category', 'response_date'],
            condition='response_date >= ' ~ first_case_date()
        ) }}
    where
        contact_id in (select cases.contact_id from cases)
        and response_date >= {{ first_case_date() }}
        and submitted_at <= {{ as_of_moment() }}
),

-- What the person answered to the same kind of survey after the contact; where there was none, after the case was
-- opened.
later_answers as (
    select
        contacted.response_id,
        answers.score,
        answers.category,
        answers.submitted_at,
        row_number() over (
            partition by contacted.response_id
            order by answers.submitted_at, answers.response_id
        ) as answer_number
    from contacted
    inner join answers
        on
            contacted.contact_id = answers.contact_id
            and contacted.survey_type = answers.survey_type
            and coalesce(contacted.first_contact_at, contacted.opened_at) < answers.submitted_at
),

next_answers as (
    select * from later_answers
    where answer_number = 1
),

themes as (
    select
        response_id,
        {{ joined('theme', ', ') }} as themes
    from {{ concerned(ref('int_answer_themes'), 'response_id', affected) }}
    where category = 'detractor' and response_date >= {{ first_case_date() }}
    group by response_id
),

-- The owner of the account as of now, or who acts for them. An owner whom no list of owners has may be there.
accounts as (
    select
        dim_accounts.account_id,
        dim_accounts.owner_id as account_owner_id,
        case
            when acting.owner_id is null then dim_accounts.owner_id
            else acting.acting_owner_id
        end as acting_owner_id,
        acting.escalation_owner_id
    from {{ ref('dim_accounts') }} as dim_accounts
    left join {{ ref('int_acting_owners') }} as acting on dim_accounts.owner_id = acting.owner_id
    where dim_accounts.account_id in (select cases.account_id from cases)
),

final as (
    select
        contacted.response_id,
        contacted.survey_id,
        contacted.survey_type,
        contacted.touchpoint,
        contacted.contact_id,
        contacted.account_id,
        coalesce(accounts.acting_owner_id, {{ desk }}) as owner_id,
        case
            when accounts.acting_owner_id = accounts.account_owner_id then 'owner'
            when accounts.acting_owner_id is not null then 'manager'
            else 'desk'
        end as owner_rule,
        coalesce(accounts.escalation_owner_id, {{ desk }}) as manager_id,
        coalesce(contacted.owner_when_opened_id, {{ desk }}) as owner_when_opened_id,
        contacted.score,
        themes.themes,
        contacted.comment,
        contacted.opened_at,
        contacted.response_date as opened_date,
        contacted.due_at,
        contacted.first_contact_at,
        contacted.contacted_by,
        contacted.resolved_at,
        case
            when contacted.resolved_at is not null then 'resolved'
            when contacted.first_contact_at is not null then 'contacted'
            when contacted.due_at <= {{ as_of_moment() }} then 'overdue'
            else 'open'
        end as state,
        -- Judged when it was due, and not before: of today's cases those called at once would be the only ones.
        case
            when contacted.due_at <= {{ as_of_moment() }}
                then coalesce(contacted.first_contact_at <= contacted.due_at, false)
        end as is_contacted_in_time,
        next_answers.submitted_at as next_answered_at,
        next_answers.score as next_score,
        next_answers.category <> 'detractor' as is_recovered
    from contacted
    left join accounts on contacted.account_id = accounts.account_id
    left join next_answers on contacted.response_id = next_answers.response_id
    left join themes on contacted.response_id = themes.response_id
)

{{ with_removed_keys('final', 'response_id') }}
