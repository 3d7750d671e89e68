{#-
    What a staging model must deliver, whatever the tool: the columns of every entity and their types.
    To add a tool, write staging models with these columns and name them in staging_models().
-#}

{% macro canonical_columns(entity) -%}
    {%- set string = dbt.type_string() -%}
    {%- set stamps = {'load_id': string, 'loaded_at': 'timestamp', 'source_file': string, 'source_line': 'bigint'} -%}
    {%- set entities = {
        'answers': {
            'source_system': string, 'source_response_id': string, 'source_survey_id': string, 'score_type': string,
            'source_invitation_id': string, 'source_contact_id': string, 'contact_email': string,
            'source_account_id': string, 'score_text': string, 'comment': string, 'language': string,
            'channel': string, 'attributes': string, 'is_partial': 'boolean', 'is_test': 'boolean',
            'is_withdrawn': 'boolean', 'submitted_at': 'timestamp', 'updated_at': 'timestamp', 'row_hash': string,
        },
        'invitations': {
            'source_system': string, 'source_invitation_id': string, 'source_survey_id': string,
            'source_contact_id': string, 'contact_email': string, 'source_account_id': string, 'channel': string,
            'attributes': string, 'group_size': 'bigint', 'sent_at': 'timestamp', 'delivered_at': 'timestamp',
            'opened_at': 'timestamp', 'started_at': 'timestamp',
        },
        'people': {'source_system': string, 'source_contact_id': string, 'contact_email': string},
        'contact_events': {
            'source_system': string, 'source_contact_id': string, 'event_type': string, 'event_at': 'timestamp',
        },
        'contacts': {
            'contact_id': string, 'account_id': string, 'contact_email': string, 'job_title': string,
            'has_opted_out': 'boolean', 'is_deleted': 'boolean',
        },
        'account_history': {
            'account_id': string, 'account_name': string, 'parent_account_id': string, 'owner_id': string,
            'annual_revenue': 'decimal(18, 2)', 'employees': 'bigint', 'country': string, 'is_deleted': 'boolean',
            'valid_from': 'timestamp',
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


{#- Which staging models deliver an entity, by source. -#}
{% macro staging_models(entity) -%}
    {{- return({
        'answers': {'delighted': ['stg_delighted__survey_responses'], 'files': ['stg_files__answers']},
        'invitations': {'delighted': ['stg_delighted__survey_requests'], 'files': ['stg_files__invitations']},
        'people': {'delighted': ['stg_delighted__people'], 'files': ['stg_files__answers', 'stg_files__invitations']},
        'contact_events': {'delighted': ['stg_delighted__unsubscribes', 'stg_delighted__bounces']},
        'contacts': {'salesforce': ['stg_salesforce__contacts']},
        'account_history': {'salesforce': ['stg_salesforce__accounts', 'stg_salesforce__account_history']},
        'users': {'salesforce': ['stg_salesforce__users']},
    }[entity]) -}}
{%- endmacro %}


{#- The raw tables that deliver answers, by source: each of their rows ends in exactly one decision. -#}
{% macro answer_tables() -%}
    {%- set tables = {'delighted': 'survey_responses', 'files': 'answers'} -%}
    {%- set switched_on = {} -%}
    {%- for source_name, table_name in tables.items() if is_delivered(source_name, 'stg__answers') -%}
        {%- do switched_on.update({source_name: table_name}) -%}
    {%- endfor -%}
    {{- return(switched_on) -}}
{%- endmacro %}


{#- The same as SQL literals 'source.table'. -#}
{% macro answer_tables_quoted() -%}
    {%- for source_name, table_name in answer_tables().items() -%}
        '{{ source_name }}.{{ table_name }}'{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}


{#- File sources share their staging models; the one of invitations exists only if a mapping names a file of them. -#}
{% macro is_delivered(source_name, model) -%}
    {%- if source_name == 'files' -%}
        {{- return(mapped_sources(model.split('__')[1]) | length > 0) -}}
    {%- endif -%}
    {{- return(source_name in var('sources')) -}}
{%- endmacro %}


{#-
    The rows of an entity from every source that is switched on; no rows, but typed columns, when none is. In an
    incremental build only those of loads that the model has not read yet.
    `columns`: only these of the canonical ones.
-#}
{% macro union_staging(entity, columns=none) -%}
    {%- set types = canonical_columns(entity) -%}
    {%- set columns = columns or types.keys() | list -%}
    {%- set selects = [] -%}
    {%- set only_new = ' where ' ~ is_new_load() if is_incremental() else '' -%}
    {%- for source_name, models in staging_models(entity).items() -%}
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
    CTEs that end in `latest`: of the rows of an entity with the same `key`, the one delivered last, since a CRM
    export repeats every record each time. Only keys that were delivered more than once are ranked, and without the
    other columns: ranking wide rows is dear.
-#}
{% macro latest_deliveries(entity, key) -%}
delivered as (
    {{ union_staging(entity) }}
),

delivered_again as (
    select {{ key | join(', ') }}
    from (
        {{ union_staging(entity, key) }}
    ) as keys
    group by {{ key | join(', ') }}
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
    inner join delivered_again
        on
            {% for column in key -%}
            deliveries.{{ column }} is not distinct from delivered_again.{{ column }}{{ ' and ' if not loop.last }}
            {%- endfor %}
),

overtaken as (
    select
        load_id,
        source_line
    from ranked
    where delivery_rank > 1
),

latest as (
    select delivered.*
    from delivered
    left join overtaken
        on delivered.load_id = overtaken.load_id and delivered.source_line = overtaken.source_line
    where overtaken.load_id is null
)
{%- endmacro %}
