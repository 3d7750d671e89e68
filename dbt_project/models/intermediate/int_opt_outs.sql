-- Grain: one contact who opted out of surveys, with the first time they did.
with events as (
    {{ union_staging('contact_events') }}
),

respondents as (
    select * from {{ ref('int_respondents') }}
),

final as (
    select
        respondents.contact_id,
        min(events.event_at) as opted_out_at
    from events
    inner join respondents
        on
            events.source_system = respondents.source_system
            and events.source_contact_id = respondents.source_contact_id
    where events.event_type = 'opted_out'
    group by respondents.contact_id
)

select * from final
