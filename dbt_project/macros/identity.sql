{#- How people are recognised, and how what could name them is hidden. -#}

{#- E-mail addresses compare without case and surrounding spaces. -#}
{% macro normalised_email(email) -%}nullif(lower(trim({{ email }})), ''){%- endmacro %}


{#- A respondent of a tool that keeps no people: the contact's id if the link carried it, else the address. -#}
{% macro respondent_of_link(contact_id, email) -%}
    coalesce(nullif(trim({{ contact_id }}), ''), {{ normalised_email(email) }})
{%- endmacro %}


{#- A respondent as one survey tool knows them; never published, since a tool's key may be an e-mail address. -#}
{% macro respondent_key() -%}source_system || ':' || source_contact_id{%- endmacro %}


{#-
    The key of a respondent whom no CRM knows: one person in all tools that name the same address or the same key of
    some CRM. Hashed, since these and a tool's own key may be an e-mail address.
-#}
{% macro anonymous_contact_id(contact_email, external_contact_id, source_system, source_contact_id) -%}
    coalesce(
        'email:' || {{ short_hash(contact_email) }},
        'external:' || {{ short_hash(external_contact_id) }},
        {{ source_system }} || ':' || {{ short_hash('lower(trim(' ~ source_contact_id ~ '))') }}
    )
{%- endmacro %}


{#- The account of an answer or invitation `asked`; the relations in scope are those of account_match_rule(). -#}
{% macro account_found(asked) -%}
    coalesce(respondents.account_id, account_aliases.account_id, {{ asked }}.source_account_id)
{%- endmacro %}


{#-
    How an answer or invitation `asked` got its account: from its respondent's contact, or by the name it carries, which
    may be an alias. Expects the relations respondents and account_aliases (int_account_aliases) in scope.
-#}
{% macro account_match_rule(asked) -%}
    case
        when respondents.account_id is not null then 'contact'
        when {{ asked }}.source_account_id is null then 'none'
        else coalesce(account_aliases.match_rule, 'named')
    end
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
