-- Grain: one quarter of an hour in which something was asked or answered, with its day in the business time zone.
-- The rules of a time zone are dear to apply to every row, and every zone in use is off UTC by whole quarters.
-- depends_on: {{ ref('int_delivered_answers') }}, {{ ref('int_invitations') }}
{{ config(
    materialized = 'incremental',
    unique_key = 'quarter_hour',
    meta = {'present': 'quarter_hour'}
) }}

with times as (
    {%- for model, moment in {'int_delivered_answers': 'submitted_at', 'int_invitations': 'sent_at'}.items() %}
    {%- if is_incremental() %}
    select cast(changed_value as timestamp) as quarter_hour
    from {{ changed(model, quarter_hour(moment)) }} as {{ model }}
    {%- else %}
    select {{ quarter_hour(moment) }} as quarter_hour
    from {{ ref(model) }}
    {%- endif %}
    {{ 'union' if not loop.last }}
    {%- endfor %}
),

final as (
    select
        quarter_hour,
        {{ business_date('quarter_hour') }} as business_date
    from times
    where quarter_hour is not null
)

{{ only_changed('final', 'quarter_hour', ['quarter_hour', 'business_date']) }}
