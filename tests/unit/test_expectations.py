"""The guards over real DuckDB and Parquet files: each expectation passes, and fails, where it should."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations.thresholds import Thresholds, read_thresholds
from expectations.validation import (
    CheckResult,
    LoadProfile,
    StagedLoad,
    Validation,
    build_data_docs,
    declare_results,
    validate_loads,
    validate_marts,
    write_results,
)
from orchestration.settings import ROOT

DELIGHTED = LoadProfile(score="score", time="created_at", where="survey_type = 'nps'")
# 14 months of one survey type in two regions, which add up to the total.
WAREHOUSE = """
    create schema marts;
    create schema quality;
    create table marts.fct_nps_responses as
    select
        (number % 11)::double as score,
        case when score >= 9 then 'promoter' when score >= 7 then 'passive' else 'detractor' end as category
    from range(110) numbers (number);

    create table marts.nps_by_segment_period as
    with regions as (
        select
            'relationship' as survey_type, 'month' as period_grain,
            (date '2024-01-01' + to_months(month::integer))::date as period_start,
            'region' as segment, segment_value,
            100 as invited, 80 as delivered, 20 as answered, 20 as responses,
            month < 13 as is_complete_period, 10 as promoters, 5 as passives, 5 as detractors,
            25::double as nps, 5::double as ci_low, 43::double as ci_high
        from range(14) months (month)
        cross join (values ('north'), ('south')) segments (segment_value)
    )
    from regions
    union all
    select
        survey_type, period_grain, period_start, 'all', 'all',
        sum(invited), sum(delivered), sum(answered), sum(responses),
        bool_and(is_complete_period), sum(promoters), sum(passives), sum(detractors), 25, 5, 43
    from regions
    group by all;

    create table quality.quality_reconciliation as
    select 'delighted' as source_system, 'load_1' as load_id, 12 as rows_delivered, 12 as rows_counted,
        0 as difference;

    create table quality.quality_matching as
    from (values ('delighted', 'a', 'answers', 'contact', 90), ('delighted', 'b', 'answers', 'none', 20),
        ('delighted', 'b', 'invitations', 'none', 300))
        matched (source_system, survey_id, fact, account_match_rule, records);
"""


@pytest.fixture(scope="module")
def thresholds() -> Thresholds:
    return read_thresholds(ROOT / "expectations" / "thresholds.yml")


def _warehouse(folder: Path, *changes: str) -> Path:
    path = folder / "warehouse.duckdb"
    with duckdb.connect(path) as connection:
        for statement in (WAREHOUSE, *changes):
            connection.execute(statement)
    return path


def _load(folder: Path, name: str, rows: str, **changes: object) -> StagedLoad:
    path = folder / f"{name}.parquet"
    duckdb.execute(
        f"copy (select *, 'delighted' as _source_system from (values {rows}) "
        f"staged (id, score, survey_type, created_at)) to '{path}' (format parquet)"
    )
    load = StagedLoad(
        source_system="delighted",
        table_name="survey_responses",
        file=f"delighted/survey_responses/{name}.csv",
        path=path,
        columns=("id", "score", "survey_type", "created_at"),
        profile=DELIGHTED,
    )
    return replace(load, **changes)  # type: ignore[arg-type]


def _failed(checks: Sequence[CheckResult]) -> list[tuple[str | None, str | None]]:
    return [(check.item, check.column_name) for check in checks if not check.is_success]


GOOD = "('1', ' 10 ', 'nps', '1700000000'), ('2', '9.0', 'nps', '1700000000'), ('3', '0', 'nps', '1700000000')"


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(GOOD, id="whole numbers however they are written"),
        pytest.param(f"{GOOD}, ('4', 'angry', 'csat', '1700000000')", id="scores of other surveys"),
        pytest.param(f"{GOOD}, ('4', null, 'nps', '1700000000')", id="a row without a score"),
        pytest.param("('1', null, 'nps', '1700000000')", id="no score at all"),
    ],
)
def test_a_sound_file_passes(tmp_path: Path, thresholds: Thresholds, rows: str) -> None:
    validation = validate_loads([_load(tmp_path, "sound", rows)], thresholds, "run")

    assert _failed(validation.checks) == []
    assert len(validation.checks) == 5


def test_each_faulty_file_is_named_and_the_sound_one_is_not(tmp_path: Path, thresholds: Thresholds) -> None:
    loads = [
        _load(tmp_path, "sound", GOOD),
        _load(tmp_path, "not_whole", f"{GOOD}, ('4', '8.5', 'nps', '1700000000')"),
        _load(tmp_path, "out_of_range", f"{GOOD}, ('4', '11', 'nps', '1700000000')"),
        _load(tmp_path, "no_number", f"{GOOD}, ('4', 'ten', 'nps', '1700000000')"),
        _load(tmp_path, "no_time", f"{GOOD}, ('4', '7', 'nps', ' ')"),
        _load(tmp_path, "malformed", GOOD, rows_malformed=1),
        _load(tmp_path, "only_malformed", "(null, null, null, '1700000000')", rows_malformed=9),
        _load(tmp_path, "no_column", GOOD, columns=("id", "comment", "tags")),
    ]
    validation = validate_loads(loads, thresholds, "run")

    assert sorted(_failed(validation.checks), key=str) == [
        ("delighted/survey_responses/malformed.csv", "malformed_share"),
        ("delighted/survey_responses/no_column.csv", "missing_columns"),
        ("delighted/survey_responses/no_number.csv", "valid_score_share"),
        ("delighted/survey_responses/no_time.csv", "time_share"),
        ("delighted/survey_responses/not_whole.csv", "valid_score_share"),
        ("delighted/survey_responses/only_malformed.csv", "malformed_share"),
        ("delighted/survey_responses/out_of_range.csv", "valid_score_share"),
    ]
    observed = {check.item: check.observed_value for check in validation.blocking}
    assert observed["delighted/survey_responses/no_column.csv"] == "comment, tags"
    assert observed["delighted/survey_responses/not_whole.csv"] == "0.7500"
    assert all(check.action and check.owner and check.threshold for check in validation.checks)


def test_more_faulty_files_than_great_expectations_lists_are_all_named(tmp_path: Path, thresholds: Thresholds) -> None:
    first = _load(tmp_path, "faulty", "('1', 'ten', 'nps', '1700000000')")
    loads = [replace(first, file=f"{number}.csv") for number in range(230)]

    assert len(validate_loads(loads, thresholds, "run").blocking) == 230


def test_no_new_file_is_no_fault(thresholds: Thresholds) -> None:
    assert validate_loads([], thresholds, "run").checks == ()


def test_a_table_without_score_and_time_is_judged_on_the_rest(tmp_path: Path, thresholds: Thresholds) -> None:
    load = _load(tmp_path, "people", "('1', 'x', 'x', null)", profile=LoadProfile())

    assert _failed(validate_loads([load], thresholds, "run").checks) == []


def test_a_sound_warehouse_passes_and_is_left_writable(tmp_path: Path, thresholds: Thresholds) -> None:
    warehouse = _warehouse(tmp_path)

    validation = validate_marts(warehouse, thresholds, "run")

    assert _failed(validation.checks) == []
    rates = {check.item: check.observed_value for check in validation.checks if check.item}
    assert rates == {"relationship": "0.2500", "transactional": None, "episodic": None, "delighted": "0.1818"}
    with duckdb.connect(warehouse) as connection:
        connection.execute("create table written (id integer)")


@pytest.mark.parametrize(
    ("fault", "threshold", "observed"),
    [
        ("delete from marts.fct_nps_responses", "at least 1 counted answers", "0"),
        ("update marts.fct_nps_responses set score = null where score = 3", "has a score", None),
        (
            "update marts.fct_nps_responses set score = 8.5 where score = 8",
            "whole number from 0 to 10",
            "8.5",
        ),
        (
            "update marts.fct_nps_responses set score = 11 where score = 10",
            "whole number from 0 to 10",
            "11.0",
        ),
        ("update marts.fct_nps_responses set category = null where score = 1", "has a category", None),
        (
            "update marts.fct_nps_responses set category = 'fan' where score = 9",
            "promoter, passive or",
            "fan",
        ),
        ("update marts.nps_by_segment_period set nps = 100.5", "nps lies between", "100.5"),
        ("update marts.nps_by_segment_period set ci_low = 50", "ci_low is not above", "50.0"),
        (
            "update marts.nps_by_segment_period set passives = passives + if(segment = 'all', 2, 1)",
            "promoters + passives + detractors = responses",
            "passives=",
        ),
        (
            "update marts.nps_by_segment_period set invited = invited + 1 where segment = 'all'",
            "add up to the total",
            "total_invited=201, segment_invited=200",
        ),
        (
            "delete from marts.nps_by_segment_period where segment <> 'all' and period_start = '2024-03-01'",
            "add up to the total",
            "2024-03-01",
        ),
        (
            "delete from marts.nps_by_segment_period where segment = 'all' and period_start = '2024-03-01'",
            "add up to the total",
            "2024-03-01",
        ),
        (
            "update marts.nps_by_segment_period set answered = answered / 10",
            "relationship: 3.0% to 80.0%",
            "0.0250",
        ),
        (
            "update quality.quality_matching set records = 23 where fact = 'answers' and account_match_rule = 'none'",
            "at most 20.0% of the counted answers of a survey tool",
            "0.2035",
        ),
        ("update quality.quality_reconciliation set difference = 2", "rows delivered", "difference=2"),
        ("update quality.quality_reconciliation set difference = null", "rows delivered", "difference=None"),
    ],
)
def test_a_fault_in_the_marts_is_reported(
    tmp_path: Path, thresholds: Thresholds, fault: str, threshold: str, observed: str | None
) -> None:
    validation = validate_marts(_warehouse(tmp_path, fault), thresholds, "run")

    failed = [check for check in validation.checks if not check.is_success]
    assert len(failed) == 1, failed
    assert threshold in failed[0].threshold
    assert failed[0].is_blocking == (failed[0].item is None)  # response rate and matching only warn
    assert failed[0].unexpected_count != 0
    if observed is not None:
        assert observed in str(failed[0].observed_value)


def test_scores_that_are_withheld_are_not_judged(tmp_path: Path, thresholds: Thresholds) -> None:
    warehouse = _warehouse(tmp_path, "update marts.nps_by_segment_period set nps = null, ci_low = null, ci_high = null")

    assert _failed(validate_marts(warehouse, thresholds, "run").checks) == []


@pytest.mark.parametrize(
    ("change", "rate"),
    [
        pytest.param("is_complete_period = false", None, id="no complete month"),
        pytest.param("answered = 1", None, id="too few answers"),
        pytest.param("answered = 0 where period_start >= '2025-02-01'", "0.2500", id="incomplete month"),
        pytest.param("answered = 0 where period_start < '2024-02-01'", "0.2500", id="before the window"),
        pytest.param("answered = 0 where period_start < '2024-03-01'", "0.2292", id="in the window"),
    ],
)
def test_a_response_rate_comes_from_the_last_complete_months_with_enough_answers(
    tmp_path: Path, thresholds: Thresholds, change: str, rate: str | None
) -> None:
    warehouse = _warehouse(tmp_path, f"update marts.nps_by_segment_period set {change}")

    rates = {check.item: check for check in validate_marts(warehouse, thresholds, "run").checks if check.item}
    assert rates["relationship"].observed_value == rate
    assert rates["relationship"].is_success


def test_unknown_segments_of_silent_invitations_are_no_fault(tmp_path: Path, thresholds: Thresholds) -> None:
    warehouse = _warehouse(
        tmp_path,
        "update marts.nps_by_segment_period set invited = null, delivered = null, answered = null "
        "where segment <> 'all'",
    )

    assert _failed(validate_marts(warehouse, thresholds, "run").checks) == []


def test_a_warehouse_without_answers_has_no_matching_to_judge(tmp_path: Path, thresholds: Thresholds) -> None:
    warehouse = _warehouse(tmp_path, "delete from quality.quality_matching where fact = 'answers'")

    validation = validate_marts(warehouse, thresholds, "run")
    assert _failed(validation.checks) == []
    assert "delighted" not in {check.item for check in validation.checks}


def test_a_check_that_cannot_run_has_not_passed(tmp_path: Path, thresholds: Thresholds) -> None:
    warehouse = _warehouse(tmp_path, "drop table quality.quality_reconciliation")

    with pytest.raises(Exception, match="quality_reconciliation"):
        validate_marts(warehouse, thresholds, "run")
    duckdb.connect(warehouse).close()


def test_guards_leave_the_console_alone(
    tmp_path: Path, thresholds: Thresholds, capfd: pytest.CaptureFixture[str]
) -> None:
    validation = validate_marts(_warehouse(tmp_path), thresholds, "run")
    build_data_docs(validation, tmp_path / "docs")

    assert capfd.readouterr() == ("", "")


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory, thresholds: Thresholds) -> tuple[Validation, Validation]:
    folder = tmp_path_factory.mktemp("faulty")
    load = _load(folder, "no_number", "('1', '<b>ten</b>', 'nps', '1700000000')")
    warehouse = _warehouse(folder, "update quality.quality_reconciliation set difference = 2")
    return validate_loads([load], thresholds, "run"), validate_marts(warehouse, thresholds, "run")


def test_results_come_back_as_they_were_written(tmp_path: Path, faulty: tuple[Validation, Validation]) -> None:
    loads, marts = faulty

    def read() -> tuple[dict[str, Any], list[dict[str, Any]]]:
        cursor = duckdb.execute("from read_parquet(?, hive_partitioning = false)", [f"{tmp_path}/run_id=*/*.parquet"])
        types = {column[0]: column[1] for column in cursor.description or []}
        return types, [dict(zip(types, row, strict=True)) for row in cursor.fetchall()]

    declare_results(tmp_path)
    declared, nothing = read()
    assert nothing == []

    for _ in range(2):  # a run that is repeated does not double its results
        write_results([*loads.checks, *marts.checks], tmp_path)
    written, rows = read()
    assert written == declared
    assert len(rows) == len(loads.checks) + len(marts.checks)
    failed = {row["observed_value"]: row for row in rows if not row["is_success"]}
    assert failed["0.0000"]["item"] == "delighted/survey_responses/no_number.csv"
    assert failed["0.0000"]["checked_at"] == loads.checks[0].checked_at.replace(tzinfo=None)
    assert not list(tmp_path.rglob("*.tmp"))


def test_pages_fetch_nothing_and_show_what_failed(tmp_path: Path, faulty: tuple[Validation, Validation]) -> None:
    for validation in faulty:
        index = build_data_docs(validation, tmp_path)

    pages = {page.name: page.read_text() for page in tmp_path.glob("*.html")}
    assert len(pages) == 1 + sum(len(validation.documents) for validation in faulty)
    for name, page in pages.items():
        assert not re.search(r"https?://|<script|<link|<img|@import|url\(", page), name
        for target in re.findall(r'href="([^"#]+)"', page):
            assert (tmp_path / target).exists(), (name, target)
    assert "delighted/survey_responses/no_number.csv" in pages["loads-new-files.html"]
    assert "difference=2" in index.read_text()
    assert "Find the rows of the load named" in index.read_text()
