"""Publishing: the marts and quality tables, copied whole into the file that BI tools read.

Readers see the old file or the new one and nothing between: the copy is made beside it, flushed to disk and
renamed over it. Only a run whose blocking checks all passed comes here.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import duckdb

from orchestration.loader import registered_loads
from orchestration.publications import flush, prepare, settle
from orchestration.quality import BuildStamp
from orchestration.settings import DBT_PROJECT_DIR, ROOT, Settings

PUBLISHED_SCHEMAS = ("marts", "quality")
# Clients of DuckDB 1.5 and later read this; the storage version of 2.0 would shut them out.
STORAGE_VERSION = "v1.5.0"
# In the order of time, so that a question about some weeks reads their part of the file and no more.
TIME_ORDER = {"marts.fct_nps_responses": "response_date"}
# A copy needs little; sorting more than this goes to disk.
MEMORY_LIMIT = "3GB"


@dataclass(frozen=True)
class Publication:
    """What was published: `rows` by table name (schema.table)."""

    path: Path
    fingerprint: str
    rows: dict[str, int]


def inputs_fingerprint(settings: Settings) -> str:
    """Hash everything that the published figures depend on: the loads, the code and the configuration."""
    digest = hashlib.sha256()
    for load in registered_loads(settings.lake):
        digest.update(load.load_id.encode())
    digest.update(settings.definition().encode())
    for path in _code_and_configuration(settings):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _code_and_configuration(settings: Settings) -> Iterator[Path]:
    folders = [DBT_PROJECT_DIR / name for name in ("models", "macros", "data_tests")]
    folders += [ROOT / "orchestration", ROOT / "expectations"]
    folders += [settings.config_dir / "sources", settings.config_dir / "seeds" / "reference"]
    for folder in folders:
        yield from sorted(p for p in folder.rglob("*") if p.suffix in {".sql", ".yml", ".csv", ".py"})
    yield from (DBT_PROJECT_DIR / "dbt_project.yml", ROOT / "requirements.txt", settings.thresholds)


def published_fingerprint(serving: Path) -> str | None:
    """The fingerprint the published file was made from; None when there is no readable one."""
    return _published(serving, "inputs_fingerprint")


def settle_log(settings: Settings) -> None:
    """Make the publication log say what the published file shows, also after a run that was killed."""
    settle(settings.lake, _published(settings.serving, "publication_id"))


def _published(serving: Path, column: str) -> str | None:
    if not serving.exists():
        return None
    try:
        with duckdb.connect(serving, read_only=True) as connection:
            row = connection.execute(f"select {column} from quality.publication").fetchone()
    except duckdb.Error:
        return None
    return row[0] if row else None


def publish(settings: Settings, *, run_id: str, fingerprint: str, published_at: datetime) -> Publication:
    """Copy the schemas marts and quality of the warehouse over the published file, whole or not at all, and log it.

    `published_at` carries its time zone.

    Raises:
        duckdb.Error, OSError: the copy failed; the published file is as it was.
    """
    settle_log(settings)
    serving = settings.serving
    serving.parent.mkdir(parents=True, exist_ok=True)
    for leftover in serving.parent.glob(f"{serving.name}.publishing*"):
        leftover.unlink()  # of a run that was killed
    copy = serving.with_name(f"{serving.name}.publishing")
    rows: dict[str, int] = {}
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
        connection.execute(f"set temp_directory = '{settings.data_dir / 'publishing.tmp'}'")
        connection.execute(f"attach '{settings.warehouse}' as warehouse (read_only)")
        entry = prepare(connection, settings.lake, published_at)
        connection.execute(f"attach '{copy}' as published (storage_version '{STORAGE_VERSION}')")
        for schema in PUBLISHED_SCHEMAS:
            connection.execute(f"create schema published.{schema}")
        for schema, table, comment in _relations(connection):
            name = f"{schema}.{table}"
            order = f" order by {TIME_ORDER[name]}" if name in TIME_ORDER else ""
            connection.execute(f"create table published.{name} as from warehouse.{name}{order}")
            _comment(connection, f"table published.{name}", comment)
            counted = connection.execute(f"select count(*) from published.{name}").fetchone()
            rows[name] = counted[0] if counted else 0
        for schema, table, column, comment in _columns(connection):
            _comment(connection, f'column published.{schema}.{table}."{column}"', comment)
        connection.execute(
            """
            create table published.quality.publication as
            select
                $run_id as run_id,
                $publication_id as publication_id,
                $published_at::timestamp as published_at,
                $fingerprint as inputs_fingerprint
            """,
            {
                "run_id": run_id,
                "publication_id": entry.publication_id,
                "published_at": entry.published_at,
                "fingerprint": fingerprint,
            },
        )
        _comment(connection, "table published.quality.publication", "One row: what this file was made from.")
        connection.execute("detach published")
    flush(copy)
    copy.replace(serving)
    flush(serving.parent)
    settle(settings.lake, entry.publication_id)
    return Publication(path=serving, fingerprint=fingerprint, rows=rows)


def _relations(connection: duckdb.DuckDBPyConnection) -> Iterable[tuple[str, str, str | None]]:
    return connection.execute(
        """
        select schema_name, table_name, comment from duckdb_tables()
        where database_name = 'warehouse' and schema_name in $schemas
        union all
        select schema_name, view_name, comment from duckdb_views()
        where database_name = 'warehouse' and schema_name in $schemas
        order by all
        """,
        {"schemas": list(PUBLISHED_SCHEMAS)},
    ).fetchall()


def _columns(connection: duckdb.DuckDBPyConnection) -> Iterable[tuple[str, str, str, str]]:
    return connection.execute(
        """
        select schema_name, table_name, column_name, comment from duckdb_columns()
        where database_name = 'warehouse' and schema_name in $schemas and comment is not null
        """,
        {"schemas": list(PUBLISHED_SCHEMAS)},
    ).fetchall()


def _comment(connection: duckdb.DuckDBPyConnection, target: str, comment: str | None) -> None:
    if comment:
        escaped = comment.strip().replace("'", "''")
        connection.execute(f"comment on {target} is '{escaped}'")


def published_asset(settings: Settings, published_from: Iterable[dg.AssetKey]) -> dg.AssetsDefinition:
    """The published file as an asset; it waits for the blocking checks of everything it is made from."""

    @dg.asset(
        key=dg.AssetKey(["serving", "nps_duckdb"]),
        deps=sorted(published_from),
        group_name="serving",
        owners=["team:analytics-engineering"],
        kinds={"duckdb"},
        description="The file that BI tools query: schemas marts and quality, replaced whole or not at all.",
    )
    def nps_duckdb(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        fingerprint = BuildStamp(settings).approved_fingerprint()
        if fingerprint is None:
            raise dg.Failure("The warehouse is no whole build that the guard passed; materialize all assets together.")
        publication = publish(settings, run_id=context.run_id, fingerprint=fingerprint, published_at=datetime.now(UTC))
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(str(publication.path)),
                "bytes": publication.path.stat().st_size,
                "rows": publication.rows,
            }
        )

    return nps_duckdb
