"""The publication log: what was published when, number by number and answer by answer; a part of the lake.

    prepare  write lake/publishing/<publication id>/           nobody reads there
             (the published file, which bears the id, is renamed into place)
    settle   rename it to lake/publications/<publication id>/

A run that is killed after the published file was replaced is made good by the next `settle`; of one that is killed
before, nothing is left. So the log says exactly what was published.

Going back to an earlier publication takes nothing out of the log: what was published was seen. When the published file
bears another id than the log says last, `settle` adds an entry of its own, a return, which says which one is shown
since when, and which was the latest then.
"""

import glob
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from orchestration.loader import flush
from orchestration.readers import literal
from orchestration.settings import STAMP

_COUNTS = dict.fromkeys(("promoters", "passives", "detractors"), "bigint")
_CELL = {"segment": "varchar", "segment_value": "varchar"}
# The files of a publication; dbt_project/models/staging/lake says what a row of each is.
FILES: dict[str, dict[str, str]] = {
    "publication": {
        "definition": "varchar",
        "loaded_until": "timestamp",
        "built_at": "timestamp",
        "inputs_fingerprint": "varchar",
    },
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
    "return": {"latest_publication_id": "varchar"},
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
    _note_return(lake, published_id)


def _note_return(lake: Path, published_id: str | None) -> None:
    """Log that an earlier publication than the one logged last is shown, unless the log says so."""
    with duckdb.connect() as connection:
        # Of a file that the log does not know, it has nothing to say.
        known = connection.execute(
            f"""
            select latest.publication_id, coalesce(arg_max(returns.publication_id, published_at), latest.publication_id)
            from (
                select max(publication_id) as publication_id from {_log(lake, "publication")}
                having bool_or(publication_id = $published_id)
            ) as latest
            left join {_log(lake, "return")} as returns on latest.publication_id = returns.latest_publication_id
            group by latest.publication_id
            """,
            {"published_id": published_id},
        ).fetchone()
        if known is None or known[1] == published_id:
            return
        moment = datetime.now(UTC)
        folder = lake / "publishing" / _entry_name(moment)
        folder.mkdir(parents=True)
        query = f"select {literal(known[0])} as latest_publication_id"
        _write(connection, "return", query, folder, str(published_id), moment.replace(tzinfo=None))
    _flush_all(folder)
    folder.rename(lake / "publications" / folder.name)
    flush(lake / "publications")


def taken_back(lake: Path, published_id: str | None, fingerprint: str) -> str | None:
    """The publication of these inputs that was taken back: `published_id`, an earlier one, is shown instead."""
    with duckdb.connect() as connection:
        row = connection.execute(
            f"""
            select max(publication_id) from {_log(lake, "publication")}
            where publication_id > $published_id and inputs_fingerprint = $fingerprint
            """,
            {"published_id": published_id, "fingerprint": fingerprint},
        ).fetchone()
    return row[0] if row else None


def _entry_name(moment: datetime) -> str:
    return f"{moment:{STAMP}}"


def prepare(
    connection: duckdb.DuckDBPyConnection, lake: Path, published_at: datetime, fingerprint: str
) -> LoggedPublication:
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
    if last:  # the entries keep their order also where the clock was set back
        moment = max(moment, last.published_at.replace(tzinfo=UTC) + timedelta(microseconds=1))
    entry = LoggedPublication(_entry_name(moment), moment.replace(tzinfo=None), built_at)
    folder = lake / "publishing" / entry.publication_id
    folder.mkdir(parents=True)
    for name, query in {
        "publication": f"""
            select
                {literal(definition)} as definition,
                max(loads.loaded_at) as loaded_until,
                {literal(str(built_at))}::timestamp as built_at,
                {literal(fingerprint)} as inputs_fingerprint
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
        _write(connection, name, query, folder, entry.publication_id, entry.published_at)
    _flush_all(folder)
    return entry


def last_publication(connection: duckdb.DuckDBPyConnection, lake: Path) -> LoggedPublication | None:
    """The latest entry of the settled log; None before the first."""
    row = connection.execute(f"""
        select publication_id, published_at, built_at from {_log(lake, "publication")}
        order by publication_id desc limit 1
    """).fetchone()
    return LoggedPublication(*row) if row else None


def _log(lake: Path, name: str) -> str:
    return f"read_parquet({literal(f'{glob.escape(str(lake))}/publications/*/{name}.parquet')}, union_by_name = true)"


def _write(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    query: str,
    folder: Path,
    publication_id: str | None = None,
    published_at: datetime | None = None,
) -> None:
    """Write one of FILES, with the publication it belongs to and the time of the entry in every row."""
    draft = folder / f"{name}.tmp"  # not *.parquet: a reader must not meet half a file
    connection.execute(f"""
        copy (
            select
                {literal(publication_id) if publication_id else "null"}::varchar as publication_id,
                {", ".join(FILES[name])},
                {literal(str(published_at)) if published_at else "null"}::timestamp as published_at
            from ({query})
        ) to {literal(draft)} (format parquet, compression zstd)
    """)
    draft.replace(folder / f"{name}.parquet")


def _flush_all(folder: Path) -> None:
    for file in folder.iterdir():
        flush(file)
    flush(folder)
