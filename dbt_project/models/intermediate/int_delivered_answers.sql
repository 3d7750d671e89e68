-- Grain: one raw answer row of any survey tool, typed, with its survey, contact and account, and judged on its own;
-- what only shows beside other answers (a person who answers again) is added in int_answers.
{{ config(
    materialized = 'incremental',
    unique_key = 'response_id',
    meta = {'present': 'load_id', 'tracked': [
        'response_id', 'invitation_id', 'contact_id', 'account_id', 'source_account_id', "load_id || ':' || source_line",
        quarter_hour('submitted_at'),
    ]}
) }}
{#- As delivered; kept, since another delivery, a person or an exclusion may put an old answer in a new light. -#}
{%- set delivered_columns = [
    'source_system', 'source_response_id', 'source_survey_id', 'score_type', 'source_account_id', 'score_text',
    'vendor_category', 'comment', 'language', 'channel', 'is_partial', 'is_test', 'is_withdrawn', 'is_straight_line',
    'network_hash', 'submitted_at', 'updated_at', 'row_hash', 'load_id', 'loaded_at', 'source_file', 'source_line',
] %}
{#- Of the rules that an answer meets, one of each effect. -#}
{%- set rules_met -%}
        min(case when exclusions.effect = 'exclude' then exclusions.exclusion_id end) as exclusion_id,
        min(case when exclusions.effect = 'outside_control' then exclusions.exclusion_id end) as mark_id
{%- endset %}
{%- set respondent = 'respondent_key' if is_incremental() else 'source_contact_id' %}
{%- set typed = {
    'response_id': "source_system || ':' || source_response_id",
    'invitation_id': "source_system || ':' || source_invitation_id",
    'respondent_key': respondent_key(),
    'attributes': if_asked('attributes'),
    'ticket_id': handling_attribute('attributes', 'ticket'),
    'named_handler': named_handler('attributes'),
} %}
{%- set answer_columns = typed.keys() | list + delivered_columns %}
{%- set select_typed %}
    select
        {%- for name, expression in typed.items() %}
        {{ expression }} as {{ name }},
        {%- endfor %}
        {{ delivered_columns | join(', ') }}
{%- endset %}
{%- set read_again = sources_read_again('answers') %}

{%- set delivered = union_staging('answers') %}
{%- if is_incremental() %}
{%- set new_rows %}
select typed.*
from (
{{ select_typed }}
    from (
        {{ delivered }}
    ) as delivered
) as typed
{%- if read_again %}
-- Most rows of a source that is read again are what they were.
left join {{ this }} as known on typed.load_id = known.load_id and typed.source_line = known.source_line
where
    known.load_id is null
    {%- for column in answer_columns %}
    or typed.{{ column }} is distinct from known.{{ column }}
    {%- endfor %}
{%- endif %}
{%- endset %}

{#- Every delivery of an answer is judged anew when one of them is. -#}
{%- set affected %}
select response_id from new_rows
{%- if read_again %}
union
-- An answer that was merged into another one has no rows any more.
select known.response_id
from {{ this }} as known
inner join new_rows on known.load_id = new_rows.load_id and known.source_line = new_rows.source_line
{%- endif %}
union
select response_id from {{ this }}
where respondent_key in {{ changed('int_respondents', 'respondent_key') }}
union
select response_id from {{ this }}
where source_account_id in {{ changed('int_account_aliases', 'account_alias') }}
union
-- Rules that went, rules of a key that came, patterns that came.
select response_id from {{ this }}
where
    exclusion_id in {{ changed('int_exclusions', 'exclusion_id') }}
    or mark_id in {{ changed('int_exclusions', 'exclusion_id') }}
union
select response_id from {{ ref('int_exclusions') }}
where response_id is not null and exclusion_id in {{ changed('int_exclusions', 'exclusion_id') }}
union
select known.response_id
from {{ this }} as known
inner join {{ ref('int_exclusions') }} as exclusions
    on {{ meets_pattern('known') }}
where exclusions.exclusion_id in {{ changed('int_exclusions', 'exclusion_id') }}
{%- endset %}
{%- endif %}

{%- set answers %}
{%- if not is_incremental() %}
{{ select_typed }}
    from delivered
{%- else %}
    select {{ answer_columns | join(', ') }} from new_rows
    union all
    select
        {% for column in answer_columns -%}
        known.{{ column }}{{ ',' if not loop.last }}
        {% endfor -%}
    from {{ rows_of(this, 'response_id', 'select response_id from affected') }} as known
    left join new_rows on known.load_id = new_rows.load_id and known.source_line = new_rows.source_line
    where new_rows.load_id is null
{%- endif %}
{%- endset %}

with
{% if is_incremental() %}
{{ computed_once('new_rows', new_rows) }},

{{ computed_once('affected', affected, reads=['new_rows']) }},

{{ computed_once('answers', answers, reads=['new_rows', 'affected']) }},
{% else %}
{{ computed_once('delivered', delivered) }},

{{ computed_once('answers', answers, reads=['delivered']) }},
{% endif %}

respondents as (
    select * from {{ concerned(ref('int_respondents'), 'respondent_key', 'select respondent_key from answers') }}
),

surveys as (
    select * from {{ ref('surveys') }}
),

account_aliases as (
    select * from {{ ref('int_account_aliases') }}
),

exclusions as (
    select * from {{ ref('int_exclusions') }}
),

named as (
    select
        exclusions.response_id,
        {{ rules_met }}
    from exclusions
    where exclusions.response_id is not null
    group by exclusions.response_id
),

-- Read once more without the wide columns, since an answer may match several patterns. Without a pattern the engine
-- reads nothing.
placed as (
    select
        narrow.load_id,
        narrow.source_line,
        narrow.source_system,
        narrow.submitted_at,
        narrow.comment,
        surveys.survey_id,
        {{ account_found('narrow') }} as account_id
    from (
        {{ columns_alone('answers', [
            'source_system', respondent, 'source_survey_id', 'source_account_id', 'comment', 'submitted_at', 'load_id',
            'source_line',
        ]) }}
    ) as narrow
    left join respondents
        on {{ 'narrow.respondent_key' if is_incremental() else respondent_key() }} = respondents.respondent_key
    left join surveys
        on narrow.source_system = surveys.source_system and narrow.source_survey_id = surveys.source_survey_id
    left join account_aliases
        on
            narrow.source_system = account_aliases.source_system
            and narrow.source_account_id = account_aliases.account_alias
),

matching as (
    select
        placed.load_id,
        placed.source_line,
        {{ rules_met }}
    from placed
    inner join exclusions on {{ meets_pattern('placed') }}
    group by placed.load_id, placed.source_line
),

-- Only answers that were delivered more than once are ranked, and without their wide columns: they are few, and
-- ranking is dear.
delivered_again as (
    select {{ key_hash(['source_system', 'source_response_id']) }} as key_hash
    from ({{ columns_alone('answers', ['source_system', 'source_response_id']) }}) as keys
    group by {{ key_hash(['source_system', 'source_response_id']) }}
    having count(*) > 1
),

deliveries as (
    select
        versions.load_id,
        versions.source_line,
        versions.row_hash <> first_value(versions.row_hash) over (
            partition by versions.source_system, versions.source_response_id
            order by versions.updated_at desc nulls last, versions.load_id desc, versions.source_line desc
        ) as is_superseded,
        row_number() over (
            partition by versions.source_system, versions.source_response_id, versions.row_hash
            order by versions.load_id, versions.source_line
        ) as delivery_number
    from (
        {{ columns_alone(
            'answers', ['source_system', 'source_response_id', 'row_hash', 'updated_at', 'load_id', 'source_line']
        ) }}
    ) as versions
    inner join delivered_again
        on {{ key_hash(['versions.source_system', 'versions.source_response_id']) }} = delivered_again.key_hash
),

-- The row that stands for its answer is in none of them.
redundant as (
    select
        load_id,
        source_line,
        case when delivery_number > 1 then 'duplicate' else 'superseded' end as decision
    from deliveries
    where delivery_number > 1 or is_superseded
),

scored as (
    select
        *,
        {{ score_number('score_text') }} as score_number
    from answers
),

final as (
    select
        scored.response_id,
        scored.invitation_id,
        scored.respondent_key,
        scored.attributes,
        scored.ticket_id,
        scored.named_handler,
        {% for column in delivered_columns -%}
        scored.{{ column }},
        {% endfor -%}
        scored.score_number,
        surveys.survey_id,
        surveys.survey_type,
        surveys.touchpoint,
        respondents.contact_id,
        {{ account_found('scored') }} as account_id,
        coalesce(respondents.match_rule, 'anonymous') as contact_match_rule,
        {{ account_match_rule('scored') }} as account_match_rule,
        coalesce(named.exclusion_id, matching.exclusion_id) as exclusion_id,
        coalesce(named.mark_id, matching.mark_id) as mark_id,
        case
            when redundant.decision is not null then redundant.decision
            when scored.is_withdrawn then 'withdrawn'
            when scored.score_type is null or scored.score_type <> 'nps' then 'not_nps'
            when scored.is_test then 'test'
            {%- if var('forgotten_answers') == 'removed' %}
            when {{ is_forgotten('scored.respondent_key') }} then 'forgotten'
            {%- endif %}
            when respondents.is_staff then 'staff'
            when surveys.survey_id is null then 'unknown_survey'
            when scored.is_partial then 'partial'
            when scored.score_text is null or trim(scored.score_text) = '' then 'missing_score'
            when scored.score_number is null or scored.score_number <> floor(scored.score_number) then 'not_integer'
            when scored.score_number not between 0 and 10 then 'out_of_range'
            when scored.submitted_at is null then 'invalid_time'
            when scored.submitted_at < timestamp '{{ var("earliest_submitted_at") }}' then 'invalid_time'
            when scored.submitted_at > {{ add_hours('scored.loaded_at', var('future_tolerance_hours')) }}
                then 'invalid_time'
            when coalesce(named.exclusion_id, matching.exclusion_id) is not null then 'excluded_by_steward'
            else 'counted'
        end as decision
    from scored
    left join redundant
        on scored.load_id = redundant.load_id and scored.source_line = redundant.source_line
    left join respondents on scored.respondent_key = respondents.respondent_key
    left join surveys
        on
            scored.source_system = surveys.source_system
            and scored.source_survey_id = surveys.source_survey_id
    left join account_aliases
        on
            scored.source_system = account_aliases.source_system
            and scored.source_account_id = account_aliases.account_alias
    left join named on scored.response_id = named.response_id
    left join matching on scored.load_id = matching.load_id and scored.source_line = matching.source_line
),

hashed as (
    select
        *,
        {{ key_hash(['response_id']) }} as response_id_hash,
        {{ key_hash(['invitation_id']) }} as invitation_id_hash,
        {{ key_hash(['contact_id']) }} as contact_id_hash
    from final
)

{{ with_removed_keys('hashed', 'response_id') }}
