"""The warehouse file made of tables that another engine built: what guards and publishing read of a build."""

import json
from datetime import datetime
from pathlib import Path

import duckdb

from orchestration.readers import literal
from orchestration.served_file import remove
from orchestration.settings import Settings

# A view, since the checks of a run end after the tables are there.
CHECKS = "quality_check_results"


def fill(settings: Settings, manifest: Path, built_at: datetime) -> None:
    """Make the file anew from the tables that Spark wrote, with the descriptions of dbt's manifest.

    `built_at` is UTC, without a zone. The file knows of no model that was built in DuckDB: who builds there again does
    it in full.

    Raises:
        duckdb.Error: a table cannot be read.
    """
    warehouse, tables = settings.warehouse, settings.spark_tables
    draft = warehouse.with_name(f"{warehouse.name}.filling")
    remove(draft)
    models = {
        (node["schema"], node["name"]): node
        for node in json.loads(manifest.read_text(encoding="utf-8"))["nodes"].values()
        if node["resource_type"] == "model"
    }
    with duckdb.connect(draft) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for folder in sorted(path for path in tables.glob("*/*") if path.is_dir()):
            schema, table = folder.parts[-2:]
            connection.execute(f"create schema if not exists {schema}")
            node, kind = models[schema, table], "table"
            if table == CHECKS:
                kind = "view"
                files = literal(f"{settings.check_results}/*/*.parquet")
                columns = ", ".join(node["columns"])
                connection.execute(
                    f"""
                    create view {schema}.{table} as
                    select {columns} from read_parquet({files}, union_by_name = true, hive_partitioning = false)
                    """
                )
            else:
                _copy(connection, f"{schema}.{table}", folder)
            _describe(connection, f"{kind} {schema}.{table}", node["description"])
            for name, column in node["columns"].items():
                _describe(connection, f'column {schema}.{table}."{name}"', column["description"])
        connection.execute(
            """
            create schema builds;
            create table builds.model_builds (
                model_name varchar, built_at timestamp, is_full boolean, definition varchar, as_of timestamp
            );
            create table builds.changes (
                model_name varchar, column_name varchar, changed_value varchar, built_at timestamp
            );
            create table builds.current_loads as select load_id from staging.stg_lake__loads;
            """
        )
        connection.execute(
            "insert into builds.model_builds values ('int_answer_changes', ?, true, ?, ?)",
            [built_at, settings.definition(), settings.variables["as_of"] or built_at],
        )
    warehouse.with_name(f"{warehouse.name}.wal").unlink(missing_ok=True)  # of a build in DuckDB that was killed
    draft.replace(warehouse)


def _copy(connection: duckdb.DuckDBPyConnection, name: str, folder: Path) -> None:
    """A table as Spark wrote it, but for its times, which are moments there and UTC without a zone here."""
    files = f"read_parquet({literal(f'{folder}/*.parquet')})"
    columns = connection.execute(f"describe select * from {files}").fetchall()
    moments = [f'cast("{column[0]}" as timestamp) as "{column[0]}"' for column in columns if "ZONE" in column[1]]
    replaced = f" replace ({', '.join(moments)})" if moments else ""
    connection.execute(f"create table {name} as select *{replaced} from {files}")


def _describe(connection: duckdb.DuckDBPyConnection, target: str, description: str) -> None:
    connection.execute(f"comment on {target} is {literal(description)}")
