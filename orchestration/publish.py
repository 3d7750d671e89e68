"""Publishing: the marts and quality tables, copied into the file that BI tools read.

Readers see the old file or the new one and nothing between: the copy is made beside it, flushed to disk and
renamed over it. Only a run whose blocking checks all passed comes here.
"""

import hashlib
import logging
import subprocess
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import duckdb

from orchestration import served_file
from orchestration.loader import LAKE_POOL, flush, hold_lake, lake_lock
from orchestration.publications import last_publication, prepare, settle, taken_back
from orchestration.quality import BuildStamp
from orchestration.readers import literal
from orchestration.register import registered_loads
from orchestration.settings import DBT_PROJECT_DIR, ROOT, ConfigError, Settings

# A copy needs little; sorting more than this goes to disk.
MEMORY_LIMIT = "3GB"
# Another publication is waited for as long as one of a large history takes.
PATIENCE_SECONDS = 600


@dataclass(frozen=True)
class Publication:
    """What was published: `rows` by table name (schema.table), and whether the file was created anew."""

    path: Path
    fingerprint: str
    rows: dict[str, int]
    is_new_file: bool


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


@cache
def code_version() -> str:
    """What git calls this version of the code; outside a clone, the version of the package."""
    try:
        described = subprocess.run(
            ["git", "-C", str(ROOT), "describe", "--tags", "--always", "--dirty"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])
    return described.stdout.strip()


def published_fingerprint(serving: Path) -> str | None:
    """The fingerprint the published file was made from; None when there is no readable one."""
    return _published(serving, "inputs_fingerprint")


def is_of_this_day(settings: Settings) -> bool:
    """Whether the published file shows the business day of this run.

    With time alone people may be asked again or were forgotten, answers become too old, and years of cases begin.
    """
    zone = ZoneInfo(settings.variables["business_time_zone"])
    moments = [as_of for (as_of,) in served_file.ask(settings.serving, "select as_of from quality.publication")]
    if None in moments or not moments:
        return False
    shown, now = (moment.replace(tzinfo=UTC).astimezone(zone).date() for moment in (moments[0], settings.moment))
    return bool(shown == now)


def settle_log(settings: Settings) -> None:
    """Make the publication log say what the published file shows, also after a run that was killed."""
    with _publishing(settings):
        pass


@contextmanager
def _publishing(settings: Settings) -> Iterator[Path]:
    """Settle the log, before and after, and keep others from publishing; gives the place for a file to be published.

    Raises:
        LakeBusy: another run is publishing, and has been for minutes.
    """
    serving = settings.serving
    with lake_lock(serving.parent, PATIENCE_SECONDS):
        copy = serving.with_name(f"{serving.name}.publishing")
        served_file.remove(copy)  # of a run that was killed
        settle(settings.lake, _published(serving, "publication_id"))
        yield copy
        settle(settings.lake, _published(serving, "publication_id"))


def _replace(settings: Settings, copy: Path) -> None:
    """Put a file in the place of the published one, which stays among the previous ones."""
    serving, previous = settings.serving, settings.previous_publications
    published_id, kept = _published(serving, "publication_id"), settings.variables["publications_kept"]
    if published_id and kept:
        previous.mkdir(exist_ok=True)
        name = previous / f"{published_id}.duckdb"
        name.unlink(missing_ok=True)
        name.hardlink_to(serving)  # a second name costs nothing, and no reader misses the first for a moment
    flush(copy)
    copy.replace(serving)
    flush(serving.parent)
    published_id = _published(serving, "publication_id")
    others = [file for file in sorted(previous.glob("*.duckdb")) if file.stem != published_id]
    for file in others[: max(0, len(others) - kept)]:
        file.unlink()


def roll_back(settings: Settings, publication_id: str | None = None) -> str:
    """Show an earlier publication again, by default the one before, and log it; the one it was, as it is called.

    Raises:
        ConfigError: no such publication is kept, or its file is damaged; the message lists those that are.
        LakeBusy: another run is publishing.
    """
    with _publishing(settings) as copy:
        published_id = _published(settings.serving, "publication_id") or ""
        kept = {file.stem: file for file in sorted(settings.previous_publications.glob("*.duckdb"))}
        kept.pop(published_id, None)
        earlier = [name for name in kept if name < published_id]
        chosen = publication_id or (earlier[-1] if earlier else None)
        if chosen not in kept:
            raise ConfigError(
                f"{f'{publication_id}: not kept' if publication_id else 'there is no earlier publication to show'}; "
                f"shown is {published_id or 'nothing'}, kept {'are ' + ', '.join(kept) if kept else 'is none'}"
            )
        if fault := _fault_of(kept[chosen], chosen):
            others = ", ".join(name for name in kept if name != chosen)
            raise ConfigError(
                f"{kept[chosen]} is damaged, and not shown: {fault}. Shown is still {published_id or 'nothing'}; "
                f"{f'also kept are {others}' if others else 'no other is kept'}"
            )
        copy.hardlink_to(kept[chosen])
        _replace(settings, copy)
    return chosen


def _fault_of(file: Path, publication_id: str) -> str | None:
    """What is wrong with the file of a publication, of which every value is read; None where nothing is."""
    try:
        with duckdb.connect(file, read_only=True) as connection:
            for name in served_file.published_relations(connection, file.stem):
                connection.execute(f"select max(hash(every)) from {name} as every").fetchall()
    except duckdb.Error as fault:
        return str(fault)
    found = _published(file, "publication_id")
    return None if found == publication_id else f"it is publication {found or 'unknown'}"


def _published(serving: Path, column: str) -> str | None:
    rows = served_file.ask(serving, f"select {column} from quality.publication")
    return rows[0][0] if rows else None


def publish(settings: Settings, *, run_id: str, fingerprint: str, published_at: datetime) -> Publication:
    """Replace the published file by the schemas marts and quality of the warehouse, whole or not at all, and log it.

    `published_at` carries its time zone.

    Raises:
        duckdb.Error, OSError: the copy failed; the published file is as it was.
    """
    with _publishing(settings) as copy:
        publication = _write(settings, copy, run_id=run_id, fingerprint=fingerprint, published_at=published_at)
        _replace(settings, copy)
    return publication


def _write(settings: Settings, copy: Path, *, run_id: str, fingerprint: str, published_at: datetime) -> Publication:
    with _warehouse(settings) as connection:
        last = last_publication(connection, settings.lake)
        entry = prepare(connection, settings.lake, published_at, fingerprint)
        (as_of,) = connection.execute("select max_by(as_of, built_at) from warehouse.builds.model_builds").fetchall()[0]
    description: dict[str, object] = {
        "run_id": run_id,
        "publication_id": entry.publication_id,
        "published_at": entry.published_at,
        "built_at": entry.built_at,
        "as_of": as_of,
        "code_version": code_version(),
        "inputs_fingerprint": fingerprint,
    }
    unpublished = settings.variables["unpublished"]
    tables = None
    if last and last.publication_id == _published(settings.serving, "publication_id"):
        try:
            with _warehouse(settings) as connection:
                tables = served_file.update(connection, settings.serving, copy, last.built_at, unpublished)
                if tables is not None:
                    served_file.describe(connection, tables, description)
                    connection.execute("detach published")
        except duckdb.Error as fault:  # the published file is damaged, or this is no fault of it and comes again below
            logging.getLogger(__name__).warning("%s is created anew: %s", settings.serving, fault)
            served_file.remove(copy)
            tables = None
    is_new_file = tables is None
    if tables is None:
        with _warehouse(settings) as connection:
            tables = served_file.create(connection, copy, unpublished)
            served_file.describe(connection, tables, description)
            connection.execute("detach published")
    rows = {name: table.rows for name, table in tables.items()}
    return Publication(path=settings.serving, fingerprint=fingerprint, rows=rows, is_new_file=is_new_file)


@contextmanager
def _warehouse(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
        connection.execute(f"set temp_directory = {literal(settings.data_dir / 'publishing.tmp')}")
        connection.execute(f"attach {literal(settings.warehouse)} as warehouse (read_only)")
        yield connection


def published_asset(settings: Settings, published_from: Iterable[dg.AssetKey]) -> dg.AssetsDefinition:
    """The published file as an asset; it waits for the blocking checks of everything it is made from."""

    @dg.asset(
        key=dg.AssetKey(["serving", "nps_duckdb"]),
        deps=sorted(published_from),
        pool=LAKE_POOL,
        group_name="serving",
        owners=["team:analytics-engineering"],
        kinds={"duckdb"},
        description="The file that BI tools query: schemas marts and quality, replaced whole or not at all.",
        metadata={"documentation": dg.MetadataValue.path(str(settings.site / "index.html"))},
    )
    def nps_duckdb(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        hold_lake(settings.lake)
        fingerprint = BuildStamp(settings).approved_fingerprint()
        if fingerprint is None:
            raise dg.Failure("The warehouse is no whole build that the guard passed; materialize all assets together.")
        if earlier := taken_back(settings.lake, _published(settings.serving, "publication_id"), fingerprint):
            raise dg.Failure(
                f"A publication of the same loads, code and configuration was taken back: {earlier}. Repair what was "
                f"wrong with it and run again, or show it again: make rollback TO={earlier}"
            )
        publication = publish(settings, run_id=context.run_id, fingerprint=fingerprint, published_at=datetime.now(UTC))
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(str(publication.path)),
                "bytes": publication.path.stat().st_size,
                "rows": publication.rows,
                "is_new_file": publication.is_new_file,
            }
        )

    return nps_duckdb
