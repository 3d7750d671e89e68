-- Grain: one way from one wave to the next: how many people were in one category and are in another, or silent, not
-- asked or new. The variable `waves` says what a wave of each kind of survey is.
{%- set person = ['survey_type', 'contact_id'] %}
{%- set wave_of %}
case
    {%- for survey_type, wave in var('waves').items() %}
    when facts.survey_type = '{{ survey_type }}'
        then {{ 'facts.survey_id' if wave == 'survey' else 'cast(dates.' ~ wave ~ '_start as ' ~ dbt.type_string() ~ ')' }}
    {%- endfor %}
end
{%- endset %}

with answers as (
    select
        facts.survey_type,
        facts.contact_id,
        {{ wave_of }} as wave,
        facts.response_date as wave_date,
        facts.category,
        row_number() over (
            partition by facts.survey_type, facts.contact_id, {{ wave_of }}
            order by facts.submitted_at desc, facts.response_id desc
        ) as answer_rank
    from {{ ref('fct_nps_responses') }} as facts
    inner join {{ ref('dim_dates') }} as dates on facts.response_date = dates.date_day
    where facts.contact_id is not null
),

-- An invitation that was answered counts where the answer does.
unanswered as (
    select
        facts.survey_type,
        facts.contact_id,
        {{ wave_of }} as wave,
        min(facts.sent_date) as wave_date
    from {{ ref('fct_survey_invitations') }} as facts
    inner join {{ ref('dim_dates') }} as dates on facts.sent_date = dates.date_day
    where
        facts.contact_id is not null
        and facts.delivered_at is not null
        and facts.outcome not in ('answered', 'ineligible')
    group by facts.survey_type, facts.contact_id, {{ wave_of }}
),

people as (
    select
        {{ person | join(', ') }},
        wave,
        min(wave_date) as wave_date,
        coalesce(max(category), 'silent') as category
    from (
        select
            {{ person | join(', ') }},
            wave,
            wave_date,
            category
        from answers
        where answer_rank = 1
        union all
        select
            {{ person | join(', ') }},
            wave,
            wave_date,
            cast(null as {{ dbt.type_string() }}) as category
        from unanswered
    ) as seen
    where wave is not null
    group by {{ person | join(', ') }}, wave
),

waves as (
    select
        survey_type,
        wave,
        row_number() over (partition by survey_type order by min(wave_date), wave) as wave_number
    from people
    group by survey_type, wave
),

steps as (
    select
        people.survey_type,
        people.contact_id,
        people.category,
        waves.wave_number,
        lag(people.category) over person as previous_category,
        lag(waves.wave_number) over person as previous_number,
        lead(waves.wave_number) over person as next_number
    from people
    inner join waves on people.survey_type = waves.survey_type and people.wave = waves.wave
    window person as (partition by people.survey_type, people.contact_id order by waves.wave_number)
),

moves as (
    select
        survey_type,
        contact_id,
        wave_number as to_number,
        case
            when previous_number = wave_number - 1 then previous_category
            when previous_number is null then 'new'
            else 'not_asked'
        end as from_category,
        category as to_category
    from steps
    union all
    select
        survey_type,
        contact_id,
        wave_number + 1 as to_number,
        category as from_category,
        'not_asked' as to_category
    from steps
    where coalesce(next_number, 0) <> wave_number + 1
),

-- What an account is worth is shared by its people, so that it is counted once.
worth as (
    select
        moves.*,
        contacts.account_id,
        coalesce(accounts.annual_revenue, 0)
        / count(*) over (partition by moves.survey_type, moves.to_number, contacts.account_id) as revenue
    from moves
    left join {{ ref('dim_contacts') }} as contacts on moves.contact_id = contacts.contact_id
    left join {{ ref('dim_accounts') }} as accounts on contacts.account_id = accounts.account_id
),

final as (
    select
        worth.survey_type,
        cast(worth.to_number as integer) as wave_number,
        earlier.wave as from_wave,
        later.wave as to_wave,
        worth.from_category,
        worth.to_category,
        count(*) as contacts,
        count(distinct worth.account_id) as accounts,
        cast(floor(sum(worth.revenue) * 100e0 + 0.5e0) / 100e0 as decimal(18, 2)) as revenue
    from worth
    -- The first wave has none before it, the last none after.
    inner join waves as earlier
        on worth.survey_type = earlier.survey_type and worth.to_number = earlier.wave_number + 1
    inner join waves as later on worth.survey_type = later.survey_type and worth.to_number = later.wave_number
    group by
        worth.survey_type, worth.to_number, earlier.wave, later.wave, worth.from_category, worth.to_category
)

select * from final
