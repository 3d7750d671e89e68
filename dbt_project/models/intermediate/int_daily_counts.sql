-- Grain: one survey type on one day for one segment value; counts of answers by the day of the answer, and of
-- invitations by the day they were sent. Every period mart is built from these, never from the answers.
-- The facts are read once for every few segments, and not once for each: first counted by them together, then by each.
{{ config(
    materialized = 'incremental',
    unique_key = 'count_date',
    meta = {'present': 'survey_type'}
) }}
{%- set segments = segments_with_total() %}
{%- set known_when_asked = [] %}
{%- for segment in segments if is_known_when_asked(segment) %}
{%- do known_when_asked.append(segment) %}
{%- endfor %}
{%- set facts = {
    'answers': {
        'relation': ref('fct_nps_responses'), 'date': 'response_date', 'counts': response_counts(), 'segments': segments,
    },
    'invitations': {
        'relation': ref('fct_survey_invitations'), 'date': 'sent_date', 'counts': invitation_counts(),
        'segments': known_when_asked,
    },
} %}

with
{%- if is_incremental() %}
affected as (
    select cast(changed_value as date) as count_date from {{ changed('fct_nps_responses', 'response_date') }} as answers
    union
    select cast(changed_value as date) from {{ changed('fct_survey_invitations', 'sent_date') }} as invitations
),
{% endif %}
{%- for name, fact in facts.items() %}
{%- for together in fact.segments | batch(4) %}
{%- set columns = together | map(attribute='name') | reject('equalto', 'all') | list %}
{{ name }}_{{ loop.index }} as (
    select
        survey_type,
        {{ fact.date }} as count_date,
        {%- for column in columns %}
        {{ column }},
        {%- endfor %}
        {%- for count, condition in fact.counts.items() %}
        count(case when {{ condition }} then 1 end) as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ fact.relation }}
    {%- if is_incremental() %}
    where {{ fact.date }} in (select count_date from affected)
    {%- endif %}
    group by {{ (['survey_type', fact.date] + columns) | join(', ') }}
),
{% endfor %}
{%- endfor %}
counts as (
    {%- for name, fact in facts.items() %}
    {%- set is_last_fact = loop.last %}
    {%- for together in fact.segments | batch(4) %}
    {%- set number = loop.index %}
    {%- set is_last_batch = loop.last %}
    {%- for segment in together %}
    select
        survey_type,
        count_date,
        '{{ segment.name }}' as segment,
        {{ "'all'" if segment.name == 'all' else segment.name }} as segment_value,
        {%- for count in count_names() %}
        {% if count in fact.counts -%}
            {{ count }}
        {%- elif is_known_when_asked(segment) -%}
            0
        {%- else -%}
            cast(null as bigint)
        {%- endif %} as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ name }}_{{ number }}
    {{ 'union all' if not (loop.last and is_last_batch and is_last_fact) }}
    {%- endfor %}
    {%- endfor %}
    {%- endfor %}
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

{{ with_removed_keys('final', 'count_date') }}
