{#- How people are recognised, and how what could name them is hidden. -#}

{#- E-mail addresses compare without case and surrounding spaces. -#}
{% macro normalised_email(email) -%}nullif(lower(trim({{ email }})), ''){%- endmacro %}


{#- A respondent of a tool that keeps no people: the contact's id if the link carried it, else the address. -#}
{% macro respondent_of_link(contact_id, email) -%}
    coalesce(nullif(trim({{ contact_id }}), ''), {{ normalised_email(email) }})
{%- endmacro %}


{#- A respondent as one survey tool knows them; never published, since a tool's key may be an e-mail address. -#}
{% macro respondent_key() -%}source_system || ':' || source_contact_id{%- endmacro %}


{#- The key of a respondent whom no CRM knows. Hashed, since a survey tool's own key may be an e-mail address. -#}
{% macro anonymous_contact_id(source_system, source_contact_id) -%}
    {{ source_system }} || ':' || {{ short_hash('lower(trim(' ~ source_contact_id ~ '))') }}
{%- endmacro %}


{#- E-mail addresses in free text, hidden. -#}
{% macro without_emails(text) -%}
    case
        when {{ text }} like '%@%'
            then {{ replace_matches(text, '[[:alnum:]._%+-]+@[[:alnum:].-]+', '***') }}
        else {{ text }}
    end
{%- endmacro %}


{% macro email_domain(email) -%}lower(split_part({{ email }}, '@', 2)){%- endmacro %}
