"""A warehouse of a few rows with everything that publishing reads, for tests that need no models."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import duckdb

from orchestration.publications import FILES, settle
from orchestration.served_file import KEYED
from orchestration.settings import PUBLISHED_SCHEMAS, Settings

START = datetime(2025, 1, 1)
PEOPLE = 500


def make_warehouse(settings: Settings) -> None:
    """A full build at START: in each keyed table a row per person, with figures of version 0, and a small mart."""
    settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
    settle(settings.lake, None)
    with duckdb.connect(settings.warehouse) as warehouse:
        for schema in (*PUBLISHED_SCHEMAS, "staging", "intermediate", "builds"):
            warehouse.execute(f"create schema {schema}")
        for name, table in KEYED.items():
            figures = "".join(f", 0 as {column}" for column in table.figures.split(", ") if column != table.key)
            columns = f"n::varchar as {table.key}{figures}, 0 as version"
            warehouse.execute(f"create table {name} as select {columns} from range({PEOPLE}) as people (n)")
            warehouse.execute(f"comment on table {name} is 'One row per {table.key}.'")
            if table.day:
                warehouse.execute(
                    f"create table builds.{table.tracked_by[0]}_differences (built_at timestamp, {table.day} integer)"
                )
        columns = ", ".join(f"null::{kind} as {column}" for column, kind in FILES["numbers"].items())
        warehouse.execute(
            f"create table marts.nps_by_segment_period as select {columns}, true as is_complete_period, 0 as version"
        )
        for model, file in {
            "int_answer_states": "answers",
            "int_answer_changes": "answers",
            "int_daily_changes": "changes",
        }.items():
            columns = ", ".join(f"{column} {kind}" for column, kind in FILES[file].items())
            warehouse.execute(f"create table intermediate.{model} ({columns})")
        warehouse.execute(
            """
            create table quality.quality_check_results as
            select * from (values ('run', true, 'block'), ('run', false, 'warn'), ('other', true, 'warn'))
                as results (run_id, is_success, severity);
            create table staging.stg_lake__loads as select 'load' as load_id, timestamp '2024-12-31' as loaded_at;
            create table builds.current_loads as select 'load' as load_id;
            create table builds.model_builds (
                model_name varchar, built_at timestamp, is_full boolean, definition varchar, as_of timestamp
            );
            create table builds.changes (
                model_name varchar, column_name varchar, changed_value varchar, built_at timestamp
            );
            """
        )
        note_build(warehouse, START, is_full=True)


def note_build(warehouse: duckdb.DuckDBPyConnection, built_at: datetime, *, is_full: bool) -> None:
    """What the models write down of a build, but for the keys they touched."""
    models = {model: is_full for table in KEYED.values() for model in table.tracked_by}
    for model, is_full_build in {**models, "int_answer_changes": True}.items():
        warehouse.execute(
            "insert into builds.model_builds values ($model, $built_at, $is_full, 'one', $built_at)",
            {"model": model, "built_at": built_at, "is_full": is_full_build},
        )


def change(settings: Settings, built_at: datetime, version: int, *, is_tracked: bool = True) -> None:
    """A batch: some rows of each table have other figures, some are gone and one has come; all say the version."""
    with duckdb.connect(settings.warehouse) as warehouse:
        warehouse.begin()
        for name, table in KEYED.items():
            touched = f"{table.key} in ('{version}', '{version + 100}', '{version + 200}', 'new{version}')"
            if table.day and is_tracked:
                warehouse.execute(
                    f"""
                    insert into builds.{table.tracked_by[0]}_differences
                    select ?, {table.day} from {name} where {touched}
                    union all
                    select ?, {version}
                    """,
                    [built_at, built_at],
                )
            warehouse.execute(f"delete from {name} where {table.key} = '{version + 100}'")
            figures = "".join(f", {column} = {version}" for column in table.figures.split(", ") if column != table.key)
            warehouse.execute(f"update {name} set version = {version}{figures} where {touched}")
            others = "".join(f", {version}" for column in table.figures.split(", ") if column != table.key)
            warehouse.execute(f"insert into {name} select 'new{version}'{others}, {version}")
            # The second model of a table that has two is the one that knew of it.
            keys = [str(version), str(version + 100), str(version + 200), f"new{version}"] if is_tracked else []
            for key in keys:
                warehouse.execute(
                    "insert into builds.changes values (?, ?, ?, ?)", [table.tracked_by[-1], table.key, key, built_at]
                )
        warehouse.execute(f"update marts.nps_by_segment_period set version = {version}")
        note_build(warehouse, built_at, is_full=False)
        warehouse.commit()


def content(file: Any, schema: str = "marts") -> dict[str, list[tuple[Any, ...]]]:
    """The rows of every table of a schema, sorted."""
    with duckdb.connect(file, read_only=True) as connection:
        names = connection.execute(
            "select table_name from information_schema.tables where table_schema = ?", [schema]
        ).fetchall()
        return {name: connection.execute(f"from {schema}.{name} order by all").fetchall() for (name,) in names}
