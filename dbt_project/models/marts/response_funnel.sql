-- Grain: one survey type in one period (day, week, month, quarter, year) for one value of a segment that is known of
-- everyone who was asked; what became of the invitations sent in the period.
{%- set aapor = {
    'complete': 'answered',
    'partial': 'partial',
    'refusal': '(opted_out + broke_off)',
    'non_contact': 'silent',
    'other': '0',
    'unknown_household': '0',
    'unknown_other': 'bounced',
    'not_eligible': 'ineligible',
} %}

{#- Who answered had opened and begun: where fewer did, not every tool tracks it, and the rate is not known. -#}
{%- set knows_opened, knows_started = 'opened >= answered + partial', 'started >= answered + partial' %}

with cells as (
    select
        *,
        -- Delivered and never heard of again.
        invited - answered - partial - opted_out - bounced - broke_off as silent
    from {{ ref('int_period_counts') }}
    where invited is not null
),

final as (
    select
        survey_type,
        period_grain,
        period_start,
        period_end,
        is_complete_period,
        segment,
        segment_value,
        {%- for count in invitation_counts() %}
        {{ count }},
        {%- endfor %}
        silent,
        {{ rate('delivered', 'invited') }} as delivery_rate,
        case when {{ knows_opened }} then {{ rate('opened', 'delivered') }} end as open_rate,
        case when {{ knows_started }} then {{ rate('started', 'delivered') }} end as start_rate,
        {{ rate('answered', 'delivered') }} as response_rate,
        case when {{ knows_started }} then {{ rate('answered', 'started') }} end as completion_rate,
        {%- for number in range(1, 7) %}
        {{ aapor_rate(number, aapor) }} as aapor_rr{{ number }}{{ ',' if not loop.last }}
        {%- endfor %}
    from cells
)

select * from final
