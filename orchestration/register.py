"""The load register: what the lake has loaded, from which file and when, and the hashes of what was written.

A folder lake/raw/<source>/<table>/<folder>/ holds the rows of one load, or of several that were compacted. Its
_load.json is the entry of that load, or the list of theirs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

REGISTER_FILE = "_load.json"


class LakeFault(Exception):
    """The lake cannot be worked with; the message says why and what to do."""


class LakeDamaged(LakeFault):
    """A file of the lake is not what was written."""


@dataclass(frozen=True)
class Load:
    """One committed load: its entry in the register."""

    load_id: str
    source_system: str
    lake_source: str
    table_name: str
    file: str  # relative to landing/
    size_bytes: int
    modified_ns: int
    sha256: str
    encoding: str
    loaded_at: str  # ISO 8601, UTC
    rows: int
    malformed_rows: int
    columns: list[str]  # as delivered, in order
    extra_columns: list[str]  # delivered but not declared
    absent_columns: list[str]  # optional and not delivered
    stored: dict[str, str] = field(default_factory=dict)  # sha256 of each Parquet file of its folder; early loads: none
    repeats: list[dict[str, Any]] = field(default_factory=list)  # `file` and `modified_ns` of the same content, again

    @property
    def files(self) -> dict[str, int]:
        """Every file that brought this content, with its time of change."""
        return {self.file: self.modified_ns} | {repeat["file"]: repeat["modified_ns"] for repeat in self.repeats}


def registered_loads(lake: Path) -> list[Load]:
    """Every load of the lake, oldest first."""
    return read_register((lake / "raw").glob(f"*/*/*/{REGISTER_FILE}"))


def read_register(paths: Iterable[Path]) -> list[Load]:
    """The loads of some folders, by the _load.json of each, oldest first.

    Raises:
        LakeDamaged: one of them cannot be read.
    """
    loads = []
    for path in paths:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            loads += [Load(**entry) for entry in (content if isinstance(content, list) else [content])]
        except (ValueError, TypeError) as error:
            raise LakeDamaged(f"{path} is damaged ({error}): restore it from a backup") from error
    return sorted(loads, key=lambda load: load.load_id)


def register_text(loads: Sequence[Load]) -> str:
    """The _load.json of a folder that holds the rows of these loads."""
    entries = [asdict(load) for load in loads]
    return json.dumps(entries if len(entries) > 1 else entries[0], indent=1) + "\n"
