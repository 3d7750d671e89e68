-- Grain: one delivered row of a feedback submission; one that changed has several.
{%- set delivered = ['id', adapter.quote('createdAt'), adapter.quote('updatedAt'), 'archived', 'properties'] %}
{%- set stamps = ['_source_system', '_row_hash', '_load_id', '_loaded_at', '_file', '_line'] %}
{%- set links %}
    with delivered as (
        select * from {{ source('hubspot', 'feedback_submissions') }}
    ),

    lists as (
        {{ json_fields('delivered', 'properties', {'merged_ids': 'hs_merged_object_ids'}, [
            'id', '_load_id', '_line',
        ]) }}
    ),

    merging as (
        select * from lists
        where merged_ids <> ''
    ),

    named as (
        {{ split_parts('merging', 'merged_ids', ';', 'merged_id', ['id', '_load_id', '_line']) }}
    ),

    others as (
        select * from named
        where merged_id <> id
    )

    select
        'submission' as record_type,
        merged_id,
        id as merged_into_id
    from (
        {{ latest_rows('others', ['merged_id'], ['id']) }}
    ) as latest
{%- endset %}

with source as (
    select * from {{ source('hubspot', 'feedback_submissions') }}
),

submissions as (
    {{ json_fields('source', 'properties', {
        'survey_id': 'hs_survey_id',
        'survey_kind': 'hs_survey_type',
        'survey_channel': 'hs_survey_channel',
        'score': 'hs_value',
        'response_group': 'hs_response_group',
        'content': 'hs_content',
        'submitted': 'hs_submission_timestamp',
        'last_modified': 'hs_lastmodifieddate',
        'contact_id': 'hs_contact_id',
        'contact_emails': 'hs_contact_email_rollup',
    }, delivered + stamps) }}
),

-- A submission that was merged into another is that one's earlier version.
{{ followed_merges_ctes(links) }},

renamed as (
    select
        submissions._source_system as source_system,
        coalesce(followed.survivor_id, nullif(trim(submissions.id), ''), submissions._row_hash) as source_response_id,
        nullif(trim(submissions.survey_id), '') as source_survey_id,
        -- hs_response_group says promoter for a 5 of CSAT, too: it is compared with ours and is no score.
        lower(trim(submissions.survey_kind)) as score_type,
        cast(null as {{ dbt.type_string() }}) as source_invitation_id,
        {{ respondent_of_link('submissions.contact_id', "split_part(submissions.contact_emails, ';', 1)") }}
            as source_contact_id,
        {{ normalised_email("split_part(submissions.contact_emails, ';', 1)") }} as contact_email,
        nullif(trim(submissions.contact_id), '') as external_contact_id,
        cast(null as {{ dbt.type_string() }}) as source_account_id,
        submissions.score as score_text,
        lower(trim(submissions.response_group)) as vendor_category,
        submissions.content as comment,
        cast(null as {{ dbt.type_string() }}) as language,
        lower(trim(submissions.survey_channel)) as channel,
        submissions.properties as attributes,
        false as is_partial,
        false as is_test,
        coalesce(lower(submissions.archived) in ('true', '1'), false) as is_withdrawn,
        cast(null as boolean) as is_straight_line,
        cast(null as {{ dbt.type_string() }}) as network_hash,
        -- A time that cannot be read is none, and not that of the record.
        case
            when trim(submissions.submitted) <> ''
                then coalesce(
                    {{ utc_timestamp('submissions.submitted') }},
                    {{ utc_timestamp('submissions.submitted', 'epoch_milliseconds') }}
                )
            else {{ utc_timestamp('submissions.' ~ adapter.quote('createdAt')) }}
        end as submitted_at,
        coalesce(
            {{ utc_timestamp('submissions.' ~ adapter.quote('updatedAt')) }},
            {{ utc_timestamp('submissions.last_modified') }}
        ) as updated_at,
        submissions._row_hash as row_hash,
        submissions._load_id as load_id,
        submissions._loaded_at as loaded_at,
        submissions._file as source_file,
        submissions._line as source_line
    from submissions
    left join followed on submissions.id = followed.merged_id
)

select * from renamed
