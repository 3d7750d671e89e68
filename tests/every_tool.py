"""A company that uses every tool, in batches; and what another engine makes of it, compared with DuckDB."""

from __future__ import annotations

from pathlib import Path

import duckdb
import yaml

from orchestration.served_file import published_relations
from orchestration.settings import DBT_PROJECT_DIR, Settings
from tests.integration import test_vendors as vendors
from tests.integration.test_incremental import SHOP, Company

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

    def differences(self, engine: str, tables: Path) -> dict[str, list[str]]:
        """Of each published table that another engine built otherwise, some of the rows that only one of them has.

        `tables` holds what that engine built, as <schema>/<table>/*.parquet.
        """
        found = {}
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute(f"attach '{self.settings.warehouse}' as warehouse (read_only)")
            published = published_relations(connection)
            assert len(published) > 35
            for name in published:
                # Spark's times are moments; what they are in UTC is what DuckDB has.
                files = tables.joinpath(*name.split(".")) / "*.parquet"
                connection.execute(f"create or replace view built as from read_parquet('{files}')")
                types = dict(connection.execute("select column_name, column_type from (describe built)").fetchall())
                moments = [
                    f'cast("{column}" as timestamp) as "{column}"' for column in types if "ZONE" in types[column]
                ]
                there = f"select * replace ({', '.join(moments)}) from built" if moments else "from built"
                here = f"from warehouse.{name}"
                shapes = [connection.execute(f"describe {query}").fetchall() for query in (here, there)]
                rows = connection.execute(
                    f"""
                    (select 'DuckDB' as engine, * from (({here}) except all ({there})) limit 2)
                    union all
                    (select '{engine}', * from (({there}) except all ({here})) limit 2)
                    """
                ).fetchall()
                if rows or shapes[0] != shapes[1]:
                    found[name] = [str(row) for row in rows] or [str(shape) for shape in shapes]
        return found
