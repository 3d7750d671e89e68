"""What the benchmark says of two engines' tables: which differ, by any value of any row."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from benchmarks.engines import differing_tables

ONE = "(1, 'a', timestamp '2025-01-01 10:00:00', null)"
OTHER = "(2, null, null, 0.5)"


@pytest.mark.parametrize(
    ("on_spark", "is_equal"),
    [
        ([ONE, ONE, OTHER], True),
        ([OTHER, ONE, ONE], True),
        ([ONE, OTHER], False),
        ([ONE, OTHER, OTHER], False),
        ([ONE, ONE, OTHER.replace("0.5", "0.4")], False),
        ([ONE, ONE, OTHER.replace("0.5", "0.5::double")], False),
        ([row.replace(")", ", null)") for row in (ONE, ONE, OTHER)], False),
        ([ONE, ONE.replace("'a'", "null"), OTHER], False),
        ([ONE, ONE.replace("10:00", "11:00"), OTHER], False),
    ],
)
def test_tables_are_equal_by_all_their_rows(tmp_path: Path, on_spark: list[str], is_equal: bool) -> None:
    columns = "(number, name, moment, share)"
    with duckdb.connect(tmp_path / "warehouse.duckdb") as connection:
        connection.execute("create schema marts")
        connection.execute(f"create table marts.facts as from (values {ONE}, {ONE}, {OTHER}) as facts {columns}")
    folder = tmp_path / "tables" / "marts" / "facts"
    folder.mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"""
            copy (
                select * replace (moment::timestamptz as moment) from (values {", ".join(on_spark)}) as facts {columns}
            ) to '{folder}/part.parquet'
        """)

    assert differing_tables(tmp_path / "warehouse.duckdb", tmp_path / "tables") == ([] if is_equal else ["marts.facts"])
