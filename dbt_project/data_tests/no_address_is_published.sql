-- Texts that come from outside hold no e-mail address. Which column does, not what it holds: results are logged.
{%- set texts = {
    'fct_nps_responses': ['source_response_id', 'invitation_id', 'contact_id', 'account_id', 'comment', 'language', 'channel'],
    'fct_survey_invitations': ['invitation_id', 'contact_id', 'account_id'],
    'response_eligibility': ['source_response_id', 'score_text', 'source_file'],
    'nps_overall': ['segment_value'],
    'dim_accounts': ['account_id', 'account_name', 'parent_account_id'],
    'dim_contacts': ['contact_id', 'job_title'],
    'dim_owners': ['owner_id', 'job_title'],
    'detractor_recovery': ['contact_id', 'account_id', 'owner_id', 'comment', 'contacted_by'],
    'quality_quarantine': ['source_survey_id', 'raw_row'],
    'quality_matching': ['survey_id'],
} %}

{%- for model, columns in texts.items() %}
{{ 'with ' if loop.first }}{{ model }}_addresses as (
    select
        {%- for column in columns %}
        count(case when {{ column }} like '%@%' and {{ matches(column, '[^\\s@]@[^\\s@]+[.][^\\s@]') }} then 1 end)
            as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ rows_to_test(ref(model)) }}
),
{% endfor %}
found as (
    {%- for model, columns in texts.items() %}
    {%- set model_loop = loop %}
    {%- for column in columns %}
    select
        '{{ model }}.{{ column }}' as published_column,
        {{ column }} as addresses
    from {{ model }}_addresses
    {{ 'union all' if not (loop.last and model_loop.last) }}
    {%- endfor %}
    {%- endfor %}
)

select * from found
where addresses > 0
