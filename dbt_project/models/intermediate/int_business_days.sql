-- Grain: one quarter of an hour in which something was asked or answered, with its day in the business time zone.
-- The rules of a time zone are dear to apply to every row, and every zone in use is off UTC by whole quarters.
{{ config(
    materialized = 'incremental',
    unique_key = 'quarter_hour',
    meta = {'present': 'quarter_hour'}
) }}

with times as (
    select {{ quarter_hour('submitted_at') }} as quarter_hour
    from {{ ref('int_delivered_answers') }}
    {%- if is_incremental() %}
    where response_id in {{ changed('int_delivered_answers', 'response_id') }}
    {%- endif %}
    union
    select {{ quarter_hour('sent_at') }} as quarter_hour
    from {{ ref('int_invitations') }}
    {%- if is_incremental() %}
    where invitation_id in {{ changed('int_invitations', 'invitation_id') }}
    {%- endif %}
),

final as (
    select
        quarter_hour,
        {{ business_date('quarter_hour') }} as business_date
    from times
    where quarter_hour is not null
)

{{ only_changed('final', 'quarter_hour', ['quarter_hour', 'business_date']) }}
