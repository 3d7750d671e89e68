"""The models on a cluster (`make test-spark-cluster`) that loses a worker in mid-build: the tables are DuckDB's.

A master, two workers and a Thrift server of Spark's, each a process of its own on this machine, and a dbt that knows of
the server alone. What the worker was computing when it was killed, and what it kept for others, is gone with it.
A batch follows, on the worker that is left.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestration.settings import ROOT, Settings
from orchestration.spark import REQUIRED, SMALL
from tests.every_tool import EveryTool
from tests.spark.test_spark import BINARIES, was_full

pytestmark = pytest.mark.skipif(not BINARIES, reason="make test-spark-cluster runs it, in an environment of its own")

# Of about a hundred: by then there are tables, and more to come that need them.
MODELS_BEFORE_THE_LOSS = 50
SECONDS_TO_START = 120


@dataclass(frozen=True)
class Cluster:
    """What the test needs to know of it."""

    server: str  # host:port
    server_log: Path
    workers: tuple[subprocess.Popen[bytes], ...]


@contextmanager
def cluster(settings: Settings, folder: Path) -> Iterator[Cluster]:
    """Two workers of one core and 1 GB each, their master, and a Thrift server; all killed in the end."""
    packages = next((ROOT / BINARIES).parent.glob("lib/python3*/site-packages"))
    iceberg = next(packages.glob("snowpark_connect_deps_iceberg/jars/iceberg-spark-runtime-3.5_2.12-*.jar"))
    spark = packages / "pyspark"
    # The keys of persons are made by the server, which is therefore told their salt.
    environment = os.environ | settings.environment()
    # The memory is the server's most of all, which plans each statement.
    environment |= {"SPARK_HOME": str(spark), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "2g"}
    master_port, server_port = free_port(), free_port()
    master = f"spark://127.0.0.1:{master_port}"

    with ExitStack() as stack:

        def start(name: str, program: str, *arguments: str) -> subprocess.Popen[bytes]:
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                [str(spark / "bin" / program), *arguments],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group that is killed as one
            )
            stack.callback(kill, process)
            return process

        listening = ("--host", "127.0.0.1", "--webui-port", "0")
        start("master", "spark-class", "org.apache.spark.deploy.master.Master", *listening, "--port", str(master_port))
        wait_for(master_port)
        worker = ("org.apache.spark.deploy.worker.Worker", *listening, "--cores", "1", "--memory", "1g", master)
        workers = tuple(start(f"worker-{number}", "spark-class", *worker) for number in (1, 2))
        configuration = SMALL | {
            "spark.ui.enabled": "false",
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
            "spark.driver.extraClassPath": str(iceberg),
            "spark.executor.extraClassPath": str(iceberg),
            "spark.sql.shuffle.partitions": "2",  # something for each worker
        }
        start(
            "server",
            "spark-submit",
            *("--class", "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"),
            *("--master", master, "--properties-file", str(REQUIRED)),
            *(word for name, value in configuration.items() for word in ("--conf", f"{name}={value}")),
            "spark-internal",
            *("--hiveconf", "hive.server2.thrift.bind.host=127.0.0.1"),
            *("--hiveconf", f"hive.server2.thrift.port={server_port}"),
        )
        wait_for(server_port)
        yield Cluster(f"127.0.0.1:{server_port}", folder / "server.log", workers)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    for _ in range(SECONDS_TO_START * 4):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.25)
    pytest.fail(f"nobody listens on port {port}")


def kill(process: subprocess.Popen[bytes]) -> None:
    """At once, with all it has started, as a machine that fails."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def build(settings: Settings, spark: Cluster, *, loses_worker: bool) -> None:
    """Run a dbt that knows of the server alone; once it has built some models, a worker is killed."""
    said: list[str] = []
    models = 0
    with subprocess.Popen(
        [f"{BINARIES}/python", "-m", "orchestration.spark"],
        cwd=ROOT,
        env=os.environ | settings.environment() | {"NPS_SPARK_SERVER": spark.server},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout
        for line in process.stdout:
            said.append(line)
            if "OK created sql" in line:
                models += 1
                if models == MODELS_BEFORE_THE_LOSS and loses_worker:
                    kill(spark.workers[0])
    assert process.returncode == 0, "".join(said[-100:])
    assert models > MODELS_BEFORE_THE_LOSS + 50


def test_a_cluster_that_loses_a_worker_builds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPS_AS_OF", "2025-07-01")
    company = EveryTool(tmp_path, seed=1)
    folder = tmp_path / "cluster"
    folder.mkdir()
    with ThreadPoolExecutor() as beside, cluster(company.settings, folder) as spark:
        for batch in (1, 2):
            company.deliver(1.0 if batch == 2 else 0.5)
            company.change(batch)
            company.exclude()
            company.load()
            monkeypatch.setenv("NPS_BUILT_AT", f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}")
            building = beside.submit(company.build)
            build(company.settings, spark, loses_worker=batch == 1)
            building.result()
            assert "Lost executor" in spark.server_log.read_text(encoding="utf-8")
            assert was_full(folder / "warehouse") == (batch == 1)
            assert company.differences("Spark", company.settings.spark_tables) == {}
            company.publish()
