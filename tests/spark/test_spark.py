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
import yaml

from orchestration.settings import DBT_PROJECT_DIR, ROOT, Settings
from tests.integration import test_vendors as vendors
from tests.integration.test_incremental import SHOP, Company

BINARIES = os.environ.get("NPS_SPARK", "")
pytestmark = pytest.mark.skipif(not BINARIES, reason="make test-spark runs it, in an environment of its own")

DELIVERIES = (
    vendors.deliver_qualtrics,
    vendors.deliver_surveymonkey,
    vendors.deliver_typeform,
    vendors.deliver_hubspot,
    vendors.deliver_others,
)
WITHDRAWN = """  withdrawn: {column: withdrawn, values: ["yes"]}
  email: email
  name: name
"""


class EveryTool(Company):
    """The sample company, with every other tool beside its own, and a shop whose answers are withdrawn at times."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, seed)
        self.vendors = folder / "vendors"
        for deliver in DELIVERIES:
            deliver(self.vendors)
        config = self.settings.config_dir
        (config / "sources" / "shop.yml").write_text(SHOP + WITHDRAWN, encoding="utf-8")
        (config / "sources" / "qualtrics_csv.yml").write_text(vendors.QUALTRICS_CSV, encoding="utf-8")
        segments = yaml.safe_load((DBT_PROJECT_DIR / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]["segments"]
        for segment in segments:
            if segment["from"] == "account":
                segment["column"] = {"salesforce": segment["column"]}
        variables = {"sources": ["delighted", "shop", *vendors.SOURCES], "segments": segments}
        (config / "vars.yml").write_text(yaml.safe_dump(variables), encoding="utf-8")
        with (config / "seeds" / "reference" / "surveys.csv").open("a", encoding="utf-8") as surveys:
            for source, keys in vendors.SURVEYS.items():
                surveys.writelines(f"{source},{key},{key},It's {key},relationship,,,\n" for key in keys)
        self.settings = Settings(config_dir=config, data_dir=self.settings.data_dir)

    def change(self, number: int) -> None:
        """As it was; and the second files of the vendors' tables with the second batch, withdrawals by the shop."""
        super().change(number)
        for file in sorted(self.vendors.rglob("*.*")):
            is_of_the_sample = file.parent.parent.name == "salesforce" and file.parent.name != "case"
            if not is_of_the_sample and (number == 2 or not file.name.startswith("2.")):
                target = self.settings.landing / file.relative_to(self.vendors)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read_bytes())
        shop = self.settings.landing / "shop" / f"{number}.csv"
        header, *lines = shop.read_text(encoding="utf-8").splitlines()
        told = [
            f"{line},{'yes' if place % 9 == 0 else ''},{place}@shop.example,Ann O'Hara"
            for place, line in enumerate(lines)
        ]
        shop.write_text("\n".join([f"{header},withdrawn,email,name", *told]), encoding="utf-8")

    def differences(self) -> dict[str, list[str]]:
        """Of each published table that is not the same on both engines, some of the rows that only one of them has."""
        found = {}
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute(f"attach '{self.incremental}' as warehouse (read_only)")
            tables = connection.execute(
                """
                select table_schema, table_name from information_schema.tables
                where table_catalog = 'warehouse' and table_schema in ('marts', 'quality')
                """
            ).fetchall()
            assert len(tables) > 35
            for schema, table in tables:
                files = self.settings.spark_tables / schema / table / "*.parquet"
                # Spark's times are moments; what they are in UTC is what DuckDB has.
                connection.execute(f"create or replace view built as from read_parquet('{files}')")
                types = dict(connection.execute("select column_name, column_type from (describe built)").fetchall())
                moments = [f'cast("{name}" as timestamp) as "{name}"' for name in types if "ZONE" in types[name]]
                on_spark = f"select * replace ({', '.join(moments)}) from built" if moments else "from built"
                on_duckdb = f"from warehouse.{schema}.{table}"
                shapes = [connection.execute(f"describe {query}").fetchall() for query in (on_duckdb, on_spark)]
                rows = connection.execute(
                    f"""
                    (select 'DuckDB' as engine, * from (({on_duckdb}) except all ({on_spark})) limit 2)
                    union all
                    (select 'Spark', * from (({on_spark}) except all ({on_duckdb})) limit 2)
                    """
                ).fetchall()
                if rows or shapes[0] != shapes[1]:
                    found[f"{schema}.{table}"] = [str(row) for row in rows] or [str(shape) for shape in shapes]
        return found


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
            assert company.differences() == {}
            company.publish()
    with duckdb.connect(str(company.incremental), read_only=True) as connection:
        decisions = dict(
            connection.execute("select decision, count(*) from marts.response_eligibility group by decision").fetchall()
        )
        merged = connection.execute("select count(*) from intermediate.int_merges").fetchall()[0][0]
    # What the batches are for is in them.
    assert decisions.keys() >= {"counted", "superseded", "duplicate", "withdrawn", "excluded_by_steward", "partial"}
    assert merged > 10
