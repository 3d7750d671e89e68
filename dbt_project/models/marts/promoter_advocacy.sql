-- Grain: one person who may be asked for a reference now: the last answer was a promoter's, they agreed, and nobody has
-- asked them too lately.
{%- set rules = var('advocacy') %}
with answers as (
    select
        response_id,
        contact_id,
        category,
        row_number() over (partition by contact_id order by submitted_at desc, response_id desc) as answer_number,
        count(case when category = 'promoter' then 1 end) over (partition by contact_id) as promoter_answers
    from {{ ref('fct_nps_responses') }}
    where
        contact_id is not null
        and submitted_at <= {{ as_of_moment() }}
        and submitted_at > {{ add_hours(as_of_moment(), -24 * rules.answer_days) }}
),

promoters as (
    select
        answers.promoter_answers,
        facts.*
    from answers
    inner join {{ ref('fct_nps_responses') }} as facts on answers.response_id = facts.response_id
    where answers.answer_number = 1 and answers.category = 'promoter'
),

requests as (
    select
        contact_id,
        max(created_at) as last_request_at
    from {{ ref('int_follow_ups') }}
    where
        activity_type in ({{ literals(rules.activity_types) }})
        and created_at <= {{ as_of_moment() }}
    group by contact_id
),

-- Who may be asked by no survey of any type now, may not be asked for a reference either.
left_alone as (
    select contact_id
    from {{ ref('contact_fatigue') }}
    group by contact_id
    having count(case when not is_allowed_now then 1 end) = {{ survey_types() | length }}
),

final as (
    select
        promoters.contact_id,
        promoters.account_id,
        accounts.owner_id,
        promoters.response_id,
        promoters.survey_type,
        promoters.touchpoint,
        promoters.submitted_at as answered_at,
        promoters.score,
        promoters.previous_category,
        promoters.promoter_answers,
        promoters.comment,
        requests.last_request_at
    from promoters
    inner join {{ ref('dim_contacts') }} as contacts on promoters.contact_id = contacts.contact_id
    left join {{ ref('dim_accounts') }} as accounts on promoters.account_id = accounts.account_id
    left join requests on promoters.contact_id = requests.contact_id
    left join left_alone on promoters.contact_id = left_alone.contact_id
    where
        contacts.has_reference_consent
        and not contacts.is_staff
        and not contacts.is_deleted
        and left_alone.contact_id is null
        and coalesce(accounts.is_customer and not accounts.is_deleted, true)
        and coalesce(requests.last_request_at <= {{ add_hours(as_of_moment(), -24 * rules.days_between) }}, true)
)

select * from final
