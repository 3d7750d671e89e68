"""The models on Spark (`make test-spark`): every published table is what DuckDB makes of the same lake, row for row.

Two batches of a company that uses every tool: the sample company's files, some of them late, answers that are edited,
withdrawn or excluded, people and accounts that are merged, and the tables of all vendors. DuckDB takes the second batch
in as it comes, Spark builds everything anew.
"""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from orchestration.settings import ROOT, Settings
from tests.every_tool import EveryTool

BINARIES = os.environ.get("NPS_SPARK", "")
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

    def build(self, built_at: str) -> None:
        """Build what the lake holds now, and write the tables."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"NPS_BUILT_AT": built_at}) + "\n")
        self.process.stdin.flush()
        said: list[str] = []
        for line in self.process.stdout:
            if line.startswith("exit code"):
                assert line == "exit code 0\n", "".join(said[-100:])
                return
            said.append(line)
        pytest.fail("".join(said[-100:]))


def test_each_batch_is_the_same_on_both_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPS_AS_OF", "2025-07-01")
    company = EveryTool(tmp_path, seed=1)
    spark = Spark(company.settings)
    with spark.process, ThreadPoolExecutor() as beside:
        for batch in (1, 2):
            company.deliver(0.5 if batch == 1 else 1.0)
            company.change(batch)
            company.exclude()
            company.load()
            built_at = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"
            monkeypatch.setenv("NPS_BUILT_AT", built_at)
            building = beside.submit(company.build, company.incremental)
            spark.build(built_at)
            building.result()
            assert company.differences("Spark", company.settings.spark_tables) == {}
            company.publish()
    with duckdb.connect(str(company.incremental), read_only=True) as connection:
        decisions = dict(
            connection.execute("select decision, count(*) from marts.response_eligibility group by decision").fetchall()
        )
        merged = connection.execute("select count(*) from intermediate.int_merges").fetchall()[0][0]
    # What the batches are for is in them.
    assert decisions.keys() >= {"counted", "superseded", "duplicate", "withdrawn", "excluded_by_steward", "partial"}
    assert merged > 10
