-- Grain: one account and one way from one wave to the next: how many of its people went it, and what they stand for of
-- its revenue. In an incremental build the ways are counted that people left and took.
{{ config(
    materialized = 'incremental',
    unique_key = 'account_key',
    meta = {'present': 'contacts', 'tracked': ['account_key']}
) }}
{%- set people = {'model': 'int_contact_waves'} %}
{%- set way = ['account_key', 'survey_type', 'wave_number', 'from_category', 'to_category'] %}
{%- set person = ['survey_type', 'contact_id'] %}
{%- if is_incremental() %}
{#- As they went before a batch, and as they go after it. -#}
{%- set person = ['built_at', 'row_change'] + person %}
{%- endif %}

with steps as (
    select
        *,
        lag(category) over person as previous_category,
        lag(wave_number) over person as previous_number,
        lead(wave_number) over person as next_number
    from {{ rows_to_count(people) }}
    window person as (partition by {{ person | join(', ') }} order by wave_number)
),

-- Into each wave, and out of it where the next one is without them; in one pass over the people.
ways as (
    select 0 as is_out
    union all
    select 1 as is_out
),

moves as (
    select
        coalesce(steps.account_id, '') as account_key,
        steps.survey_type,
        steps.wave_number + ways.is_out as wave_number,
        {%- if is_incremental() %}
        steps.row_change,
        {%- endif %}
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
{% if is_incremental() %}
affected as (
    select account_key from moves
    union
    select changed_value as account_key from {{ changed('dim_accounts', 'account_id') }} as accounts
),
{% endif %}
counts as (
    select
        {{ way | join(', ') }},
        {{ counted('true') }} as contacts
    from moves
    group by {{ way | join(', ') }}
    {%- if is_incremental() %}
    union all
    select
        {{ way | join(', ') }},
        contacts
    from {{ rows_of(this, 'account_key', 'select account_key from affected', way + ['contacts']) }} as known
    {%- endif %}
),

summed as (
    select
        {{ way | join(', ') }},
        cast(sum(contacts) as bigint) as contacts
    from counts
    group by {{ way | join(', ') }}
    -- Where the last person left, a full build has no row either.
    having sum(contacts) > 0
),

people_of_accounts as (
    select
        survey_type,
        wave_number,
        account_key,
        sum(contacts) as contacts
    from summed
    group by survey_type, wave_number, account_key
),

-- What an account is worth is shared by its people, so that it is counted once. Shares are decimals: sums of doubles
-- would hang on their order.
final as (
    select
        summed.account_key,
        {{ key_hash(['summed.account_key']) }} as account_key_hash,
        summed.survey_type,
        summed.wave_number,
        summed.from_category,
        summed.to_category,
        summed.contacts,
        {{ six_digits(
            worth_of('accounts.annual_revenue') ~ ' * 1e0 * summed.contacts / people_of_accounts.contacts'
        ) }} as revenue
    from summed
    inner join people_of_accounts
        on
            summed.survey_type = people_of_accounts.survey_type
            and summed.wave_number = people_of_accounts.wave_number
            and summed.account_key = people_of_accounts.account_key
    left join {{ ref('dim_accounts') }} as accounts on summed.account_key = accounts.account_id
)

{{ with_removed_keys('final', 'account_key') }}
