-- No published text holds an e-mail address, as it is or as a link or a web page writes it. Which column does, not what
-- it holds: results are logged.
{#- Named for the order alone: dbt knows of no other way to come after them. Which columns are texts, contracts say. -#}
{%- set relations = {} %}
{%- for name in [
    'contact_fatigue', 'customer_value_by_category', 'detractor_recovery', 'dim_account_history', 'dim_accounts',
    'dim_contacts', 'dim_dates', 'dim_owner_hierarchy', 'dim_owners', 'dim_surveys', 'dim_windows',
    'fct_nps_responses', 'fct_survey_invitations', 'metrics_catalog', 'nps_account_views', 'nps_action_impact',
    'nps_benchmark_gap', 'nps_by_account', 'nps_by_owner', 'nps_by_segment_period', 'nps_category_migration',
    'nps_change_decomposition', 'nps_control_chart', 'nps_overall', 'nps_restatements', 'nps_theme_impact',
    'nps_trailing_window', 'nps_weighted', 'promoter_advocacy', 'recovery_performance', 'response_eligibility',
    'response_funnel', 'response_representativeness', 'quality_check_results', 'quality_exclusions',
    'quality_figures', 'quality_freshness', 'quality_invitation_reconciliation', 'quality_matching',
    'quality_quarantine', 'quality_reconciliation', 'quality_vendor_comparison',
] %}
    {%- do relations.update({name: ref(name)}) %}
{%- endfor %}
{%- set texts = {} %}
{%- for published_model in published_models() %}
    {%- if published_model.name not in relations %}
        {%- do exceptions.raise_compiler_error('no_address_is_published must name ' ~ published_model.name) %}
    {%- endif %}
    {%- set columns = published_model.columns.values() | selectattr('data_type', 'equalto', 'string')
        | map(attribute='name') | list %}
    {%- if columns %}
        {%- do texts.update({published_model.name: columns}) %}
    {%- endif %}
{%- endfor %}

with found as (
    -- One row per table.
    {%- for name, columns in texts.items() %}
    select
        '{{ name }}' as published_table,
        {%- for column in columns %}
        {{ '|| ' if not loop.first }}case
            when count(
                case
                    when
                        (
                            {{ column }} like '%@%' or {{ column }} like '%&%' or {{ column }} like '%＠%'
                            or position('%40' in {{ column }}) > 0
                        )
                        and {{ matches(plain_text(column), '[^\\s@]@[^\\s@]+[.][^\\s@]') }}
                        then 1
                end
            ) > 0
                then '{{ column }} ' else ''
        end
        {%- endfor %} as columns_with_an_address
    from {{ rows_to_test(relations[name]) }}
    {{ 'union all' if not loop.last }}
    {%- else %}
    select
        '' as published_table,
        '' as columns_with_an_address
    {%- endfor %}
)

select * from found
where columns_with_an_address <> ''
