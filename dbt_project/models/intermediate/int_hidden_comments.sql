-- Grain: one counted answer whose comment names somebody or says how to reach somebody: the comment without that, as
-- plain text, which is what names and numbers are looked for in; all others are shown as they were delivered.
-- Hidden is what some source delivers as a name: of anybody, first and last together; of who answered, each part.
-- depends_on: {{ ref('int_names') }}
{{ config(
    materialized = 'incremental',
    unique_key = 'response_id',
    meta = {'present': 'comment', 'tracked': ['response_id']}
) }}

with
{%- if is_incremental() %}
of_new_names as (
    select respondent_key from {{ ref('int_respondents') }}
    where contact_email in {{ changed('int_names', 'contact_email') }}
),

all_comments as (
    select
        response_id,
        {{ plain_text('comment') }} as comment
    from {{ ref('int_delivered_answers') }}
    where comment is not null
),

phrases_of_all as (
    {{ name_phrases('all_comments', 'comment', ['response_id']) }}
),

names_in_all as (
    {{ phrases_as_names('phrases_of_all', ['response_id']) }}
),

affected as (
    select changed_value as response_id from {{ changed('int_delivered_answers', 'response_id') }} as answers
    union
    select response_id from {{ ref('int_delivered_answers') }}
    where respondent_key in (select respondent_key from of_new_names)
    union
    -- A name that nobody had yet may stand in an old comment.
    select names_in_all.response_id
    from names_in_all
    inner join {{ changed('int_names', 'person_name') }} as names
        on names_in_all.person_name = lower(names.changed_value)
),
{% endif %}
commented as (
    select
        response_id,
        respondent_key,
        {{ plain_text('comment') }} as comment
    from {{ concerned(ref('int_delivered_answers'), 'response_id', 'select response_id from affected') }}
    where decision = 'counted' and comment is not null
),

phrases as (
    {{ name_phrases('commented', 'comment', ['response_id']) }}
),

possible_names as (
    {{ phrases_as_names('phrases', ['response_id']) }}
),

respondents as (
    select
        respondent_key,
        contact_email
    from
        {{ concerned(
            ref('int_respondents'), 'respondent_key', 'select respondent_key from commented',
            ['respondent_key', 'contact_email']
        ) }}
),

own_names as (
    select
        commented.response_id,
        commented.comment,
        names.person_name
    from commented
    inner join respondents on commented.respondent_key = respondents.respondent_key
    inner join {{ ref('int_names') }} as names on respondents.contact_email = names.contact_email
),

own_parts as (
    {{ split_parts('own_names', 'person_name', ' ', 'part', ['response_id', 'comment']) }}
),

found as (
    select
        response_id,
        phrase as words
    from possible_names
    where person_name in (select lower(names.person_name) from {{ ref('int_names') }} as names)
    union
    select
        response_id,
        person_name
    from own_names
    where lower(comment) like '%' || lower(person_name) || '%'
    union
    select
        response_id,
        part
    from own_parts
    where length(part) > 1 and comment like '%' || part || '%'
),

named as (
    select
        response_id,
        {{ any_of_words('words') }} as expression
    from found
    group by response_id
),

nameless as (
    select
        commented.response_id,
        commented.comment as plain_comment,
        case
            when named.expression is null then commented.comment
            else {{ replace_words('commented.comment', 'named.expression', '***') }}
        end as comment
    from commented
    left join named on commented.response_id = named.response_id
),

hidden as (
    select
        response_id,
        plain_comment,
        {{ without_contact_details('comment') }} as comment
    from nameless
),

final as (
    select
        response_id,
        comment
    from hidden
    where comment <> plain_comment
)

{{ with_removed_keys('final', 'response_id') }}
