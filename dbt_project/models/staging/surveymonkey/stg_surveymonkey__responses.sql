-- Grain: one delivered row of an answer to a survey; the API repeats answers.
{%- set row_key = ['_load_id', '_line'] %}

with source as (
    select * from {{ source('surveymonkey', 'responses') }}
),

raw_details as (
    select * from {{ source('surveymonkey', 'survey_details') }}
),

-- The questions of a survey at any time, since an answer to one that was deleted or replaced stands: its editions, of
-- which the latest is number 1.
details as (
    select
        id,
        pages,
        row_number() over (partition by id order by _load_id desc, _line desc) as edition
    from (
        {{ latest_rows('raw_details', ['id', 'pages'], ['_load_id', '_line']) }}
    ) as delivered
),

-- The choices of every question that could be an NPS question.
detail_pages as (
    {{ json_elements('details', 'pages', ['id as survey_id', 'edition']) }}
),

detail_questions as (
    {{ json_elements('detail_pages', 'element', [
        'survey_id', 'edition', 'element_number as page_number',
    ], key='questions') }}
),

detail_fields as (
    {{ json_fields('detail_questions', 'element', {
        'question_id': 'id', 'family': 'family', 'subtype': 'subtype', 'choices': 'answers.choices',
    }, [
        'survey_id', 'edition', 'page_number', 'element_number as question_number',
    ]) }}
),

detail_choices as (
    {{ json_elements('detail_fields', 'choices', [
        'survey_id', 'edition', 'question_id', 'page_number', 'question_number',
    ]) }}
),

choice_fields as (
    {{ json_fields('detail_choices', 'element', {
        'choice_id': 'id', 'position': 'position', 'weight': 'weight', 'is_na': 'is_na',
    }, ['survey_id', 'edition', 'question_id', 'page_number', 'question_number', 'element_number as choice_number']) }}
),

choices as (
    select
        survey_id,
        edition,
        question_id,
        page_number,
        question_number,
        choice_id,
        {{ safe_cast_number('weight', type_double()) }} as weight,
        row_number() over (
            partition by survey_id, edition, question_id
            order by {{ safe_cast_number('position', 'bigint') }} asc nulls last, choice_number asc
        ) - 1 as score
    from choice_fields
    -- "Not applicable" is a choice without a score.
    where coalesce(lower(is_na), 'false') <> 'true'
),

-- An NPS question has eleven choices that weigh -100, 0 or 100; the first one is the survey's.
nps_questions as (
    select
        survey_id,
        edition,
        question_id,
        row_number() over (
            partition by survey_id, edition
            order by min(page_number), min(question_number)
        ) as preference
    from choices
    group by survey_id, edition, question_id
    having count(*) = 11 and count(case when weight in (-100, 0, 100) then 1 end) = 11
),

known_questions as (
    select
        survey_id,
        question_id,
        min(edition) = 1 as is_asked,
        min(case when preference = 1 then edition end) as first_edition
    from nps_questions
    group by survey_id, question_id
),

nps_choices as (
    select
        choices.survey_id,
        choices.question_id,
        choices.choice_id,
        cast(choices.score as {{ dbt.type_string() }}) as score_text,
        row_number() over (
            partition by choices.survey_id, choices.question_id, choices.choice_id
            order by choices.edition asc, choices.score asc
        ) as preference
    from choices
    inner join nps_questions
        on
            choices.survey_id = nps_questions.survey_id
            and choices.edition = nps_questions.edition
            and choices.question_id = nps_questions.question_id
),

surveys as (
    select
        details.id as survey_id,
        count(known_questions.question_id) as score_questions
    from details
    left join known_questions on details.id = known_questions.survey_id
    group by details.id
),

-- What a question asks for now.
asked_questions as (
    select
        survey_id,
        question_id,
        lower(trim(family)) as family,
        lower(trim(subtype)) as subtype,
        row_number() over (
            partition by survey_id, question_id
            order by edition asc, page_number asc, question_number asc
        ) as preference
    from detail_fields
    where trim(family) <> ''
),

answered_pages as (
    {{ json_elements('source', 'pages', row_key + ['survey_id']) }}
),

answered_questions as (
    {{ json_elements('answered_pages', 'element', row_key + [
        'survey_id', 'element_number as page_number',
    ], key='questions') }}
),

question_fields as (
    {{ json_fields('answered_questions', 'element', {'question_id': 'id', 'answers': 'answers'}, row_key + [
        'survey_id', 'page_number', 'element_number as question_number',
    ]) }}
),

-- An answer to a question that is gone was given when that was the survey's, whatever is the survey's since.
nps_answers as (
    select
        question_fields.*,
        row_number() over (
            partition by question_fields._load_id, question_fields._line
            order by known_questions.is_asked asc, known_questions.first_edition asc
        ) as preference
    from question_fields
    inner join known_questions
        on
            question_fields.survey_id = known_questions.survey_id
            and question_fields.question_id = known_questions.question_id
    where known_questions.first_edition is not null
),

given as (
    select * from nps_answers
    where preference = 1
),

chosen as (
    {{ json_rows_at('given', 'answers', '$[*].choice_id', 'choice_id', row_key + ['survey_id', 'question_id']) }}
),

-- choice_metadata.weight is what the answer is worth in the vendor's figure (-100, 0, 100), and not the score.
scores as (
    select
        chosen._load_id,
        chosen._line,
        max(nps_choices.score_text) as score_text
    from chosen
    inner join nps_choices
        on
            chosen.survey_id = nps_choices.survey_id
            and chosen.question_id = nps_choices.question_id
            and chosen.choice_id = nps_choices.choice_id
    where nps_choices.preference = 1
    group by chosen._load_id, chosen._line
),

weights as (
    select
        _load_id,
        _line,
        {{ json_first_text('answers', '$[*].choice_metadata.weight') }} as weight
    from given
),

-- What a choice of a rating is worth, row by row of a matrix; that of the NPS question is no rating.
rated as (
    {{ json_rows_at('question_fields', 'answers', '$[*].choice_metadata.weight', 'rating', row_key + [
        'survey_id', 'question_id',
    ]) }}
),

ratings as (
    select
        rated._load_id,
        rated._line,
        {{ is_straight_line('rated.rating') }} as is_straight_line
    from rated
    left join known_questions
        on rated.survey_id = known_questions.survey_id and rated.question_id = known_questions.question_id
    where known_questions.question_id is null
    group by rated._load_id, rated._line
),

texts as (
    select
        *,
        {{ json_first_text('answers', '$[*].text') }} as text_given
    from question_fields
),

-- A text of another kind of question is an address, a date or the name of another choice; beside the score it is the
-- reason. One line may ask for a name: it is the comment where nothing else is. What a question asks for may not be
-- known.
ranked_texts as (
    select
        texts._load_id,
        texts._line,
        texts.text_given as comment,
        row_number() over (
            partition by texts._load_id, texts._line
            order by
                case when asked_questions.subtype in ('single', 'multi') then 2 else 1 end,
                texts.page_number, texts.question_number
        ) as preference
    from texts
    left join asked_questions
        on
            texts.survey_id = asked_questions.survey_id
            and texts.question_id = asked_questions.question_id
            and asked_questions.preference = 1
    left join known_questions
        on texts.survey_id = known_questions.survey_id and texts.question_id = known_questions.question_id
    where
        trim(texts.text_given) <> ''
        and (
            asked_questions.family is null
            or (asked_questions.family = 'open_ended' and coalesce(asked_questions.subtype, '') <> 'numerical')
            or known_questions.first_edition is not null
        )
),

comments as (
    select
        _load_id,
        _line,
        comment
    from ranked_texts
    where preference = 1
),

variables as (
    {{ json_fields('source', 'custom_variables', {'contact_id': 'contact_id', 'account_id': 'account_id'}, row_key) }}
),

renamed as (
    select
        source._source_system as source_system,
        coalesce(nullif(trim(source.id), ''), source._row_hash) as source_response_id,
        nullif(trim(source.survey_id), '') as source_survey_id,
        -- A survey whose details are known and never held an NPS question is another kind of survey.
        case when surveys.score_questions = 0 then 'other' else 'nps' end as score_type,
        nullif(trim(source.recipient_id), '') as source_invitation_id,
        {{ respondent_of_link('variables.contact_id', 'source.email_address') }} as source_contact_id,
        {{ normalised_email('source.email_address') }} as contact_email,
        nullif(trim(variables.account_id), '') as source_account_id,
        scores.score_text,
        case weights.weight when '100' then 'promoter' when '0' then 'passive' when '-100' then 'detractor' end
            as vendor_category,
        comments.comment,
        cast(null as {{ dbt.type_string() }}) as language,
        cast(null as {{ dbt.type_string() }}) as channel,
        source.custom_variables as attributes,
        coalesce(lower(trim(source.response_status)) <> 'completed', true) as is_partial,
        coalesce(lower(trim(source.collection_mode)) in ('preview', 'survey_preview'), false) as is_test,
        {{ is_deleted_by_vendor('source') }} as is_withdrawn,
        ratings.is_straight_line,
        {{ network_hash('source.ip_address') }} as network_hash,
        {{ utc_timestamp('source.date_created') }} as submitted_at,
        {{ utc_timestamp('source.date_modified') }} as updated_at,
        source._row_hash as row_hash,
        source._load_id as load_id,
        source._loaded_at as loaded_at,
        source._file as source_file,
        source._line as source_line
    from source
    left join surveys on source.survey_id = surveys.survey_id
    left join scores on source._load_id = scores._load_id and source._line = scores._line
    left join comments on source._load_id = comments._load_id and source._line = comments._line
    left join weights on source._load_id = weights._load_id and source._line = weights._line
    left join ratings on source._load_id = ratings._load_id and source._line = ratings._line
    left join variables on source._load_id = variables._load_id and source._line = variables._line
)

select * from renamed
