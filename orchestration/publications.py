"""The publication log: what was published when, number by number and answer by answer; a part of the lake.

    prepare  write lake/publishing/<publication id>/           nobody reads there
             (the published file, which bears the id, is renamed into place)
    settle   rename it to lake/publications/<publication id>/

A run that is killed after the published file was replaced is made good by the next `settle`; of one that is killed
before, nothing is left. So the log says exactly what was published.
"""

import glob
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from orchestration.readers import literal

_COUNTS = dict.fromkeys(("promoters", "passives", "detractors"), "bigint")
_CELL = {"segment": "varchar", "segment_value": "varchar"}
# The files of a publication; dbt_project/models/staging/lake says what a row of each is.
FILES: dict[str, dict[str, str]] = {
    "publication": {"definition": "varchar", "loaded_until": "timestamp", "built_at": "timestamp"},
    "numbers": {
        "survey_type": "varchar",
        "period_grain": "varchar",
        "period_start": "date",
        "period_end": "date",
        **_CELL,
        "responses": "bigint",
        **_COUNTS,
        "nps": "decimal(9, 4)",
    },
    "answers": {
        "response_id": "varchar",
        "decision": "varchar",
        "load_id": "varchar",
        "source_line": "bigint",
        "survey_type": "varchar",
        "response_date": "date",
        "category": "varchar",
        "segments": "varchar",
    },
    "changes": {"survey_type": "varchar", "count_date": "date", **_CELL, "cause": "varchar", **_COUNTS},
}


@dataclass(frozen=True)
class LoggedPublication:
    """One entry of the log: when it was made, and when dbt built what it shows; both UTC, without a zone."""

    publication_id: str
    published_at: datetime
    built_at: datetime


def settle(lake: Path, published_id: str | None) -> None:
    """Make the log readable: complete the entry that the published file bears, forget others that never came to be.

    Files without rows give the models their columns before the first publication.
    """
    log = lake / "publications"
    declared = log / "declared"
    declared.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        for name, types in FILES.items():
            nothing = ", ".join(f"null::{kind} as {column}" for column, kind in types.items())
            _write(connection, name, f"select {nothing} where false", declared)
    for folder in (lake / "publishing").glob("*"):
        if folder.name == published_id:
            folder.rename(log / folder.name)
            flush(log)
        else:
            shutil.rmtree(folder)


def prepare(connection: duckdb.DuckDBPyConnection, lake: Path, published_at: datetime) -> LoggedPublication:
    """Write the next entry from the attached database `warehouse`; `published_at` carries its time zone.

    The log is settled. A build that was published before has its entry, which is returned.
    """
    last = last_publication(connection, lake)
    definition, built_at = connection.execute("""
        select definition, built_at from warehouse.builds.model_builds
        where model_name = 'int_answer_changes' order by built_at desc limit 1
    """).fetchall()[0]
    if last and last.built_at == built_at:
        return last
    moment = published_at.astimezone(UTC)
    entry = LoggedPublication(f"{moment:%Y%m%dT%H%M%S%fZ}", moment.replace(tzinfo=None), built_at)
    folder = lake / "publishing" / entry.publication_id
    folder.mkdir(parents=True)
    for name, query in {
        "publication": f"""
            select
                {literal(definition)} as definition,
                max(loads.loaded_at) as loaded_until,
                {literal(str(built_at))}::timestamp as built_at
            from warehouse.staging.stg_lake__loads as loads
            inner join warehouse.builds.current_loads using (load_id)
        """,
        # A number that stands as it was published is not repeated.
        "numbers": f"""
            from warehouse.marts.nps_by_segment_period as present
            anti join (
                select
                    survey_type, period_grain, period_start, period_end, segment, segment_value,
                    {", ".join(f"arg_max({count}, publication_id) as {count}" for count in _COUNTS)}
                from {_log(lake, "numbers")}
                group by all
            ) as published
                using (
                    survey_type, period_grain, period_start, period_end, segment, segment_value, {", ".join(_COUNTS)}
                )
            where is_complete_period
        """,
        "answers": f"from warehouse.intermediate.{'int_answer_changes' if last else 'int_answer_states'}",
        "changes": "from warehouse.intermediate.int_daily_changes",
    }.items():
        _write(connection, name, query, folder, entry)
    flush(folder)
    return entry


def last_publication(connection: duckdb.DuckDBPyConnection, lake: Path) -> LoggedPublication | None:
    """The latest entry of the settled log; None before the first."""
    row = connection.execute(f"""
        select publication_id, published_at, built_at from {_log(lake, "publication")}
        order by publication_id desc limit 1
    """).fetchone()
    return LoggedPublication(*row) if row else None


def _log(lake: Path, name: str) -> str:
    return f"read_parquet({literal(f'{glob.escape(str(lake))}/publications/*/{name}.parquet')})"


def _write(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    query: str,
    folder: Path,
    entry: LoggedPublication | None = None,
) -> None:
    """Write one of FILES, with the entry it belongs to in every row."""
    draft = folder / f"{name}.tmp"  # not *.parquet: a reader must not meet half a file
    publication_id = literal(entry.publication_id) if entry else "null"
    published_at = literal(str(entry.published_at)) if entry else "null"
    connection.execute(f"""
        copy (
            select
                {publication_id}::varchar as publication_id,
                {", ".join(FILES[name])},
                {published_at}::timestamp as published_at
            from ({query})
        ) to {literal(draft)} (format parquet, compression zstd)
    """)
    flush(draft)
    draft.replace(folder / f"{name}.parquet")


def flush(path: Path) -> None:
    """Make a file or a folder's entries survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
