"""How a vendor's API is asked: extractors/*.yml read and checked; no request is made here.

The parts `auth`, `paginator`, `params` and `data_selector` are those of dlt's rest_api and are handed to it as they
are. What stays here is what decides over lost or doubled records: the cursor, its overlap and the last page.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from orchestration.settings import ROOT, ConfigError, Settings, read_yaml
from orchestration.sources import load_sources
from orchestration.strict import Name, Strict, checked

START_VALUE = "{incremental.start_value}"
END_VALUE = "{incremental.end_value}"
_PARENT = re.compile(r"\{resources\.([a-z0-9_]+)\.([A-Za-z0-9_.]+)\}")
_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")
_SECRETS = ("token", "password", "api_key", "client_secret", "access_token")


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Incremental(Strict):
    """Which records are new: those whose time is after the newest one seen, less the overlap."""

    # The record's time; the first of several that has a value counts.
    cursor_path: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]
    # How the API wants the times in {incremental.start_value} and, where it takes one, {incremental.end_value}:
    # epoch_seconds or an strftime format, in UTC.
    format: str = "epoch_seconds"
    # What the first request asks for; without it, the parameter with the start value is left out.
    initial_value: date | None = None
    overlap_days: float = Field(default=3, ge=0)

    # The API gives the oldest change first and pages by time: what was read so far is the whole up to there, so that a
    # long read can be delivered in parts.
    oldest_first: bool = False

    def start(self, cursor: datetime | None) -> datetime | None:
        """The time to ask from: the cursor less the overlap, or the initial value."""
        if cursor is not None:
            return cursor - timedelta(days=self.overlap_days)
        if self.initial_value is not None:
            return datetime(self.initial_value.year, self.initial_value.month, self.initial_value.day, tzinfo=UTC)
        return None

    def as_asked(self, moment: datetime) -> str | int:
        """A time as the API wants it."""
        moment = moment.astimezone(UTC)
        return int(moment.timestamp()) if self.format == "epoch_seconds" else moment.strftime(self.format)


class LastPage(Strict):
    """How the last page is told where dlt's paginator cannot: a flag in the answer, or fewer records than asked for."""

    flag: str | None = None
    shorter_than: int | None = None


class Rows(Strict):
    """The members of an object in a record that become rows of other tables: the first pattern that fits takes one."""

    object: str
    # The column for the `id` of the record they belong to; the named groups of the pattern and `value` are the others.
    key: Name
    tables: dict[Name, str] = Field(min_length=1)


class Resource(Strict):
    """One list of records that the API gives."""

    path: str = ""
    # In the place of `path`: no list of the API's, but the last so many complete months of the business, each with the
    # epoch seconds of its first (`since`) and its last second (`until`), for a resource that gives a figure of a span.
    months: int | None = Field(default=None, ge=1)
    # True where the records are a file that must be ordered, as Qualtrics has it: `params` are the order, `path` takes
    # it and answers with a progressId, <path>/<progressId> gives the fileId once it is made, <path>/<fileId>/file is a
    # zip file with one JSON in it.
    export: bool = False
    params: dict[str, str | int | bool] = Field(default_factory=dict)
    # Where in the answer the records are: `$` for the answer itself, else field.field.
    data_selector: str = Field(default="$", pattern=r"^(\$|\w+(\.\w+)*)$")
    paginator: str | dict[str, Any] | None = None
    last_page: LastPage = LastPage()
    incremental: Incremental | None = None
    # False for a list that is only walked to ask for each of its members.
    selected: bool = True
    # The folder below landing/<source>/; several resources may fill one. Default: the name of the resource.
    table: Name | None = None
    # The few names that differ from those of sources/<source>.yml: `new: field` renames, `new: object.field` lifts
    # a copy, `prefix_*: object.*` lifts all, `new: resources.parent.field` adds from the parent.
    columns: dict[str, str] = Field(default_factory=dict)
    names: Literal["as_delivered", "snake_case"] = "as_delivered"
    rows: Rows | None = None

    def tables(self, name: str) -> list[str]:
        """The folders it fills, its own the last; `name` is that of the resource."""
        return [*(self.rows.tables if self.rows else ()), self.table or name]

    @property
    def parent(self) -> str | None:
        """The resource whose members this one is asked for, one by one."""
        found = _PARENT.search(self.path)
        return found[1] if found else None

    def path_of(self, parent: Mapping[str, Any]) -> str:
        """The path for one member of the parent resource."""
        return _PARENT.sub(lambda found: str(value_at(parent, found[2])), self.path)

    @model_validator(mode="after")
    def _is_asked_for_or_known(self) -> Resource:
        if bool(self.path) == bool(self.months) or (self.months and self.selected):
            raise ValueError("write `path:`, or `months:` with `selected: false`")
        return self

    @model_validator(mode="after")
    def _asks_for_new_records(self) -> Resource:
        asks = any(START_VALUE in str(value) for value in self.params.values())
        if asks != (self.incremental is not None):
            raise ValueError(f"`incremental:` and a parameter with {START_VALUE} go together")
        if not asks and any(END_VALUE in str(value) for value in self.params.values()):
            raise ValueError(f"a parameter with {END_VALUE} needs one with {START_VALUE}")
        return self


class Retry(Strict):
    """How long a fault is borne; a Retry-After of the API comes before the backoff."""

    attempts: int = Field(default=6, ge=1)
    backoff_seconds: float = Field(default=1, ge=0)  # doubled with each attempt
    longest_wait_seconds: float = Field(default=300, ge=0)
    timeout_seconds: float = Field(default=60, gt=0)
    # Vendors that tell the seconds to wait elsewhere than in Retry-After.
    wait_header: str | None = None


class Extractor(Strict):
    """The API of one source."""

    source: Name
    description: str = ""
    base_url: str
    auth: dict[str, Any]
    paginator: str | dict[str, Any] = "single_page"
    requests_per_minute: int = Field(default=60, ge=1)
    retry: Retry = Retry()
    resources: dict[Name, Resource] = Field(min_length=1)

    @field_validator("auth")
    @classmethod
    def _holds_no_secret(cls, auth: dict[str, Any]) -> dict[str, Any]:
        for key in _SECRETS:
            if auth.get(key) and not _VARIABLE.fullmatch(str(auth[key])):
                raise ValueError(
                    f"{key}: a secret does not belong into a file; write ${{NAME_OF_AN_ENVIRONMENT_VARIABLE}}"
                )
        return auth

    @model_validator(mode="after")
    def _parents_are_whole(self) -> Extractor:
        above: dict[str, Resource] = {}
        for name, resource in self.resources.items():
            if resource.parent is not None:
                parent = above.get(resource.parent)
                if parent is None:
                    raise ValueError(f"resources.{name}: there is no resource {resource.parent} above it")
                if parent.incremental or parent.export:
                    raise ValueError(f"resources.{name}: its parent {resource.parent} must be a plain, whole list")
            above[name] = resource
        return self

    @property
    def asks_by_time(self) -> bool:
        """Whether some of its records can be asked for by their time."""
        return any(resource.incremental for resource in self.resources.values())

    @property
    def base_url_variable(self) -> str:
        """The environment variable that replaces `base_url`: another region, a proxy, a test server."""
        return f"{self.source.upper()}_BASE_URL"

    def variables(self, environment: Mapping[str, str]) -> list[str]:
        """The environment variables this API needs, in the order of the file."""
        texts = [] if environment.get(self.base_url_variable) else [self.base_url]
        texts += [str(value) for value in self.auth.values()]
        return list(dict.fromkeys(name for text in texts for name in _VARIABLE.findall(text)))

    def credentials(self) -> list[str]:
        """Those of the variables that say who asks."""
        texts = [str(value) for key, value in self.auth.items() if key != "access_token_url"]
        return list(dict.fromkeys(name for text in texts for name in _VARIABLE.findall(text)))

    def missing(self, environment: Mapping[str, str]) -> list[str]:
        """Those of `variables` that are not set."""
        return [name for name in self.variables(environment) if not environment.get(name)]

    def resolved(self, environment: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
        """The base URL and the `auth` part with the values of the environment.

        Raises:
            ConfigError: a variable is not set; the message names it.
        """
        if missing := self.missing(environment):
            raise ConfigError(
                f"{self.source}: set {' and '.join(missing)} in the environment (extractors/{self.source}.yml)"
            )

        def fill(value: Any) -> Any:
            return _VARIABLE.sub(lambda found: environment[found[1]], value) if isinstance(value, str) else value

        base_url = environment.get(self.base_url_variable) or fill(self.base_url)
        return base_url.rstrip("/") + "/", {key: fill(value) for key, value in self.auth.items()}


def load_extractors(settings: Settings) -> dict[str, Extractor]:
    """The extractors of the sources that are switched on, by source; a source without one is delivered as files.

    Those of the configuration come before those of the repository.

    Raises:
        ConfigError: a file is wrong, or writes where no table of its source reads; the message names the fault.
    """
    extractors = {}
    patterns: dict[str, list[str]] = {}
    for table in load_sources(settings).tables:
        patterns.setdefault(table.source_system, []).append(table.files)
    for source in settings.variables["sources"]:
        own = settings.config_dir / "extractors" / f"{source}.yml"
        path = own if own.exists() else ROOT / "extractors" / f"{source}.yml"
        if not path.exists():
            continue
        extractor = read_extractor(path)
        if extractor.source != source:
            raise ConfigError(f"{path}: `source:` must be {source}, like the file")
        for name, resource in extractor.resources.items():
            for folder in resource.tables(name) if resource.selected else ():
                file = f"{source}/{folder}/1.jsonl"
                if not any(fnmatch.fnmatch(file, pattern) for pattern in patterns[source]):
                    raise ConfigError(
                        f"{path}: resources.{name} writes {file}, which no table of sources/{source}.yml reads"
                    )
        extractors[source] = extractor
    return extractors


def read_extractor(path: Any) -> Extractor:
    """Read one file of extractors/.

    Raises:
        ConfigError: it is missing or wrong; the message names the file, the key and the fault.
    """
    content = read_yaml(path)
    # Messages have no input: it may hold a secret that someone wrote into the file.
    return checked(path, content, Extractor)


def value_at(record: Any, path: str) -> Any:
    """The value at a dotted path in nested objects; None where there is none."""
    for part in path.split("."):
        record = record.get(part) if isinstance(record, dict) else None
    return record
