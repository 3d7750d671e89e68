"""Extraction: what a vendor's API gives becomes a JSON Lines file in landing/, complete or not at all.

    draft   landing/<source>/<table>/.<time>.jsonl.part     hidden, so the loader does not see it
    rename  landing/<source>/<table>/<time>.jsonl           complete: the loader may take it
    state   extract/<source>.json                           only now the cursor moves on

Killed before the rename, an extraction has delivered nothing and is repeated whole; killed after it, the same records
are delivered once more, which the warehouse counts once. Each extraction asks again for the last days (`overlap_days`)
and leaves out the records that came unchanged the last time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

from orchestration.api import Api, ExtractError, Record
from orchestration.extractors import START_VALUE, Extractor, Incremental, Resource, value_at
from orchestration.settings import ConfigError, Settings


@dataclass(frozen=True)
class Delivery:
    """What one resource brought: the new file, if any, and the number of its records; or why there is none."""

    source: str
    resource: str
    file: str | None = None  # relative to landing/
    records: int = 0
    unchanged: int = 0
    error: str | None = None


@dataclass
class Progress:
    """What is remembered of a resource between two extractions."""

    # The time of the newest record, by the member of the parent resource ("" without one).
    cursors: dict[str, datetime] = field(default_factory=dict)
    # Hashes of the records that the next extraction will be given again; only the latest, so that a record that is
    # changed and changed back is delivered both times.
    delivered: set[str] = field(default_factory=set)


def extract(
    settings: Settings, extractor: Extractor, environment: Mapping[str, str] = os.environ
) -> Iterator[Delivery]:
    """Bring what is new in every resource of a source into landing/; a resource that fails leaves the others alone.

    Raises:
        ConfigError: an environment variable is missing; the message names it.
        ExtractError: another process is extracting this source.
    """
    api = Api(extractor, settings, environment)
    state = _State(settings.extract_state / f"{extractor.source}.json")
    with _lock(settings.extract_state / f"{extractor.source}.lock", extractor.source):
        parents: dict[str, list[Record]] = {}
        for name, resource in extractor.resources.items():
            if not resource.selected:
                continue
            try:
                yield _extract_resource(settings, extractor, api, state, name, parents)
            except ExtractError as error:
                yield Delivery(extractor.source, name, error=str(error))


def _extract_resource(
    settings: Settings, extractor: Extractor, api: Api, state: _State, name: str, parents: dict[str, list[Record]]
) -> Delivery:
    resource = extractor.resources[name]
    known = state.read(name)
    started = datetime.now(UTC)
    folder = settings.landing / extractor.source / (resource.table or name)
    file = f"{started:%Y%m%dT%H%M%S%fZ}_{name}.jsonl"
    after = Progress()
    seen: dict[str, tuple[str, datetime | None]] = {}
    written = 0
    with _new_file(folder, file) as draft:
        for member in _members(extractor, api, resource, parents):
            key = resource.path_of(member) if resource.parent else ""
            cursor = known.cursors.get(key)
            newest = cursor
            for page in api.pages(name, resource.path_of(member), _params(resource, cursor)):
                for record in page:
                    line = json.dumps(_shaped(record, resource, member), ensure_ascii=False, separators=(",", ":"))
                    moment = _moment(record, resource.incremental)
                    if moment is not None and (newest is None or moment > newest):
                        newest = moment
                    digest = hashlib.sha256(line.encode(errors="surrogatepass")).hexdigest()[:20]
                    if digest not in known.delivered and digest not in seen:
                        draft.write(line + "\n")
                        written += 1
                    seen[digest] = (key, moment)
            if newest is not None:
                # A record changed while we read may have left the pages to come: the next start must lie before it.
                after.cursors[key] = min(newest, started)
    after.delivered = _given_again(seen, after, resource.incremental)
    state.write(name, after)
    return Delivery(
        source=extractor.source,
        resource=name,
        file=f"{extractor.source}/{folder.name}/{file}" if written else None,
        records=written,
        unchanged=len(seen) - written,
    )


def _members(extractor: Extractor, api: Api, resource: Resource, parents: dict[str, list[Record]]) -> list[Record]:
    """The records of the parent resource, asked for once an extraction; one empty record where there is no parent."""
    name = resource.parent
    if name is None:
        return [{}]
    if name not in parents:
        parent = extractor.resources[name]
        parents[name] = [record for page in api.pages(name, parent.path, _params(parent, None)) for record in page]
    return parents[name]


def _params(resource: Resource, cursor: datetime | None) -> dict[str, Any]:
    """The parameters with the start value in them; the one that holds it is left out where there is none yet."""
    start = resource.incremental.start_value(cursor) if resource.incremental else None
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value).replace(START_VALUE, str(start))
        for name, value in resource.params.items()
        if start is not None or START_VALUE not in str(value)
    }


def _shaped(record: Record, resource: Resource, parent: Record) -> Record:
    """The record with the few names that differ; all else as delivered."""
    shaped = (
        {_snake_case(name): value for name, value in record.items()}
        if resource.names == "snake_case"
        else record.copy()
    )
    for column, path in resource.columns.items():
        if path.startswith("resources."):
            shaped[column] = value_at(parent, path.split(".", 2)[2])
        elif path.endswith(".*"):
            members = value_at(record, path.removesuffix(".*")) or {}
            shaped |= {column.removesuffix("*") + name: value for name, value in members.items()}
        else:
            shaped[column] = value_at(record, path)
            shaped.pop(path, None)
    return shaped


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _moment(record: Record, incremental: Incremental | None) -> datetime | None:
    """The time of a record: epoch seconds or ISO 8601, which is UTC where it names no zone."""
    if incremental is None:
        return None
    value = next((v for path in incremental.cursor_path if (v := value_at(record, path)) is not None), None)
    if value is None:
        return None
    try:
        if isinstance(value, int | float) or str(value).isdigit():
            return datetime.fromtimestamp(float(value), UTC)
        moment = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        raise ExtractError(
            f"{' or '.join(incremental.cursor_path)}: {value!r} is no time that can be a cursor"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _given_again(
    seen: Mapping[str, tuple[str, datetime | None]], after: Progress, incremental: Incremental | None
) -> set[str]:
    """The records that the next extraction will be given again: all without a cursor, else those in the overlap."""
    if incremental is None:
        return set(seen)
    overlap = timedelta(days=incremental.overlap_days)
    return {
        digest for digest, (key, moment) in seen.items() if moment is None or moment >= after.cursors[key] - overlap
    }


# ------------------------------------------------------------------------------------------ files and state


@contextmanager
def _new_file(folder: Path, name: str) -> Iterator[TextIO]:
    """A file that appears in the folder when it is whole; without a line it does not appear at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for left_behind in folder.glob(f".*_{name.split('_', 1)[1]}.part"):
        left_behind.unlink()
    draft = folder / f".{name}.part"
    try:
        # Half of a surrogate pair is no UTF-8, but its escape is JSON.
        with draft.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as lines:
            yield lines
            lines.flush()
            os.fsync(lines.fileno())
            is_empty = lines.tell() == 0
        if not is_empty:
            draft.replace(folder / name)
            _fsync(folder)
    finally:
        draft.unlink(missing_ok=True)


class _State:
    """The progress of each resource of a source, in one JSON file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _content(self) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            raise ConfigError(f"{self._path}: not valid JSON; remove it, and everything is extracted again") from None
        return content

    def read(self, resource: str) -> Progress:
        entry = self._content().get(resource, {})
        return Progress(
            cursors={key: datetime.fromisoformat(value) for key, value in entry.get("cursors", {}).items()},
            delivered=set(entry.get("delivered", [])),
        )

    def write(self, resource: str, progress: Progress) -> None:
        content = self._content()
        content[resource] = {
            "cursors": {key: value.isoformat() for key, value in progress.cursors.items()},
            "delivered": sorted(progress.delivered),
        }
        draft = self._path.with_suffix(".part")
        with draft.open("w", encoding="utf-8") as text:
            json.dump(content, text)
            text.flush()
            os.fsync(text.fileno())
        draft.replace(self._path)
        _fsync(self._path.parent)


@contextmanager
def _lock(path: Path, source: str) -> Iterator[None]:
    """Hold the source for one extraction; the lock goes with the process, also when that is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ExtractError(f"{source}: another process is extracting it; wait for it to end") from None
        yield


def _fsync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
