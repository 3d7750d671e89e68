-- Grain: one survey on one day: invitations by the day they were sent, answers by the day and score they were given.
-- What the guards of a survey are made of; in an incremental build the rows that left and came are counted.
{{ config(
    materialized = 'incremental',
    unique_key = 'count_date',
    meta = {'present': 'survey_type'}
) }}
{%- set facts = counted_facts() %}
{%- set names = [] %}

with
{%- if is_incremental() %}
affected as (
    {{ touched_days() }}
),
{% endif %}
{%- for fact, counts in survey_counts().items() %}
{%- do names.extend(counts) %}
{{ fact }} as (
    select
        survey_id,
        survey_type,
        {{ facts[fact].date }} as count_date,
        {%- for count, condition in counts.items() %}
        {{ counted(condition) }} as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ rows_to_count(facts[fact]) }}
    group by survey_id, survey_type, {{ facts[fact].date }}
),
{% endfor %}
counts as (
    {%- for fact, counts in survey_counts().items() %}
    select
        survey_id,
        survey_type,
        count_date,
        {%- for name in names %}
        {{ name if name in counts else '0 as ' ~ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ fact }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
    {%- if is_incremental() %}
    union all
    select
        survey_id, survey_type, count_date, {{ names | join(', ') }}
    from {{ this }}
    where count_date in (select count_date from affected)
    {%- endif %}
),

final as (
    select
        survey_id,
        survey_type,
        count_date,
        {%- for name in names %}
        cast(sum({{ name }}) as bigint) as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from counts
    group by survey_id, survey_type, count_date
    -- Where the last answer and delivered invitation left, a full build has nothing to tell either.
    having sum(delivered) + sum(responses) > 0
)

{{ with_removed_keys('final', 'count_date') }}
