"""The models on Spark: dbt in an environment of its own, and the published tables out of it as Parquet files.

Runs in that environment (`.spark`, see the Makefile), which has neither Dagster nor DuckDB:

    .spark/bin/python -m orchestration.spark          build seeds and models, write the tables
    .spark/bin/python -m orchestration.spark test     any dbt command with the target spark; the tables after a build

Spark runs in this process, or is the Thrift server that NPS_SPARK_SERVER names.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from orchestration.register import registered_loads
from orchestration.settings import DBT_PROJECT_DIR, PUBLISHED_SCHEMAS, ConfigError, Settings
from orchestration.sources import SEEDS_AND_MODELS, dbt_arguments, load_sources

# What is read of a build beside what is published: by the guards the first, by the publication log the others.
ALSO_READ = (
    "intermediate.int_answer_scores",
    "staging.stg_lake__loads",
    "intermediate.int_answer_states",
    "intermediate.int_answer_changes",
    "intermediate.int_daily_changes",
)
# What any Spark must be set to.
REQUIRED = DBT_PROJECT_DIR / "spark.conf"
# How Spark is started where PYSPARK_SUBMIT_ARGS does not say: in this process, for data that is no trouble to it. Then
# most of the time goes into planning and compiling, not into rows; for more, leave all but the memory out.
SMALL = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.hadoop.javax.jdo.option.ConnectionURL": "jdbc:derby:memory:metastore;create=true",
    "spark.driver.memory": "3g",
    # The compiler that optimizes takes two fifths of the time; without it, the JVM keeps little room for compiled code.
    "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m "
    "-Dderby.stream.error.file=/dev/null",
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
    """Run dbt on Spark, by default a build without tests; after one that worked, write its tables. The exit code.

    Raises:
        ConfigError: NPS_SPARK_SERVER is no host with a port; no Iceberg is installed.
    """
    server = os.environ.get("NPS_SPARK_SERVER")
    if server and not re.fullmatch(r"[^:]+:\d+", server):
        raise ConfigError(f"NPS_SPARK_SERVER: {server!r}: give host:port")
    settings = Settings.from_env()
    os.environ.update(settings.environment())
    os.environ["DBT_TARGET_PATH"] = str(settings.spark / "dbt")
    os.environ["DBT_LOG_PATH"] = str(settings.spark / "dbt" / "logs")
    os.environ["NPS_SPARK_SETTINGS"] = json.dumps(required_settings())
    shutil.rmtree(settings.spark_tables, ignore_errors=True)
    write_register(settings)
    if not server:
        start_session(settings)
    from dbt.cli.main import dbtRunner  # noqa: PLC0415

    common = [*dbt_arguments(load_sources(settings)), "--target", "spark"]
    commands = [list(arguments or SEEDS_AND_MODELS)]
    if commands[0][0] == "build":
        what = {"folder": str(settings.spark_tables), "schemas": PUBLISHED_SCHEMAS, "others": ALSO_READ}
        # The results of the build stay where they are looked for.
        commands.append(["--no-write-json", "run-operation", "write_tables", "--args", json.dumps(what)])
    for command in commands:
        done = dbtRunner().invoke(["--no-use-colors", *command, *common])
        if done.exception:
            print(done.exception, file=sys.stderr)
        if not done.success:
            return 1
    return 0


def required_settings() -> dict[str, str]:
    """The settings of Spark by which the models come out the same."""
    lines = [line for line in REQUIRED.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return dict(line.split(maxsplit=1) for line in lines)


def start_session(settings: Settings) -> None:
    """Start Spark in this process, where dbt finds it; once started, it stays as it is.

    Raises:
        ConfigError: no Iceberg is installed.
    """
    os.environ.setdefault("PYSPARK_SUBMIT_ARGS", submit_arguments())
    from pyspark.sql import SparkSession  # noqa: PLC0415

    session = SparkSession.builder.master(os.environ.get("NPS_SPARK_MASTER", "local[2]")).enableHiveSupport()
    session.config("spark.ui.enabled", "false")  # it shows what persons' keys are hashed with
    session.config("spark.sql.warehouse.dir", str(settings.spark / "warehouse"))
    session.config(map=required_settings()).getOrCreate()


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


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ConfigError as fault:
        sys.exit(f"Configuration: {fault}")
