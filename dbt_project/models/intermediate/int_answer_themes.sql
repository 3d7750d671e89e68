-- Grain: one theme of one counted answer with a comment; `unclassified` where the comment has none that is known.
-- What is classified is the comment as it is published, without names.
-- depends_on: {{ ref('themes') }}, {{ ref('negations') }}
{{ config(
    materialized = 'incremental',
    unique_key = 'response_id',
    meta = {'present': 'theme', 'tracked': ['response_id']}
) }}

with
{%- if is_incremental() %}
affected as (
    select changed_value as response_id from {{ changed('fct_nps_responses', 'response_id') }} as answers
),
{% endif %}
commented as (
    select
        response_id,
        survey_type,
        response_date,
        category,
        {{ matched_text('comment') }} as words,
        {{ main_language('language') }} as spoken
    from {{ concerned(ref('fct_nps_responses'), 'response_id', 'select response_id from affected') }}
    where comment is not null
),

classified as (
    select
        response_id,
        survey_type,
        response_date,
        category,
        coalesce(nullif({{ themes_of('words', 'spoken') }}, ''), 'unclassified') as themes
    from commented
),

separate as (
    {{ split_parts(
        'classified', 'themes', '|', 'theme', ['response_id', 'survey_type', 'response_date', 'category', 'themes']
    ) }}
),

with_feature as (
    select
        *,
        {{ feature_of('theme') }} as feature
    from separate
),

final as (
    select
        response_id,
        theme,
        feature,
        survey_type,
        response_date,
        category,
        cast(1e0 / (1 + length(themes) - length(replace(themes, '|', ''))) as decimal(18, 12)) as weight,
        theme = split_part(themes, '|', 1) as is_first_theme,
        {{ is_first_of_feature('theme', 'feature', 'themes') }} as is_first_of_feature
    from with_feature
)

{{ with_removed_keys('final', 'response_id') }}
