-- The invitations that the loads brought are those of the fact, tool by tool: none is lost behind its row, none made.
with brought as (
    select
        source_system,
        sum(invitations) as invitations
    from {{ ref('quality_invitation_reconciliation') }}
    group by source_system
),

asked as (
    select
        source_system,
        count(*) as invitations
    from {{ ref('fct_survey_invitations') }}
    group by source_system
)

select
    coalesce(brought.source_system, asked.source_system) as source_system,
    brought.invitations as brought,
    asked.invitations as asked
from brought
full outer join asked on brought.source_system = asked.source_system
where coalesce(brought.invitations, 0) <> coalesce(asked.invitations, 0)
