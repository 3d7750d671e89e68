"""The scores of a view, of the whole company or of an owner's domain; several pages show them."""

from __future__ import annotations

import pandas as pd

from dashboard.charts import MAX_PERIODS
from dashboard.filters import Filters, source
from dashboard.published import Published

COLUMNS = """
    survey_type, period_start, period_end, segment, segment_value, is_complete_period, responses, promoters, passives,
    detractors, nps, ci_low, ci_high, evidence, previous_nps, nps_change, p_value, q_value, is_significant
"""


def scores(published: Published, filters: Filters) -> pd.DataFrame:
    """The cell of the view in the periods up to the chosen one, oldest first.

    `response_rate` is empty for an owner: invitations are nobody's.
    """
    rate = "null::double" if filters.is_of_owner else "response_rate"
    return published.rows(
        f"""
        select * from (
            select {COLUMNS}, {rate} as response_rate
            from {source(filters.owner)}
                and survey_type = $survey_type and period_grain = $grain and period_start <= $start
                and segment = $segment and segment_value = $segment_value
            order by period_start desc
            limit {MAX_PERIODS}
        ) order by period_start
        """,
        **filters.period,
        **filters.cell,
        owner=filters.owner,
    )


def scores_by_value(published: Published, filters: Filters, segment: str) -> pd.DataFrame:
    """Every value of a segment in the periods up to the chosen one, oldest first."""
    return published.rows(
        f"""
        select {COLUMNS}
        from {source(filters.owner)}
            and survey_type = $survey_type and period_grain = $grain and period_start <= $start and segment = $segment
        order by segment_value, period_start
        """,
        **filters.period,
        segment=segment,
        owner=filters.owner,
    )
