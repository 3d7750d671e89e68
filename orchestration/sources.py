"""What a source delivers: sources/*.yml read, checked and turned into tables for the loader.

A vendor source lists the tables its staging models read. A source of `kind: file` maps the columns of
any export to the canonical ones; the mapping itself becomes SQL in dbt (models/staging/files).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from expectations.thresholds import read_thresholds
from orchestration.contact_rules import Advocacy
from orchestration.segments import Segments
from orchestration.settings import DBT_PROJECT_DIR, ConfigError, Settings, read_yaml
from orchestration.strict import Name, Strict, Text, check_zone, checked, checked_variable

# What every engine reads (java_time_format and posix_time_format in macros/engine.sql). Not %Z: CST is three zones.
DIRECTIVES = "YymdHIMSfpbBaAjz"


def check_time_format(time_format: str) -> str:
    """How a time is written, as it is.

    Raises:
        ValueError: it is no such way, or has a directive that an engine does not read.
    """
    if time_format in ("iso8601", "epoch_seconds", "epoch_milliseconds"):
        return time_format
    if "%" not in time_format:
        raise ValueError(
            f"{time_format!r} is no format; write iso8601, epoch_seconds, epoch_milliseconds or one like %d.%m.%Y %H:%M"
        )
    unknown = [directive for directive in re.findall("%(?s:.?)", time_format) if directive[1:] not in [*DIRECTIVES]]
    if unknown:
        remedy = "; a zone goes into `time_zone:`, an offset is %z" if "%Z" in unknown else ""
        raise ValueError(
            f"{', '.join(unknown)} cannot be read; there are {', '.join(f'%{letter}' for letter in DIRECTIVES)}{remedy}"
        )
    return time_format


def check_files(pattern: str) -> str:
    """Which files are read, as it is.

    Raises:
        ValueError: some might lie elsewhere than in landing/.
    """
    path = PurePosixPath(pattern)
    if not path.parts or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{pattern!r} must be a path below landing/, such as my_survey/*.csv")
    return pattern


Files = Annotated[str, AfterValidator(check_files)]


class TimeColumn(Strict):
    """A column that holds a time: strptime format, or iso8601, epoch_seconds, epoch_milliseconds."""

    column: str
    format: Annotated[str, AfterValidator(check_time_format)] = "iso8601"
    time_zone: Annotated[str, BeforeValidator(check_zone)] = "UTC"


class Flag(Strict):
    """A yes/no read from a column: yes where its text is one of `values`."""

    column: str
    values: list[str] = Field(min_length=1)


class Survey(Strict):
    """Which survey a row belongs to: one for the whole file, or a column."""

    value: str | None = None
    column: str | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Survey:
        if (self.value is None) == (self.column is None):
            raise ValueError("write either `value:` (one survey for the file) or `column:`")
        return self


class _File(Strict):
    files: Files
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    contact: str | None = None  # the CRM's key of the person a row is about
    email: str | None = None
    account: str | None = None

    def columns(self) -> list[str]:
        """The delivered columns this mapping reads, each once, in the order of the mapping."""
        mapped = {name: value for name, value in self if name not in ("files", "delimiter")}
        if mapped.get("key") == "row":
            del mapped["key"]
        return list(dict.fromkeys(column for value in mapped.values() for column in _mapped_columns(value)))


class _FileTable(_File):
    # `row`: the export has no key, so the row itself is one (identical rows are counted apart). Of several columns none
    # may be empty: with one that is, the row has no key, and its content stands for it.
    key: Literal["row"] | Text | Annotated[list[Text], Field(min_length=1)]
    survey: Survey
    respondent: str | None = None
    name: str | None = None  # of that person; hidden wherever it is mentioned
    channel: str | None = None
    segments: dict[Name, str] = Field(default_factory=dict)

    def person(self) -> Person:
        """Who answered or was asked."""
        return Person(
            keys=tuple(column for column in (self.respondent, self.contact) if column),
            email=self.email,
            names=(self.name,) if self.name else (),
        )

    def personal_columns(self) -> list[str | None]:
        """What names the person, or may."""
        return [self.email, self.name, self.respondent]


def _mapped_columns(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, TimeColumn | Flag):
        yield value.column
    elif isinstance(value, Survey):
        if value.column:
            yield value.column
    elif isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


class AnswerFile(_FileTable):
    """How to read one export of answers."""

    score: str
    submitted_at: TimeColumn
    updated_at: TimeColumn | None = None
    comment: str | None = None
    language: str | None = None
    ratings: list[str] = Field(default_factory=list)  # of other questions, on one scale
    ip_address: str | None = None
    invitation: str | None = None
    partial: Flag | None = None
    test: Flag | None = None
    withdrawn: Flag | None = None

    def personal_columns(self) -> list[str | None]:
        """Also the comment, and where the answer came from."""
        return [*super().personal_columns(), self.comment, self.ip_address]

    def guard(self) -> Guard:
        """Every row of an export of answers is one."""
        return Guard(score=self.score, time=self.submitted_at.column)


class InvitationFile(_FileTable):
    """How to read one export of invitations; with `invited`, a row stands for a group of that size."""

    sent_at: TimeColumn
    invited: str | None = None

    def guard(self) -> Guard:
        """Invitations have a time and no score."""
        return Guard(time=self.sent_at.column)


class FollowUpFile(_File):
    """How to read what somebody wrote down of follow-ups: whom each row was with, since when, and who did it.

    A row names an answer (response_id of detractor_recovery), a person or an account.
    """

    answer: str | None = None
    owner: str | None = None
    first_contact_at: TimeColumn
    resolved_at: TimeColumn | None = None

    @model_validator(mode="after")
    def _names_somebody(self) -> FollowUpFile:
        if not (self.answer or self.contact or self.email or self.account):
            raise ValueError(
                "write `answer:`, `contact:`, `email:` or `account:`, the column that says whom it was with"
            )
        return self

    def person(self) -> Person:
        """Whom it was with."""
        return Person(
            keys=(self.contact,) if self.contact else (),
            email=self.email,
            others=(self.owner,) if self.owner else (),
        )

    def personal_columns(self) -> list[str | None]:
        """What names the person, or who wrote to them."""
        return [self.email, self.owner]

    def guard(self) -> Guard:
        """A row without a time is a follow-up that is still to be done."""
        return Guard()


class FileSource(Strict):
    """A source of `kind: file`."""

    source: Name
    kind: Literal["file"]
    description: str = ""
    answers: AnswerFile | None = None
    invitations: InvitationFile | None = None
    follow_ups: FollowUpFile | None = None

    @model_validator(mode="after")
    def _delivers_something(self) -> FileSource:
        if not (self.answers or self.follow_ups):
            raise ValueError("write `answers:` or `follow_ups:`, what its files hold")
        return self

    def parts(self) -> dict[str, AnswerFile | InvitationFile | FollowUpFile]:
        """What it delivers, by the lake table."""
        parts = {"answers": self.answers, "invitations": self.invitations, "follow_ups": self.follow_ups}
        return {name: part for name, part in parts.items() if part}


class Guard(Strict):
    """What the guard of new files looks at: the columns of score and time; `where` keeps the rows that have a score."""

    score: str | None = None
    time: str | None = None
    where: str = "true"


class Person(Strict):
    """Which columns say whom a row is about; where one is not delivered, it says nothing.

    `keys` hold the source's own keys of that person, `names` the parts of the name in their order; `others` hold keys
    of further persons (a manager, an owner).
    """

    keys: tuple[str, ...] = ()
    email: str | None = None
    names: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def columns(self) -> set[str]:
        """Those that name the person; keys alone do not."""
        return {*self.names, *([self.email] if self.email else [])}


class VendorTable(Strict):
    """One table of a vendor's export."""

    files: Files
    columns: list[str] = Field(min_length=1)
    optional_columns: list[str] = Field(default_factory=list)
    # What names or describes a person, or is free text that may: never shown in the quarantine, emptied by `forget`.
    personal_columns: list[str] = Field(default_factory=list)
    person: Person = Person()
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    is_required: bool = True
    guard: Guard = Guard()
    # Segments of the account or the contact are columns of this table, and must be delivered.
    segments_of: Literal["account", "contact"] | None = None


class VendorSource(Strict):
    """A source with its own staging folder in dbt."""

    source: Name
    kind: Literal["vendor"]
    description: str = ""
    tables: dict[Name, VendorTable]


@dataclass(frozen=True)
class Table:
    """One table that the loader writes to lake/raw/<lake_source>/<name>/."""

    source_system: str  # what the answers are stamped with
    lake_source: str  # the folder, and the dbt source: `files` for every source of kind file
    name: str
    files: str  # glob under landing/
    columns: tuple[str, ...]  # a file without one of them is refused
    optional_columns: tuple[str, ...] = ()  # read where delivered, else empty
    personal_columns: tuple[str, ...] = ()
    person: Person = Person()
    delimiter: str = ","
    is_required: bool = True
    guard: Guard = Guard()
    segment_columns: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """The dbt source table, and Dagster asset, that this feeds."""
        return self.lake_source, self.name


@dataclass(frozen=True)
class Sources:
    """All sources that are switched on."""

    tables: tuple[Table, ...]
    dbt_variables: dict[str, Any]

    @property
    def lake_tables(self) -> dict[tuple[str, str], list[Table]]:
        """The tables by the lake folder they feed: several file sources share files/answers."""
        return group_by_lake_table(self.tables)


def group_by_lake_table(tables: Iterable[Table]) -> dict[tuple[str, str], list[Table]]:
    """Tables by their key."""
    grouped: dict[tuple[str, str], list[Table]] = {}
    for table in tables:
        grouped.setdefault(table.key, []).append(table)
    return grouped


def _raw_table(tables: Sequence[Table]) -> dict[str, Any]:
    """What dbt must know of the tables that share a lake table: which columns may be shown,
    which are scores, and which name whom."""
    personal = {column for table in tables for column in table.personal_columns}
    declared = dict.fromkeys(column for table in tables for column in (*table.columns, *table.optional_columns))
    return {
        "shown": [column for column in declared if column not in personal],
        "scores": sorted({table.guard.score for table in tables if table.guard.score}),
        "people": [
            {
                "source": table.source_system,
                "names": [column for column in table.person.names if column in declared],
                "email": table.person.email if table.person.email in declared else None,
            }
            for table in tables
            if not declared.keys().isdisjoint(table.person.names)
        ],
    }


def load_sources(settings: Settings) -> Sources:
    """Read sources/<name>.yml for every name in the variable `sources`.

    Raises:
        ConfigError: a file, or thresholds.yml, is missing or wrong; the message names the file, the key and the fault.
    """
    checked_variable(settings, "segments", Segments)
    checked_variable(settings, "advocacy", Advocacy)
    tables: list[Table] = []
    vendors: list[str] = []
    mappings: dict[str, Any] = {}
    for name in settings.variables["sources"]:
        path = settings.config_dir / "sources" / f"{name}.yml"
        content = read_yaml(path)
        if content.get("source") != name:
            raise ConfigError(f"{path}: `source:` must be {name}, like the file")
        if content.get("kind") == "file":
            source = checked(path, content, FileSource)
            tables += _file_tables(source)
            mappings[name] = source.model_dump(exclude={"source", "kind", "description"})
        elif content.get("kind") == "vendor":
            vendors.append(name)
            tables += _vendor_tables(checked(path, content, VendorSource), settings.variables)
        else:
            raise ConfigError(f"{path}: kind: {content.get('kind')!r} must be file or vendor")
    names = [*vendors, *mappings]
    raw_tables = {".".join(key): _raw_table(tables) for key, tables in group_by_lake_table(tables).items()}
    variables = settings.variables | {
        "sources": names,
        "file_sources": mappings,
        "raw_tables": raw_tables,
        "expected_every_hours": read_thresholds(settings).expected_every_hours(names),
        # The moment is in Settings.environment().
        "as_of": "",
        "as_known_at": "",
    }
    return Sources(tables=tuple(tables), dbt_variables=variables)


# What makes the tables, without their tests.
SEEDS_AND_MODELS = ("build", "--resource-type", "seed", "--resource-type", "model")


def dbt_vars(sources: Sources) -> list[str]:
    """The arguments that hand the configuration to dbt; the same for every command, or dbt parses anew."""
    return ["--vars", json.dumps(sources.dbt_variables, sort_keys=True)]


def dbt_arguments(sources: Sources) -> list[str]:
    """The arguments of a dbt command: where the project is, and the configuration."""
    return ["--project-dir", str(DBT_PROJECT_DIR), "--profiles-dir", str(DBT_PROJECT_DIR), *dbt_vars(sources)]


def _vendor_tables(source: VendorSource, variables: dict[str, Any]) -> Iterator[Table]:
    for name, table in source.tables.items():
        columns = dict.fromkeys(table.columns)
        if table.segments_of == "account":
            if source.source not in variables["revenue_column"]:
                raise ConfigError(f"revenue_column: no column of {source.source}; write {source.source}: <column>")
            columns[variables["revenue_column"][source.source]] = None
        segment_columns: dict[str, None] = {}
        for segment in variables["segments"]:
            column = segment.get("column")
            if isinstance(column, dict):  # one name per CRM
                column = column.get(source.source)
            if column and segment["from"] == table.segments_of:
                segment_columns[column] = None
        columns |= segment_columns
        consent = variables["advocacy"]["consent"].get(source.source) if table.segments_of == "contact" else None
        optional_columns = [*table.optional_columns, *([consent] if consent else [])]
        yield Table(
            source_system=source.source,
            lake_source=source.source,
            name=name,
            files=table.files,
            columns=tuple(columns),
            optional_columns=tuple(column for column in dict.fromkeys(optional_columns) if column not in columns),
            personal_columns=tuple(dict.fromkeys([*table.personal_columns, *sorted(table.person.columns())])),
            person=table.person,
            delimiter=table.delimiter,
            is_required=table.is_required,
            segment_columns=tuple(segment_columns),
            guard=table.guard,
        )


def _file_tables(source: FileSource) -> Iterator[Table]:
    for name, mapping in source.parts().items():
        yield Table(
            source_system=source.source,
            lake_source="files",
            name=name,
            files=mapping.files,
            columns=tuple(mapping.columns()),
            personal_columns=tuple(c for c in mapping.personal_columns() if c),
            person=mapping.person(),
            delimiter=mapping.delimiter,
            is_required=name != "follow_ups",  # its first file comes with the first follow-up
            guard=mapping.guard(),
        )
