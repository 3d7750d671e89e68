-- Grain: one invitation as last delivered, typed; an invited group becomes as many invitations as it has people.
{{ config(
    materialized = 'incremental',
    unique_key = 'coalesce(group_id, invitation_id)' if are_groups_invited() else 'invitation_id',
    meta = {'present': 'load_id', 'tracked': [
        'invitation_id', 'respondent_key', 'source_account_id', "load_id || ':' || source_line", quarter_hour('sent_at'),
    ]}
) }}

with {{ latest_deliveries('invitations', ['source_system', 'source_invitation_id']) }},
{% if are_groups_invited() %}
individuals as (
    select
        *,
        cast(null as bigint) as position_in_group
    from latest
    where group_size is null
),

groups_of_people as (
    select * from latest
    where group_size > 0
),

members as (
    {{ expand_group('groups_of_people', 'group_size') }}
),

invitations as (
    select * from individuals
    union all
    select * from members
),
{% else %}
invitations as (
    select
        *,
        cast(null as bigint) as position_in_group
    from latest
),
{% endif %}
final as (
    select
        source_system || ':' || source_invitation_id
        || coalesce('#' || cast(position_in_group as {{ dbt.type_string() }}), '') as invitation_id,
        source_system,
        case when position_in_group is not null then source_system || ':' || source_invitation_id end as group_id,
        position_in_group,
        source_survey_id,
        {{ respondent_key() }} as respondent_key,
        source_account_id,
        channel,
        {{ if_asked('attributes') }} as attributes,
        sent_at,
        delivered_at,
        opened_at,
        started_at,
        load_id,
        source_line
    from invitations
)

select
    *,
    {{ key_hash(['invitation_id']) }} as invitation_id_hash,
    {{ key_hash(['respondent_key']) }} as respondent_key_hash
from final
