-- A status of a name that nobody knows counts as delivered: where it is a failure, the response rate is too low.
{{ config(enabled = 'qualtrics' in var('sources'), severity = 'warn') }}

with mailings as (
    select
        status,
        {{ qualtrics_status('status') }} as status_name
    from {{ source('qualtrics', 'distribution_contact') }}
)

select
    status,
    count(*) as mailings
from mailings
where
    status_name not in (
        '',
        {{ qualtrics_statuses('due') }},
        {{ qualtrics_statuses('failed') }},
        {{ qualtrics_statuses('reached') }},
        {{ qualtrics_statuses('started') }}
    )
group by status
