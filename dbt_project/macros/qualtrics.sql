{#- What two staging models of Qualtrics must say alike. -#}

{#- A reminder and a thank-you are mailings of their own, but no invitations: what came of them belongs to the first. -#}
{% macro qualtrics_is_follow_up(request_type) -%}
    coalesce(lower(trim({{ request_type }})) in ('reminder', 'thankyou'), false)
{%- endmacro %}


{#- What happened to a mailing, without case and punctuation. -#}
{% macro qualtrics_status(status) -%}{{ replace_matches('lower(' ~ status ~ ')', '[^a-z]', '') }}{%- endmacro %}


{#- The names of a status that have one meaning, as a list in SQL; a name that is not here says nothing, and is told. -#}
{% macro qualtrics_statuses(meaning) -%}
    {%- set statuses = {
        'due': ['pending'],
        'failed': ['error', 'failure', 'unknown', 'skipped', 'blocked', 'softbounce', 'hardbounce'],
        'reached': ['success', 'opened', 'complaint'],
        'started': [
            'surveystarted', 'surveypartiallyfinished', 'surveyfinished', 'surveyscreenedout', 'sessionexpired',
        ],
    } -%}
    '{{ statuses[meaning] | join("', '") }}'
{%- endmacro %}


{#- Has a mailing asked the person? One that is due has not yet; a personal link stays pending until it is opened. -#}
{% macro qualtrics_invites(request_type, status) -%}
    (
        not {{ qualtrics_is_follow_up(request_type) }}
        and coalesce(lower(trim({{ request_type }})) <> 'testemail', true)
        and (
            coalesce({{ qualtrics_status(status) }}, '') <> 'pending'
            or coalesce(lower(trim({{ request_type }})) = 'generatedinvite', false)
        )
    )
{%- endmacro %}


{% macro qualtrics_invitation_key(distributions, contacts) -%}
    coalesce(
        case
            when {{ qualtrics_is_follow_up(distributions ~ '.request_type') }}
                then nullif(trim({{ distributions }}.parent_distribution_id), '')
        end,
        {{ contacts }}.distribution_id
    ) || '|' || {{ contacts }}.contact_id
{%- endmacro %}
