"""A reference file that a user edits, read line by line, so that every fault is refused with its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

from orchestration.settings import ConfigError, Settings

REMEDY = "save it as CSV UTF-8 with commas"


def reference_file(settings: Settings, name: str) -> Path:
    """The path of a reference file, which must be there, if only with its header.

    Raises:
        ConfigError: it is missing.
    """
    path = settings.config_dir / "seeds" / "reference" / name
    if not path.exists():
        raise ConfigError(f"{path}: no such file; copy the one in seeds/reference, or its first line alone")
    return path


def read_lines(path: Path, columns: Sequence[str]) -> tuple[list[tuple[int, dict[str, str]]], list[tuple[int, str]]]:
    """The rows of a reference file and the faults of those that are none, each with the line it begins on.

    The columns may stand in any order. A file with other columns has one fault and no rows.

    Raises:
        ConfigError: the file is no CSV as dbt reads it, but what a spreadsheet saves by another name.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # UTF-16 without its mark reads like UTF-8, each letter beside a NUL
        raise ConfigError(f"{path}: it is not UTF-8; {REMEDY}")
    rows, faults = [], []
    reader = csv.reader(io.StringIO(text, newline=""))
    header = next(reader, [])
    if sorted(header) != sorted(columns):
        if len(header) == 1 and any(separator in header[0] for separator in ";\t"):
            raise ConfigError(f"{path}: its columns are not separated by commas; {REMEDY}")
        return [], [(1, f"the columns must be {','.join(columns)}")]
    begins = reader.line_num + 1
    for values in reader:
        if len(values) == len(header):
            rows.append((begins, dict(zip(header, values, strict=True))))
        else:
            faults.append((begins, f"{len(values)} fields where the header has {len(header)}"))
        begins = reader.line_num + 1
    return rows, faults


def refuse(path: Path, faults: Sequence[tuple[int, str]]) -> None:
    """Raises:
    ConfigError: there are faults; each line of the message names the file, the line and the fault.
    """
    if faults:
        raise ConfigError("\n".join(f"{path}:{line}: {fault}" for line, fault in sorted(faults)))


def day(text: str) -> date | None:
    """The day that a text like 2025-03-31 names; None for any other text."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if found.isoformat() == text else None  # other spellings are none to the models


def day_faults(row: Mapping[str, str], *names: str) -> Iterator[str]:
    """What is wrong with the days of a row; an empty one is none, and starts_on must not lie after ends_on."""
    for name in names:
        if row[name] and day(row[name]) is None:
            yield f"{name} {row[name]!r} is no day; write one like 2025-03-31"
    if {"starts_on", "ends_on"} <= set(names):
        starts_on, ends_on = day(row["starts_on"]), day(row["ends_on"])
        if starts_on and ends_on and starts_on > ends_on:
            yield f"starts_on {starts_on} is after ends_on {ends_on}"


def missing_faults(row: Mapping[str, str], *names: str) -> Iterator[str]:
    """Which of the named columns are empty."""
    for name in names:
        if not row[name].strip():
            yield f"{name} is missing"


def padded_faults(row: Mapping[str, str], *names: str) -> Iterator[str]:
    """Which of the named columns begin or end with a blank, and so are not what they look like."""
    for name in names:
        if row[name] != row[name].strip():
            yield f"{name} {row[name]!r} must not begin or end with a blank"


def repeated_faults(rows: Sequence[tuple[int, Mapping[str, str]]], *keys: str) -> Iterator[tuple[int, str]]:
    """The lines whose key, of one column or several, another line has, each with the first one of it."""
    first: dict[tuple[str, ...], int] = {}
    for line, row in rows:
        key = tuple(row[name] for name in keys)
        if first.setdefault(key, line) != line:
            yield line, f"{' of '.join(f'{name} {row[name]!r}' for name in keys)} is that of line {first[key]}"
