-- Grain: one invitation as last delivered, typed; an invited group becomes as many invitations as it has people.
{%- set key = 'coalesce(group_id, invitation_id)' if are_groups_invited() else 'invitation_id' %}
{{ config(
    materialized = 'incremental',
    unique_key = key,
    meta = {'present': 'load_id', 'tracked': [
        'invitation_id', 'respondent_key', 'source_account_id', "load_id || ':' || source_line", quarter_hour('sent_at'),
    ]}
) }}

{%- set plain_columns = [
    'source_system', 'position_in_group', 'source_survey_id', 'source_account_id', 'channel', 'sent_at', 'delivered_at',
    'opened_at', 'started_at', 'load_id', 'source_line',
] %}

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
        case when position_in_group is not null then source_system || ':' || source_invitation_id end as group_id,
        {{ respondent_key() }} as respondent_key,
        {{ if_asked('attributes') }} as attributes,
        {{ plain_columns | reject('equalto', 'sent_at') | join(', ') }},
        -- As of answers: nobody was asked in 1970, and what is to be sent one day has not been.
        case
            when
                sent_at >= timestamp '{{ var("earliest_submitted_at") }}'
                and sent_at <= {{ add_hours('loaded_at', var('future_tolerance_hours')) }}
                then sent_at
        end as sent_at
    from invitations
){% if is_incremental() %},

-- Those go that nobody is invited by any more: a group that became empty, a mailing that turned out to be a reminder.
affected as (
    select distinct source_system || ':' || source_invitation_id as affected_key
    from (
        {{ union_staging('invitations', ['source_system', 'source_invitation_id']) }}
    ) as delivered
    {%- for source_name in sources_read_again('invitations') %}
    union
    select {{ key }} as affected_key from {{ this }}
    where source_system = '{{ source_name }}'
    {%- endfor %}
){% endif %}

select
    {{ 'coalesce(final.invitation_id, affected.affected_key)' if is_incremental() else 'final.invitation_id' }}
        as invitation_id,
    {%- for column in ['group_id', 'respondent_key', 'attributes'] + plain_columns %}
    final.{{ column }},
    {%- endfor %}
    {{ key_hash(['final.invitation_id']) }} as invitation_id_hash,
    {{ key_hash(['final.respondent_key']) }} as respondent_key_hash
from
    {%- if is_incremental() %} affected
left join final on affected.affected_key = coalesce(final.group_id, final.invitation_id)
    {%- else %} final
    {%- endif %}
