{#- The counts that the period marts are made of; every mart sums these and no other. -#}

{#-
    When an invitation reached somebody: when its tool says that it was delivered. Where the tool does not say so, an
    invitation that was opened, begun or answered did arrive, at the earliest when it was sent: else more would be
    answered than delivered. `answered` is a row of int_invitation_answers, or none.
-#}
{% macro reached_at(asked, answered) -%}
    coalesce(
        {{ asked }}.delivered_at,
        case
            when coalesce({{ asked }}.opened_at, {{ asked }}.started_at) is not null or {{ answered }}.response_id is not null
                then {{ asked }}.sent_at
        end
    )
{%- endmacro %}


{#- Of invitations, by the day they were sent. Ineligible ones were never asked and are in none of the others. -#}
{% macro invitation_counts() -%}
    {{- return({
        'invited': "outcome <> 'ineligible'",
        'delivered': "outcome <> 'ineligible' and delivered_at is not null",
        'opened': "outcome <> 'ineligible' and opened_at is not null",
        'started': "outcome <> 'ineligible' and started_at is not null",
        'answered': "outcome = 'answered'",
        'partial': "outcome = 'partial'",
        'broke_off': "outcome = 'silent' and started_at is not null",
        'opted_out': "outcome = 'opted_out'",
        'bounced': "outcome = 'bounced'",
        'ineligible': "outcome = 'ineligible'",
    }) -}}
{%- endmacro %}


{#- Of answers, by the day they were given. -#}
{% macro response_counts() -%}
    {{- return({
        'responses': 'true',
        'promoters': "category = 'promoter'",
        'passives': "category = 'passive'",
        'detractors': "category = 'detractor'",
        'controllable_promoters': "category = 'promoter' and is_controllable",
        'controllable_passives': "category = 'passive' and is_controllable",
        'controllable_detractors': "category = 'detractor' and is_controllable",
    }) -}}
{%- endmacro %}


{#-
    The facts that are counted: the date an answer or invitation counts on, its counts, the segments it has, and the
    columns all that needs (fewer than the facts have).
-#}
{% macro counted_facts() -%}
    {%- set facts = {
        'answers': {
            'model': 'fct_nps_responses', 'date': 'response_date', 'counts': response_counts(),
            'segments': segments_with_total(),
            'columns': [
                'survey_type', 'response_date', 'category', 'score', 'is_controllable', 'account_id', 'owner_id',
                'handled_by',
            ],
        },
        'invitations': {
            'model': 'fct_survey_invitations', 'date': 'sent_date', 'counts': invitation_counts(), 'segments': [],
            'columns': ['survey_type', 'sent_date', 'outcome', 'delivered_at', 'opened_at', 'started_at'],
        },
    } -%}
    {%- for segment in segments_with_total() if is_known_when_asked(segment) -%}
        {%- do facts.invitations.segments.append(segment) -%}
    {%- endfor -%}
    {%- for fact in facts.values() -%}
        {%- do fact.columns.extend(match_columns()) -%}
        {%- do fact.columns.extend(fact.segments | map(attribute='name') | reject('equalto', 'all')) -%}
    {%- endfor -%}
    {%- do facts.answers.columns.extend(var('scorecard_segments') | reject('in', facts.answers.columns) | list) -%}
    {{- return(facts) -}}
{%- endmacro %}


{#- Which tool and survey a record is of, and how its contact and account were found: what quality_matching counts. -#}
{% macro match_columns() -%}
    {{- return(['source_system', 'survey_id', 'contact_match_rule', 'account_match_rule']) -}}
{%- endmacro %}


{% macro count_names() -%}
    {{- return((invitation_counts().keys() | list) + (response_counts().keys() | list)) -}}
{%- endmacro %}


{#- The total and every segment, as the period marts list them. -#}
{% macro segments_with_total() -%}
    {{- return([{'name': 'all', 'from': 'survey', 'column': 'all'}] + var('segments')) -}}
{%- endmacro %}


{#- What the guards look at, survey by survey, beside the counts of the period marts: answers by score and unmatched. -#}
{% macro survey_counts() -%}
    {%- set invitations = invitation_counts() -%}
    {%- set counts = {
        'answers': {'responses': 'true', 'unmatched': "account_match_rule = 'none'"},
        'invitations': {'delivered': invitations.delivered, 'answered': invitations.answered},
    } -%}
    {%- for score in range(11) -%}
        {%- do counts.answers.update({'score_' ~ score: 'score = ' ~ score}) -%}
    {%- endfor -%}
    {{- return(counts) -}}
{%- endmacro %}


{#- In an incremental build: the days that a batch touched, of any of the facts that are counted. -#}
{% macro touched_days() -%}
    {%- for fact in counted_facts().values() %}
    select {{ fact.date }} as count_date from {{ differences(fact.model) }} as differences
    {{ 'union' if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{#- The rows of a fact to be counted; in an incremental build those that left and came, for counted(). -#}
{% macro rows_to_count(fact) -%}
    {{ differences(fact.model) ~ ' as differences' if is_incremental() else ref(fact.model) }}
{%- endmacro %}


{#- How many of rows_to_count() meet a condition; in an incremental build, how many more than before. -#}
{% macro counted(condition) -%}
    {%- if is_incremental() -%}
        sum(case when {{ condition }} then row_change else 0 end)
    {%- else -%}
        count(case when {{ condition }} then 1 end)
    {%- endif -%}
{%- endmacro %}


{#- What an account is worth: its revenue; nothing where that is not known, or below 0 as after a credit. -#}
{% macro worth_of(annual_revenue) -%}
    case when {{ annual_revenue }} > 0 then {{ annual_revenue }} else 0 end
{%- endmacro %}


{#-
    Of the accounts that answered in a period, each with its counts, its revenue as a double, which is 0 of those that are
    no customers, and theta, its score by -1 to 1: the sums that the scores of nps_account_views and their errors are made of.
-#}
{% macro account_sums() -%}
    {{- return({
        'accounts': '1',
        'customers': 'case when is_customer then 1 else 0 end',
        'accounts_with_revenue': 'case when revenue > 0e0 then 1 else 0 end',
        'responses': 'responses',
        'promoters': 'promoters',
        'passives': 'passives',
        'detractors': 'detractors',
        'answers_squared': 'responses * responses',
        'answers_squared_theta': 'responses * (promoters - detractors)',
        'answers_squared_theta_squared': '(promoters - detractors) * (promoters - detractors)',
        'theta': 'theta',
        'theta_squared': 'theta * theta',
        'revenue': 'revenue',
        'revenue_theta': 'revenue * theta',
        'revenue_squared': 'revenue * revenue',
        'revenue_squared_theta': 'revenue * revenue * theta',
        'revenue_squared_theta_squared': 'revenue * revenue * theta * theta',
    }) -}}
{%- endmacro %}
