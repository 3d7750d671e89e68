-- Grain: one survey type for one value of one segment, over the whole history.
with counts as (
    select
        survey_type,
        segment,
        segment_value,
        min(count_date) as first_date,
        max(count_date) as last_date,
        {%- for count in count_names() %}
        sum({{ count }}) as {{ count }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('int_daily_counts') }}
    group by survey_type, segment, segment_value
),

confidence as (
    select {{ confidence_z() }} as z
),

final as (
    select
        counts.survey_type,
        counts.segment,
        counts.segment_value,
        counts.first_date,
        counts.last_date,
        {{ nps_measures('counts', 'confidence.z') }}
    from counts
    cross join confidence
)

select * from final
