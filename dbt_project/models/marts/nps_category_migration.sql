-- Grain: one way from one wave to the next: how many people were in one category and are in another, or silent, not
-- asked or new. The variable `waves` says what a wave of each kind of survey is.
{%- set in_waves = "('" ~ var('waves') | join("', '") ~ "')" %}
{%- set way = ['survey_type', 'to_number', 'from_category', 'to_category'] %}

with survey_days as (
    select
        days.survey_id,
        days.survey_type,
        days.count_date,
        case days.survey_type
            {%- for survey_type, wave in var('waves').items() %}
            {%- set period = 'cast(dates.' ~ wave ~ '_start as ' ~ dbt.type_string() ~ ')' %}
            when '{{ survey_type }}' then {{ 'days.survey_id' if wave == 'survey' else period }}
            {%- endfor %}
        end as wave,
        case
            {%- for survey_type, wave in var('waves').items() if wave != 'survey' %}
            when days.survey_type = '{{ survey_type }}' then dates.{{ wave }}_end
            {%- endfor %}
            when days.delivered > 0 then days.count_date
        end as last_sent
    from {{ ref('int_survey_days') }} as days
    inner join {{ ref('dim_dates') }} as dates on days.count_date = dates.date_day
    where days.survey_type in {{ in_waves }}
),

-- A wave is over once the last invitation had time to be answered.
waves as (
    select
        spans.survey_type,
        spans.wave,
        {{ add_days('spans.last_sent', var('guard_windows').settle_days) }} <= last_day.last_date as is_complete,
        row_number() over (partition by spans.survey_type order by spans.first_date, spans.wave) as wave_number
    from (
        select
            survey_type,
            wave,
            min(count_date) as first_date,
            coalesce(max(last_sent), max(count_date)) as last_sent
        from survey_days
        group by survey_type, wave
    ) as spans
    cross join {{ ref('int_last_day') }} as last_day
),

wave_days as (
    select
        survey_days.survey_id,
        survey_days.count_date,
        waves.survey_type,
        waves.wave_number
    from survey_days
    inner join waves on survey_days.survey_type = waves.survey_type and survey_days.wave = waves.wave
),

-- An invitation that was answered counts where the answer does.
seen as (
    select
        survey_id,
        response_date as count_date,
        contact_id,
        account_id,
        submitted_at,
        category
    from {{ ref('fct_nps_responses') }}
    where contact_id is not null and survey_type in {{ in_waves }}
    union all
    select
        survey_id,
        sent_date as count_date,
        contact_id,
        account_id,
        cast(null as timestamp) as submitted_at,
        cast(null as {{ dbt.type_string() }}) as category
    from {{ ref('fct_survey_invitations') }}
    where
        contact_id is not null
        and survey_type in {{ in_waves }}
        and delivered_at is not null
        and outcome not in ('answered', 'ineligible')
),

people as (
    select
        wave_days.survey_type,
        wave_days.wave_number,
        seen.contact_id,
        max(seen.account_id) as account_id,
        {{ last_answer_times('seen') }}
    from seen
    inner join wave_days on seen.survey_id = wave_days.survey_id and seen.count_date = wave_days.count_date
    group by wave_days.survey_type, wave_days.wave_number, seen.contact_id
),

placed as (
    select
        survey_type,
        wave_number,
        contact_id,
        account_id,
        coalesce({{ last_category() }}, 'silent') as category
    from people
),

steps as (
    select
        *,
        lag(category) over person as previous_category,
        lag(wave_number) over person as previous_number,
        lead(wave_number) over person as next_number
    from placed
    window person as (partition by survey_type, contact_id order by wave_number)
),

-- Into each wave, and out of it where the next one is without them; in one pass over the people.
ways as (
    select 0 as is_out
    union all
    select 1 as is_out
),

moves as (
    select
        steps.survey_type,
        steps.account_id,
        steps.wave_number + ways.is_out as to_number,
        case
            when ways.is_out = 1 then steps.category
            when steps.previous_number = steps.wave_number - 1 then steps.previous_category
            when steps.previous_number is null then 'new'
            else 'not_asked'
        end as from_category,
        case when ways.is_out = 1 then 'not_asked' else steps.category end as to_category
    from steps
    cross join ways
    where ways.is_out = 0 or coalesce(steps.next_number, 0) <> steps.wave_number + 1
),

by_account as (
    select
        {{ way | join(', ') }},
        account_id,
        count(*) as contacts
    from moves
    group by {{ way | join(', ') }}, account_id
),

people_of_accounts as (
    select
        survey_type,
        to_number,
        account_id,
        sum(contacts) as contacts
    from by_account
    where account_id is not null
    group by survey_type, to_number, account_id
),

-- What an account is worth is shared by its people, so that it is counted once.
shared as (
    select
        by_account.*,
        coalesce(accounts.annual_revenue, 0) * 1e0 * by_account.contacts / people_of_accounts.contacts as revenue
    from by_account
    left join people_of_accounts
        on
            by_account.survey_type = people_of_accounts.survey_type
            and by_account.to_number = people_of_accounts.to_number
            and by_account.account_id = people_of_accounts.account_id
    left join {{ ref('dim_accounts') }} as accounts on by_account.account_id = accounts.account_id
),

final as (
    select
        shared.survey_type,
        cast(shared.to_number as integer) as wave_number,
        earlier.wave as from_wave,
        later.wave as to_wave,
        later.is_complete,
        shared.from_category,
        shared.to_category,
        cast(sum(shared.contacts) as bigint) as contacts,
        count(shared.account_id) as accounts,
        cast(floor(coalesce(sum(shared.revenue), 0e0) * 100e0 + 0.500001e0) / 100e0 as decimal(18, 2)) as revenue
    from shared
    -- The first wave has none before it, the last none after.
    inner join waves as earlier
        on shared.survey_type = earlier.survey_type and shared.to_number = earlier.wave_number + 1
    inner join waves as later on shared.survey_type = later.survey_type and shared.to_number = later.wave_number
    group by
        shared.survey_type, shared.to_number, earlier.wave, later.wave, later.is_complete, shared.from_category,
        shared.to_category
)

select * from final
