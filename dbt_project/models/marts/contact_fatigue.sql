-- Grain: one person and one survey type about whom something must be known first: who is not listed may be asked.
{%- set rules = var('contact_rules') %}
{%- set forgotten_days = rules.get('forgotten_days', {}) %}
{#- As far back as any rule looks; for who was forgotten, who must have been asked once, as long again. -#}
{%- set days_back = [
    rules.days_between.values() | max, 2 * ((forgotten_days.values() | list) + [0]) | max, var('trailing_window_days'),
] | max %}

with contacts as (
    select
        dim_contacts.*,
        coalesce(accounts.is_customer and not accounts.is_deleted, true) as is_of_customer
    from {{ ref('dim_contacts') }} as dim_contacts
    left join {{ ref('dim_accounts') }} as accounts on dim_contacts.account_id = accounts.account_id
    where not dim_contacts.is_staff and not dim_contacts.is_deleted
),

asked as (
    select
        contact_id,
        {%- for type in survey_types() %}
        max(case when survey_type = '{{ type }}' then sent_at end) as {{ type }}_sent_at,
        count(
            case when survey_type = '{{ type }}' and not is_within_contact_rules and is_recent then 1 end
        ) as {{ type }}_against_rules,
        {%- endfor %}
        max(sent_at) as any_sent_at,
        count(case when is_recent then 1 end) as recent_invitations
    from (
        select
            contact_id,
            survey_type,
            sent_at,
            is_within_contact_rules,
            sent_at > {{ add_hours(as_of_moment(), -24 * var('trailing_window_days')) }} as is_recent
        from {{ ref('fct_survey_invitations') }}
        where
            contact_id is not null
            and delivered_at is not null
            and sent_at > {{ add_hours(as_of_moment(), -24 * days_back) }}
            and sent_at <= {{ as_of_moment() }}
    ) as invitations
    group by contact_id
),

-- The invitations of a month, read by themselves: what is named once is not written down whole.
asked_accounts as (
    select account_id
    from {{ ref('fct_survey_invitations') }}
    where
        account_id is not null
        and delivered_at is not null
        and sent_at > {{ add_hours(as_of_moment(), -24 * rules.account.days) }}
        and sent_at <= {{ as_of_moment() }}
    group by account_id
    having count(*) >= {{ rules.account.invitations }}
),

opt_outs as (
    select distinct respondents.contact_id
    from {{ ref('int_opt_outs') }} as opt_outs
    inner join {{ ref('int_respondents') }} as respondents on opt_outs.respondent_key = respondents.respondent_key
    where opt_outs.opted_out_at <= {{ as_of_moment() }}
),

survey_types as (
    {%- for type in survey_types() %}
    select
        '{{ type }}' as survey_type,
        cast({{ forgotten_days.get(type, 'null') }} as integer) as forgotten_days
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

known as (
    select
        contacts.contact_id,
        contacts.account_id,
        contacts.is_of_customer,
        survey_types.survey_type,
        survey_types.forgotten_days,
        contacts.has_opted_out or opt_outs.contact_id is not null as is_opted_out,
        asked_accounts.account_id is not null as is_account_asked,
        case survey_types.survey_type
            {%- for type in survey_types() %}
            when '{{ type }}' then asked.{{ type }}_sent_at
            {%- endfor %}
        end as last_asked_of_type_at,
        case survey_types.survey_type
            {%- for type in survey_types() %}
            when '{{ type }}' then asked.{{ type }}_against_rules
            {%- endfor %}
        end as invitations_against_rules,
        asked.any_sent_at as last_asked_at,
        asked.recent_invitations,
        {{ asked_again_at('survey_types.survey_type', 'asked') }} as may_be_asked_at
    from contacts
    cross join survey_types
    left join asked on contacts.contact_id = asked.contact_id
    left join asked_accounts on contacts.account_id = asked_accounts.account_id
    left join opt_outs on contacts.contact_id = opt_outs.contact_id
),

decided as (
    select
        *,
        case
            when is_opted_out then 'opted_out'
            when invitations_against_rules > 0 then 'asked_too_often'
            when may_be_asked_at > {{ as_of_moment() }} then 'held_back'
            when is_account_asked then 'account_held_back'
            when
                is_of_customer
                and {{ days_between('last_asked_of_type_at', as_of_moment()) }} >= forgotten_days
                then 'forgotten'
        end as state
    from known
),

final as (
    select
        contact_id,
        account_id,
        survey_type,
        state,
        not is_opted_out
        and not is_account_asked
        and coalesce(may_be_asked_at <= {{ as_of_moment() }}, true) as is_allowed_now,
        case when not is_opted_out then may_be_asked_at end as may_be_asked_at,
        last_asked_at,
        last_asked_of_type_at,
        cast(coalesce(recent_invitations, 0) as bigint) as recent_invitations,
        cast(coalesce(invitations_against_rules, 0) as bigint) as recent_invitations_against_rules
    from decided
    where state is not null
)

select * from final
