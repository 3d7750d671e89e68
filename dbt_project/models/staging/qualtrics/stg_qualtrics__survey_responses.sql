-- Grain: one delivered row of an answer to a survey; an answer that was continued has several.
{%- set key, value = adapter.quote('key'), adapter.quote('value') %}

with source as (
    select * from {{ source('qualtrics', 'survey_response') }}
),

question_responses as (
    select * from {{ source('qualtrics', 'question_response') }}
),

raw_questions as (
    select * from {{ source('qualtrics', 'question') }}
),

raw_embedded_data as (
    select * from {{ source('qualtrics', 'survey_embedded_data') }}
),

raw_distributions as (
    select * from {{ source('qualtrics', 'distribution') }}
),

raw_mailings as (
    select * from {{ source('qualtrics', 'distribution_contact') }}
    where trim(response_id) <> ''
),

questions as (
    {{ latest_rows(
        'raw_questions', ['survey_id', 'id'],
        ['question_type', 'selector', 'data_export_tag', 'validation_setting_type', '_fivetran_deleted']
    ) }}
),

asked as (
    select
        survey_id,
        id as question_id,
        case
            when upper(trim(question_type)) = 'MC' and upper(trim(selector)) = 'NPS' then 'score'
            -- A form of several lines, a password, or text that must be an address, a number, a date is no comment.
            -- What else is asked for in one line, a name perhaps, no column says.
            when
                upper(trim(question_type)) = 'TE'
                and coalesce(upper(trim(selector)), '') not in ('FORM', 'PW')
                and coalesce(lower(trim(validation_setting_type)), '') <> 'contenttype'
                then 'comment'
        end as purpose,
        coalesce(lower(trim(data_export_tag)) = 'nps', false) as is_named_nps,
        {{ is_deleted_by_vendor() }} as is_deleted
    from questions
),

surveys as (
    select
        survey_id,
        count(case when purpose = 'score' then 1 end) as score_questions
    from asked
    group by survey_id
),

-- Of several NPS questions the one named nps is the survey's, else the first: Q10 comes after Q2.
ranked_questions as (
    select
        *,
        row_number() over (
            partition by survey_id, purpose
            order by
                is_deleted asc, is_named_nps desc, length(question_id) asc, question_id asc
        ) as preference
    from asked
    where purpose is not null
),

-- A second NPS question asks something else and is never read for the first, but the deleted one is its predecessor.
read_questions as (
    select * from ranked_questions
    where preference = 1 or is_deleted or purpose = 'comment'
),

-- The ids of questions repeat from survey to survey.
surveys_of_responses as (
    select
        id as response_id,
        max(survey_id) as survey_id
    from source
    group by id
),

-- QIDn_NPS_GROUP is 1, 2 or 3 for detractor, passive and promoter: compared with ours, and no score.
given_values as (
    select
        *,
        replace(question_id, '_NPS_GROUP', '') as read_question_id,
        question_id like '%NPS_GROUP%'
        or coalesce(sub_question_key, '') like '%NPS_GROUP%'
        or coalesce(question_option_key, '') like '%NPS_GROUP%'
        or coalesce(question, '') like '%NPS_GROUP%' as is_group
    from question_responses
),

purposes as (
    select
        given_values.response_id,
        given_values.value,
        given_values.text,
        case when given_values.is_group then 'group' else read_questions.purpose end as purpose,
        read_questions.preference,
        given_values._load_id,
        given_values._line
    from given_values
    inner join surveys_of_responses on given_values.response_id = surveys_of_responses.response_id
    inner join read_questions
        on
            surveys_of_responses.survey_id = read_questions.survey_id
            and given_values.read_question_id = read_questions.question_id
    where not given_values.is_group or read_questions.purpose = 'score'
),

ranked_answers as (
    select
        response_id,
        value,
        text,
        purpose,
        row_number() over (
            partition by response_id, purpose
            order by preference asc, _load_id desc, _line desc
        ) as preference
    from purposes
),

answers as (
    select
        response_id,
        max(case when purpose = 'score' then value end) as score_text,
        max(case when purpose = 'group' then trim(value) end) as nps_group,
        max(case when purpose = 'comment' then coalesce(nullif(trim(text), ''), value) end) as comment
    from ranked_answers
    where preference = 1
    group by response_id
),

-- The rows of a matrix; the API writes them behind the id of the question.
matrix_values as (
    select
        given_values.response_id,
        given_values.question_id || '/' || coalesce(given_values.sub_question_key, '') as rated,
        nullif(trim(given_values.value), '') as rating,
        given_values._load_id,
        given_values._line
    from given_values
    inner join surveys_of_responses on given_values.response_id = surveys_of_responses.response_id
    inner join questions
        on
            surveys_of_responses.survey_id = questions.survey_id
            and split_part(given_values.question_id, '_', 1) = questions.id
    where upper(trim(questions.question_type)) = 'MATRIX'
),

matrix_ratings as (
    {{ latest_rows('matrix_values', ['response_id', 'rated'], ['rating']) }}
),

ratings as (
    select
        response_id,
        {{ is_straight_line('rating') }} as is_straight_line
    from matrix_ratings
    group by response_id
),

embedded_data as (
    {{ latest_rows('raw_embedded_data', ['response_id', key], [value]) }}
),

attributes as (
    select
        response_id,
        {{ json_object_from_rows(key, value) }} as attributes,
        max(case when lower({{ key }}) = 'account_id' then nullif(trim({{ value }}), '') end) as account_id
    from embedded_data
    where {{ key }} is not null
    group by response_id
),

mailings as (
    {{ latest_rows('raw_mailings', ['response_id'], ['distribution_id', 'contact_id']) }}
),

distributions as (
    {{ latest_rows('raw_distributions', ['id'], ['request_type', 'parent_distribution_id']) }}
),

renamed as (
    select
        source._source_system as source_system,
        coalesce(nullif(trim(source.id), ''), source._row_hash) as source_response_id,
        nullif(trim(source.survey_id), '') as source_survey_id,
        -- A survey whose questions are known and none of which is NPS is another kind of survey.
        case when surveys.score_questions = 0 then 'other' else 'nps' end as score_type,
        {{ qualtrics_invitation_key('distributions', 'mailings') }} as source_invitation_id,
        coalesce(mailings.contact_id, {{ normalised_email('source.recipient_email') }}) as source_contact_id,
        {{ normalised_email('source.recipient_email') }} as contact_email,
        attributes.account_id as source_account_id,
        answers.score_text,
        case answers.nps_group when '3' then 'promoter' when '2' then 'passive' when '1' then 'detractor' end
            as vendor_category,
        answers.comment,
        lower(trim(source.user_language)) as language,
        lower(trim(source.distribution_channel)) as channel,
        attributes.attributes,
        coalesce(lower(trim(source.finished)) not in ('1', 'true'), true) as is_partial,
        -- Preview, test, spam and synthetic, alone or with imported (4), offline (16) or employee (32).
        coalesce(lower(trim(source.status)) in ('1', '2', '8', '9', '12', '17', '40', '256'), false)
        or coalesce({{ matches('lower(source.status)', 'preview|test|spam|synthetic') }}, false)
        or coalesce(lower(trim(source.distribution_channel)) = 'preview', false) as is_test,
        {{ is_deleted_by_vendor('source') }} as is_withdrawn,
        ratings.is_straight_line,
        {{ network_hash('source.ip_address') }} as network_hash,
        -- Unfinished answers are recorded a week after their end; they were given when they ended.
        {{ utc_timestamp('source.end_date') }} as submitted_at,
        coalesce(
            {{ utc_timestamp('source.last_modified_date') }},
            {{ utc_timestamp('source.recorded_date') }}
        ) as updated_at,
        source._row_hash as row_hash,
        source._load_id as load_id,
        source._loaded_at as loaded_at,
        source._file as source_file,
        source._line as source_line
    from source
    left join surveys on source.survey_id = surveys.survey_id
    left join answers on source.id = answers.response_id
    left join ratings on source.id = ratings.response_id
    left join attributes on source.id = attributes.response_id
    left join mailings on source.id = mailings.response_id
    left join distributions on mailings.distribution_id = distributions.id
)

select * from renamed
