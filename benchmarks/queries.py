"""Ten queries as dashboards ask them, over the published tables of the sample company."""

from __future__ import annotations

DASHBOARD_QUERIES = {
    "headline": """
        select nps, ci_low, ci_high, responses, response_rate, evidence
        from marts.nps_overall
        where survey_type = 'transactional' and segment = 'all'
    """,
    "trend by month with interval": """
        select period_start, nps, ci_low, ci_high, responses, is_significant
        from marts.nps_by_segment_period
        where survey_type = 'transactional' and period_grain = 'month' and segment = 'all'
        order by period_start
    """,
    "segments ranked in a quarter": """
        select segment_value, nps, ci_low, ci_high, responses, nps_change, q_value
        from marts.nps_by_segment_period
        where
            survey_type = 'transactional' and period_grain = 'quarter' and period_start = date '2024-01-01'
            and segment = 'region' and evidence in ('directional', 'reportable')
        order by nps desc
    """,
    "waterfall of a change": """
        select segment_value, rate_effect, mix_effect, total_nps, previous_total_nps
        from marts.nps_change_decomposition
        where
            survey_type = 'transactional' and period_grain = 'quarter' and period_start = date '2024-01-01'
            and segment = 'plan'
        order by abs(rate_effect + mix_effect) desc
    """,
    "trailing window by day": """
        select window_end, nps, ci_low, ci_high, responses
        from marts.nps_trailing_window
        where survey_type = 'transactional' and segment = 'all' and is_complete_window
        order by window_end
    """,
    "funnel by channel": """
        select segment_value, invited, delivered, opened, started, answered, aapor_rr1
        from marts.response_funnel
        where
            survey_type = 'transactional' and period_grain = 'month' and period_start = date '2024-03-01'
            and segment = 'channel'
    """,
    "representativeness": """
        select segment, max(r_indicator) as r_indicator, max(chi_square) as chi_square, max(p_value) as p_value
        from marts.response_representativeness
        where survey_type = 'transactional' and period_grain = 'quarter' and period_start = date '2024-01-01'
        group by segment
        order by segment
    """,
    "weighted beside unweighted": """
        select period_start, nps, weighted_nps, ci_low, ci_high, design_effect
        from marts.nps_weighted
        where survey_type = 'transactional' and period_grain = 'quarter' and segment = 'region'
        order by period_start
    """,
    "latest comments of detractors": """
        select submitted_at, account_id, score, comment
        from marts.fct_nps_responses
        where
            category = 'detractor' and comment is not null
            and response_date between date '2024-03-01' and date '2024-03-31'
        order by submitted_at desc
        limit 50
    """,
    "region by plan in a month, from the fact": """
        select region, plan, avg(nps_contribution) as nps, count(*) as responses
        from marts.fct_nps_responses
        where survey_type = 'transactional' and response_date between date '2024-03-01' and date '2024-03-31'
        group by region, plan
        order by region, plan
    """,
}
