-- Grain: one survey type in one period (month, quarter, year) for one theme, one feature, or the answers without a
-- theme or a comment; with no gaps: what was named once has a row in every period of its survey type.
{%- set counts = ['promoters', 'passives', 'detractors'] %}

with periods as (
    select * from {{ ref('nps_by_segment_period') }}
    where segment = 'all' and period_grain in ('month', 'quarter', 'year')
),

-- By month first: quarters and years are made of months, and days would be thirty times as many groups.
monthly as (
    select
        survey_type,
        {{ date_start('month', 'response_date') }} as month_start,
        theme,
        feature,
        category,
        count(*) as answers,
        count(case when is_first_theme then 1 end) as commented_answers,
        count(case when is_first_of_feature then 1 end) as feature_answers,
        sum(weight) as weight
    from {{ ref('int_answer_themes') }}
    group by survey_type, {{ date_start('month', 'response_date') }}, theme, feature, category
),

of_kind as (
    select
        survey_type,
        month_start,
        case when theme = 'unclassified' then theme else 'theme' end as theme_kind,
        theme,
        feature,
        category,
        answers,
        weight
    from monthly
    union all
    select
        survey_type,
        month_start,
        'feature' as theme_kind,
        feature as theme,
        feature,
        category,
        feature_answers as answers,
        weight
    from monthly
    where feature is not null
    union all
    select
        survey_type,
        month_start,
        'commented' as theme_kind,
        'commented' as theme,
        null as feature,
        category,
        commented_answers as answers,
        commented_answers as weight
    from monthly
),

by_month as (
    select
        survey_type,
        month_start,
        theme_kind,
        theme,
        feature,
        {%- for count in counts %}
        {%- set of_category = "case when category = '" ~ count[:-1] ~ "' then" %}
        sum({{ of_category }} answers else 0 end) as {{ count }},
        sum({{ of_category }} weight else 0 end) as {{ count }}_weight{{ ',' if not loop.last }}
        {%- endfor %}
    from of_kind
    group by survey_type, month_start, theme_kind, theme, feature
),

by_period as (
    {%- for grain in ['month', 'quarter', 'year'] %}
    select
        by_month.survey_type,
        '{{ grain }}' as period_grain,
        dates.{{ grain }}_start as period_start,
        by_month.theme_kind,
        by_month.theme,
        {%- for count in counts %}
        sum(by_month.{{ count }}) as {{ count }},
        sum(by_month.{{ count }}_weight) as {{ count }}_weight{{ ',' if not loop.last }}
        {%- endfor %}
    from by_month
    inner join {{ ref('dim_dates') }} as dates on by_month.month_start = dates.date_day
    group by by_month.survey_type, dates.{{ grain }}_start, by_month.theme_kind, by_month.theme
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

cells as (
    select distinct
        survey_type,
        theme_kind,
        theme,
        feature
    from by_month
    where theme_kind <> 'commented'
    union all
    select distinct
        survey_type,
        'uncommented' as theme_kind,
        'uncommented' as theme,
        cast(null as {{ dbt.type_string() }}) as feature
    from periods
),

final as (
    select
        periods.survey_type,
        periods.period_grain,
        periods.period_start,
        periods.period_end,
        periods.is_complete_period,
        cells.theme_kind,
        cells.theme,
        cells.feature,
        {%- for count in counts %}
        periods.{{ count }} as total_{{ count }},
        coalesce(commented.{{ count }}, 0) as commented_{{ count }},
        case cells.theme_kind
            when 'uncommented' then periods.{{ count }} - coalesce(commented.{{ count }}, 0)
            else coalesce(by_period.{{ count }}, 0)
        end as {{ count }},
        case cells.theme_kind
            when 'uncommented' then periods.{{ count }} - coalesce(commented.{{ count }}, 0)
            else coalesce(by_period.{{ count }}_weight, 0)
        end as {{ count }}_weight{{ ',' if not loop.last }}
        {%- endfor %}
    from periods
    inner join cells on periods.survey_type = cells.survey_type
    left join by_period
        on
            periods.survey_type = by_period.survey_type
            and periods.period_grain = by_period.period_grain
            and periods.period_start = by_period.period_start
            and cells.theme_kind = by_period.theme_kind
            and cells.theme = by_period.theme
    left join by_period as commented
        on
            periods.survey_type = commented.survey_type
            and periods.period_grain = commented.period_grain
            and periods.period_start = commented.period_start
            and commented.theme_kind = 'commented'
)

select * from final
