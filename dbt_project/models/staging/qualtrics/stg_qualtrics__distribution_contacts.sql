-- Grain: one delivered row of a person whom a mailing invited to a survey.
with source as (
    select
        *,
        {{ qualtrics_status('status') }} as status_name
    from {{ source('qualtrics', 'distribution_contact') }}
),

raw_distributions as (
    select * from {{ source('qualtrics', 'distribution') }}
),

distributions as (
    {{ latest_rows(
        'raw_distributions', ['id'], ['request_type', 'survey_link_survey_id', 'parent_distribution_id']
    ) }}
),

asked as (
    select
        source.*,
        distributions.survey_link_survey_id,
        {{ qualtrics_invitation_key('distributions', 'source') }} as invitation_key,
        -- These reached nobody; `unknown` is a failure for an unknown reason. A status of another name does not say so:
        -- what has a time of sending was sent, and a personal link that is pending was handed out.
        coalesce(source.status_name, '') not in ({{ qualtrics_statuses('failed') }}) as is_delivered,
        source.status_name in ({{ qualtrics_statuses('started') }}) as is_started
    from source
    left join distributions on source.distribution_id = distributions.id
    where {{ qualtrics_invites('distributions.request_type', 'source.status') }}
),

renamed as (
    select
        _source_system as source_system,
        invitation_key as source_invitation_id,
        nullif(trim(survey_link_survey_id), '') as source_survey_id,
        contact_id as source_contact_id,
        cast(null as {{ dbt.type_string() }}) as source_account_id,
        -- A mailing does not say its channel; the answer to it does.
        cast(null as {{ dbt.type_string() }}) as channel,
        cast(null as {{ dbt.type_string() }}) as attributes,
        cast(null as bigint) as group_size,
        {{ utc_timestamp('sent_at') }} as sent_at,
        case when is_delivered then {{ utc_timestamp('sent_at') }} end as delivered_at,
        {{ utc_timestamp('opened_at') }} as opened_at,
        coalesce(
            {{ utc_timestamp('response_started_at') }},
            case when is_started then coalesce({{ utc_timestamp('opened_at') }}, {{ utc_timestamp('sent_at') }}) end
        ) as started_at,
        _load_id as load_id,
        _loaded_at as loaded_at,
        _file as source_file,
        _line as source_line
    from asked
)

select * from renamed
