-- Grain: one owner and survey type in one quarter, for one value of each of `scorecard_segments` together, credited
-- with the answers of their accounts (owner) or with those about what they handled (handler): what the scorecards are
-- made of. In an incremental build the answers that left and came are counted.
{{ config(
    materialized = 'incremental',
    unique_key = 'quarter_start',
    meta = {'present': 'survey_type'}
) }}
{%- set fact = counted_facts().answers %}
{%- set cell = ['survey_type', 'credited_as', 'owner_id'] + var('scorecard_segments')
    + ['quarter_start', 'year_start'] %}
{%- set counts = fact.counts | join(', ') %}

with answers as (
    select
        *,
        {{ fiscal_start('quarter', 'response_date') }} as quarter_start,
        {{ fiscal_start('year', 'response_date') }} as year_start
    from {{ rows_to_count(fact) }}
),
{% if is_incremental() %}
affected as (
    select distinct quarter_start from answers
),
{% endif %}
counted as (
    select
        survey_type,
        coalesce(owner_id, 'unknown') as owner_id,
        handled_by,
        {%- for segment in var('scorecard_segments') %}
        {{ segment }},
        {%- endfor %}
        quarter_start,
        year_start,
        {%- for count, condition in fact.counts.items() %}
        {{ counted(condition) }} as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from answers
    group by
        survey_type,
        coalesce(owner_id, 'unknown'),
        handled_by,
        {%- for segment in var('scorecard_segments') %}
        {{ segment }},
        {%- endfor %}
        quarter_start,
        year_start
),

credited as (
    {%- for credited_as, credited_to in {'owner': 'owner_id', 'handler': 'handled_by'}.items() %}
    select
        survey_type,
        '{{ credited_as }}' as credited_as,
        {{ credited_to }} as owner_id,
        {%- for segment in var('scorecard_segments') %}
        {{ segment }},
        {%- endfor %}
        quarter_start,
        year_start,
        {{ counts }}
    from counted
    where {{ credited_to }} is not null
    {{ 'union all' if not loop.last }}
    {%- endfor %}
    {%- if is_incremental() %}
    union all
    select
        {{ cell | join(', ') }}, {{ counts }}
    from {{ this }}
    where quarter_start in (select affected.quarter_start from affected)
    {%- endif %}
),

final as (
    select
        {{ cell | join(', ') }},
        {%- for count in fact.counts %}
        cast(sum({{ count }}) as bigint) as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from credited
    group by {{ cell | join(', ') }}
    -- Where the last answer left, a full build has no row either.
    having sum(responses) > 0
)

{{ with_removed_keys('final', 'quarter_start') }}
