"""The warehouse file made of tables that another engine wrote."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from orchestration.faults import Build, last_build
from orchestration.settings import ROOT, Settings
from orchestration.warehouse import fill

BUILT_AT = datetime(2025, 7, 1, 12)


def model(name: str, **columns: str) -> dict[str, Any]:
    schema, table = name.split(".")
    described = {column: {"name": column, "description": text} for column, text in columns.items()}
    description = f"One row per {table}."
    return {
        "resource_type": "model", "schema": schema, "name": table, "description": description, "columns": described,
    }  # fmt: skip


def test_the_file_holds_what_was_written(tmp_path: Path) -> None:
    settings = Settings(ROOT, tmp_path)
    manifest = tmp_path / "manifest.json"
    models = [
        model("marts.dim_dates", date_day="It's a day", known_at="Time (UTC)"),
        model("quality.quality_check_results", run_id="Run"),
        model("staging.stg_lake__loads", load_id="Key"),
    ]
    manifest.write_text(json.dumps({"nodes": {node["name"]: node for node in models}}))
    settings.check_results.joinpath("run").mkdir(parents=True)
    with duckdb.connect() as connection:
        for name, query in {
            "marts/dim_dates": "select date '2025-01-01' as date_day, timestamptz '2025-01-01 01:00:00+01' as known_at",
            "quality/quality_check_results": "select 'earlier' as run_id",
            "staging/stg_lake__loads": "select 'l1' as load_id",
        }.items():
            folder = settings.spark_tables / name
            folder.mkdir(parents=True)
            connection.execute(f"copy ({query}) to '{folder}/part-0.parquet'")
        connection.execute(f"copy (select 'earlier' as run_id) to '{settings.check_results}/run/marts.parquet'")
        settings.warehouse.write_bytes(b"of a build that was killed")
        fill(settings, manifest, BUILT_AT)
        connection.execute(f"copy (select 'this' as run_id) to '{settings.check_results}/run/dbt.parquet'")

    assert last_build(settings.warehouse) == Build(settings.definition(), BUILT_AT)
    with duckdb.connect(settings.warehouse, read_only=True) as connection:
        dates = connection.execute("select *, typeof(known_at) from marts.dim_dates").fetchall()
        assert dates == [(datetime(2025, 1, 1).date(), datetime(2025, 1, 1), "TIMESTAMP")]
        assert connection.execute("from quality.quality_check_results order by all").fetchall() == [
            ("earlier",),
            ("this",),
        ]
        assert connection.execute("from builds.current_loads").fetchall() == [("l1",)]
        assert connection.execute("select as_of from builds.model_builds").fetchall() == [(BUILT_AT,)]
        comments = connection.execute(
            """
            select comment from duckdb_tables() where table_name = 'dim_dates'
            union all
            select comment from duckdb_columns() where table_name = 'dim_dates' and column_name = 'date_day'
            union all
            select comment from duckdb_views() where view_name = 'quality_check_results'
            """
        ).fetchall()
    assert comments == [("One row per dim_dates.",), ("It's a day",), ("One row per quality_check_results.",)]
