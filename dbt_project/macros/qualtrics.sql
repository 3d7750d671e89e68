{#- What two staging models of Qualtrics must say alike. -#}

{#- A reminder and a thank-you are mailings of their own, but no invitations: what came of them belongs to the first. -#}
{% macro qualtrics_is_follow_up(request_type) -%}
    coalesce(lower(trim({{ request_type }})) in ('reminder', 'thankyou'), false)
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
