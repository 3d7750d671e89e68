-- Grain: one survey of one tool, fact (answers or invitations), and rules by which contact and account were found.
{%- set facts = {'answers': 'fct_nps_responses', 'invitations': 'fct_survey_invitations'} %}

with matched as (
    {%- for fact, model in facts.items() %}
    select
        source_system,
        survey_id,
        '{{ fact }}' as fact,
        contact_match_rule,
        account_match_rule,
        count(*) as records
    from {{ ref(model) }}
    group by source_system, survey_id, contact_match_rule, account_match_rule
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

final as (
    select
        source_system,
        survey_id,
        fact,
        contact_match_rule,
        account_match_rule,
        cast(records as bigint) as records,
        {{ rate('records', 'sum(records) over (partition by source_system, survey_id, fact)') }} as share
    from matched
)

select * from final
