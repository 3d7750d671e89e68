-- Grain: one survey type on one day for one segment value; counts of answers by the day of the answer, and of
-- invitations by the day they were sent. Every period mart is built from these, never from the answers.
-- The facts are read once for every few segments, and not once for each: first counted by them together, then by each.
-- In an incremental build the rows that left and came are, and their difference is added to what was counted.
{{ config(
    materialized = 'incremental',
    unique_key = 'count_date',
    meta = {'present': 'survey_type'}
) }}
{%- set facts = counted_facts() %}

with
{%- if is_incremental() %}
affected as (
    {{ touched_days() }}
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
        {{ counted(condition) }} as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ rows_to_count(fact) }}
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
    {%- if is_incremental() %}
    union all
    select
        survey_type, count_date, segment, segment_value, {{ count_names() | join(', ') }}
    from {{ this }}
    where count_date in (select count_date from affected)
    {%- endif %}
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
    -- Where the last answer and invitation left, a full build has no row either.
    having coalesce(sum(invited), 0) + coalesce(sum(ineligible), 0) + sum(responses) > 0
)

{{ with_removed_keys('final', 'count_date') }}
