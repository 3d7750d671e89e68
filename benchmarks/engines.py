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
spark.SMALL["spark.driver.extraJavaOptions"] = "-Dderby.stream.error.file=/dev/null"  # with the compiler that optimizes
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
    """Whether both have as many rows with the same sum of hashes: fifty million rows need no memory for that."""
    columns = connection.execute(f"select column_name, column_type from (describe warehouse.{name})").fetchall()
    row = ", ".join(f'cast("{column}" as {kind})' for column, kind in columns)
    on_spark = f"read_parquet('{tables.joinpath(*name.split('.'))}/*.parquet')"
    prints = [
        connection.execute(f"select count(*), sum(cast(hash({row}) as hugeint)) from {relation}").fetchall()
        for relation in (f"warehouse.{name}", on_spark)
    ]
    return prints[0] == prints[1]
