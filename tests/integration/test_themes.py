"""Themes of the sample company, against plain Python and what was planted; and how well comments are classified."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from itertools import pairwise
from math import erfc, sqrt
from typing import NamedTuple

import duckdb
import pytest
from scipy.stats import chi2_contingency

from benchmarks.themes import MODEL, Score, classify, labelled_comments, scores
from tests.conftest import Pipeline

PLANTED = "billing migration"
DIP = (date(2024, 9, 1), date(2024, 12, 31))


class Answer(NamedTuple):
    kind: str
    quarter: date
    points: int
    region: str
    themes: frozenset[str]


@pytest.fixture(scope="module")
def answers(sample: Pipeline) -> list[Answer]:
    """Every counted answer, with no themes where it has no comment."""
    with duckdb.connect(sample.warehouse, read_only=True) as warehouse:
        rows = warehouse.execute(
            """
            select
                survey_type, date_trunc('quarter', response_date)::date, nps_contribution, region,
                (
                    select list(theme) from intermediate.int_answer_themes as themes
                    where themes.response_id = responses.response_id
                )
            from marts.fct_nps_responses as responses
            """
        ).fetchall()
    return [
        Answer(kind, quarter, points, region, frozenset(themes or ())) for kind, quarter, points, region, themes in rows
    ]


def test_the_theme_of_the_dip_rises_and_no_other(sample: Pipeline) -> None:
    rising = sample.query(
        """
        select theme, survey_type, period_grain, period_start, impact, impact_change, share_q_value
        from marts.nps_theme_impact
        where
            theme_kind = 'theme' and category = 'all' and period_grain in ('month', 'quarter')
            and is_share_significant and share_change > 0
        """
    )
    assert {theme for theme, *_ in rising} == {PLANTED}
    for _, _, grain, start, impact, impact_change, q in rising:
        assert start in (date(2024, 7, 1), date(2024, 10, 1)) if grain == "quarter" else DIP[0] <= start <= DIP[1]
        assert impact < -4, "the dip is large, and this theme drives it"
        assert impact_change < 0
        assert q < 0.01
    # Over the year its answers are enough to say so of the impact as well.
    assert sample.query(
        """
        select period_start, impact < 0 from marts.nps_theme_impact
        where
            theme = ? and category = 'all' and period_grain = 'year' and survey_type = 'relationship'
            and is_impact_significant and impact_change < 0
        """,
        [PLANTED],
    ) == [(date(2024, 1, 1), True)]


def test_the_theme_of_the_dip_is_of_its_region(answers: list[Answer]) -> None:
    naming = [answer for answer in answers if PLANTED in answer.themes]
    assert len(naming) > 20
    assert {answer.points for answer in naming} == {-100}
    assert sum(answer.region == "EMEA" for answer in naming) / len(naming) > 0.9


def test_shares_and_impacts_are_those_of_plain_python(sample: Pipeline, answers: list[Answer]) -> None:
    found = {
        (kind, start, theme): figures
        for kind, start, theme, *figures in sample.query(
            """
            select survey_type, period_start, theme, responses, commented, answers, share, impact, contribution,
                share_p_value, impact_p_value
            from marts.nps_theme_impact
            where period_grain = 'quarter' and category = 'all' and theme_kind in ('theme', 'unclassified')
            """
        )
    }
    by_period: dict[tuple[str, date], list[Answer]] = defaultdict(list)
    for answer in answers:
        by_period[answer.kind, answer.quarter].append(answer)
    themes = {theme for answer in answers for theme in answer.themes}
    tested = 0
    for kind in {kind for kind, _ in by_period}:
        quarters = sorted(quarter for of, quarter in by_period if of == kind)
        for theme in themes & {theme for of, _, theme in found if of == kind}:
            for before, quarter in [(None, quarters[0]), *pairwise(quarters)]:
                group = by_period[kind, quarter]
                named = [answer for answer in group if theme in answer.themes]
                rest = [answer for answer in group if theme not in answer.themes]
                commented = [answer for answer in group if answer.themes]
                responses, with_comment, with_theme, share, impact, contribution, share_p, impact_p = found[
                    kind, quarter, theme
                ]
                assert (responses, with_comment, with_theme) == (len(group), len(commented), len(named))
                if commented:
                    assert float(share) == pytest.approx(len(named) / len(commented), abs=1e-6)
                if len(group) >= 10:
                    assert float(impact) == pytest.approx(mean(group) - mean(rest), abs=1e-4)
                    parts = sum(answer.points / len(answer.themes) for answer in named)
                    assert float(contribution) == pytest.approx(parts / len(group), abs=1e-4)
                group_0 = by_period[kind, before] if before else []
                if min(len([answer for answer in of if answer.themes]) for of in (group, group_0)) < 30:
                    assert share_p is None
                    continue
                named_0 = [answer for answer in group_0 if theme in answer.themes]
                if not named and not named_0:
                    assert share_p is impact_p is None
                    continue
                table = [
                    [len(named), len(commented) - len(named)],
                    [len(named_0), len([a for a in group_0 if a.themes]) - len(named_0)],
                ]
                assert float(share_p) == pytest.approx(chi2_contingency(table, correction=False)[1], abs=1e-6)
                assert float(impact_p) == pytest.approx(p_of_impacts((named, group), (named_0, group_0)), abs=1e-6)
                tested += 1
    assert tested > 100


def mean(answers: list[Answer]) -> float:
    return sum(answer.points for answer in answers) / len(answers)


def p_of_impacts(*periods: tuple[list[Answer], list[Answer]]) -> float:
    """Two-sided p of the difference of the impacts of (answers with a theme, all answers), by the delta method."""
    impacts, variance = [], 0.0
    for named, group in periods:
        rest = [answer for answer in group if answer not in named]
        (theta, of_theta), (other, of_other) = shrunk(named), shrunk(rest)
        share = (len(named) + 3) / (len(group) + 6)
        impacts.append(share * (theta - other))
        variance += (theta - other) ** 2 * share * (1 - share) / (len(group) + 6) + share**2 * (of_theta + of_other)
    return erfc(abs(impacts[0] - impacts[1]) / sqrt(2 * variance))


def shrunk(answers: list[Answer]) -> tuple[float, float]:
    """Mean and variance of the mean, as points / 100, with the pseudo-answers of Rocks (2016)."""
    n = len(answers) + 3
    theta = sum(answer.points for answer in answers) / 100 / n
    return theta, ((sum(answer.points != 0 for answer in answers) + 1.5) / n - theta**2) / n


def test_labelled_comments_are_classified_as_people_would(sample: Pipeline) -> None:
    """Floors a little below what was measured on comments that the taxonomy was not tuned on."""
    unseen = [comment for comment in labelled_comments() if comment.half == "test"]
    compiled = sample.data / "dbt" / "compiled" / "nps" / MODEL
    found = classify(compiled, [(comment.language, comment.text) for comment in unseen])
    by_theme = scores(unseen, found)
    together = sum(by_theme.values(), Score())
    assert together.precision > 0.93
    assert together.recall > 0.74
    assert min(score.precision for score in by_theme.values()) > 0.7
    assert min(score.recall for score in by_theme.values()) > 0.55
    without_theme = [themes for comment, themes in zip(unseen, found, strict=True) if not comment.themes]
    assert sum(not themes for themes in without_theme) / len(without_theme) > 0.85
