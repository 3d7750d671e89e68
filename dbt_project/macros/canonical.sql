{#-
    What a staging model must deliver, whatever the tool: the columns of every entity and their types.
    To add a tool, write staging models with these columns and name them in tools().
-#}

{% macro canonical_columns(entity) -%}
    {%- set string = dbt.type_string() -%}
    {%- set stamps = {'load_id': string, 'loaded_at': 'timestamp', 'source_file': string, 'source_line': 'bigint'} -%}
    {%- set entities = {
        'answers': {
            'source_system': string, 'source_response_id': string, 'source_survey_id': string, 'score_type': string,
            'source_invitation_id': string, 'source_contact_id': string, 'contact_email': string,
            'source_account_id': string, 'score_text': string, 'vendor_category': string, 'comment': string,
            'language': string, 'channel': string, 'attributes': string, 'is_partial': 'boolean', 'is_test': 'boolean',
            'is_withdrawn': 'boolean', 'is_straight_line': 'boolean', 'network_hash': string,
            'submitted_at': 'timestamp', 'updated_at': 'timestamp', 'row_hash': string,
        },
        'invitations': {
            'source_system': string, 'source_invitation_id': string, 'source_survey_id': string,
            'source_contact_id': string, 'source_account_id': string, 'channel': string, 'attributes': string,
            'group_size': 'bigint', 'sent_at': 'timestamp', 'delivered_at': 'timestamp', 'opened_at': 'timestamp',
            'started_at': 'timestamp',
        },
        'other_mailings': {'source_system': string},
        'people': {
            'source_system': string, 'source_contact_id': string, 'contact_email': string,
            'external_contact_id': string,
        },
        'opt_outs': {'source_system': string, 'source_contact_id': string, 'opted_out_at': 'timestamp'},
        'contacts': {
            'contact_id': string, 'account_id': string, 'contact_email': string, 'job_title': string,
            'has_opted_out': 'boolean', 'has_reference_consent': 'boolean', 'is_deleted': 'boolean',
        },
        'contact_merges': {'merged_contact_id': string, 'surviving_contact_id': string},
        'account_merges': {'merged_account_id': string, 'surviving_account_id': string},
        'account_history': {
            'account_id': string, 'account_name': string, 'parent_account_id': string, 'owner_id': string,
            'annual_revenue': 'decimal(18, 2)', 'employees': 'bigint', 'country': string, 'is_customer': 'boolean',
            'is_deleted': 'boolean', 'valid_from': 'timestamp', 'ended_at': 'timestamp', 'observed_at': 'timestamp',
        },
        'opportunities': {
            'opportunity_id': string, 'account_id': string, 'amount': 'decimal(18, 2)', 'is_won': 'boolean',
            'is_closed': 'boolean', 'is_deleted': 'boolean', 'close_date': 'date',
        },
        'vendor_totals': {
            'source_system': string, 'starts_at': 'timestamp', 'ends_before': 'timestamp', 'promoters': 'bigint',
            'passives': 'bigint', 'detractors': 'bigint',
        },
        'activities': {
            'source_system': string, 'source_activity_id': string, 'activity_type': string, 'response_id': string,
            'external_contact_id': string, 'source_contact_id': string, 'contact_email': string,
            'source_account_id': string, 'owner_id': string, 'has_invalid_time': 'boolean', 'created_at': 'timestamp',
            'contacted_at': 'timestamp', 'resolved_at': 'timestamp',
        },
        'requesters': {
            'source_system': string, 'source_contact_id': string, 'contact_email': string, 'source_account_id': string,
        },
        'users': {'owner_id': string, 'manager_id': string, 'job_title': string, 'is_active': 'boolean'},
    } -%}
    {%- set columns = entities[entity] -%}
    {%- set owner = {'account_history': 'account', 'contacts': 'contact'}.get(entity) -%}
    {%- if owner -%}
        {%- for segment in segments_from(owner) -%}
            {%- do columns.update({segment.name: 'date' if segment.years is defined else string}) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- do columns.update(stamps) -%}
    {{- return(columns) -}}
{%- endmacro %}


{#- In a staging model of accounts: is one with this type or stage a customer? Where the CRM does not say, it is. -#}
{% macro is_customer(customer_type) -%}
    coalesce(nullif(lower(trim({{ customer_type }})), '') in (
        {%- for type in var('customer_types') %}{{ text_literal(type | lower) }}{{ ', ' if not loop.last }}{% endfor -%}
    ), true)
{%- endmacro %}


{#- In a staging model: did the vendor delete the row, as connectors mark it? Where they do not say, no. -#}
{% macro is_deleted_by_vendor(relation=none) -%}
    coalesce(lower(trim({{ relation ~ '.' if relation }}_fivetran_deleted)) in ('true', '1'), false)
{%- endmacro %}


{#- In a staging model of contacts: did the person agree to be asked for a reference? Where the CRM does not say, no. -#}
{% macro has_reference_consent(source_name, relation=none) -%}
    {%- set column = var('advocacy').consent.get(source_name) -%}
    {%- if column -%}
        coalesce(lower({{ relation ~ '.' if relation }}{{ adapter.quote(column) }}) in ('true', 'yes', '1'), false)
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}


{#-
    Every tool, once: the raw tables whose rows are its answers (each ends in exactly one decision), its invitations and
    the follow-ups that people wrote down, and by entity the staging models stg_<tool>__<name> that deliver it. Who
    answered or was invited finds a contact through `people` alone.
    `lookups`: raw tables that these models join to others, or to other rows of their own.
-#}
{% macro tools() -%}
    {{- return({
        'delighted': {
            'answer_table': 'survey_responses',
            'invitation_table': 'survey_requests',
            'answers': ['survey_responses'],
            'invitations': ['survey_requests'],
            'people': ['people'],
            'opt_outs': ['unsubscribes'],
            'vendor_totals': ['metrics'],
        },
        'qualtrics': {
            'answer_table': 'survey_response',
            'invitation_table': 'distribution_contact',
            'lookups': [
                'distribution', 'distribution_contact', 'question', 'question_response', 'survey_embedded_data',
            ],
            'answers': ['survey_responses'],
            'invitations': ['distribution_contacts'],
            'other_mailings': ['other_mailings'],
            'people': ['directory_contacts', 'recipients'],
            'opt_outs': ['unsubscribes', 'complaints'],
        },
        'surveymonkey': {
            'answer_table': 'responses',
            'lookups': ['survey_details'],
            'answers': ['responses'],
            'people': ['people'],
        },
        'typeform': {
            'answer_table': 'responses',
            'lookups': ['responses'],
            'answers': ['responses'],
            'people': ['people'],
        },
        'retently': {'answer_table': 'feedback', 'answers': ['feedback'], 'people': ['feedback']},
        'hubspot': {
            'answer_table': 'feedback_submissions',
            'lookups': ['company', 'feedback_submissions'],
            'answers': ['feedback_submissions'],
            'people': ['feedback_submissions'],
            'contacts': ['contacts'],
            'contact_merges': ['contact_merges', 'merged_contacts'],
            'account_merges': ['merged_companies'],
            'account_history': ['companies'],
            'users': ['owners'],
        },
        'salesforce': {
            'contacts': ['contacts'],
            'contact_merges': ['contact_merges'],
            'account_merges': ['account_merges'],
            'account_history': ['accounts', 'account_history'],
            'opportunities': ['opportunities'],
            'users': ['users'],
            'activities': ['tasks', 'case_activities'],
        },
        'zendesk': {
            'activities': ['ticket_activities'], 'requesters': ['requesters'], 'users': ['agents', 'groups'],
        },
        'files': {
            'answer_table': 'answers',
            'invitation_table': 'invitations',
            'activity_table': 'follow_ups',
            'answers': ['answers'],
            'invitations': ['invitations'],
            'activities': ['follow_ups'],
            'people': ['answers', 'invitations'],
        },
    }) -}}
{%- endmacro %}


{#- Which staging models deliver an entity, by source. -#}
{% macro staging_models(entity) -%}
    {%- set models = {} -%}
    {%- for source_name, tool in tools().items() if entity in tool -%}
        {%- set names = [] -%}
        {%- for name in tool[entity] -%}
            {%- do names.append('stg_' ~ source_name ~ '__' ~ name) -%}
        {%- endfor -%}
        {%- do models.update({source_name: names}) -%}
    {%- endfor -%}
    {{- return(models) -}}
{%- endmacro %}


{#- The raw tables that deliver `entity`, answers, invitations or activities, by source that is switched on. -#}
{% macro raw_tables(entity) -%}
    {%- set tables = {} -%}
    {%- set name = {
        'answers': 'answer_table', 'invitations': 'invitation_table', 'activities': 'activity_table',
    }[entity] -%}
    {%- for source_name, tool in tools().items() -%}
        {#- Activities may come of a CRM's own records; the rows of answers and invitations are counted against these. -#}
        {%- if entity in ('answers', 'invitations') and entity in tool and not tool[name] -%}
            {%- do exceptions.raise_compiler_error(
                'tools() in macros/canonical.sql: ' ~ source_name ~ ' has ' ~ entity ~ ', but no ' ~ name
                ~ ': name the raw table whose rows they are'
            ) -%}
        {%- endif -%}
        {%- if tool[name] and is_delivered(source_name, 'stg__' ~ tool[name]) -%}
            {%- do tables.update({source_name: tool[name]}) -%}
        {%- endif -%}
    {%- endfor -%}
    {{- return(tables) -}}
{%- endmacro %}


{#- The same as SQL literals 'source.table'; one that names no table where there are none. -#}
{% macro raw_tables_quoted(entity) -%}
    {%- for source_name, table_name in raw_tables(entity).items() -%}
        '{{ source_name }}.{{ table_name }}'{{ ', ' if not loop.last }}
    {%- else -%}
        ''
    {%- endfor -%}
{%- endmacro %}


{#- A query for the business day on which answers were last loaded; of a later one nobody knows any. -#}
{% macro answers_loaded_on() -%}
    select {{ business_date('max(loaded_at)') }} as loaded_date from {{ ref('stg_lake__loads') }}
    where lake_source || '.' || table_name in ({{ raw_tables_quoted('answers') }})
{%- endmacro %}


{#- File sources share their staging models; each exists only if a mapping names a file of its kind. -#}
{% macro is_delivered(source_name, model) -%}
    {%- if source_name == 'files' -%}
        {{- return(mapped_sources(model.split('__')[1]) | length > 0) -}}
    {%- endif -%}
    {{- return(source_name in var('sources')) -}}
{%- endmacro %}


{#-
    The rows of an entity from every source that is switched on; no rows, but typed columns, when none is. In an
    incremental build only those that the model has not read yet.
    `columns`: only these of the canonical ones.
-#}
{% macro union_staging(entity, columns=none) -%}
    {%- set types = canonical_columns(entity) -%}
    {%- set columns = columns or types.keys() | list -%}
    {%- set selects = [] -%}
    {%- for source_name, models in staging_models(entity).items() -%}
        {%- set only_new = ' where ' ~ is_read_again(source_name) if is_incremental() else '' -%}
        {%- for model in models if is_delivered(source_name, model) -%}
            {%- do selects.append('select ' ~ columns | join(', ') ~ ' from ' ~ ref(model) ~ only_new) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- if selects -%}
        {{ selects | join('\n    union all\n    ') }}
    {%- else -%}
        select
        {%- for column in columns %}
            cast(null as {{ types[column] }}) as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
        where 1 = 0
    {%- endif -%}
{%- endmacro %}


{#-
    Some columns of the rows of an entity: in a full build read again by themselves, which is cheaper than to hold whole
    rows; in an incremental build those of the CTE named after the entity, which also has the old rows concerned.
-#}
{% macro columns_alone(entity, columns) -%}
    {%- if is_incremental() -%}
        select {{ columns | join(', ') }} from {{ entity }}
    {%- else -%}
        {{ union_staging(entity, columns) }}
    {%- endif -%}
{%- endmacro %}


{#-
    The CTE `latest`: of the rows of an entity with the same `key`, the one delivered last, since a CRM export repeats
    every record each time. Only keys that were delivered more than once are ranked, and without the other columns:
    ranking wide rows is dear.
-#}
{% macro latest_deliveries(entity, key) -%}
{%- set latest %}
with delivered as (
    {{ union_staging(entity) }}
),

delivered_again as (
    select {{ key_hash(key) }} as key_hash
    from (
        {{ union_staging(entity, key) }}
    ) as keys
    group by {{ key_hash(key) }}
    having count(*) > 1
),

ranked as (
    select
        deliveries.load_id,
        deliveries.source_line,
        row_number() over (
            partition by {% for column in key %}deliveries.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
            order by deliveries.load_id desc, deliveries.source_line desc
        ) as delivery_rank
    from (
        {{ union_staging(entity, key + ['load_id', 'source_line']) }}
    ) as deliveries
    inner join delivered_again on {{ key_hash(key) }} = delivered_again.key_hash
),

overtaken as (
    select
        load_id,
        source_line
    from ranked
    where delivery_rank > 1
)

select delivered.*
from delivered
left join overtaken
    on delivered.load_id = overtaken.load_id and delivered.source_line = overtaken.source_line
where overtaken.load_id is null
{%- endset %}
{{- computed_once('latest', latest) }}
{%- endmacro %}


{#-
    The same of raw rows that are looked up (questions, choices, distributions): a table of them comes again with
    every delivery, and a row of answers must find one. `relation` is a CTE over a source.
-#}
{% macro latest_rows(relation, key, columns) -%}
    select {{ (key + columns) | join(', ') }}
    from (
        select
            {{ (key + columns) | join(', ') }},
            row_number() over (
                partition by {{ key | join(', ') }}
                order by _load_id desc, _line desc
            ) as delivery_rank
        from {{ relation }}
    ) as ranked
    where delivery_rank = 1
{%- endmacro %}
