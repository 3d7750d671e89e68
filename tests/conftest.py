"""Real runs on real files: every pipeline test runs the command line in a process of its own."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests import commands

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "seeds" / "raw"
# In the environment of the sample's run, where a vendor's key stands.
PLANTED_SECRET = "planted-key-of-a-vendor"


@dataclass(frozen=True)
class Pipeline:
    """A data folder and a configuration, and the commands a person would type."""

    data: Path
    config: Path = ROOT

    @property
    def landing(self) -> Path:
        return self.data / "landing"

    @property
    def serving(self) -> Path:
        return self.data / "serving" / "nps.duckdb"

    @property
    def warehouse(self) -> Path:
        return self.data / "warehouse.duckdb"

    @property
    def connections(self) -> Path:
        """A line for each connection beyond this machine that a command tried to open."""
        return self.data.with_name(f"{self.data.name}.connections")

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "NPS_DATA_DIR": str(self.data),
            "NPS_CONFIG_DIR": str(self.config),
            "COLUMNS": "200",
            "NPS_AS_OF": "2025-07-01",  # what depends on the time is the same in runs that are compared
            "PYTHONPATH": str(ROOT / "tests" / "watch"),
            "NPS_CONNECTIONS": str(self.connections),
        }
        return commands.run("orchestration", arguments, environment, timeout=600)

    def succeed(self, *arguments: str) -> str:
        """Run a command that must work; its output."""
        done = self(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Ask the published file."""
        with duckdb.connect(self.serving, read_only=True) as connection:
            return connection.execute(sql, list(parameters)).fetchall()

    def content(self, *schemas: str, but: Sequence[str] = ()) -> dict[str, list[tuple[Any, ...]]]:
        """All published rows by table, sorted, without the columns `but`.

        Checks and freshness are of a run, restatements of the publications before, and not of the data: left out.
        """
        dropped = set(but)
        content = {}
        with duckdb.connect(self.serving, read_only=True) as connection:
            for schema, table in connection.execute(
                "select schema_name, table_name from duckdb_tables() where schema_name in ? order by all",
                [list(schemas) or ["marts", "quality"]],
            ).fetchall():
                if table in (
                    "quality_check_results",
                    "quality_freshness",
                    "publication",
                    "published_tables",
                    "nps_restatements",
                ):
                    continue
                columns = [
                    row[0]
                    for row in connection.execute(
                        "select column_name from duckdb_columns() where schema_name = ? and table_name = ?",
                        [schema, table],
                    ).fetchall()
                    if row[0] not in dropped
                ]
                listed = ", ".join(f'"{column}"' for column in columns)
                content[table] = connection.execute(f"select {listed} from {schema}.{table} order by all").fetchall()
        return content

    def texts(self) -> dict[tuple[str, str], list[str]]:
        """All distinct published texts, by table and column; of lists, their elements together."""
        found = {}
        with duckdb.connect(self.serving, read_only=True) as connection:
            for schema, table, column in connection.execute("""
                select schema_name, table_name, column_name from duckdb_columns()
                where (data_type like '%VARCHAR%' or data_type = 'JSON') and not internal
            """).fetchall():
                query = (
                    f'select distinct cast("{column}" as varchar) from {schema}.{table} where "{column}" is not null'
                )
                found[table, column] = [row[0] for row in connection.execute(query).fetchall()]
        return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A long file that needs no sample company comes first: two processes would both wait until that is made."""
    items.sort(key=lambda item: item.path.stem != "test_incremental")


def empty_reference(config: Path) -> Path:
    """The reference files of a configuration, each with its header alone; their folder."""
    reference = config / "seeds" / "reference"
    reference.mkdir(parents=True)
    for file in (ROOT / "seeds" / "reference").glob("*.csv"):
        header, _, _ = file.read_text(encoding="utf-8").partition("\n")
        (reference / file.name).write_text(f"{header}\n", encoding="utf-8")
    return reference


def unit_tests_passed(pipeline: Pipeline, among: str = "*") -> int:
    """Run dbt's unit tests over a built warehouse; how many passed, when all did."""
    output = pipeline.succeed("dbt", "test", "--select", f"{among},test_type:unit")
    found = re.search(r"Done\. PASS=(\d+) WARN=0 ERROR=0 SKIP=0", output)
    assert found, output
    return int(found[1])


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Pipeline:
    """The sample company after `make demo`; tests only read it. Processes that test side by side share it."""
    own = tmp_path_factory.getbasetemp()
    pipeline = Pipeline((own if worker_id == "master" else own.parent) / "sample")
    pipeline.data.mkdir(exist_ok=True)
    with (pipeline.data / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
        printed = pipeline.data / "demo.txt"
        if not printed.exists():
            with pytest.MonkeyPatch.context() as planted:
                planted.setenv("DELIGHTED_API_KEY", PLANTED_SECRET)
                printed.write_text(pipeline.succeed("demo"), encoding="utf-8")
    return pipeline
