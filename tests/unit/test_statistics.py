"""The statistics macros against scipy and statsmodels, over thousands of random tables, in DuckDB."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import duckdb
import jinja2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from tests.conftest import ROOT

VARIABLES: dict[str, Any] = {
    "confidence_level": 0.95,
    "evidence_minimum": {"interval": 10, "directional": 30, "reportable": 100},
    "false_discovery_rate": 0.05,
}


def macros(**variables: Any) -> Any:
    """macros/statistics.sql as Python functions that return SQL, without the rest of dbt."""
    environment = jinja2.Environment(extensions=["jinja2.ext.do"], trim_blocks=False)
    environment.globals.update(
        var=(VARIABLES | variables).__getitem__,
        type_double=lambda: "double",
        number_spine=lambda relation, last, name: (
            f"select unnest(generate_series(1, cast({last} as bigint))) as {name} from {relation}"
        ),
    )
    return environment.from_string((ROOT / "dbt_project" / "macros" / "statistics.sql").read_text()).module


SQL = macros()
CONNECTION = duckdb.connect()
counts = st.integers(0, 5000)


def evaluate(expression: str, **columns: Sequence[float | int]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """One SQL expression over columns of numbers, as an array."""
    names = list(columns)
    listed = ", ".join(f"unnest(${name}) as {name}" for name in names)
    result = CONNECTION.execute(f"select {expression} as result from (select {listed})", columns).fetchall()
    return np.array([row[0] for row in result], dtype=float)


def shrunk(p: float, d: float, n: float) -> tuple[float, float]:
    theta = (p - d) / (n + 3)
    return theta, ((p + d + 1.5) / (n + 3) - theta**2) / (n + 3)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 0.999999])
def test_quantile_of_any_confidence_level(level: float) -> None:
    z = evaluate(macros(confidence_level=level).confidence_z() + " + 0 * x", x=[0.0])
    assert z[0] == pytest.approx(stats.norm.ppf((1 + level) / 2), rel=1e-13)


def test_normal_tail_is_accurate_to_the_last_digits() -> None:
    x = np.concatenate([np.linspace(0, 8, 20001), np.linspace(8, 37, 3000)])
    found = evaluate(SQL.normal_tail("x"), x=x.tolist())
    assert np.max(np.abs(found - stats.norm.sf(x))) < 1e-15
    relative = np.abs(found / stats.norm.sf(x) - 1)
    assert np.max(relative[x < 30]) < 1e-8


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(counts, counts, counts), min_size=1, max_size=50))
def test_interval_is_the_adjusted_wald(cells: list[tuple[int, int, int]]) -> None:
    d, a, p = (list(column) for column in zip(*cells, strict=True))
    n = [sum(cell) for cell in cells]
    for side in (-1, 1):
        bound = SQL.nps_bound("p", "d", "n", SQL.confidence_z(), side)
        found = evaluate(bound, p=p, d=d, n=n, a=a)
        for value, (di, _, pi), ni in zip(found, cells, n, strict=True):
            if ni == 0:
                assert math.isnan(value)
                continue
            theta, variance = shrunk(pi, di, ni)
            expected = 100 * max(-1.0, min(1.0, theta + side * stats.norm.ppf(0.975) * math.sqrt(variance)))
            assert value == pytest.approx(expected, abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(*[st.integers(1, 3000)] * 6), min_size=1, max_size=30))
def test_difference_of_two_scores(pairs: list[tuple[int, ...]]) -> None:
    p1, _, d1, p0, _, d0 = (list(column) for column in zip(*pairs, strict=True))
    n1 = [sum(pair[:3]) for pair in pairs]
    n0 = [sum(pair[3:]) for pair in pairs]
    z = f"abs({SQL.nps_difference_z('p1', 'd1', 'n1', 'p0', 'd0', 'n0')})"
    found = evaluate(f"2 * ({SQL.normal_tail(f'({z})')})", p1=p1, d1=d1, n1=n1, p0=p0, d0=d0, n0=n0)
    for value, pair in zip(found, pairs, strict=True):
        theta1, variance1 = shrunk(pair[0], pair[2], sum(pair[:3]))
        theta0, variance0 = shrunk(pair[3], pair[5], sum(pair[3:]))
        expected = 2 * stats.norm.sf(abs(theta1 - theta0) / math.sqrt(variance1 + variance0))
        assert value == pytest.approx(expected, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.tuples(*[st.integers(0, 400)] * 6), min_size=1, max_size=12), min_size=1, max_size=4))
def test_comparison_is_that_of_statsmodels(families: list[list[tuple[int, ...]]]) -> None:
    """p and q of every cell of several families at once, cells below the evidence left out of the correction."""
    rows = [
        (family, cell, period, p, d, p + a + d)
        for family, cells in enumerate(families)
        for cell, (p1, a1, d1, p0, a0, d0) in enumerate(cells)
        for period, p, a, d in ((0, p0, a0, d0), (1, p1, a1, d1))
    ]
    CONNECTION.execute(
        """
        create or replace temp table cells
        (family int, cell int, period int, promoters int, detractors int, responses int)
        """
    )
    CONNECTION.executemany("insert into cells values (?, ?, ?, ?, ?, ?)", rows)
    ctes = SQL.comparison_ctes("cells", ["family", "cell"], "period", 1, ["family", "period"])
    found = {
        (family, cell): (p, q)
        for family, cell, p, q in CONNECTION.execute(
            f"with {ctes} select family, cell, p, q from compared where period = 1"
        ).fetchall()
    }
    for family, cells in enumerate(families):
        expected = {}
        for cell, (p1, a1, d1, p0, a0, d0) in enumerate(cells):
            n1, n0 = p1 + a1 + d1, p0 + a0 + d0
            if min(n1, n0) < 30:
                assert found[(family, cell)][0] is None
                continue
            (theta1, variance1), (theta0, variance0) = shrunk(p1, d1, n1), shrunk(p0, d0, n0)
            expected[cell] = 2 * stats.norm.sf(abs(theta1 - theta0) / math.sqrt(variance1 + variance0))
        if expected:
            adjusted = multipletests(list(expected.values()), method="fdr_bh")[1]
            for (cell, p), q in zip(expected.items(), adjusted, strict=True):
                assert found[(family, cell)] == pytest.approx((p, q), abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 3000, allow_nan=False), st.integers(0, 300)), min_size=1, max_size=40, unique=True)
)
def test_chi_square_tail(cells: list[tuple[float, int]]) -> None:
    CONNECTION.execute("create or replace temp table tested (number int, chi_square double, degrees_of_freedom int)")
    CONNECTION.executemany("insert into tested values (?, ?, ?)", [(n, *cell) for n, cell in enumerate(cells)])
    ctes = SQL.chi_square_tail_ctes("tested", ["number"])
    found = dict(CONNECTION.execute(f"with {ctes} select number, p from chi_square_tails").fetchall())
    for number, (statistic, freedom) in enumerate(cells):
        if freedom == 0:
            assert found[number] is None
        else:
            assert found[number] == pytest.approx(stats.chi2.sf(statistic, freedom), abs=1e-9)


def test_interval_covers_as_often_as_it_says() -> None:
    """Seeded simulation over shapes and sizes of n = 10 to 500; the mean coverage is within .94 to .96."""
    generator = np.random.default_rng(20160101)
    coverages = []
    for n in (10, 20, 30, 50, 100, 200, 500):
        for shape in ((0.2, 0.5, 0.3), (0.5, 0.3, 0.2), (0.1, 0.2, 0.7), (0.33, 0.34, 0.33), (0.05, 0.35, 0.6)):
            draws = generator.multinomial(n, shape, size=4000)
            columns = {"d": draws[:, 0].tolist(), "p": draws[:, 2].tolist(), "n": [n] * len(draws)}
            low, high = (
                evaluate(SQL.nps_bound("p", "d", "n", SQL.confidence_z(), side), **columns) for side in (-1, 1)
            )
            truth = 100 * (shape[2] - shape[0])
            coverages.append(float(np.mean((low <= truth) & (truth <= high))))
    assert 0.94 < np.mean(coverages) < 0.96
    assert min(coverages) > 0.92


@pytest.mark.parametrize(
    ("cell", "low", "high"),
    [
        ((15, 20, 25), -3.7815, 35.5276),
        ((71, 317, 501), 44.0014, 52.4111),
        ((0, 0, 5), 17.4915, 100),
        ((0, 5, 0), -30.0057, 30.0057),
        ((30, 50, 20), -23.2351, 3.8176),
    ],
)
def test_published_intervals(cell: tuple[int, int, int], low: float, high: float) -> None:
    d, a, p = cell
    bounds = [
        evaluate(SQL.points(SQL.nps_bound("p", "d", "n", SQL.confidence_z(), side)), p=[p], d=[d], n=[d + a + p])[0]
        for side in (-1, 1)
    ]
    assert bounds == [low, high]


def test_response_rates_are_those_of_aapor() -> None:
    """AAPOR Standard Definitions: the same dispositions as in the design's check values."""
    cells = {
        "complete": "4",
        "partial": "2",
        "refusal": "1",
        "non_contact": "1",
        "other": "1",
        "unknown_household": "1",
        "unknown_other": "1",
        "not_eligible": "1",
    }
    rates = [evaluate(SQL.aapor_rate(number, cells) + " + 0 * x", x=[0])[0] for number in range(1, 7)]
    assert rates == pytest.approx([0.364, 0.545, 0.370, 0.556, 0.444, 0.667], abs=0.0005)


def test_points_are_rounded_half_up_on_both_sides_of_zero() -> None:
    assert evaluate(SQL.points("x"), x=[-7.47505, 7.47505, 0.00005, -0.00005, -100.0]).tolist() == [
        -7.475,
        7.4751,
        0.0001,
        0.0,
        -100.0,
    ]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(counts, counts), min_size=2, max_size=11))
def test_drift_is_the_stability_index_less_its_expectation(bins: list[tuple[int, int]]) -> None:
    now, before = (np.array(side, dtype=float) for side in zip(*bins, strict=True))
    if not (now.sum() and before.sum()):
        return
    filled = now + before > 0
    p, q = ((side[filled] + 0.5) / (side.sum() + 0.5) for side in (now, before))
    expected = np.sum((p - q) * np.log(p / q)) - (filled.sum() - 1) * (1 / now.sum() + 1 / before.sum())

    names = [f"now_{i}" for i in range(len(bins))], [f"before_{i}" for i in range(len(bins))]
    columns = dict(zip(names[0] + names[1], ([value] for value in [*now, *before]), strict=True))
    found = evaluate(SQL.stability_index(*names), **columns)
    assert found[0] == pytest.approx(max(0.0, expected), abs=1e-9)


def test_drift_is_not_found_where_nothing_moved() -> None:
    """Windows of 200 answers from the distribution of their history: on average no drift, and none a major one."""
    random = np.random.default_rng(1)
    shares = [0.02, 0.01, 0.02, 0.02, 0.03, 0.06, 0.08, 0.14, 0.21, 0.17, 0.24]
    now, before = random.multinomial(200, shares, 2000), random.multinomial(1200, shares, 2000)
    names = [f"now_{score}" for score in range(11)], [f"before_{score}" for score in range(11)]
    columns = {
        name: side[:, score].tolist()
        for side, group in zip((now, before), names, strict=True)
        for score, name in enumerate(group)
    }
    drift = evaluate(SQL.stability_index(*names), **columns)
    assert drift.mean() < 0.02
    assert drift.max() < 0.25


@settings(max_examples=100, deadline=None)
@given(st.tuples(counts, counts, counts), st.tuples(counts, counts, counts))
def test_lead_is_the_bound_of_the_difference(one: tuple[int, int, int], rest: tuple[int, int, int]) -> None:
    (d, a, p), (d0, a0, p0) = one, rest
    theta, variance = shrunk(p, d, d + a + p)
    theta0, variance0 = shrunk(p0, d0, d0 + a0 + p0)
    lead = SQL.nps_lead("p", "d", "n", "p0", "d0", "n0", 2.5)
    found = evaluate(lead, p=[p], d=[d], n=[sum(one)], p0=[p0], d0=[d0], n0=[sum(rest)])
    assert found[0] == pytest.approx(100 * (theta - theta0 - 2.5 * math.sqrt(variance + variance0)), abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 500)), min_size=2, max_size=12))
def test_cluster_error_is_that_of_the_accounts(accounts: list[tuple[int, int, int]]) -> None:
    """From sums, for the score of all answers, the mean of the accounts and the mean by revenue."""
    counts, detractors, revenue = (np.array(column, dtype=float) for column in zip(*accounts, strict=True))
    n = counts + detractors
    if (n == 0).any():
        return
    theta = (counts - detractors) / n
    for weight in (n, np.ones(len(n)), revenue):
        mean = float(np.sum(weight * theta) / np.sum(weight))
        spread = np.sum(weight**2 * (theta - mean) ** 2)
        expected = math.sqrt(len(n) / (len(n) - 1) * spread) / np.sum(weight)
        sums: dict[str, list[float]] = {
            "n": [len(n)],
            "w": [float(np.sum(weight))],
            "ww": [float(np.sum(weight**2))],
            "wwt": [float(np.sum(weight**2 * theta))],
            "wwtt": [float(np.sum(weight**2 * theta**2))],
            "mean": [mean],
        }
        found = evaluate(SQL.cluster_error(*sums), **sums)
        assert found[0] == pytest.approx(expected, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 5000), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_interval(trials: int, share: float, level: float) -> None:
    successes = round(share * trials)
    z = float(stats.norm.ppf((1 + level) / 2))
    expected = proportion_confint(successes, trials, 1 - level, method="wilson")
    for side, bound in zip((-1, 1), expected, strict=True):
        found = evaluate(SQL.wilson_bound("x", "n", repr(z), side), x=[successes], n=[trials])
        assert found[0] == pytest.approx(bound, abs=1e-9)


def difference_intervals(
    x: list[int], n: list[int], x0: list[int], n0: list[int]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Both bounds of the difference of two shares, a row per pair."""
    sides, z = {"low": -1, "high": 1}, SQL.confidence_z()
    shares = [
        {"rate": f"(1e0 * {s} / {t})"} | {name: f"({SQL.wilson_bound(s, t, z, side)})" for name, side in sides.items()}
        for s, t in (("x", "n"), ("x0", "n0"))
    ]
    bounds = [SQL.newcombe_bound(*shares, side) for side in sides.values()]
    return np.array([evaluate(bound, x=x, n=n, x0=x0, n0=n0) for bound in bounds]).T


@settings(max_examples=15, deadline=None)  # statsmodels searches for each of its bounds
@given(
    st.lists(st.tuples(*[st.tuples(st.integers(0, 400), st.integers(0, 400)).filter(any)] * 2), min_size=1, max_size=20)
)
def test_difference_of_shares_is_that_of_statsmodels(pairs: list[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    x, x0 = ([share[0] for share in side] for side in zip(*pairs, strict=True))
    n, n0 = ([sum(share) for share in side] for side in zip(*pairs, strict=True))
    for found, *cell in zip(difference_intervals(x, n, x0, n0), x, n, x0, n0, strict=True):
        expected = confint_proportions_2indep(*cell, method="newcomb", compare="diff")
        assert found == pytest.approx(expected, abs=1e-9)


def test_published_differences_of_shares() -> None:
    """Newcombe (1998), table II, (a) and (h): 56/70 beside 48/80, and 10/10 beside 0/10."""
    found = difference_intervals([56, 10], [70, 10], [48, 0], [80, 10])
    assert found.round(4).tolist() == [[0.0524, 0.3339], [0.6075, 1.0]]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 300)] * 4), min_size=1, max_size=30))
def test_difference_of_shares_is_the_chi_square_test(tables: list[tuple[int, int, int, int]]) -> None:
    tables = [table for table in tables if table[0] + table[1] and table[2] + table[3]]
    part, whole = [table[0] for table in tables], [table[0] + table[1] for table in tables]
    part_0, whole_0 = [table[2] for table in tables], [table[2] + table[3] for table in tables]
    z = SQL.share_difference_z("part", "whole", "part_0", "whole_0")
    found = evaluate(z, part=part, whole=whole, part_0=part_0, whole_0=whole_0)
    for value, (x, y, x_0, y_0) in zip(found, tables, strict=True):
        if x + x_0 == 0 or y + y_0 == 0:
            assert math.isnan(value)
            continue
        expected = stats.chi2_contingency([[x, y], [x_0, y_0]], correction=False)[0]
        assert value**2 == pytest.approx(expected, abs=1e-9)
        assert value * (x / (x + y) - x_0 / (x_0 + y_0)) >= 0


PART, REST = ["p", "d", "n"], ["rest_p", "rest_d", "rest_n"]


@pytest.mark.parametrize(
    ("part", "impact"),
    [((30, 20, 10), -11.1765), ((10, 30, 80), 12.1429), ((25, 20, 5), -10), ((15, 50, 105), 16.9565), ((0, 0, 0), 0)],
)
def test_impact_is_the_score_less_the_score_without(part: tuple[int, int, int], impact: float) -> None:
    """Detractors, passives and promoters of themes among (80, 120, 200)."""
    rest = [total - count for total, count in zip((80, 120, 200), part, strict=True)]
    columns = {"p": [part[2]], "d": [part[0]], "n": [sum(part)]}
    columns |= {"rest_p": [rest[2]], "rest_d": [rest[0]], "rest_n": [sum(rest)]}
    assert evaluate(SQL.nps_impact(PART, REST), **columns)[0] == pytest.approx(impact, abs=1e-4)


@pytest.mark.parametrize(
    ("sizes", "share", "of_part"),
    [
        ((60, 60), 0.05, (0.1, 0.2, 0.7)),
        ((150, 150), 0.02, (0.0, 0.1, 0.9)),
        ((400, 100), 0.05, (0.1, 0.2, 0.7)),
        ((1000, 1000), 0.1, (0.2, 0.3, 0.5)),
        ((150, 150), 0.2, (0.3, 0.4, 0.3)),
    ],
)
def test_changes_of_impact_are_not_found_where_nothing_changed(
    sizes: tuple[int, int], share: float, of_part: tuple[float, float, float]
) -> None:
    """Of many pairs of periods alike, no more than one in twenty differs; of large ones, close to that."""
    draws = 20_000
    random = np.random.default_rng(6)
    cells = [share * np.array(of_part), (1 - share) * np.array((0.5, 0.3, 0.2))]
    impacts, variances = [], []
    for size in sizes:
        p, a, d, rest_p, rest_a, rest_d = random.multinomial(size, np.concatenate(cells), draws).T
        columns = {"p": p, "d": d, "n": p + a + d}
        columns |= {"rest_p": rest_p, "rest_d": rest_d, "rest_n": rest_p + rest_a + rest_d}
        listed = {name: column.tolist() for name, column in columns.items()}
        impacts.append(evaluate(SQL.shrunk_impact(PART, REST), **listed))
        variances.append(evaluate(SQL.shrunk_impact_variance(PART, REST), **listed))
    found = np.mean(np.abs(impacts[0] - impacts[1]) > 1.959964 * np.sqrt(variances[0] + variances[1]))
    assert found < 0.0535
    if min(sizes) >= 1000:
        assert found > 0.045
