"""Checks as Dagster shows them, and sources that turn late while nothing is delivered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from expectations.validation import CheckResult
from orchestration.quality import CHECK_NAME, as_check_result, has_come_due, has_turned_late, results_of


@pytest.mark.parametrize(
    ("loaded", "answered", "load_every", "answer_every", "hours_late", "is_news"),
    [
        pytest.param(47, 10, 48, None, 0, False, id="on time"),
        pytest.param(49, 10, 48, None, 0, True, id="the load is overdue"),
        pytest.param(1, 30, 48, 24, 0, True, id="the answer is overdue"),
        pytest.param(500, 500, None, None, None, False, id="nothing is expected"),
        pytest.param(99, 10, 48, None, 3, False, id="was shown late already"),
    ],
)
def test_a_source_that_turns_late_is_news(
    tmp_path: Path,
    loaded: int,
    answered: int,
    load_every: int | None,
    answer_every: int | None,
    hours_late: int | None,
    is_news: bool,
) -> None:
    serving = tmp_path / "nps.duckdb"
    with duckdb.connect(serving) as connection:
        connection.execute("create schema quality")
        connection.execute(
            """
            create table quality.quality_freshness as
            select $now - to_hours($loaded) as last_loaded_at, $now - to_hours($answered) as last_answer_at,
                $load_every::bigint as load_expected_hours, $answer_every::bigint as answer_expected_hours,
                $hours_late::bigint as hours_late
            """,
            {
                "now": datetime.now(UTC).replace(tzinfo=None),
                "loaded": loaded,
                "answered": answered,
                "load_every": load_every,
                "answer_every": answer_every,
                "hours_late": hours_late,
            },
        )

    assert has_turned_late(serving) is is_news


def test_a_case_that_comes_due_is_news_once(tmp_path: Path) -> None:
    serving = tmp_path / "nps.duckdb"
    due = datetime(2025, 3, 3, 17)
    with duckdb.connect(serving) as connection:
        connection.execute("create schema marts")
        connection.execute(
            "create table marts.detractor_recovery as select 'open' as state, $due as due_at", {"due": due}
        )
    assert not has_come_due(serving, due - timedelta(seconds=1))
    assert has_come_due(serving, due)
    with duckdb.connect(serving) as connection:
        connection.execute("update marts.detractor_recovery set state = 'overdue'")
    assert not has_come_due(serving, due)


def result(item: str, is_success: bool) -> CheckResult:
    return CheckResult(
        run_id="run",
        checked_at=datetime.now(UTC),
        suite="marts",
        table_name="quality.quality_figures",
        item=item,
        column_name="response_rate",
        expectation="expect_column_values_to_be_between",
        severity="warn",
        is_success=is_success,
        observed_value="1.00%",
        unexpected_count=0,
        unexpected_percent=None,
        threshold="must be at least 2.0%",
        owner="Ann",
        action="Look.",
    )


def test_a_column_of_a_table_is_not_the_figure_of_that_name() -> None:
    figure = replace(result("relationship", is_success=True), column_name="answers")
    column = replace(figure, table_name="marts.fct_nps_responses", expectation="expect_column_sum_to_be_between")
    shown = {
        (table, name): results_of(dg.AssetCheckKey(dg.AssetKey(table.split(".")), name), [figure, column])
        for table, name in [
            (figure.table_name, "answers"),
            (figure.table_name, "tens"),
            (column.table_name, CHECK_NAME),
        ]
    }
    assert list(shown.values()) == [[figure], [], [column]]


def test_a_check_shows_value_threshold_owner_and_action_of_what_failed_first() -> None:
    failed = result("b", is_success=False)
    check = as_check_result(
        dg.AssetKey("figures"),
        "response_rate",
        [failed.sentence],
        is_blocking=False,
        results=[result("a", is_success=True), failed],
    )

    assert not check.passed and check.severity == dg.AssetCheckSeverity.WARN
    assert check.description == "b: response_rate is 1.00%, but must be at least 2.0%. Look."
    table = check.metadata["results"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data["item"] for record in table.records] == ["b", "a"]
    assert table.records[0].data == {
        "state": "failed",
        "item": "b",
        "figure": "response_rate",
        "observed value": "1.00%",
        "threshold": "must be at least 2.0%",
        "severity": "warn",
        "owner": "Ann",
        "action": "Look.",
    }
