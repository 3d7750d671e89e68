-- Grain: one load of invitations: what was delivered, and where every row of it went. A group is one row, however many
-- people it invites.
{%- set key = 'coalesce(group_id, invitation_id)' if are_groups_invited() else 'invitation_id' %}
{%- set reasons = {
    'unknown_survey': 'standing', 'invalid_time': 'standing', 'empty_group': 'staged', 'no_invitation': 'other_mailings',
    'superseded': 'overtaken',
} %}

with loads as (
    select * from {{ ref('stg_lake__loads') }}
    where lake_source || '.' || table_name in ({{ raw_tables_quoted('invitations') }})
),

staged as (
    select
        load_id,
        count(case when coalesce(group_size, 1) > 0 then 1 end) as inviting_rows,
        count(case when group_size <= 0 then 1 end) as empty_group
    from (
        {{ union_staging('invitations', ['load_id', 'group_size']) }}
    ) as delivered
    group by load_id
),

other_mailings as (
    select
        load_id,
        count(*) as no_invitation
    from (
        {{ union_staging('other_mailings', ['load_id']) }}
    ) as delivered
    group by load_id
),

-- The rows that stand for their invitation.
standing as (
    select
        load_id,
        count(case when place = 1 then 1 end) as standing_rows,
        count(case when place = 1 and fault is null then 1 end) as taken,
        count(case when place = 1 and fault = 'unknown_survey' then 1 end) as unknown_survey,
        count(case when place = 1 and fault = 'invalid_time' then 1 end) as invalid_time,
        count(case when fault is null then 1 end) as invitations
    from (
        select
            invitations.load_id,
            coalesce(invitations.position_in_group, 1) as place,
            case
                when surveys.survey_id is null then 'unknown_survey'
                when invitations.sent_at is null then 'invalid_time'
            end as fault
        from {{ ref('int_invitations') }} as invitations
        left join {{ ref('surveys') }} as surveys
            on
                invitations.source_system = surveys.source_system
                and invitations.source_survey_id = surveys.source_survey_id
    ) as judged
    group by load_id
),

-- Only loads with other rows are looked at row by row: whether another delivery of the same invitation stands.
loads_with_others as (
    select staged.load_id
    from staged
    left join standing on staged.load_id = standing.load_id
    where staged.inviting_rows <> coalesce(standing.standing_rows, 0)
),

known as (
    select distinct
        load_id,
        source_line
    from {{ ref('int_invitations') }}
    where load_id in (select loads_with_others.load_id from loads_with_others)
),

others as (
    select
        delivered.load_id,
        delivered.source_system || ':' || delivered.source_invitation_id as invitation_key
    from (
        {{ union_staging('invitations', [
            'source_system', 'source_invitation_id', 'group_size', 'load_id', 'source_line',
        ]) }}
    ) as delivered
    left join known on delivered.load_id = known.load_id and delivered.source_line = known.source_line
    where
        delivered.load_id in (select loads_with_others.load_id from loads_with_others)
        and known.load_id is null
        and coalesce(delivered.group_size, 1) > 0
),

standing_keys as (
    select distinct {{ key }} as invitation_key
    from {{ ref('int_invitations') }}
    where {{ key }} in (select others.invitation_key from others)
    {%- if are_groups_invited() %}
    union
    select source_system || ':' || source_invitation_id as invitation_key
    from (
        {{ union_staging('invitations', ['source_system', 'source_invitation_id', 'group_size']) }}
    ) as delivered
    where group_size <= 0
    {%- endif %}
),

overtaken as (
    select
        others.load_id,
        count(*) as superseded
    from others
    inner join standing_keys on others.invitation_key = standing_keys.invitation_key
    group by others.load_id
),

counted as (
    select
        loads.source_system,
        loads.load_id,
        loads.source_file,
        loads.loaded_at,
        loads.delivered_rows,
        loads.malformed_rows as malformed,
        coalesce(standing.invitations, 0) as invitations,
        coalesce(standing.taken, 0) as taken,
        {%- for reason, relation in reasons.items() %}
        coalesce({{ relation }}.{{ reason }}, 0) as {{ reason }}{{ ',' if not loop.last }}
        {%- endfor %}
    from loads
    left join staged on loads.load_id = staged.load_id
    left join other_mailings on loads.load_id = other_mailings.load_id
    left join standing on loads.load_id = standing.load_id
    left join overtaken on loads.load_id = overtaken.load_id
),

final as (
    select
        source_system,
        load_id,
        source_file,
        loaded_at,
        delivered_rows,
        taken,
        {{ reasons | join(',\n        ') }},
        malformed,
        delivered_rows - malformed - taken - {{ reasons | join(' - ') }} as difference,
        invitations
    from counted
)

select * from final
