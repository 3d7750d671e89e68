-- Grain: one load of invitations: what was delivered, and where every row of it went. A group is one row, however many
-- people it invites.
{%- set key = 'coalesce(group_id, invitation_id)' if are_groups_invited() else 'invitation_id' %}
{%- set reasons = {
    'unknown_survey': 'standing', 'invalid_time': 'standing', 'empty_group': 'staged', 'no_invitation': 'other_mailings',
    'superseded': 'overtaken',
} %}

{#- Rows of a load are counted by stretches of lines, so that few must be looked at where few are overtaken. -#}
{%- set stretch = 'cast(floor(source_line / 10000e0) as bigint)' %}

with loads as (
    select * from {{ ref('stg_lake__loads') }}
    where lake_source || '.' || table_name in ({{ raw_tables_quoted('invitations') }})
),

staged_stretches as (
    select
        load_id,
        {{ stretch }} as stretch,
        count(case when coalesce(group_size, 1) > 0 then 1 end) as inviting_rows,
        count(case when group_size <= 0 then 1 end) as empty_group
    from (
        {{ union_staging('invitations', ['load_id', 'group_size', 'source_line']) }}
    ) as delivered
    group by load_id, {{ stretch }}
),

staged as (
    select
        load_id,
        cast(sum(empty_group) as bigint) as empty_group
    from staged_stretches
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
standing_stretches as (
    select
        load_id,
        {{ stretch }} as stretch,
        count(case when place = 1 then 1 end) as standing_rows,
        count(case when place = 1 and fault is null then 1 end) as taken,
        count(case when place = 1 and fault = 'unknown_survey' then 1 end) as unknown_survey,
        count(case when place = 1 and fault = 'invalid_time' then 1 end) as invalid_time,
        count(case when fault is null then 1 end) as invitations
    from (
        select
            invitations.load_id,
            invitations.source_line,
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
    group by load_id, {{ stretch }}
),

standing as (
    select
        load_id,
        {%- for count in ['taken', 'unknown_survey', 'invalid_time', 'invitations'] %}
        cast(sum({{ count }}) as bigint) as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from standing_stretches
    group by load_id
),

-- Only these are looked at row by row: whether another delivery of the same invitation stands.
stretches_with_others as (
    select
        staged_stretches.load_id,
        staged_stretches.stretch
    from staged_stretches
    left join standing_stretches
        on
            staged_stretches.load_id = standing_stretches.load_id
            and staged_stretches.stretch = standing_stretches.stretch
    where staged_stretches.inviting_rows <> coalesce(standing_stretches.standing_rows, 0)
),

lines as (
    select
        load_id,
        source_line,
        source_system || ':' || source_invitation_id as invitation_key,
        {{ stretch }} as stretch,
        0 as is_standing
    from (
        {{ union_staging('invitations', [
            'source_system', 'source_invitation_id', 'group_size', 'load_id', 'source_line',
        ]) }}
    ) as delivered
    where coalesce(group_size, 1) > 0
    union all
    select
        load_id,
        source_line,
        cast(null as {{ dbt.type_string() }}) as invitation_key,
        {{ stretch }} as stretch,
        1 as is_standing
    from {{ ref('int_invitations') }}
),

others as (
    select
        lines.load_id,
        max(lines.invitation_key) as invitation_key
    from lines
    inner join stretches_with_others
        on lines.load_id = stretches_with_others.load_id and lines.stretch = stretches_with_others.stretch
    group by lines.load_id, lines.source_line
    having sum(lines.is_standing) = 0
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
