-- Grain: one survey type in one period (month, quarter, year) for one theme, one feature, or the answers without a
-- theme or a comment, and for one category of answers, or all.
{%- set directional = var('evidence_minimum').directional %}
{%- set counts = ['promoters', 'passives', 'detractors'] %}
{%- set net_weights = {
    'all': 'promoters_weight - detractors_weight', 'promoters': 'promoters_weight', 'passives': '0',
    'detractors': '-detractors_weight',
} %}
{%- set part = ['promoters', 'detractors', 'all_answers'] %}
{%- set rest = ['rest_promoters', 'rest_detractors', 'rest_answers'] %}
{%- set enough_responses = 'total_responses >= ' ~ var('evidence_minimum').interval %}
{%- set key = ['survey_type', 'period_grain', 'period_start', 'theme_kind', 'theme', 'category'] %}

with counted as (
    select
        *,
        total_{{ counts | join(' + total_') }} as total_responses
    from {{ ref('int_theme_counts') }}
),

by_category as (
    {%- for category in ['all'] + counts %}
    {%- set of_category = counts if category == 'all' else [category] %}
    select
        *,
        '{{ category if category == 'all' else category[:-1] }}' as category,
        total_{{ of_category | join(' + total_') }} as responses,
        commented_{{ of_category | join(' + commented_') }} as commented,
        {{ of_category | join(' + ') }} as answers,
        {{ counts | join(' + ') }} as all_answers,
        total_promoters - promoters as rest_promoters,
        total_detractors - detractors as rest_detractors,
        total_responses - ({{ counts | join(' + ') }}) as rest_answers,
        {{ net_weights[category] }} as net_weight
    from counted
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- How far a theme moves the score is a question about all answers, whatever the category.
measured as (
    select
        *,
        case when theme_kind <> 'uncommented' then 1e0 * answers / nullif(commented, 0) end as share,
        case when {{ enough_responses }} and category = 'all' then {{ nps_impact(part, rest) }} end as impact,
        case when {{ enough_responses }} then 100e0 * net_weight / total_responses end as contribution,
        {{ shrunk_impact(part, rest) }} as shrunk_impact,
        {{ shrunk_impact_variance(part, rest) }} as shrunk_impact_variance
    from by_category
),

with_previous as (
    select
        *,
        {%- for column in [
            'answers', 'commented', 'share', 'total_responses', 'impact', 'shrunk_impact', 'shrunk_impact_variance'
        ] %}
        lag({{ column }}) over cell as previous_{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from measured
    window cell as (partition by survey_type, period_grain, theme_kind, theme, category order by period_start)
),

with_z as (
    select
        *,
        case
            when commented >= {{ directional }} and previous_commented >= {{ directional }} and share is not null
                then abs({{ share_difference_z('answers', 'commented', 'previous_answers', 'previous_commented') }})
        end as share_z,
        case
            when
                impact is not null and previous_impact is not null
                and answers + previous_answers > 0
                and total_responses >= {{ directional }} and previous_total_responses >= {{ directional }}
                then
                    abs(shrunk_impact - previous_shrunk_impact)
                    / sqrt(shrunk_impact_variance + previous_shrunk_impact_variance)
        end as impact_z
    from with_previous
),

-- Share and impact below each other, so that both are corrected alike. What is unclassified is tested with the themes,
-- since it rises where one is missing; features are made of themes, and tested apart.
tests as (
    {%- for measure in ['share', 'impact'] %}
    select
        {{ key | join(', ') }},
        '{{ measure }}' as measure,
        theme_kind = 'feature' as is_feature,
        2e0 * {{ normal_tail(measure ~ '_z') }} as p
    from with_z
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

{{ false_discovery_ctes(
    'tests', ['survey_type', 'period_grain', 'period_start', 'is_feature', 'category', 'measure'], 'tested'
) }},

confidence as (
    select {{ confidence_z() }} as z
),

final as (
    {%- set enough = 'with_z.answers >= ' ~ var('evidence_minimum').interval ~ " and with_z.category = 'all'" %}
    {%- set of_theme = ['with_z.promoters', 'with_z.detractors', 'with_z.answers'] %}
    select
        with_z.{{ key[:3] | join(', with_z.') }},
        with_z.period_end,
        with_z.is_complete_period,
        with_z.theme_kind,
        with_z.theme,
        with_z.feature,
        with_z.category,
        {%- for count in ['responses', 'commented', 'answers'] %}
        cast(with_z.{{ count }} as bigint) as {{ count }},
        {%- endfor %}
        {{ six_digits('with_z.share') }} as share,
        {{ evidence('with_z.answers') }} as evidence,
        case when {{ enough }} then {{ points(nps(*of_theme)) }} end as nps,
        case when {{ enough }} then {{ points(nps_bound(*of_theme, z='confidence.z', side=-1)) }} end as ci_low,
        case when {{ enough }} then {{ points(nps_bound(*of_theme, z='confidence.z', side=1)) }} end as ci_high,
        {{ points('with_z.impact') }} as impact,
        {{ points('with_z.contribution') }} as contribution,
        cast(with_z.previous_answers as bigint) as previous_answers,
        {{ six_digits('with_z.previous_share') }} as previous_share,
        {{ six_digits('with_z.share - with_z.previous_share') }} as share_change,
        {{ significance_measures('share_test', 'share_') }},
        {{ points('with_z.previous_impact') }} as previous_impact,
        {{ points('with_z.impact - with_z.previous_impact') }} as impact_change,
        {{ significance_measures('impact_test', 'impact_') }}
    from with_z
    cross join confidence
    {%- for measure in ['share', 'impact'] %}
    inner join tested as {{ measure }}_test
        on
            {%- for column in key %}
            with_z.{{ column }} = {{ measure }}_test.{{ column }}
            and
            {%- endfor %} {{ measure }}_test.measure = '{{ measure }}'
    {%- endfor %}
)

select * from final
