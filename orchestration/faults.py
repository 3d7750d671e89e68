"""Faults of the machine, not of a delivered file: what a run can mend itself, and a sentence for the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from orchestration.settings import Settings

# The last is what SQLite, where Dagster keeps its history, may say instead.
_DISK_FULL = r"no space left on device|disk is full|disk quota exceeded|file too large|disk i/o error"
# Of a delivered file that cannot be opened, the refusal says itself what to do.
_NOT_WRITABLE = r"read-only file system|(?<!opened \()permission denied|readonly database|operation not permitted"
_DAMAGED = r"corrupt database file|not a valid duckdb database|could not read enough bytes|replaying wal"
_IN_USE = r"could not set lock on file"


def cannot_write(fault: str) -> bool:
    """Whether what the machine said is of a full disk, or of a folder without the right to write."""
    return bool(re.search(f"{_DISK_FULL}|{_NOT_WRITABLE}", fault, re.IGNORECASE))


def explained(fault: str, settings: Settings) -> str:
    """What the machine said, with what to do about it where that is known; `fault` as it is elsewhere."""
    for pattern, remedy in (
        (_DISK_FULL, "the disk is full, or fails: make room and run again"),
        (_NOT_WRITABLE, f"{settings.data_dir} cannot be written: give this user the right to, and run again"),
        (_DAMAGED, f"{_damaged(fault, settings)}, remove it: the next run makes it anew"),
        (_IN_USE, f"{settings.warehouse} is open in another program: close it there and run again"),
    ):
        if re.search(pattern, fault, re.IGNORECASE):
            return f"{remedy} ({fault.rstrip('.')})"
    return fault


def _damaged(fault: str, settings: Settings) -> str:
    # Of a block whose checksum is wrong, DuckDB does not say in which file it is.
    for file in (settings.warehouse, settings.serving):
        if str(file) in fault:
            return f"{file} is damaged"
    return f"a database is damaged; is it {settings.warehouse}, or {settings.serving}"


@dataclass(frozen=True)
class Build:
    """What a build was made by (Settings.definition), and when: UTC, without a zone."""

    definition: str
    built_at: datetime


def last_build(warehouse: Path) -> Build | None:
    """The last build in a warehouse; None where none was.

    The warehouse is a cache of the lake: a damaged file is removed, so that the coming build makes it anew.

    Raises:
        duckdb.Error: it cannot be opened, and not because it is damaged.
    """
    if not warehouse.exists():
        return None
    try:
        with duckdb.connect(warehouse, read_only=True) as connection:
            row = connection.execute(
                "select definition, built_at from builds.model_builds order by built_at desc limit 1"
            ).fetchone()
    except duckdb.CatalogException:  # a build was killed before its first model
        return None
    except duckdb.Error as error:
        if not re.search(_DAMAGED, str(error), re.IGNORECASE):
            raise
        warehouse.unlink()
        warehouse.with_name(f"{warehouse.name}.wal").unlink(missing_ok=True)
        return None
    return Build(*row) if row else None
