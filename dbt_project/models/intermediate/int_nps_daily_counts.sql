-- Grain: one survey type on one day for one segment value; counts of answers by the day of the answer, and of
-- invitations by the day they were sent. Every period mart is built from these, never from the answers.
{%- set segments = [{'name': 'all', 'from': 'survey', 'column': 'all'}] + var('segments') %}

with responses as (
    {%- for segment in segments %}
    select
        survey_type,
        response_date as count_date,
        '{{ segment.name }}' as segment,
        {{ "'all'" if segment.name == 'all' else segment.name }} as segment_value,
        {%- set no_invitations = '0' if is_known_when_asked(segment) else 'cast(null as bigint)' %}
        {{ no_invitations }} as invited,
        {{ no_invitations }} as delivered,
        {{ no_invitations }} as answered,
        count(*) as responses,
        count(case when category = 'promoter' then 1 end) as promoters,
        count(case when category = 'passive' then 1 end) as passives,
        count(case when category = 'detractor' then 1 end) as detractors
    from {{ ref('fct_nps_responses') }}
    group by survey_type, response_date{{ ', ' ~ segment.name if segment.name != 'all' }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

invitations as (
    {%- for segment in segments if is_known_when_asked(segment) %}
    select
        survey_type,
        sent_date as count_date,
        '{{ segment.name }}' as segment,
        {{ "'all'" if segment.name == 'all' else segment.name }} as segment_value,
        count(*) as invited,
        count(delivered_at) as delivered,
        count(case when outcome = 'answered' then 1 end) as answered,
        0 as responses,
        0 as promoters,
        0 as passives,
        0 as detractors
    from {{ ref('fct_survey_invitations') }}
    where outcome <> 'ineligible'
    group by survey_type, sent_date{{ ', ' ~ segment.name if segment.name != 'all' }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

counts as (
    select * from responses
    union all
    select * from invitations
),

final as (
    select
        survey_type,
        count_date,
        segment,
        segment_value,
        cast(sum(invited) as bigint) as invited,
        cast(sum(delivered) as bigint) as delivered,
        cast(sum(answered) as bigint) as answered,
        cast(sum(responses) as bigint) as responses,
        cast(sum(promoters) as bigint) as promoters,
        cast(sum(passives) as bigint) as passives,
        cast(sum(detractors) as bigint) as detractors
    from counts
    group by survey_type, count_date, segment, segment_value
)

select * from final
