-- Grain: one delivered row of a person and a mailing that is no invitation: a reminder, a thank-you, a test, or one
-- that is due.
with source as (
    select * from {{ source('qualtrics', 'distribution_contact') }}
),

raw_distributions as (
    select * from {{ source('qualtrics', 'distribution') }}
),

distributions as (
    {{ latest_rows('raw_distributions', ['id'], ['request_type']) }}
),

renamed as (
    select
        source._source_system as source_system,
        source._load_id as load_id,
        source._loaded_at as loaded_at,
        source._file as source_file,
        source._line as source_line
    from source
    left join distributions on source.distribution_id = distributions.id
    where not {{ qualtrics_invites('distributions.request_type', 'source.status') }}
)

select * from renamed
