"""The models on Spark: dbt in an environment of its own, and the published tables out of it as Parquet files.

Runs in that environment (`.spark`, see the Makefile), which has neither Dagster nor DuckDB:

    .spark/bin/python -m orchestration.spark          build seeds and models, write the tables
    .spark/bin/python -m orchestration.spark test     any dbt command with the target spark; the tables after a build
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from orchestration.register import registered_loads
from orchestration.settings import DBT_PROJECT_DIR, PUBLISHED_SCHEMAS, ConfigError, Settings
from orchestration.sources import dbt_vars, load_sources

# What the publication log is written from, beside what is published.
LOGGED = (
    "staging.stg_lake__loads",
    "intermediate.int_answer_states",
    "intermediate.int_answer_changes",
    "intermediate.int_daily_changes",
)
BUILD = ("build", "--resource-type", "seed", "--resource-type", "model")
# How Spark is started where PYSPARK_SUBMIT_ARGS does not say: in this process, for data that is no trouble to it. Then
# most of the time goes into planning and compiling, not into rows; for more, leave all but the memory out.
SMALL = {
    "spark.driver.memory": "3g",
    "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -Dderby.stream.error.file=/dev/null",
    "spark.log.level": "ERROR",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.ui.explainMode": "simple",
    "spark.sql.ui.retainedExecutions": "1",
    "spark.sql.maxPlanStringLength": "1000",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.constraintPropagation.enabled": "false",
}


def main(arguments: Sequence[str]) -> int:
    """Run dbt on Spark, by default a build without tests; after one that worked, write its tables. The exit code."""
    settings = Settings.from_env()
    os.environ.update(settings.environment())
    os.environ["DBT_TARGET_PATH"] = str(settings.spark / "dbt")
    os.environ["DBT_LOG_PATH"] = str(settings.spark / "dbt" / "logs")
    os.environ.setdefault("PYSPARK_SUBMIT_ARGS", submit_arguments())
    shutil.rmtree(settings.spark_tables, ignore_errors=True)
    write_register(settings)
    from dbt.cli.main import dbtRunner  # noqa: PLC0415

    project = ["--project-dir", str(DBT_PROJECT_DIR), "--profiles-dir", str(DBT_PROJECT_DIR), "--target", "spark"]
    command = arguments or BUILD
    done = dbtRunner().invoke(["--no-use-colors", *command, *project, *dbt_vars(load_sources(settings))])
    if done.exception:
        print(done.exception, file=sys.stderr)
    if done.success and command[0] == "build":
        write_tables(settings)
    return 0 if done.success else 1


def submit_arguments() -> str:
    """What Spark is started with by default: SMALL, and Iceberg from this environment.

    Raises:
        ConfigError: no Iceberg is installed.
    """
    package = importlib.util.find_spec("snowpark_connect_deps_iceberg")
    folder = Path(package.origin or "").parent / "jars" if package else Path()
    jars = sorted(folder.glob("iceberg-spark-runtime-3.5_2.12-*.jar"))
    if not jars:
        raise ConfigError(
            "Iceberg is not installed in this environment: make .spark/.installed, or name it in PYSPARK_SUBMIT_ARGS "
            "(--packages org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.2 pyspark-shell)"
        )
    settings = [f"--conf {shlex.quote(f'{name}={value}')}" for name, value in SMALL.items()]
    return f"--jars {jars[-1]} {' '.join(settings)} pyspark-shell"


def write_register(settings: Settings) -> None:
    """Put the load register together in one file: Spark passes by files whose name begins with _."""
    register = settings.spark / "loads.json"
    register.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{json.dumps(asdict(load))}\n" for load in registered_loads(settings.lake)]
    register.write_text("".join(lines), encoding="utf-8")


def write_tables(settings: Settings) -> None:
    """Write what the pipeline reads as Parquet files, <schema>/<table>/*.parquet; times are UTC."""
    from pyspark.sql import SparkSession  # noqa: PLC0415

    session = SparkSession.builder.getOrCreate()
    session.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
    session.conf.set("spark.sql.parquet.datetimeRebaseModeInWrite", "CORRECTED")  # years before 1900 as they are
    names = list(LOGGED)
    for schema in PUBLISHED_SCHEMAS:
        names += [f"{schema}.{row.tableName}" for row in session.sql(f"show tables in {schema}").collect()]
    for name in names:
        session.table(name).write.parquet(str(settings.spark_tables.joinpath(*name.split("."))))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ConfigError as fault:
        sys.exit(f"Configuration: {fault}")
