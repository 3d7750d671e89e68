"""The models on Spark (`make test-spark`): every published table is what DuckDB makes of the same lake, row for row.

Five batches of a company that uses every tool: the sample company's files, some of them late, answers that are edited,
withdrawn or excluded, people and accounts that are merged, and the tables of all vendors. Both engines take in what is
new as it comes; with each batch the moment moves on that the tables are of. On Spark the third is interrupted when some
models are built and others are not, and must then be built in full.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from orchestration.settings import ROOT, Settings
from tests.every_tool import EveryTool

BINARIES = os.environ.get("NPS_SPARK", "")
BATCHES = 5
INTERRUPTED = 3
# The last model before the interruption: much is built before it, and much after.
LAST_MODEL = "marts.fct_nps_responses"
pytestmark = pytest.mark.skipif(not BINARIES, reason="make test-spark runs it, in an environment of its own")


class Spark:
    """A process that has Spark and builds as often as it is told to, in one session."""

    loop = """
import json, os, sys
from orchestration import spark
for line in sys.stdin:
    os.environ.update(json.loads(line))
    print("exit code", spark.main([]), flush=True)
"""

    def __init__(self, settings: Settings) -> None:
        folders = {"NPS_DATA_DIR": str(settings.data_dir), "NPS_CONFIG_DIR": str(settings.config_dir)}
        self.process = subprocess.Popen(
            [f"{BINARIES}/python", "-c", self.loop],
            cwd=ROOT,
            env=os.environ | folders,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def build(self, environment: dict[str, str], *, is_interrupted: bool = False) -> None:
        """Build what the lake holds now, and write the tables; or only some models, as with Ctrl-C."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(environment) + "\n")
        self.process.stdin.flush()
        said: list[str] = []
        for line in self.process.stdout:
            if line.startswith("exit code"):
                end = "".join(said[-100:])
                assert line == f"exit code {int(is_interrupted)}\n", end
                assert ("Exited because of keyboard interrupt" in end) == is_interrupted
                return
            said.append(line)
            if is_interrupted and f"OK created sql incremental model {LAST_MODEL} " in line:
                self.process.send_signal(signal.SIGINT)
        pytest.fail("".join(said[-100:]))


def moments_of(batch: int) -> dict[str, str]:
    """When a build of this batch is made, if it begins now, and the moment that its tables are of."""
    return {
        "NPS_BUILT_AT": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}",
        "NPS_AS_OF": f"{date(2025, 7, 1) - (BATCHES - batch) * timedelta(days=20)}",
    }


def was_full(warehouse: Path) -> bool:
    """Whether the last build was one in full, by what the models note in Spark's tables."""
    builds = warehouse / "builds.db" / "fct_nps_responses" / "data" / "*.parquet"
    last = duckdb.execute(f"select max_by(is_full, built_at) from '{builds}' where column_name is null").fetchall()
    return bool(last[0][0])


def test_each_batch_is_the_same_on_both_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    company = EveryTool(tmp_path, seed=1)
    spark = Spark(company.settings)
    were_full: list[bool] = []
    with spark.process, ThreadPoolExecutor() as beside:
        for batch in range(1, BATCHES + 1):
            company.deliver(1.0 if batch == BATCHES else 0.5)
            company.change(batch)
            company.exclude()
            company.load()
            if batch == INTERRUPTED:
                spark.build(moments_of(batch), is_interrupted=True)
            moments = moments_of(batch)
            for name, moment in moments.items():
                monkeypatch.setenv(name, moment)
            company.settings = replace(company.settings)  # which reads them
            building = beside.submit(company.build)
            spark.build(moments)
            building.result()
            assert company.differences("Spark", company.settings.spark_tables) == {}
            company.publish()
            were_full.append(was_full(company.settings.spark / "warehouse"))
    with duckdb.connect(str(company.settings.warehouse), read_only=True) as connection:
        decisions = dict(
            connection.execute("select decision, count(*) from marts.response_eligibility group by decision").fetchall()
        )
        merged = connection.execute("select count(*) from intermediate.int_merges").fetchall()[0][0]
    # What the batches are for is in them.
    assert decisions.keys() >= {"counted", "superseded", "duplicate", "withdrawn", "excluded_by_steward", "partial"}
    assert merged > 10
    assert were_full == [batch in (1, INTERRUPTED) for batch in range(1, BATCHES + 1)]
