"""What the published file says of itself: how figures may be aggregated, proved on the figures; examples that run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from tests.conftest import Pipeline

NUMBERS = ("INTEGER", "BIGINT", "DOUBLE", "DECIMAL")
# Of the publication and not of a model.
NO_MODELS = {"quality.publication", "quality.published_tables"}
# What a column of a period, a segment and so on is held at while rows are added up over another.
KEYS = (
    *("survey_type", "period_grain", "period_start", "window_end", "segment", "segment_value"),
    *("owner_id", "scope", "theme_kind", "theme", "category"),
)
# Points and shares are stored with so many digits.
ROUNDING = {"points": 0.0001, "share": 0.000001}


@pytest.fixture(scope="module")
def published(sample: Pipeline) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(sample.serving, read_only=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def columns(published: duckdb.DuckDBPyConnection) -> dict[str, dict[str, str]]:
    """Types by column by table."""
    found: dict[str, dict[str, str]] = {}
    for table, column, data_type in published.execute(
        "select schema_name || '.' || table_name, column_name, data_type from duckdb_columns() where not internal"
    ).fetchall():
        found.setdefault(table, {})[column] = data_type
    return found


@pytest.fixture(scope="module")
def catalog(published: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    result = published.execute("select * from marts.metrics_catalog")
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def test_every_numeric_column_is_listed_and_no_other(
    columns: dict[str, dict[str, str]], catalog: list[dict[str, Any]]
) -> None:
    numeric = {
        (table, column)
        for table, types in columns.items()
        for column, data_type in types.items()
        if table not in NO_MODELS and data_type.startswith(NUMBERS)
    }
    assert {(row["table_name"], row["column_name"]) for row in catalog} == numeric
    for row in catalog:
        for column in filter(None, (row["additive_over"] or "").split(", ")):
            assert column in columns[row["table_name"]], row


def test_formulas_give_the_stored_figures(published: duckdb.DuckDBPyConnection, catalog: list[dict[str, Any]]) -> None:
    derived = [row for row in catalog if row["aggregation"] == "derive"]
    compared = 0
    for row in derived:
        wrong, stored = published.execute(
            f"""
            select count(*) filter (where abs(derived - stored) > {ROUNDING[row["unit"]]}), count(stored) from (
                select any_value({row["column_name"]}) as stored, {row["formula"]} as derived
                from {row["table_name"]} group by rowid
            )
            """
        ).fetchall()[0]
        assert wrong == 0, row
        compared += stored > 0
    assert compared > 0.8 * len(derived)


def test_sums_over_the_values_of_a_segment_are_the_total(
    published: duckdb.DuckDBPyConnection, columns: dict[str, dict[str, str]], catalog: list[dict[str, Any]]
) -> None:
    compared = 0
    for row in catalog:
        table, column = row["table_name"], row["column_name"]
        if row["aggregation"] != "sum" or "segment_value" not in row["additive_over"]:
            continue
        if column in ("rate_effect", "mix_effect"):
            continue  # of the total, which has no mix: effects_add_up_to_the_change.sql compares them
        held = ", ".join(key for key in KEYS if key in columns[table] and not key.startswith("segment"))
        wrong, totals = published.execute(
            f"""
            with sums as (select {held}, segment, sum({column}) as amount from {table} group by all)
            select count(*) filter (where abs(sums.amount - totals.amount) > 0.002), count(*)
            from sums inner join sums as totals using ({held})
            where totals.segment = 'all' and sums.segment <> 'all'
            """
        ).fetchall()[0]
        assert wrong == 0, row
        compared += totals > 0
    assert compared > 40


def test_sums_over_quarters_are_the_year(
    published: duckdb.DuckDBPyConnection, columns: dict[str, dict[str, str]], catalog: list[dict[str, Any]]
) -> None:
    """But for benchmarks, which are valid in some periods and not in others."""
    compared = 0
    for row in catalog:
        table, column = row["table_name"], row["column_name"]
        if row["aggregation"] != "sum" or "period_start" not in row["additive_over"] or table.endswith("benchmark_gap"):
            continue
        held = ", ".join(key for key in KEYS if key in columns[table] and not key.startswith("period_"))
        wrong, years = published.execute(
            f"""
            select count(*) filter (where quarters is distinct from years), count(years) from (
                select
                    {held},
                    sum({column}) filter (where period_grain = 'quarter') as quarters,
                    sum({column}) filter (where period_grain = 'year') as years
                from {table} group by {held}
            )
            """
        ).fetchall()[0]
        assert wrong == 0, row
        compared += years > 0
    assert compared > 30


def test_statistics_are_macros_with_a_comment(sample: Pipeline, catalog: list[dict[str, Any]]) -> None:
    macros = json.loads((sample.data / "dbt" / "manifest.json").read_text())["macros"]
    known = {macro["name"] for macro in macros.values() if macro["original_file_path"] == "macros/statistics.sql"}
    assert {row["statistic"] for row in catalog if row["statistic"]} <= known


def test_every_table_can_be_summarized(
    published: duckdb.DuckDBPyConnection, columns: dict[str, dict[str, str]]
) -> None:
    for table, types in columns.items():
        summary = published.execute(f"summarize from (from {table} limit 1000)").fetchall()
        assert [row[0] for row in summary] == list(types), table


def test_every_example_runs(sample: Pipeline, published: duckdb.DuckDBPyConnection) -> None:
    manifest = json.loads((sample.data / "dbt" / "manifest.json").read_text())
    tried = set()
    for node in manifest["nodes"].values():
        if example := node["config"].get("meta", {}).get("example"):
            table = f"{node['schema']}.{node['name']}"
            assert table in example, f"{table}: the example asks another table"
            rows = published.execute(example).fetchall()
            assert rows or not published.execute(f"from {table}").fetchall(), f"{table}: the example finds nothing"
            tried.add(table)
    assert len(tried) > 35
