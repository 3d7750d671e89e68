"""The guards over real DuckDB and Parquet files: each expectation passes, and fails, where it should."""

from __future__ import annotations

import functools
import html
import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations.last_results import write_index
from expectations.thresholds import FIGURES, Thresholds, read_thresholds
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
from orchestration.settings import ROOT, Settings

DELIGHTED = LoadProfile(score="score", time="created_at", where="survey_type = 'nps'")
# 14 months of one survey type in two regions, which add up to the total.
WAREHOUSE = """
    create schema marts;
    create schema quality;
    create schema intermediate;
    create table marts.fct_nps_responses as
    select
        (number % 11)::double as score,
        case when score >= 9 then 'promoter' when score >= 7 then 'passive' else 'detractor' end as category
    from range(110) numbers (number);

    create view intermediate.int_answer_scores as
    select score, category, count(*) as answers from marts.fct_nps_responses group by score, category;

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

    create table quality.quality_figures as
    select
        figure, item, source_system, survey_id, 'relationship' as survey_type, segment, segment_value,
        observed::decimal(18, 6) as observed, basis, compared_with::decimal(18, 6) as compared_with, detail
    from (values
        ('response_rate', 'support', null, 'support', null, null, 0.25, 100, null, null),
        ('response_rate', 'small', null, 'small', null, null, 0.001, 49, null, null),
        ('response_rate', 'relationship region north', null, null, 'region', 'north', 0.001, 100, null, null),
        ('response_rate', 'relationship region a:b', null, null, 'region', 'a:b', 0.3, 100, null, null),
        ('busiest_hour', 'support', null, 'support', null, null, 2, 40, 3, 'web at noon'),
        ('quarantined_share', 'delighted', 'delighted', null, null, null, 0.01, 400, null, null)
    ) figures (figure, item, source_system, survey_id, segment, segment_value, observed, basis, compared_with, detail);

    create table quality.quality_freshness as
    select 'delighted' as source_system, timestamp '2025-01-01 12:00:00' as last_loaded_at,
        timestamp '2024-01-01 12:00:00' as last_answer_at, 48 as load_age_hours, 9000 as answer_age_hours;
"""


@pytest.fixture(scope="module")
def thresholds() -> Thresholds:
    return read_thresholds(Settings(config_dir=ROOT, data_dir=ROOT / "data"))


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
    assert observed["delighted/survey_responses/not_whole.csv"] == "75.00%"
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
    # What rests on too little, what no rule is for and what has no bound is not judged.
    assert {(check.column_name, check.item, check.observed_value) for check in validation.checks if check.item} == {
        ("response_rate", "support", "25.00%"),
        ("busiest_hour", "support", "2 (against 3.000000; web at noon)"),
        ("quarantined_share", "delighted", "1.00%"),
        ("load_age_hours", "delighted", "48 (2025-01-01 12:00:00)"),
    }
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
        (
            "update marts.nps_by_segment_period set nps = 100.5 where segment = 'all' and period_start = '2024-03-01'",
            "nps lies between",
            "period_grain=month, period_start=2024-03-01, segment=all, segment_value=all, nps=100.5",
        ),
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
            "update quality.quality_figures set observed = 0.0199 where item = 'support' and figure = 'response_rate'",
            "must be 2.0% to 80.0% (answered of the delivered invitations)",
            "1.99%",
        ),
        (
            "update quality.quality_figures set observed = 10.01 where figure = 'busiest_hour'",
            "must be at most 10 (times the answers of a usual hour through the link)",
            "10.01 (against 3.000000; web at noon)",
        ),
        (
            "update quality.quality_figures set observed = 0.0501 where figure = 'quarantined_share'",
            "must be at most 5.0%",
            "5.01%",
        ),
        ("update quality.quality_freshness set load_age_hours = 49", "must be at most 48 (hours since", "49"),
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
    assert failed[0].is_blocking == (failed[0].item is None)  # figures only warn
    assert failed[0].unexpected_count != 0
    if observed is not None:
        assert observed in str(failed[0].observed_value)


def test_answers_are_counted_not_the_rows_that_say_how_many_they_are(tmp_path: Path, thresholds: Thresholds) -> None:
    """Also where more scores are wrong than Great Expectations lists."""
    warehouse = _warehouse(
        tmp_path,
        "insert into marts.fct_nps_responses select 11 + number // 3, 'promoter' from range(690) numbers (number)",
    )

    validation = validate_marts(warehouse, thresholds, "run")

    (failed,) = [check for check in validation.checks if not check.is_success]
    assert (failed.column_name, failed.unexpected_count, failed.unexpected_percent) == ("score", 690, 86.25)
    assert {check.observed_value for check in validation.checks if check.column_name == "answers"} == {"800"}
    build_data_docs(validation, tmp_path)
    assert "690 unexpected values found. 86.25% of 800 total rows." in (tmp_path / "marts-answers.html").read_text()


def test_scores_that_are_withheld_are_not_judged(tmp_path: Path, thresholds: Thresholds) -> None:
    warehouse = _warehouse(tmp_path, "update marts.nps_by_segment_period set nps = null, ci_low = null, ci_high = null")

    assert _failed(validate_marts(warehouse, thresholds, "run").checks) == []


def test_unknown_segments_of_silent_invitations_are_no_fault(tmp_path: Path, thresholds: Thresholds) -> None:
    warehouse = _warehouse(
        tmp_path,
        "update marts.nps_by_segment_period set invited = null, delivered = null, answered = null "
        "where segment <> 'all'",
    )

    assert _failed(validate_marts(warehouse, thresholds, "run").checks) == []


def test_each_figure_fires_beyond_its_bound_and_only_on_enough(tmp_path: Path, thresholds: Thresholds) -> None:
    bounds = [  # the last value that passes, on how many, and the first that does not
        ("answers", 1, 100, 0),
        ("response_rate", 0.8, 100, 0.801),
        ("response_rate_ratio", 0.4, 50, 0.399),
        ("response_rate_ratio", 2.5, 50, 2.501),
        ("volume_ratio", 0.3, 30, 0.299),
        ("volume_ratio", 3, 30, 3.001),
        ("score_drift", 0.25, 200, 0.251),
        ("tens_share", 0.9, 30, 0.901),
        ("busiest_hour", 10, 20, 10.001),
        ("answers_per_person", 5, 1, 6),
        ("answers_per_address", 25, 1, 26),
        ("straight_line_share", 0.2, 30, 0.201),
        ("owner_lead", 20, 30, 20.001),
        ("repeated_verbatim_share", 0.1, 30, 0.101),
        ("fast_share", 0.05, 30, 0.051),
        ("unmatched_share", 0.3, 30, 0.301),
        ("quarantined_share", 0.05, 100, 0.051),
        ("unscored_share", 0.25, 30, 0.251),
    ]
    assert {figure for figure, *_ in bounds} == {figure for figure in FIGURES if not figure.endswith("_age_hours")}
    changes, expected = ["delete from quality.quality_figures"], set()
    for number, (figure, passes, basis, fails) in enumerate(bounds):
        judged_from = getattr(thresholds.figures, figure).judged_from
        place = "'delighted', null" if FIGURES[figure].scopes == ("sources",) else "null, 's'"
        for state, observed, rests_on in (("good", passes, basis), ("bad", fails, basis), ("few", fails, basis - 1)):
            changes.append(
                f"insert into quality.quality_figures values ('{figure}', '{state} {number}', {place}, 'episodic', "
                f"null, null, {observed}, {rests_on}, null, null)"
            )
            if rests_on >= judged_from:
                expected.add((figure, f"{state} {number}", state == "good"))
    warehouse = _warehouse(tmp_path, *changes)

    checks = validate_marts(warehouse, thresholds, "run").checks
    judged = {(check.column_name, check.item, check.is_success) for check in checks if check.item != "delighted"}
    assert {check for check in judged if check[1]} == expected


def test_the_narrowest_rule_applies_and_the_result_says_what_it_is_of(tmp_path: Path, thresholds: Thresholds) -> None:
    content = thresholds.model_dump(by_alias=True, exclude_none=True) | {
        "surveys": {"small": {"response_rate": {"judged_from": 10, "severity": "block", "owner": "Ann"}}},
        "segments": {
            "region": {
                "every_value": {"response_rate": {"min": 0.2}},
                "a:b": {"response_rate": {"max": 0.29, "action": "Ask why."}},
            }
        },
        "sources": {
            "delighted": {"answer_age_hours": {"max": 9000}, "quarantined_share": {"max": 0.001, "severity": "ignore"}}
        },
    }
    warehouse = _warehouse(tmp_path)
    checks = {
        (check.column_name, check.item): check
        for check in validate_marts(warehouse, Thresholds.model_validate(content), "run").checks
        if check.item
    }

    assert ("quarantined_share", "delighted") not in checks
    assert checks["answer_age_hours", "delighted"].is_success
    assert checks["response_rate", "support"].is_success
    small = checks["response_rate", "small"]
    assert small.is_blocking and small.owner == "Ann"
    assert (small.survey_id, small.segment, small.source_system) == ("small", None, None)
    north = checks["response_rate", "relationship region north"]
    assert not north.is_success and north.threshold.startswith("must be 20.0% to 80.0%")
    assert (north.segment, north.segment_value) == ("region", "north")
    other = checks["response_rate", "relationship region a:b"]
    assert not other.is_success and other.threshold.startswith("must be 20.0% to 29.0%") and other.action == "Ask why."


@pytest.mark.parametrize("value", ["nroth", "Region 'A': {north}"])
def test_an_exception_for_a_value_that_no_answer_has_is_told(
    tmp_path: Path, thresholds: Thresholds, value: str
) -> None:
    """A typing mistake in thresholds.yml, which nobody can know before there is data."""
    values = {name: {"answers": {"min": 1}} for name in ("north", value)}
    content = thresholds.model_dump(by_alias=True, exclude_none=True) | {"segments": {"region": values}}

    validation = validate_marts(_warehouse(tmp_path), Thresholds.model_validate(content), "run")

    (failed,) = [check for check in validation.checks if not check.is_success]
    assert failed.observed_value == f"segment=region, segment_value={value}"
    assert not failed.is_blocking and failed.action.startswith("Correct the value in thresholds.yml")


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

    declared_by_older = tmp_path / "run_id=none" / "declared.parquet"
    declared_by_older.parent.mkdir()
    duckdb.execute(f"copy (select 'x' as run_id where false) to '{declared_by_older}' (format parquet)")
    declare_results(tmp_path)
    declared, nothing = read()
    assert nothing == []

    for _ in range(2):  # a run that is repeated does not double its results
        write_results([*loads.checks, *(replace(check, owner="a+b@c.example") for check in marts.checks)], tmp_path)
    written, rows = read()
    assert written == declared
    assert len(rows) == len(loads.checks) + len(marts.checks)
    assert {row["owner"] for row in rows if row["suite"] == "marts"} == {"***"}
    failed = {row["observed_value"]: row for row in rows if not row["is_success"]}
    assert failed["0.00%"]["item"] == "delighted/survey_responses/no_number.csv"
    assert failed["0.00%"]["checked_at"] == loads.checks[0].checked_at.replace(tzinfo=None)
    assert not list(tmp_path.rglob("*.tmp"))


def _pages(validations: Sequence[Validation], folder: Path) -> Path:
    for validation in validations:
        write_results(validation.checks, folder / "results")
        build_data_docs(validation, folder)
    return write_index(folder / "results", folder, "run")


def test_pages_fetch_nothing_and_show_what_failed(tmp_path: Path, faulty: tuple[Validation, Validation]) -> None:
    index = _pages(faulty, tmp_path)

    pages = {page.name: page.read_text() for page in tmp_path.glob("*.html")}
    assert len(pages) == 1 + sum(len(validation.documents) for validation in faulty)
    for name, page in pages.items():
        assert not re.search(r"https?://|<script|<link|<img|@import|url\(", page), name
        for target in re.findall(r'href="([^"#]+)"', page):
            assert (tmp_path / target).exists(), (name, target)
    assert "delighted/survey_responses/no_number.csv" in pages["loads-new-files.html"]
    assert "difference=2" in index.read_text()
    assert "Find the rows of the load named" in index.read_text()


# Puts into the page what it and each of its frames asked for, and what the frames show.
COLLECT = """
onload = () => {
    const pages = [window, ...Array.from(document.querySelectorAll("iframe"), frame => frame.contentWindow)];
    const asked = pages.flatMap(page => page.performance.getEntriesByType("resource").map(entry => entry.name));
    const shown = pages.slice(1).map(page => page.document.body.innerText);
    document.body.innerText = JSON.stringify({asked, shown});
}
"""


class _QuietServer(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *_: object) -> None:
        pass


def test_a_browser_shows_the_pages_and_asks_nobody(tmp_path: Path, faulty: tuple[Validation, Validation]) -> None:
    """Every page in a frame of one that asks for a picture from outside: that one is seen, and no other."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    _pages(faulty, tmp_path)
    frames = "".join(
        f'<iframe src="{page.name}" width="1200" height="900"></iframe>' for page in tmp_path.glob("*.html")
    )
    control = tmp_path / "control.html"
    control.write_text(f'{frames}<img src="http://outside.invalid/picture.png"><script>{COLLECT}</script>')
    handler = functools.partial(_QuietServer, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
        ]
        done = subprocess.run(
            [browser, *options, address + control.name], capture_output=True, text=True, timeout=120, check=True
        )
        server.shutdown()
    found = json.loads(html.unescape(re.sub(r"<[^>]*>", "", done.stdout[done.stdout.index("<body") :])))
    assert [url for url in found["asked"] if not url.startswith(address)] == ["http://outside.invalid/picture.png"]
    assert len(found["shown"]) == 1 + sum(len(validation.documents) for validation in faulty)
    shown = "\n".join(found["shown"])
    assert "Find the rows of the load named" in shown and "delighted/survey_responses/no_number.csv" in shown
