"""Delivered files become immutable loads in the lake: each delivery once, whole or not at all, as text.

    stage   read one file into lake/incoming/<load id>/          nobody reads there
    commit  rename it to lake/raw/<source>/<table>/load_id=…/    from now on it is loaded

A load holds the rows as delivered, each with its file and physical line (data_0.parquet), the rows that
could not be read, with the reason (malformed_0.parquet), and the register's entry (_load.json). Small loads
may later lie together in one folder (compact.py). What a value means is the business of dbt; whether it is
acceptable, of the expectations.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from orchestration.readers import (
    DATA_TYPES,
    ORIGIN_TYPES,
    RefusedFile,
    connect,
    count_rows,
    delivered_fields,
    literal,
    literal_path,
    quoted,
    read_file,
    reader_of,
    scan_file,
)
from orchestration.register import (
    REGISTER_FILE,
    LakeDamaged,
    LakeFault,
    Load,
    read_register,
    register_text,
    registered_loads,
)
from orchestration.settings import STAMP
from orchestration.sources import Table

DATA_FILE = "data_0.parquet"
MALFORMED_FILE = "malformed_0.parquet"
# A folder that holds several loads is called so (compact.py); load_id=… would be taken for the key of all its rows.
COMPACTED = "compacted_"

# Level 1 packs as well as the default and takes half the time; trying long dictionaries takes as much.
PACKING = "format parquet, compression zstd, compression_level 1, dictionary_size_limit 1000"

MALFORMED_TYPES = ORIGIN_TYPES | {"raw_row": "VARCHAR", "reason": "VARCHAR"}

# It sorts before every load, and gives the globs of dbt a file to match before the first load.
_DECLARATION = "load_id=00000000T000000000000Z_declared"


class LakeBusy(LakeFault):
    """Another run holds the lake."""


@dataclass(frozen=True)
class StagedLoad:
    """A load that is written and not yet visible: checks read it here, then `commit` or `discard` it."""

    load: Load
    folder: Path
    target: Path

    @property
    def data(self) -> Path:
        """The rows."""
        return self.folder / DATA_FILE

    @property
    def malformed(self) -> Path:
        """The rows that could not be read."""
        return self.folder / MALFORMED_FILE


@contextmanager
def lake_lock(lake: Path, wait_seconds: float = 30, *, is_shared: bool = False) -> Iterator[None]:
    """Hold a folder for one run, or for all who share it; the lock goes with the process, also when that is killed.

    Raises:
        LakeBusy: another run still held it after `wait_seconds`.
    """
    lake.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait_seconds
    with (lake / ".lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise LakeBusy(
                        f"another run is working with {lake} (waited {wait_seconds:g} seconds); "
                        "wait for it to end, then start again"
                    ) from None
                time.sleep(0.1)
        yield


# In Dagster, what calls hold_lake is in this pool, so that a run waits in the queue and not for a lock.
LAKE_POOL = "lake"
_held: dict[Path, AbstractContextManager[None]] = {}


def hold_lake(lake: Path) -> None:
    """Hold the lake, and all that is built from it, until this process ends: a run is a process.

    Raises:
        LakeBusy: as `lake_lock`.
    """
    if lake not in _held:
        held = lake_lock(lake)
        held.__enter__()
        _held[lake] = held


def readers_of(lake: Path) -> Path:
    """The folder that is shared by who reads the lake without holding it: files do not change places meanwhile."""
    return lake / "reading"


def load_times(lake: Path, loaded_at: datetime | None = None) -> Iterator[datetime]:
    """The time of each load to come: now (or as given), but after all before it, also where the clock was set back."""
    loads = registered_loads(lake)
    last = datetime.strptime(f"{loads[-1].load_id.split('_')[0]}+0000", f"{STAMP}%z") if loads else None
    while True:
        now = loaded_at or datetime.now(UTC)
        last = max(now, last + timedelta(microseconds=1)) if last else now
        yield last


def prepare_lake(tables: Sequence[Table], lake: Path) -> None:
    """Remove what killed runs left behind, and give every lake table an empty load of its declared columns.

    The caller holds `lake_lock`.
    """
    incoming = _incoming(lake)
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir(parents=True)
    declared: dict[Path, dict[str, str]] = {}
    for table in tables:
        columns = declared.setdefault(_table_folder(table, lake), {})
        columns |= dict.fromkeys((*table.columns, *table.optional_columns), "VARCHAR")
    for folder, columns in declared.items():
        declaration = folder / _DECLARATION
        declaration.mkdir(parents=True, exist_ok=True)
        _declare(declaration / MALFORMED_FILE, MALFORMED_TYPES, incoming)
        _declare(declaration / DATA_FILE, columns | DATA_TYPES, incoming)


def declare_columns(tables: Sequence[Table], lake: Path) -> None:
    """Make readable what older code or other sources filled; a run that is at work has done so itself."""
    if lake.exists():
        with suppress(LakeBusy), lake_lock(lake, wait_seconds=0):
            prepare_lake(tables, lake)


def matching_files(table: Table, landing: Path, lake: Path) -> list[Path]:
    """The files of a table in landing/, in the order of their names; hidden files are not deliveries.

    Raises:
        RefusedFile: a required table has no file and has never been loaded.
    """
    found = (path for path in landing.glob(table.files) if path.is_file() and not path.name.startswith("."))
    files = sorted(found, key=_in_order_of_names)
    if not files and table.is_required and not any(_table_folder(table, lake).glob(f"*/{REGISTER_FILE}")):
        raise RefusedFile(
            f"{table.source_system}.{table.name}: no file matches {table.files} in {landing}; "
            f"put the export there, or correct `files:` in sources/{table.source_system}.yml"
        )
    return files


def new_files(table: Table, landing: Path, lake: Path) -> list[Path]:
    """The matching files that are not, by size and time of change, what was last known by their name: for `stage`.

    Raises:
        RefusedFile: as `matching_files`.
    """
    files = matching_files(table, landing, lake)
    known = {
        file: (load.size_bytes, modified_ns)
        for load in _loads_of(_table_folder(table, lake), table.source_system)
        for file, modified_ns in load.files.items()
    }

    def is_known(path: Path) -> bool:
        status = path.stat()
        return known.get(path.relative_to(landing).as_posix()) == (status.st_size, status.st_mtime_ns)

    return [path for path in files if not is_known(path)]


def name_of(file: Path, landing: Path) -> str:
    """The path of a file in landing/ as it is written down; with escapes where it is not UTF-8."""
    return os.fsencode(file.relative_to(landing).as_posix()).decode(errors="backslashreplace")


def latest_columns(table: Table, lake: Path) -> list[str] | None:
    """The columns of the last load of this source's table, as delivered; None before the first."""
    loads = _loads_of(_table_folder(table, lake), table.source_system)
    return loads[-1].columns if loads else None


def verify_loads(lake: Path) -> None:
    """Compare every file of every load with what was written: Parquet does not notice most of what may happen to it.

    Raises:
        LakeDamaged: some are missing or other ones.
    """
    faults = [
        fault for register in sorted((lake / "raw").glob(f"*/*/*/{REGISTER_FILE}")) for fault in damaged_files(register)
    ]
    if faults:
        raise LakeDamaged("\n".join(faults))


def damaged_files(register: Path) -> Iterator[str]:
    """A sentence for each Parquet file beside this _load.json that is not what was written."""
    folder, loads = register.parent, read_register([register])
    for name, sha256 in loads[0].stored.items():
        path = folder / name
        if not path.is_file() or sha256_of(path) != sha256:
            delivered = ", ".join(f"{load.file} as it was delivered then (sha256 {load.sha256})" for load in loads)
            yield (
                f"{path} is damaged: it is not what was written. Restore it from a backup; or, if landing/ still "
                f"has {delivered}, remove {folder}: the next run loads it again"
            )


def replace_stored(path: Path, draft: Path) -> None:
    """Put `draft` in the place of a Parquet file of the lake, and its hash into the register of its load before that.

    Killed in between, the file is not what the register says, until the same is done again. The caller holds the lake.
    """
    flush(draft)
    register = path.with_name(REGISTER_FILE)
    loads = read_register([register]) if register.exists() else []
    if loads and path.name in loads[0].stored:
        stored = loads[0].stored | {path.name: sha256_of(draft)}
        _replace_register(register, [replace(load, stored=stored) for load in loads])
    draft.replace(path)
    flush(path.parent)


def stage(table: Table, file: Path, landing: Path, lake: Path, loaded_at: datetime) -> StagedLoad | None:
    """Read one file into lake/incoming/; `loaded_at` carries its time zone and is after that of every load before.

    Returns:
        None when the file repeats a load (or one staged with the same `loaded_at`); the register has then taken note.

    Raises:
        RefusedFile: the file cannot be loaded whole; nothing of it is left in the lake.
    """
    try:
        return _stage(table, file, landing, lake, loaded_at.astimezone(UTC))
    except RefusedFile as fault:
        raise RefusedFile(f"{name_of(file, landing)}: {fault}") from fault.__cause__


def commit(staged: StagedLoad) -> Load:
    """Make a staged load visible, all of it at once and surviving a power cut.

    Returns:
        The load; when it repeats one that was committed since it was staged, that one.
    """
    load = staged.load
    if repeated := _find_repeated(staged.target.parent, load.source_system, load.file, load.sha256):
        _note_repeat(staged.target.parent, repeated, load.file, load.modified_ns)
        discard(staged)
        return repeated
    staged.target.parent.mkdir(parents=True, exist_ok=True)
    for path in (*staged.folder.iterdir(), staged.folder):
        flush(path)
    staged.folder.rename(staged.target)
    flush(staged.target.parent)
    return load


def discard(staged: StagedLoad) -> None:
    """Forget a staged load; the file is a candidate again in the next run."""
    shutil.rmtree(staged.folder)


def load_all(tables: Sequence[Table], landing: Path, lake: Path, loaded_at: datetime | None = None) -> list[Load]:
    """Load all that is new as the pipeline does, but without its guard: for tests and measurements."""
    with lake_lock(lake):
        prepare_lake(tables, lake)
        times = load_times(lake, loaded_at)
        staged = (
            stage(table, file, landing, lake, next(times))
            for table in tables
            for file in new_files(table, landing, lake)
        )
        return [commit(new) for new in staged if new]


# ---------------------------------------------------------------------------------------------- staging


def _stage(table: Table, file: Path, landing: Path, lake: Path, loaded_at: datetime) -> StagedLoad | None:
    if name_of(file, landing) != file.relative_to(landing).as_posix():
        raise RefusedFile("its name is not UTF-8, in which paths are written down; rename it")
    reader_of(file)  # an unknown ending is refused before anything is read
    before = _status(file)
    scan = scan_file(file)
    target_parent = _table_folder(table, lake)
    name = file.relative_to(landing).as_posix()
    repeated = _find_repeated(target_parent, table.source_system, name, scan.sha256)
    # What is staged may come in between: then `commit` decides.
    if repeated and not any(
        (load.lake_source, load.table_name, load.source_system) == (table.lake_source, table.name, table.source_system)
        for load in read_register(_incoming(lake).glob(f"*/{REGISTER_FILE}"))
    ):
        _note_repeat(target_parent, repeated, name, before.st_mtime_ns)
        return None
    load_id = f"{loaded_at:{STAMP}}_{_content_id(table.source_system, scan.sha256)}"
    folder = _incoming(lake) / load_id
    if folder.exists():
        return None
    folder.mkdir(parents=True)
    scratch = folder / "scratch"
    scratch.mkdir()
    try:
        with connect(scratch) as connection:
            origin = _origin(table.source_system, load_id, loaded_at, file.relative_to(landing))

            def write(columns: Sequence[str], query: str) -> None:
                _write_rows(connection, table, columns, origin, query, folder / DATA_FILE)

            reading = read_file(connection, table, file, scan, scratch, write)
            after = _status(file)
            if any(getattr(after, name) != getattr(before, name) for name in ("st_ino", "st_size", "st_mtime_ns")):
                raise RefusedFile("still being written; it is read again in the next run")
            load = Load(
                load_id=load_id,
                source_system=table.source_system,
                lake_source=table.lake_source,
                table_name=table.name,
                file=name,
                size_bytes=before.st_size,
                modified_ns=before.st_mtime_ns,
                sha256=scan.sha256,
                encoding=reading.encoding,
                loaded_at=loaded_at.isoformat(),
                rows=count_rows(connection, "records"),
                malformed_rows=count_rows(connection, "malformed"),
                columns=reading.columns,
                extra_columns=[
                    name for name in reading.columns if name not in table.columns and name not in table.optional_columns
                ],
                absent_columns=_absent_columns(table, reading.columns),
            )
            _correct_rows(connection, folder / DATA_FILE, scratch)
            _copy(
                connection,
                f"select {origin}, line as _line, raw_row, reason from malformed order by line",
                folder / MALFORMED_FILE,
            )
        shutil.rmtree(scratch)
        load = replace(load, stored={name: sha256_of(folder / name) for name in (DATA_FILE, MALFORMED_FILE)})
        (folder / REGISTER_FILE).write_text(register_text([load]), encoding="utf-8")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return StagedLoad(load=load, folder=folder, target=target_parent / f"load_id={load_id}")


def _absent_columns(table: Table, delivered: Sequence[str]) -> list[str]:
    return [name for name in table.optional_columns if name not in delivered]


def _origin(source_system: str, load_id: str, loaded_at: datetime, file: Path) -> str:
    return ", ".join(
        (
            f"{literal(source_system)} as _source_system",
            f"{literal(load_id)} as _load_id",
            f"timestamp {literal(loaded_at.replace(tzinfo=None).isoformat())} as _loaded_at",
            f"{literal(file.as_posix())} as _file",
        )
    )


def _write_rows(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    columns: Sequence[str],
    origin: str,
    query: str,
    path: Path,
) -> None:
    """Write the rows of a query as the load's, and make the view `records` of them.

    They are final unless faults, blank lines or repeated rows are found, and most files have none.
    """
    selected = [
        *(f"{field} as {quoted(column)}" for field, column in zip(delivered_fields(columns), columns, strict=True)),
        *(f"null::varchar as {quoted(column)}" for column in _absent_columns(table, columns)),
    ]
    _copy(
        connection,
        f"""
        select {", ".join(selected)}, {origin}, _line::bigint as _line, _row_hash, 1::bigint as _row_ordinal
        from ({query})
        """,
        path,
    )
    connection.execute(f"create or replace temp view records as from read_parquet({literal_path(path)})")


def _correct_rows(connection: duckdb.DuckDBPyConnection, path: Path, scratch: Path) -> None:
    """Move rows below the lines that belong to none (`shifts`), and count repeated rows apart."""
    # Counting the hashes first leaves only the repeated rows to be ranked.
    connection.execute("""
        create temp table repeats as
        select _line, row_number() over (partition by _row_hash order by _line) as ordinal
        from records
        where hash(_row_hash) in (select hash(_row_hash) from records group by hash(_row_hash) having count(*) > 1)
    """)
    if not count_rows(connection, "repeats") and not count_rows(connection, "shifts"):
        return
    corrected = scratch / path.name
    _copy(
        connection,
        """
        select records.* replace (
            records._line + coalesce(shifts.lines, 0)::bigint as _line,
            coalesce(repeats.ordinal, 1) as _row_ordinal
        )
        from records
        left join repeats on records._line = repeats._line
        asof left join shifts on records._line >= shifts.place
        """,
        corrected,
    )
    corrected.replace(path)


def _copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    connection.execute(f"copy ({query}) to {literal(path)} ({PACKING})")


# --------------------------------------------------------------------------------- the lake, and DuckDB


def _table_folder(table: Table, lake: Path) -> Path:
    return lake / "raw" / table.lake_source / table.name


def _incoming(lake: Path) -> Path:
    return lake / "incoming"


def _content_id(source_system: str, sha256: str) -> str:
    """Two sources may read one file into one table, so the content alone would not tell their loads apart."""
    return hashlib.sha256(f"{source_system} {sha256}".encode()).hexdigest()[:8]


def _in_order_of_names(path: Path) -> tuple[list[list[str | int]], Path]:
    """The parts of a path with their numbers as numbers: export-9 comes before export-10."""
    # Every second piece is a number, so that pieces at the same place can be compared.
    return [
        [int(piece) if piece.isdecimal() else piece for piece in re.split(r"(\d+)", part)] for part in path.parts
    ], path


def _loads_of(table_folder: Path, source_system: str, folders: str = "*") -> list[Load]:
    """The loads of a source into a lake table, oldest first."""
    loads = read_register(table_folder.glob(f"{folders}/{REGISTER_FILE}"))
    return [load for load in loads if load.source_system == source_system]


def _find_repeated(table_folder: Path, source_system: str, file: str, sha256: str) -> Load | None:
    """The load that a file of this content only repeats: the last one by the file's name, or the last of all.

    Content that comes again under another name, or in place of other content, after other content has come takes that
    back: it is a delivery. A file that still lies where it was delivered is none, whatever came since.
    """
    # Most content is new, and then a long register need not be read.
    same_content = (f"*_{_content_id(source_system, sha256)}", f"{COMPACTED}*")
    if not any(load.sha256 == sha256 for name in same_content for load in _loads_of(table_folder, source_system, name)):
        return None
    loads = _loads_of(table_folder, source_system)
    last_by_name = [load for load in loads if file in load.files][-1:]
    return next((load for load in (*last_by_name, loads[-1]) if load.sha256 == sha256), None)


def _note_repeat(table_folder: Path, repeated: Load, file: str, modified_ns: int) -> None:
    """Enter a file with the load that it repeats: it is known by that, also when other loads have followed."""
    for register in table_folder.glob(f"*/{REGISTER_FILE}"):
        loads = read_register([register])
        if repeated.load_id in {load.load_id for load in loads}:
            others = [repeat for repeat in repeated.repeats if repeat["file"] != file]
            noted = replace(repeated, repeats=[*others, {"file": file, "modified_ns": modified_ns}])
            _replace_register(register, [noted if load.load_id == noted.load_id else load for load in loads])
            flush(register.parent)


def _replace_register(register: Path, loads: Sequence[Load]) -> None:
    draft = register.with_suffix(".tmp")
    draft.write_text(register_text(loads), encoding="utf-8")
    flush(draft)
    draft.replace(register)


def _status(file: Path) -> os.stat_result:
    try:
        return file.stat()
    except OSError as error:
        raise RefusedFile(f"cannot be opened ({error.strerror}); check the file and its rights") from error


def _declare(path: Path, columns: dict[str, str], incoming: Path) -> None:
    """Write a Parquet file without rows, unless it is there with just these columns."""
    with duckdb.connect() as connection:
        if path.exists():
            described = connection.execute(
                f"describe select * from read_parquet({literal_path(path)}, hive_partitioning = false)"
            ).fetchall()
            if [(name, kind) for name, kind, *_ in described] == list(columns.items()):
                return
        selected = ", ".join(f"null::{kind} as {quoted(name)}" for name, kind in columns.items())
        draft = incoming / path.name
        connection.execute(f"copy (select {selected} where false) to {literal(draft)} (format parquet)")
    flush(draft)
    draft.replace(path)
    flush(path.parent)


def sha256_of(path: Path) -> str:
    """The hash that the register keeps of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Make a file or a folder's entries survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
