-- Grain: one invitation that reached a person sooner after another, from whatever tool, than contact_rules allow. In an
-- incremental build those of the people are judged again who were invited anew or became others: of these all, of the
-- others from the earliest invitation on that the batch touched.
{{ config(
    materialized = 'incremental',
    unique_key = 'invitation_id',
    meta = {'present': 'contact_id_hash', 'tracked': ['invitation_id']}
) }}
{%- set beginning = "timestamp '1900-01-01'" %}
{%- set longest_rest = var('contact_rules').days_between.values() | max %}
{%- set columns = [
    'invitation_id', 'source_system', 'source_survey_id', 'respondent_key', 'sent_at', 'delivered_at', 'opened_at',
    'started_at',
] %}
{%- set first_at = asked_once(
    'select min(cast(changed_value as timestamp)) from ' ~ changed('int_invitations', quarter_hour('sent_at'))
    ~ ' as times'
)[0][0] if is_incremental() %}
{%- set first_at = "timestamp '" ~ first_at ~ "'" if first_at else beginning %}

with
{%- if is_incremental() %}
proven as (
    select respondent_key
    from
        {{ rows_of(
            ref('int_invitations'), 'invitation_id', changed('int_invitation_answers', 'invitation_id'),
            columns=['invitation_id', 'respondent_key'], condition='delivered_at is null'
        ) }} as invited
),

people as (
    select
        contact_id,
        min(judged_since) as judged_since
    from (
        select
            changed_value as contact_id,
            {{ beginning }} as judged_since
        from {{ changed('int_respondents', 'contact_id') }} as others
        union all
        select
            contact_id,
            {{ first_at }} as judged_since
        from
            {{ rows_of(
                ref('int_respondents'), 'respondent_key', changed('int_invitations', 'respondent_key'),
                columns=['respondent_key', 'contact_id']
            ) }} as invited
        union all
        -- By an answer it turns out that an invitation arrived.
        select
            contact_id,
            {{ beginning }} as judged_since
        from
            {{ rows_of(
                ref('int_respondents'), 'respondent_key', 'select respondent_key from proven',
                columns=['respondent_key', 'contact_id']
            ) }} as answering
    ) as touched
    group by contact_id
),

respondents as (
    select
        respondents.respondent_key,
        people.contact_id,
        people.judged_since
    from {{ ref('int_respondents') }} as respondents
    inner join people on respondents.contact_id = people.contact_id
),

-- With what they look back on.
invitations as (
    select *
    from
        {{ rows_of(
            ref('int_invitations'), 'respondent_key', 'select respondent_key from respondents', columns=columns,
            condition='sent_at >= ' ~ add_hours(first_at, -24 * longest_rest)
        ) }} as invited
    union
    select *
    from
        {{ rows_of(
            ref('int_invitations'), 'respondent_key',
            'select respondent_key from respondents where judged_since = ' ~ beginning, columns=columns
        ) }} as of_others
),
{% else %}
invitations as (
    select {{ columns | join(', ') }} from {{ ref('int_invitations') }}
),

respondents as (
    select
        respondent_key,
        contact_id,
        {{ beginning }} as judged_since
    from {{ ref('int_respondents') }}
),
{% endif %}
surveys as (
    select * from {{ ref('surveys') }}
),

-- Of most invitations the tool says that they arrived. (Read twice, all invitations would be copied to memory.)
{%- set undelivered = 'select invitation_id from '
    ~ ('invitations' if is_incremental() else ref('int_invitations')) ~ ' where delivered_at is null' %}

answered as (
    select
        invitation_id,
        response_id
    from
        {{ concerned(ref('int_invitation_answers'), 'invitation_id', undelivered, ['invitation_id', 'response_id']) }}
    where invitation_id in ({{ undelivered }})
),

-- What reached a person, read by itself: wide rows are dear to rank.
reached as (
    select
        invitations.invitation_id,
        respondents.contact_id,
        surveys.survey_type,
        invitations.sent_at
    from invitations
    inner join surveys
        on
            invitations.source_system = surveys.source_system
            and invitations.source_survey_id = surveys.source_survey_id
    inner join respondents on invitations.respondent_key = respondents.respondent_key
    left join answered on invitations.invitation_id = answered.invitation_id
    where {{ reached_at('invitations', 'answered') }} is not null
),

-- When others had reached the person before, in one order for every type: by the person's hash and the time alone,
-- which are sorted many times faster than texts. Of invitations at the same moment any may come first here.
{%- set person = 'partition by ' ~ key_hash(['contact_id']) ~ ' order by sent_at' %}
{%- set earlier = 'over (' ~ person ~ ' rows between unbounded preceding and 1 preceding)' %}

ordered as (
    select
        invitation_id,
        {{ key_hash(['contact_id']) }} as person_hash,
        survey_type,
        sent_at,
        {%- for type in survey_types() %}
        max(case when survey_type = '{{ type }}' then sent_at end) {{ earlier }} as {{ type }}_sent_at,
        {%- endfor %}
        max(sent_at) {{ earlier }} as any_sent_at,
        lead(sent_at) over ({{ person }}) as next_sent_at
    from reached
    where sent_at is not null
),

-- Most invitations are none of these.
suspected as (
    select ordered.*
    from ordered
    where
        ordered.sent_at < {{ asked_again_at('ordered.survey_type', 'ordered') }}
        or ordered.sent_at in (ordered.any_sent_at, ordered.next_sent_at)
),

-- Of the same moment, the invitation's key decides: before it was what was before all of them, and those with lesser
-- keys.
{%- set moment = 'partition by person_hash, sent_at' %}
{%- set before_it = 'over (' ~ moment ~ ' order by invitation_id rows between unbounded preceding and 1 preceding)' %}

spaced as (
    select
        invitation_id,
        person_hash,
        survey_type,
        sent_at,
        {%- for type in survey_types() %}
        {%- set column = type ~ '_sent_at' %}
        coalesce(
            max(case when survey_type = '{{ type }}' then sent_at end) {{ before_it }},
            case when count({{ column }}) over ({{ moment }}) = count(*) over ({{ moment }})
                then min({{ column }}) over ({{ moment }}) end
        ) as {{ column }},
        {%- endfor %}
        coalesce(
            max(sent_at) {{ before_it }},
            case when count(any_sent_at) over ({{ moment }}) = count(*) over ({{ moment }})
                then min(any_sent_at) over ({{ moment }}) end
        ) as any_sent_at
    from suspected
),

too_soon as (
    select
        spaced.invitation_id,
        spaced.person_hash as contact_id_hash,
        spaced.sent_at,
        {{ key_hash(['spaced.invitation_id']) }} as invitation_id_hash
    from spaced
    where spaced.sent_at < {{ asked_again_at('spaced.survey_type', 'spaced') }}
){% if is_incremental() %},

judged as (
    select too_soon.*
    from too_soon
    inner join people on too_soon.contact_id_hash = {{ key_hash(['people.contact_id']) }}
    where too_soon.sent_at >= people.judged_since
),

known as (
    select known.*
    from {{ this }} as known
    inner join people on known.contact_id_hash = {{ key_hash(['people.contact_id']) }}
    where known.sent_at >= people.judged_since
)

select
    coalesce(judged.invitation_id, known.invitation_id) as invitation_id,
    judged.contact_id_hash,
    judged.sent_at,
    judged.invitation_id_hash
from judged
full outer join known on judged.invitation_id = known.invitation_id
where
    judged.contact_id_hash is distinct from known.contact_id_hash
    or judged.sent_at is distinct from known.sent_at
{%- else %}

select * from too_soon
{%- endif %}
