"""Compaction: many small loads of a table become few large files of the lake; what was loaded when stays as it is.

    write     lake/incoming/<source>.<table>/  the table's folder as it is to be: small loads together in one folder,
                                               with the register's entries of all of them, and links to the others
    exchange  it and lake/raw/<source>/<table>/, in one step: who looks finds the old loads, or the new folders
    remove    the old ones, which lie in lake/incoming/ now

Killed before the exchange, nothing has happened; killed after it, all has, and the next run removes what is left in
lake/incoming/. Rows carry their load, file and line themselves, so nothing that reads them sees a difference.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import duckdb

from orchestration.loader import (
    COMPACTED,
    DATA_FILE,
    MALFORMED_FILE,
    PACKING,
    damaged_files,
    flush,
    lake_lock,
    prepare_lake,
    readers_of,
    sha256_of,
)
from orchestration.readers import connect, literal, literal_path
from orchestration.register import REGISTER_FILE, LakeDamaged, LakeFault, read_register, register_text
from orchestration.sources import Table

# Files of about a hundred megabytes: what one task of Spark reads, and what forgetting a person rewrites in seconds.
LARGE_ROWS = 2_000_000

_AT_CURRENT_FOLDER = -100
_EXCHANGE = 2


class Compacted(NamedTuple):
    """What became of a lake table: how many folders with loads it had, and has."""

    table: str
    folders_before: int
    folders_after: int


def compact(lake: Path, tables: Sequence[Table], large_rows: int = LARGE_ROWS) -> Iterator[Compacted]:
    """Put loads of fewer than `large_rows` rows together until they have as many, table by table.

    `tables` are those of `prepare_lake`; all that the lake holds are compacted. Done again, it changes nothing.

    Raises:
        LakeBusy: another run works with the lake, or somebody has been reading it, for longer than one waits.
        LakeDamaged: a file is not what was written; its table stays as it is.
        LakeFault: the file system cannot exchange two folders.
    """
    with lake_lock(lake):
        prepare_lake(tables, lake)
        for table in sorted(lake.glob("raw/*/*")):
            if groups := small_loads(table, large_rows):
                before = len(list(table.glob(f"*/{REGISTER_FILE}")))
                _compact_table(table, groups, lake)
                yield Compacted(".".join(table.parts[-2:]), before, before - sum(len(group) - 1 for group in groups))


def small_loads(table: Path, large_rows: int) -> list[list[Path]]:
    """The folders of a lake table that are to become one each, by their _load.json, oldest first."""
    loads = {register: read_register([register]) for register in table.glob(f"*/{REGISTER_FILE}")}
    groups: list[list[Path]] = []
    rows_in_group = large_rows
    for register in sorted(loads, key=lambda register: loads[register][0].load_id):
        rows = sum(load.rows + load.malformed_rows for load in loads[register])
        if rows >= large_rows:
            continue
        if rows_in_group >= large_rows:
            groups.append([])
            rows_in_group = 0
        groups[-1].append(register)
        rows_in_group += rows
    return [group for group in groups if len(group) > 1]


def exchange(one: Path, other: Path) -> None:
    """Let two folders of a file system change places, in one step.

    Raises:
        LakeFault: the file system, or the system, cannot.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    paths = [os.fsencode(path) for path in (one, other)]
    try:
        if sys.platform == "darwin":
            failed = libc.renamex_np(*paths, _EXCHANGE)
        else:
            failed = libc.renameat2(_AT_CURRENT_FOLDER, paths[0], _AT_CURRENT_FOLDER, paths[1], _EXCHANGE)
    except AttributeError:
        raise LakeFault(f"{other} is not compacted: this system cannot exchange two folders") from None
    if failed:
        raise LakeFault(
            f"{other} is not compacted: its file system cannot exchange two folders "
            f"({os.strerror(ctypes.get_errno())}); ext4, XFS, Btrfs and APFS can"
        )


def _compact_table(table: Path, groups: Sequence[Sequence[Path]], lake: Path) -> None:
    """Write the table's folder as it is to be, and let it take the place of the one there is."""
    if faults := [fault for group in groups for register in group for fault in damaged_files(register)]:
        raise LakeDamaged("\n".join(faults))
    draft, scratch = (lake / "incoming" / f"{'.'.join(table.parts[-2:])}{ending}" for ending in ("", ".scratch"))
    draft.mkdir()
    scratch.mkdir()
    with connect(scratch) as connection:
        for group in groups:
            _write_together(connection, group, draft)
    merged = {register.parent for group in groups for register in group}
    for folder in sorted(set(table.iterdir()) - merged):
        (draft / folder.name).mkdir()
        for file in folder.iterdir():
            os.link(file, draft / folder.name / file.name)
    for path in (*draft.glob("*/*"), *draft.iterdir(), draft):
        flush(path)
    with lake_lock(readers_of(lake)):
        exchange(draft, table)
    for path in (table.parent, draft.parent):
        flush(path)
    for folder in (draft, scratch):
        shutil.rmtree(folder)


def _write_together(connection: duckdb.DuckDBPyConnection, registers: Sequence[Path], draft: Path) -> None:
    """Write the loads of several folders into one."""
    loads = read_register(registers)
    # A folder of this name has not been there before: what is read by the name of a file is read whole, or not found.
    folder = draft / f"{COMPACTED}{loads[-1].load_id}_{len(loads)}"
    folder.mkdir()
    for name, rows in (
        (DATA_FILE, {load.load_id: load.rows for load in loads}),
        (MALFORMED_FILE, {load.load_id: load.malformed_rows for load in loads}),
    ):
        _write_rows(connection, [register.with_name(name) for register in registers], folder / name, rows)
    stored = {name: sha256_of(folder / name) for name in (DATA_FILE, MALFORMED_FILE)}
    entries = [replace(load, stored=stored) for load in loads]
    (folder / REGISTER_FILE).write_text(register_text(entries), encoding="utf-8")


def _write_rows(
    connection: duckdb.DuckDBPyConnection, files: Sequence[Path], target: Path, rows_by_load: dict[str, int]
) -> None:
    """Write the rows of several Parquet files into one, in their order: then the rows of a load lie together."""
    listed = ", ".join(literal_path(file) for file in files)
    connection.execute(
        f"copy (from read_parquet([{listed}], union_by_name = true, hive_partitioning = false)) "
        f"to {literal(target)} ({PACKING})"
    )
    written = f"read_parquet({literal_path(target)}, hive_partitioning = false)"
    counted = connection.execute(f"select _load_id, count(*) from {written} group by _load_id").fetchall()
    if dict(counted) != {load_id: rows for load_id, rows in rows_by_load.items() if rows}:
        raise LakeDamaged(
            f"{files[0].parent.parent}: the rows of some {target.name} are not those that the register counts; "
            "the table is not compacted. Restore it from a backup"
        )
