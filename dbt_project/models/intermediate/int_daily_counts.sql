-- Grain: one survey type on one day for one segment value; counts of answers by the day of the answer, and of
-- invitations by the day they were sent. Every period mart is built from these, never from the answers.
with answers as (
    {%- for segment in segments_with_total() %}
    select
        survey_type,
        response_date as count_date,
        '{{ segment.name }}' as segment,
        {{ "'all'" if segment.name == 'all' else segment.name }} as segment_value,
        {%- for count in invitation_counts() %}
        {{ '0' if is_known_when_asked(segment) else 'cast(null as bigint)' }} as {{ count }},
        {%- endfor %}
        {%- for count, condition in response_counts().items() %}
        count(case when {{ condition }} then 1 end) as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('fct_nps_responses') }}
    group by survey_type, response_date{{ ', ' ~ segment.name if segment.name != 'all' }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

invitations as (
    {%- for segment in segments_with_total() if is_known_when_asked(segment) %}
    select
        survey_type,
        sent_date as count_date,
        '{{ segment.name }}' as segment,
        {{ "'all'" if segment.name == 'all' else segment.name }} as segment_value,
        {%- for count, condition in invitation_counts().items() %}
        count(case when {{ condition }} then 1 end) as {{ count }},
        {%- endfor %}
        {%- for count in response_counts() %}
        0 as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('fct_survey_invitations') }}
    group by survey_type, sent_date{{ ', ' ~ segment.name if segment.name != 'all' }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

counts as (
    select * from answers
    union all
    select * from invitations
),

final as (
    select
        survey_type,
        count_date,
        segment,
        segment_value,
        {%- for count in count_names() %}
        cast(sum({{ count }}) as bigint) as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from counts
    group by survey_type, count_date, segment, segment_value
)

select * from final
