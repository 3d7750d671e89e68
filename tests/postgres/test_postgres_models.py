"""The models on PostgreSQL (`make test-postgres`): every published table is what DuckDB makes of the same lake.

Two batches of a company that uses every tool, as for Spark. DuckDB takes the second batch in as it comes, PostgreSQL
builds everything anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import psycopg
import pytest
from dbt.contracts.graph.manifest import Manifest
from psycopg.sql import SQL, Identifier

from orchestration.postgres_build import copy_lake
from orchestration.settings import PUBLISHED_SCHEMAS, ROOT, ConfigError
from tests.every_tool import EveryTool
from tests.postgres.server import DATABASE, environment, started

pytestmark = pytest.mark.skipif("NPS_TEST_POSTGRES" not in os.environ, reason="make test-postgres runs it")

DUCKDB_TYPES = {"text": "varchar", "timestamp without time zone": "timestamp"}


def write_tables(folder: Path) -> None:
    """Write what PostgreSQL built as Parquet files, <schema>/<table>/0.parquet, with the types that it has there."""
    with psycopg.connect() as database, duckdb.connect() as connection:
        columns = database.execute(
            """
            select table_schema, table_name, array_agg(
                array[column_name, data_type, numeric_precision::text, numeric_scale::text] order by ordinal_position
            )
            from information_schema.columns
            where table_schema = any(%s)
            group by table_schema, table_name
            """,
            [list(PUBLISHED_SCHEMAS)],
        ).fetchall()
        for schema, table, described in columns:
            target = folder / schema / table
            target.mkdir(parents=True, exist_ok=True)
            types = {
                name: f"decimal({precision}, {scale})" if kind == "numeric" else DUCKDB_TYPES.get(kind, kind)
                for name, kind, precision, scale in described
            }
            rows = target / "rows.csv"
            copy = SQL("copy (select * from {}) to stdout (format csv, null '\\N')").format(Identifier(schema, table))
            with rows.open("wb") as file, database.cursor().copy(copy) as chunks:
                for chunk in chunks:
                    file.write(chunk)
            connection.execute(
                f"""
                copy (
                    from read_csv(
                        $rows, columns = {types}, auto_detect = false, delim = ',', quote = '"', escape = '"',
                        nullstr = '\\N', new_line = '\\n'
                    )
                ) to '{target}/0.parquet'
                """,
                {"rows": str(rows)},
            )


def test_a_database_that_does_not_know_all_letters_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with started() as server:
        with psycopg.connect(server, autocommit=True) as database:
            database.execute(DATABASE.replace("C.UTF-8", "C"))
        for name, value in environment(server).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(ConfigError, match=re.escape(DATABASE)):
            copy_lake(Manifest())


def test_each_batch_is_the_same_on_both_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with started() as server:
        with psycopg.connect(server, autocommit=True) as database:
            database.execute(DATABASE)
        for name, value in (environment(server) | {"NPS_AS_OF": "2025-07-01"}).items():
            monkeypatch.setenv(name, value)
        company = EveryTool(tmp_path, seed=1)
        folders = {"NPS_DATA_DIR": str(company.settings.data_dir), "NPS_CONFIG_DIR": str(company.settings.config_dir)}
        for batch in (1, 2):
            company.deliver(0.5 if batch == 1 else 1.0)
            company.change(batch)
            company.exclude()
            company.load()
            monkeypatch.setenv("NPS_BUILT_AT", f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}")
            command = [sys.executable, "-m", "orchestration.postgres_build"]
            with subprocess.Popen(
                command, cwd=ROOT, env=os.environ | folders, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            ) as building:
                company.build()
                assert building.stdout
                said = building.stdout.read()
            assert building.returncode == 0, said[-5000:]
            tables = tmp_path / "tables"
            write_tables(tables)
            assert company.differences("PostgreSQL", tables) == {}
            company.publish()
