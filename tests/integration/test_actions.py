"""What actions changed and how far benchmarks are, against plain Python and what was planted."""

from __future__ import annotations

from datetime import date, timedelta
from math import erfc, sqrt

import pytest

from tests.conftest import Pipeline

WINDOW = timedelta(days=180)
Z = 1.959963984540054
# In points; seeds/generate.sql raises what it expects of a Starter customer by so much from the start of the action.
PLANTED = 40


def shrunk(scores: list[int]) -> tuple[float, float]:
    """Mean and variance of the mean, as points / 100, with the pseudo-answers of Rocks (2016)."""
    promoters, detractors = sum(s >= 9 for s in scores), sum(s <= 6 for s in scores)
    theta = (promoters - detractors) / (len(scores) + 3)
    return theta, ((promoters + detractors + 1.5) / (len(scores) + 3) - theta**2) / (len(scores) + 3)


@pytest.mark.parametrize(
    ("action", "column", "value"), [("guided-setup", "plan", "Starter"), ("apac-newsletter", "region", "APAC")]
)
def test_impact_is_that_of_plain_python(sample: Pipeline, action: str, column: str, value: str) -> None:
    start = date(2024, 3, 1)
    judged = sample.query(
        """
        select survey_type, impact, impact_ci_low, impact_ci_high, p_value
        from marts.nps_action_impact where action_id = ? and impact is not null
        """,
        [action],
    )
    assert {kind for kind, *_ in judged} == {"relationship", "transactional"}
    for kind, *found in judged:
        answers = sample.query(
            f"select score, {column}, response_date from marts.fct_nps_responses where survey_type = ?", [kind]
        )
        cells = [
            shrunk([s for s, of, day in answers if (of == value) is is_target and first <= day < first + WINDOW])
            for is_target in (True, False)
            for first in (start, start - WINDOW)
        ]
        (after, before, others_after, others_before), variances = zip(*cells, strict=True)
        impact, error = (after - before) - (others_after - others_before), sqrt(sum(variances))
        expected = [
            100 * impact,
            100 * (impact - Z * error),
            100 * (impact + Z * error),
            erfc(abs(impact / error) / 2**0.5),
        ]
        assert [float(figure) for figure in found] == pytest.approx(expected, abs=5e-5)


def test_the_action_that_worked_is_found_and_no_other(sample: Pipeline) -> None:
    rows = sample.query("""
        select action_id, is_significant, impact_ci_low, impact_ci_high from marts.nps_action_impact
        where impact is not null
    """)
    worked = [(low, high) for action, is_significant, low, high in rows if is_significant and action == "guided-setup"]
    assert len(worked) == 2
    assert all(low <= PLANTED <= high for low, high in worked)
    others = [row for row in rows if row[0] != "guided-setup"]
    assert others
    assert all(low <= 0 <= high and not is_significant for _, is_significant, low, high in others)


def test_gaps_to_benchmarks_are_those_of_the_period_mart(sample: Pipeline) -> None:
    rows = sample.query("""
        select gaps.gap, periods.nps - gaps.benchmark_nps, gaps.responses, periods.responses
        from marts.nps_benchmark_gap as gaps
        left join marts.nps_by_segment_period as periods
            using (survey_type, period_grain, period_start, segment, segment_value)
        where gaps.gap is not null
    """)
    assert len(rows) > 10
    assert all(gap == expected and n == m for gap, expected, n, m in rows)
    years = dict(
        sample.query("""
            select (benchmark_id, year(period_start)), (gap < 0, is_significant) from marts.nps_benchmark_gap
            where period_grain = 'year'
        """)
    )
    # Invented to be out of reach, and to be what the sample company has.
    assert years["software-customers", 2024] == (True, True)
    assert years["b2b-software-2024", 2024] == (True, False)
