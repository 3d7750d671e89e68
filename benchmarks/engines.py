"""The same build on Spark: how Spark is started for more than little data, and whether its tables are DuckDB's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import duckdb

from orchestration.served_file import published_relations
from orchestration.settings import ROOT, Settings

# Of a run and its moment.
NOT_COMPARED = {"quality.quality_check_results", "quality.quality_freshness"}
# What is left of orchestration/spark.py's settings for little data.
ARGUMENTS = """
from orchestration import spark
little = ("spark.sql.shuffle.", "spark.sql.adaptive.", "spark.sql.codegen.", "spark.sql.constraintPropagation.")
spark.SMALL = {name: value for name, value in spark.SMALL.items() if not name.startswith(little)}
# Of Java's, those that are not for little data: -X… are without the compiler that optimizes.
options = spark.SMALL["spark.driver.extraJavaOptions"].split()
spark.SMALL["spark.driver.extraJavaOptions"] = " ".join(option for option in options if option.startswith("-D"))
print(spark.submit_arguments())
"""


def spark_arguments(settings: Settings) -> str:
    """The PYSPARK_SUBMIT_ARGS of a build that is measured."""
    command = [str(settings.spark_python), "-c", ARGUMENTS]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def differing_tables(warehouse: Path, tables: Path) -> list[str]:
    """The published tables of DuckDB's warehouse that Spark wrote otherwise, <schema>/<table>/*.parquet in `tables`."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")  # Spark's times are moments
        connection.execute(f"attach '{warehouse}' as warehouse (read_only)")
        names = [name for name in published_relations(connection) if name not in NOT_COMPARED]
        return [name for name in names if not _is_equal(connection, name, tables)]


def _is_equal(connection: duckdb.DuckDBPyConnection, name: str, tables: Path) -> bool:
    on_spark = f"read_parquet('{tables.joinpath(*name.split('.'))}/*.parquet')"
    return _fingerprint(connection, f"warehouse.{name}") == _fingerprint(connection, on_spark)


def _fingerprint(connection: duckdb.DuckDBPyConnection, relation: str) -> list[tuple[object, ...]]:
    """Columns and types, the number of rows and the sum of their hashes, for which fifty million need no memory."""
    described = connection.execute(f"select column_name, column_type from (describe from {relation})").fetchall()
    columns = [(column, kind.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMP")) for column, kind in described]
    row = ", ".join(f'cast("{column}" as {kind})' for column, kind in columns)
    return (
        columns + connection.execute(f"select count(*), sum(cast(hash({row}) as hugeint)) from {relation}").fetchall()
    )
