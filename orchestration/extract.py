"""Extraction: what a vendor's API gives becomes a JSON Lines file in landing/, complete or not at all.

    draft   landing/<source>/<table>/.<time>.jsonl.part     hidden, so the loader does not see it
    rename  landing/<source>/<table>/<time>.jsonl           complete: the loader may take it
    state   extract/<source>.json                           only now the cursor moves on

Killed before the rename, an extraction has delivered nothing and is repeated whole; killed after it, the same records
are delivered once more, which the warehouse counts once. Each extraction asks again for the last days (`overlap_days`)
and leaves out the records that came unchanged the last time. A long one goes these three steps for one part after the
other, where what was read so far is the whole up to some time.

A backfill asks for the records of a window, whatever was delivered before, and neither reads nor moves the cursor: what
it brings are further versions of the same keys.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, TextIO
from zoneinfo import ZoneInfo

from orchestration.api import Api, ExtractError, Record, Refused
from orchestration.extractors import END_VALUE, START_VALUE, Extractor, Incremental, Resource, value_at
from orchestration.loader import flush
from orchestration.settings import STAMP, ConfigError, Settings

# Of a part; some minutes at the pace of the slowest API.
_PAGES_OF_A_PART = 50
_REFUSALS_TOLD = 5
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")  # as JSON writes it


@dataclass(frozen=True)
class Window:
    """The times to ask for, from `start` up to and without `end`; both with a time zone."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Delivery:
    """What one resource brought: the new files and the number of its records; or why there is none."""

    source: str
    resource: str
    files: tuple[str, ...] = ()  # relative to landing/
    records: int = 0
    unchanged: int = 0
    error: str | None = None  # with files, where only some members of the parent resource were refused
    is_refused: bool = False  # the same request will fail again


@dataclass
class Progress:
    """What is remembered of a resource between two extractions."""

    # The time of the newest record, by the member of the parent resource ("" without one).
    cursors: dict[str, datetime] = field(default_factory=dict)
    # Hashes of the records that the next extraction will be given again; only the latest, so that a record that is
    # changed and changed back is delivered both times.
    delivered: set[str] = field(default_factory=set)


def extract(
    settings: Settings,
    extractor: Extractor,
    environment: Mapping[str, str] = os.environ,
    window: Window | None = None,
) -> Iterator[Delivery]:
    """Bring what is new, or what changed in a window, into landing/; a resource that fails leaves the others alone.

    A window leaves out the lists that know no time: each extraction reads them whole.

    Raises:
        ConfigError: an environment variable is missing, or nothing of this source can be asked for by time.
        ExtractError: another process is extracting this source.
    """
    if window and not extractor.asks_by_time:
        raise ConfigError(f"{extractor.source}: its API cannot be asked by time; each extraction reads everything")
    api = Api(extractor, settings, environment)
    state = _State(settings.extract_state / f"{extractor.source}.json")
    with _lock(settings.extract_state / f"{extractor.source}.lock", extractor.source):
        zone = ZoneInfo(settings.variables["business_time_zone"])
        months = {
            name: complete_months(resource.months, datetime.now(zone))
            for name, resource in extractor.resources.items()
            if resource.months
        }
        vendor = _Vendor(extractor, api, months)
        for name, resource in extractor.resources.items():
            if not resource.selected or (window and not resource.incremental):
                continue
            try:
                yield _extract_resource(settings, vendor, state, name, window)
            except ExtractError as error:
                yield Delivery(extractor.source, name, error=str(error), is_refused=isinstance(error, Refused))


def complete_months(count: int, now: datetime) -> list[Record]:
    """The last `count` months that are over, in the time zone of `now`, the oldest first.

    Returns:
        Of each, `since` and `until`: the epoch seconds of its first and of its last second.
    """
    starts = [
        datetime(year, month + 1, 1, tzinfo=now.tzinfo)
        for year, month in (divmod(now.year * 12 + now.month - 1 - back, 12) for back in range(count, -1, -1))
    ]
    seconds = [int(start.timestamp()) for start in starts]
    return [{"since": since, "until": following - 1} for since, following in pairwise(seconds)]


def _extract_resource(settings: Settings, vendor: _Vendor, state: _State, name: str, window: Window | None) -> Delivery:
    extractor = vendor.extractor
    resource = extractor.resources[name]
    known = Progress() if window else state.read(name)
    started = datetime.now(UTC)
    after = Progress()
    seen: dict[str, tuple[str, datetime | None]] = {}
    files: list[str] = []
    written = 0
    pages = _pages(vendor, name, known, window)
    is_whole = False
    while not is_whole:
        with ExitStack() as drafts:
            file = f"{datetime.now(UTC):{STAMP}}_{name}.jsonl"
            lines = {
                table: drafts.enter_context(_new_file(settings.landing / extractor.source / table, file))
                # Renamed from the last to the first: a record comes after the rows that belong to it.
                for table in reversed(resource.tables(name))
            }
            is_whole = True
            for number, (member, page, ends_part) in enumerate(pages, start=1):
                key = resource.path_of(member) if resource.parent else ""
                if key in known.cursors:
                    after.cursors.setdefault(key, known.cursors[key])
                for record in page:
                    try:
                        moment = _moment(record, resource.incremental)
                    except ValueError as error:
                        raise ExtractError(
                            f"{extractor.source}.{name}: {error}; correct `cursor_path` in "
                            f"extractors/{extractor.source}.yml, or the record in the tool"
                        ) from None
                    if window and moment is not None and moment >= window.end:
                        continue
                    if moment is not None:
                        # A record changed while we read may have left the pages to come: the next start must lie
                        # before it.
                        after.cursors[key] = min(max(moment, after.cursors.get(key, moment)), started)
                    digest = _digest(_line(_shaped(record, resource, member)))
                    if digest not in known.delivered and digest not in seen:
                        for table, row in _rows(record, resource, member, name):
                            lines[table].write(_line(row) + "\n")
                        written += 1
                    seen[digest] = (key, moment)
                if ends_part and number >= _PAGES_OF_A_PART:
                    is_whole = False
                    break
            delivered = [table for table, draft in lines.items() if draft.tell()]
        files += [f"{extractor.source}/{table}/{file}" for table in delivered]
        if window is None:
            progress = Progress(dict(after.cursors), _given_again(seen, after, resource.incremental))
            if not is_whole:  # what is still to come stands as the last extraction left it
                progress.cursors = known.cursors | progress.cursors
                progress.delivered |= known.delivered
            state.write(name, progress)
    refused = vendor.error(name)
    counts = {"records": written, "unchanged": len(seen) - written}
    return Delivery(extractor.source, name, tuple(files), **counts, error=refused, is_refused=refused is not None)


def _pages(
    vendor: _Vendor, name: str, known: Progress, window: Window | None
) -> Iterator[tuple[Record, list[Record], bool]]:
    """Each page with the member of the parent resource it is of, and whether the next extraction could start there."""
    resource = vendor.extractor.resources[name]
    for member in vendor.members_for(name):
        cursor = known.cursors.get(resource.path_of(member) if resource.parent else "")
        for page in vendor.pages(name, member, _params(resource, cursor, window)):
            yield member, page, bool(resource.incremental and resource.incremental.oldest_first)
        yield member, [], resource.incremental is not None


class _Vendor:
    """An API for the time of one extraction: the lists that were walked, and the members that it refused."""

    def __init__(self, extractor: Extractor, api: Api, parents: dict[str, list[Record]]) -> None:
        self.extractor = extractor
        self._api = api
        self._parents = parents
        self._refused: dict[str, list[Refused]] = {}

    def members_for(self, name: str) -> list[Record]:
        """The records of the parent resource, asked for once an extraction; an empty one where there is no parent."""
        self._refused[name] = []
        parent = self.extractor.resources[name].parent
        if parent is None:
            return [{}]
        if parent not in self._parents:
            self._parents[parent] = [
                record
                for member in self.members_for(parent)
                for page in self.pages(parent, member, self.extractor.resources[parent].params)
                for record in page
            ]
        return self._parents[parent]

    def pages(self, name: str, member: Record, params: Mapping[str, Any]) -> Iterator[list[Record]]:
        """The pages of one member; none where it alone is refused, which `error` tells when all were asked for.

        Raises:
            ExtractError: as `Api.pages`; also where it is refused after some pages, which are not the whole.
        """
        resource = self.extractor.resources[name]
        is_begun = False
        try:
            for page in self._api.pages(name, resource.path_of(member), params):
                is_begun = True
                yield page
        except Refused as refusal:
            if is_begun or not resource.parent or not refusal.denied:
                raise
            self._refused[name].append(refusal)
            if len(self._refused[name]) == len(self._parents[resource.parent]):
                raise  # it is not the members

    def error(self, name: str) -> str | None:
        """The members that were refused, on the way to this resource as well."""
        refused = []
        at: str | None = name
        while at:
            refused += self._refused.get(at, [])
            at = self.extractor.resources[at].parent
        if not refused:
            return None
        told = "; ".join(refusal.denied for refusal in refused[:_REFUSALS_TOLD])
        more = f"; and {len(refused) - _REFUSALS_TOLD} more" if len(refused) > _REFUSALS_TOLD else ""
        keys = " and ".join(self.extractor.credentials())
        return (
            f"{self.extractor.source}.{name}: the API lists what it does not give; all others are delivered. Give the "
            f"key in {keys} the right to read it, or remove it there: {told}{more}"
        )


def _params(resource: Resource, cursor: datetime | None, window: Window | None) -> dict[str, Any]:
    """The parameters with the times in them; one that holds a time is left out where there is none."""
    times: dict[str, datetime | None] = {}
    if resource.incremental:
        times[START_VALUE] = window.start if window else resource.incremental.start(cursor)
        times[END_VALUE] = window.end if window else None
    params: dict[str, Any] = dict(resource.params)
    for place, moment in times.items():
        for name, value in list(params.items()):
            if place not in str(value):
                continue
            if moment is None or resource.incremental is None:
                del params[name]
            else:
                params[name] = str(value).replace(place, str(resource.incremental.as_asked(moment)))
    return params


def _rows(record: Record, resource: Resource, member: Record, name: str) -> Iterator[tuple[str, Record]]:
    """The rows of a record with their tables: itself, and those of `rows` in the place of the object that held them."""
    shaped = _shaped(record, resource, member)
    if resource.rows:
        del shaped[resource.rows.object]
        lifted = {path.removeprefix(f"{resource.rows.object}.") for path in resource.columns.values()}
        for field, value in record[resource.rows.object].items():
            if field in lifted:
                continue
            for table, pattern in resource.rows.tables.items():
                if found := re.fullmatch(pattern, field):
                    yield table, {resource.rows.key: shaped["id"]} | found.groupdict() | {"value": value}
                    break
    yield resource.table or name, shaped


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


def _line(record: Record) -> str:
    # Half of a surrogate pair is no character, and a NUL is in no text: the loader takes a row with one for malformed.
    line = _LONE_SURROGATE.sub("\ufffd", json.dumps(record, ensure_ascii=False, separators=(",", ":")))
    return _NUL.sub("\\1\ufffd", line)


def _digest(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()[:20]


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _moment(record: Record, incremental: Incremental | None) -> datetime | None:
    """The time of a record: epoch seconds or ISO 8601, which is UTC where it names no zone.

    Raises:
        ValueError: it has another value there.
    """
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
        raise ValueError(f"{' or '.join(incremental.cursor_path)}: {value!r} is no time that can be a cursor") from None
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
        with draft.open("w", encoding="utf-8", newline="\n") as lines:
            yield lines
            lines.flush()
            os.fsync(lines.fileno())
            is_empty = lines.tell() == 0
        if not is_empty:
            draft.replace(folder / name)
            flush(folder)
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
            raise self._fault("not valid JSON") from None
        if not isinstance(content, dict):
            raise self._fault("not an object with the resources")
        return content

    def _fault(self, what: str) -> ConfigError:
        return ConfigError(f"{self._path}: {what}; remove it, and everything is extracted again")

    def read(self, resource: str) -> Progress:
        entry = self._content().get(resource, {})
        try:
            return Progress(
                cursors={key: datetime.fromisoformat(value) for key, value in entry.get("cursors", {}).items()},
                delivered=set(entry.get("delivered", [])),
            )
        except (AttributeError, TypeError, ValueError) as error:
            raise self._fault(f"{resource} is not what was written ({error})") from None

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
        flush(self._path.parent)


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
