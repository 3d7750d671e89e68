"""Exports for others: an owner's domain alone, and an attack on the figures that anybody may see."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest
from scipy.optimize import linprog

from orchestration.__main__ import main
from orchestration.export import TOTAL, Period, export_owner, shown_periods
from orchestration.readers import literal
from orchestration.served_file import STORAGE_VERSION
from orchestration.settings import ROOT, ConfigError, Settings

MINIMUM = 10
Breakdowns = dict[Period, dict[str, int]]


def periods(years: int) -> list[Period]:
    found = []
    for grain, months in (("month", 1), ("quarter", 3), ("year", 12)):
        for first in range(0, 12 * years, months):
            last = first + months
            start = date(2023 + first // 12, first % 12 + 1, 1)
            end = date(2023 + last // 12, last % 12 + 1, 1) - timedelta(days=1)
            found.append(Period(grain, start, end))
    return found


def company(seed: int, years: int = 2) -> tuple[Breakdowns, Breakdowns]:
    """Random answers by a segment of two to four values, some of them rare, and by none."""
    dice = random.Random(seed)
    months = [period for period in periods(years) if period.grain == "month"]
    values = {f"value {n}": dice.choice([8, 20, 30, 60]) for n in range(dice.randint(2, 4))}
    leaves = {(value, month): dice.randint(0, 2 * size) for value, size in values.items() for month in months}
    by_segment: Breakdowns = {}
    for period in periods(years):
        by_segment[period] = {
            value: sum(leaves[value, month] for month in months if month == period or period.has(month))
            for value in values
        }
    return by_segment, {period: {TOTAL: sum(counts.values())} for period, counts in by_segment.items()}


def hidden_cells_found(
    by_segment: Mapping[Period, Mapping[str, int]],
    totals: Mapping[Period, Mapping[str, int]],
    shown: set[Period],
    shown_totals: set[Period],
) -> list[tuple[Period, str]]:
    """What an attacker learns who adds and subtracts all shown sums: the small cells that have one possible value.

    Of the cells of every month nothing is known but that they are not negative; each shown figure is an equation. A
    cell is found when the least and the greatest value it can have are the same.
    """
    months = [period for period in by_segment if period.grain == "month"]
    values = sorted({value for counts in by_segment.values() for value in counts})
    place = {cell: n for n, cell in enumerate((value, month) for value in values for month in months)}

    def line(period: Period, chosen: list[str]) -> np.ndarray:
        coefficients = np.zeros(len(place))
        for month in months:
            if month == period or period.has(month):
                for value in chosen:
                    coefficients[place[value, month]] = 1
        return coefficients

    equations = [(line(p, [v]), by_segment[p].get(v, 0)) for p in shown for v in values]
    equations += [(line(p, values), totals[p][TOTAL]) for p in shown_totals]
    if not equations:
        return []
    sides = {"A_eq": np.array([row for row, _ in equations]), "b_eq": np.array([n for _, n in equations])}
    found = []
    for period, counts in by_segment.items():
        for value, count in counts.items():
            if 0 < count < MINIMUM:
                aim = line(period, [value])
                least = linprog(aim, **sides, method="highs")
                most = linprog(-aim, **sides, method="highs")
                assert least.status == 0, "the true figures are one solution"
                if most.status == 0 and -most.fun - least.fun < 0.999:
                    found.append((period, value))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_no_small_cell_can_be_had_from_the_sums_that_are_shown(seed: int) -> None:
    by_segment, totals = company(seed)
    shown_totals = shown_periods(totals, MINIMUM)
    shown = shown_periods(by_segment, MINIMUM, shown_totals)
    assert hidden_cells_found(by_segment, totals, shown, shown_totals) == []
    for period in shown:
        assert all(n == 0 or n >= MINIMUM for n in by_segment[period].values())


def test_the_attack_finds_what_is_hidden_without_the_second_step() -> None:
    """The attack can succeed: small cells alone are not enough to hide."""
    found = 0
    for seed in range(4):
        by_segment, totals = company(seed)
        primary = [
            {p for p, c in t.items() if all(n == 0 or n >= MINIMUM for n in c.values())} for t in (by_segment, totals)
        ]
        found += len(hidden_cells_found(by_segment, totals, *primary))
    assert found > 3, found


def test_what_needs_no_hiding_is_shown() -> None:
    plenty = {period: {"a": 120, "b": 0} for period in periods(1) if period.grain == "month"}
    assert shown_periods(plenty, MINIMUM) == set(plenty)
    # One small month takes the least of its quarter along, and the quarter and year stay.
    counts = {period: {"a": 50 + period.start.month, "b": 60} for period in periods(1) if period.grain == "month"}
    [may] = [period for period in counts if period.start.month == 5]
    counts[may] = {"a": 9, "b": 60}
    sums = {
        p: {v: sum(c[v] for m, c in counts.items() if p.has(m)) for v in "ab"} for p in periods(1) if p.grain != "month"
    }
    hidden = (counts | sums).keys() - shown_periods(counts | sums, MINIMUM)
    assert sorted((period.grain, period.start.month) for period in hidden) == [("month", 4), ("month", 5)]


@pytest.fixture
def published(tmp_path: Path) -> Settings:
    settings = Settings(ROOT, tmp_path)
    settings.serving.parent.mkdir()
    with duckdb.connect(settings.serving) as connection:
        connection.execute("""
            create schema marts;
            create table marts.dim_owners as
            from (values ('top', null), ('m', 'top'), ('r1', 'm'), ('r2', 'r1'), ('other', 'top'))
            as t (owner_id, manager_id);
            create table marts.dim_owner_hierarchy as
            from (
                values ('top', 'top'), ('m', 'm'), ('r1', 'r1'), ('r2', 'r2'), ('other', 'other'), ('top', 'm'),
                ('top', 'other'), ('top', 'r1'), ('top', 'r2'), ('m', 'r1'), ('m', 'r2'), ('r1', 'r2')
            ) as t (manager_id, owner_id);
            create table marts.nps_by_owner as
            from (values ('m', 'domain', 'm card'), ('other', 'own', 'other card')) as t (owner_id, scope, card);
            create table marts.nps_by_account as
            from (values ('a1', 'r1'), ('a9', 'other')) as t (account_id, owner_id);
            create table marts.dim_accounts as
            from (values ('a1', 'r1', 'a9'), ('a2', 'r2', 'a1'), ('a9', 'other', null))
            as t (account_id, owner_id, parent_account_id);
            create table marts.dim_contacts as from (values ('c1', 'a1'), ('c9', 'a9')) as t (contact_id, account_id);
            create table marts.fct_nps_responses as
            from (values
                ('1', 'a1', 'm', 'other'), ('2', 'a9', 'r2', null), ('3', 'a1', 'other', null), ('4', null, null, null),
                ('5', 'a9', 'other', 'r1')
            ) as t (response_id, account_id, owner_id, handled_by);
            create table marts.detractor_recovery as
            from (values
                ('1', 'r1', 'm', 'r2', 'r1'), ('2', 'm', 'top', 'other', 'other'), ('3', 'other', 'top', 'r1', 'r1'),
                ('4', 'desk', 'desk', 'm', null)
            ) as t (response_id, owner_id, manager_id, owner_when_opened_id, contacted_by);
            create table marts.recovery_performance as
            from (values ('r1', 3), ('other', 5), ('all', 8)) as t (owner_id, cases);
            create table marts.dim_surveys as select 's' as survey_id;
            create table marts.dim_dates as select date '2025-01-01' as date_day;
            create table marts.dim_windows as select date '2025-01-01' as last_day;
        """)
    return settings


def test_an_owner_gets_their_domain_and_nobody_elses(published: Settings) -> None:
    target = published.exports / "m.duckdb"
    assert export_owner(published, "m", target)["dim_owners"] == 3
    found = defaultdict(set)
    with duckdb.connect(target, read_only=True) as connection:
        for table, key in (
            ("dim_owners", "*"),
            ("dim_owner_hierarchy", "*"),
            ("nps_by_owner", "card"),
            ("nps_by_account", "account_id"),
            ("dim_accounts", "*"),
            ("dim_contacts", "*"),
            ("fct_nps_responses", "response_id, owner_id, handled_by"),
            ("detractor_recovery", "*"),
            ("recovery_performance", "*"),
        ):
            found[table] = set(connection.execute(f"select {key} from {table}").fetchall())
    assert found == {
        "dim_owners": {("m", None), ("r1", "m"), ("r2", "r1")},
        "dim_owner_hierarchy": {
            ("m", "m"),
            ("r1", "r1"),
            ("r2", "r2"),
            ("m", "r1"),
            ("m", "r2"),
            ("r1", "r2"),
        },
        "nps_by_owner": {("m card",)},
        "nps_by_account": {("a1",)},
        "dim_accounts": {("a1", "r1", None), ("a2", "r2", "a1")},
        "dim_contacts": {("c1", "a1")},
        # As of the answer: theirs stays theirs after the account moved on. So is what they handled for others.
        "fct_nps_responses": {("1", "m", None), ("2", "r2", None), ("5", None, "r1")},
        # Theirs to act on now; to whom it escalates and whose it was is not theirs to see.
        "detractor_recovery": {("1", "r1", "m", "r2", "r1"), ("2", "m", None, None, None)},
        "recovery_performance": {("r1", 3)},
    }
    assert [path.name for path in published.exports.iterdir()] == ["m.duckdb"]
    assert b"other" not in target.read_bytes()
    with duckdb.connect() as connection:  # the default of DuckDB 2 cannot be opened by 1.x clients
        connection.execute(f"attach {literal(target)} as export (read_only)")
        tags = connection.execute("select tags from duckdb_databases() where database_name = 'export'").fetchall()
    assert tags[0][0]["storage_version"].startswith(STORAGE_VERSION)


def test_no_byte_of_a_large_export_is_of_somebody_else(published: Settings) -> None:
    """More rows than a row group: these are written into the file at once, and stay there when they are changed."""
    with duckdb.connect(published.serving) as connection:
        connection.execute("""
            insert into marts.fct_nps_responses
            select n::varchar, 'a1', 'm', 'foreign-' || n % 50 from range(260000) as numbers (n)
        """)
    target = published.exports / "m.duckdb"
    assert export_owner(published, "m", target)["fct_nps_responses"] == 260_003
    assert b"foreign-" not in target.read_bytes()


@pytest.mark.parametrize("place", ["serving/nps.duckdb", "lake/raw/x.duckdb", "exports/../warehouse.duckdb"])
def test_no_file_for_others_takes_the_place_of_our_own(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NPS_DATA_DIR", str(tmp_path))
    file = tmp_path / place
    for command in (["export", "--outside"], ["report", "ann"], ["superset"]):
        assert main([*command, "--to", str(file)]) == 1
        assert "exports, or a place outside of" in capsys.readouterr().out.replace("\n", " ")
    assert not file.exists()


def test_a_folder_is_no_place_for_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NPS_DATA_DIR", str(tmp_path / "data"))
    for command in (["export", "--outside"], ["report", "ann"], ["superset"]):
        assert main([*command, "--to", str(tmp_path)]) == 1
        assert "is a folder; name a file in it" in capsys.readouterr().out.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_owner_is_refused(published: Settings) -> None:
    with pytest.raises(ConfigError, match="dim_owners lists them"):
        export_owner(published, "nobody", published.exports / "x.duckdb")


def test_an_example_takes_its_own_files_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """DIR left empty is the folder one stands in, with everything below it."""
    monkeypatch.setenv("NPS_DATA_DIR", str(tmp_path / "data"))
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / "instructor_training_post.csv").touch()
    (wrong / "private.csv").touch()
    assert main(["example", "carpentries", str(wrong)]) == 1
    said = capsys.readouterr().out.replace("\n", " ")
    assert "wrong: holds no" in said and "DIR=<folder>" in said
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file() and path.suffix == ".csv"]
