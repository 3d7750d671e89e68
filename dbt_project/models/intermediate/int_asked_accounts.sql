-- Grain: one account that was asked as often as contact_rules allow, as of now. In an incremental build those that are
-- so now and were not, or no more.
{{ config(
    materialized = 'incremental',
    unique_key = 'account_id',
    meta = {'present': 'is_asked', 'tracked': ['account_id']}
) }}
{%- set rule = var('contact_rules').account %}

with asked as (
    select
        account_id,
        true as is_asked
    from {{ ref('fct_survey_invitations') }}
    where
        account_id is not null
        and delivered_at is not null
        and sent_at > {{ add_hours(as_of_moment(), -24 * rule.days) }}
        and sent_at <= {{ as_of_moment() }}
    group by account_id
    having count(*) >= {{ rule.invitations }}
)

{{ only_moved('asked', 'account_id', ['is_asked']) }}
