-- Grain: one raw answer row with the one decision it ends in.
with answers as (
    select * from {{ ref('int_answers') }}
),

exclusions as (
    select
        source_system,
        source_response_id
    from {{ ref('exclusions') }}
    where effect = 'exclude'
    group by source_system, source_response_id
),

-- Only answers that were delivered more than once are ranked: they are few, and ranking is dear.
delivered_again as (
    select
        source_system,
        source_response_id
    from answers
    group by source_system, source_response_id
    having count(*) > 1
),

deliveries as (
    select
        answers.load_id,
        answers.source_line,
        answers.row_hash,
        first_value(answers.row_hash) over (
            partition by answers.source_system, answers.source_response_id
            order by answers.updated_at desc nulls last, answers.load_id desc, answers.source_line desc
        ) as standing_row_hash,
        row_number() over (
            partition by answers.source_system, answers.source_response_id, answers.row_hash
            order by answers.load_id, answers.source_line
        ) as delivery_number
    from answers
    inner join delivered_again
        on
            answers.source_system = delivered_again.source_system
            and answers.source_response_id = delivered_again.source_response_id
),

judged as (
    select
        answers.source_system,
        answers.source_response_id,
        answers.load_id,
        answers.source_line,
        answers.contact_id,
        answers.survey_id,
        answers.submitted_at,
        case
            when deliveries.delivery_number > 1 then 'duplicate'
            when deliveries.row_hash <> deliveries.standing_row_hash then 'superseded'
            when answers.is_withdrawn then 'withdrawn'
            when answers.score_type is null or answers.score_type <> 'nps' then 'not_nps'
            when answers.is_test then 'test'
            when answers.is_staff then 'staff'
            when answers.survey_id is null then 'unknown_survey'
            when answers.is_partial then 'partial'
            when answers.score_text is null or trim(answers.score_text) = '' then 'missing_score'
            when answers.score_number is null or answers.score_number <> floor(answers.score_number) then 'not_integer'
            when answers.score_number not between 0 and 10 then 'out_of_range'
            when answers.submitted_at is null then 'invalid_time'
            when answers.submitted_at < timestamp '{{ var("earliest_submitted_at") }}' then 'invalid_time'
            when answers.submitted_at > {{ add_hours('answers.loaded_at', var('future_tolerance_hours')) }}
                then 'invalid_time'
            when exclusions.source_response_id is not null then 'excluded_by_steward'
            else 'counted'
        end as decision
    from answers
    left join deliveries
        on answers.load_id = deliveries.load_id and answers.source_line = deliveries.source_line
    left join exclusions
        on
            answers.source_system = exclusions.source_system
            and answers.source_response_id = exclusions.source_response_id
),

-- The same person answering the same survey again within hours has corrected themselves: the last word counts.
repeating_contacts as (
    select
        contact_id,
        survey_id
    from judged
    where decision = 'counted' and contact_id is not null
    group by contact_id, survey_id
    having count(*) > 1
),

repeated as (
    select
        judged.load_id,
        judged.source_line,
        lead(judged.submitted_at) over (
            partition by judged.contact_id, judged.survey_id
            order by judged.submitted_at, judged.source_response_id
        ) <= {{ add_hours('judged.submitted_at', var('repeat_window_hours')) }} as is_repeated
    from judged
    inner join repeating_contacts
        on judged.contact_id = repeating_contacts.contact_id and judged.survey_id = repeating_contacts.survey_id
    where judged.decision = 'counted'
),

final as (
    select
        judged.load_id,
        judged.source_line,
        case when repeated.is_repeated then 'duplicate' else judged.decision end as decision
    from judged
    left join repeated
        on judged.load_id = repeated.load_id and judged.source_line = repeated.source_line
)

select * from final
