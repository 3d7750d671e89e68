"""Forgetting a person: out of everything that the data folder holds, with a proof.

    plan     whom the lake knows by which keys, addresses, names and numbers → forget.json, until all is done
    erase    loaded landing files that name them removed, loads rewritten row by row; what is made again, deleted
    (a run builds and publishes anew)
    finish   the published file written afresh and the former ones removed; every file searched; the day recorded

Each file is replaced whole (written beside, flushed, renamed), and what is planned stands in forget.json: what was
killed is begun again and ends the same. Loads keep their rows, lines and register; the person's keys and addresses
become random tokens, the same everywhere, so that every decision stays what it was.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import re
import secrets
import shutil
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from orchestration.loader import (
    DATA_FILE,
    MALFORMED_FILE,
    flush,
    lake_lock,
    name_of,
    prepare_lake,
    replace_stored,
    sha256_of,
)
from orchestration.readers import literal, literal_path, quoted
from orchestration.reference import staff_domains
from orchestration.register import registered_loads
from orchestration.settings import ConfigError, Settings
from orchestration.sources import Table, group_by_lake_table

# Macros of dbt know a forgotten respondent by it (is_forgotten).
TOKEN = "forgotten-"
HIDDEN = "***"
# Their contacts have keys of one kind, which survey tools carry as well.
_CRMS = {"hubspot", "salesforce"}
# Shorter keys are numbers like any other, and are looked for in the columns of keys alone.
_TELLING_KEY = 10
_CHUNK_BYTES = 16 << 20
# How links, web pages and East Asian keyboards write what stands in an address and between names.
_WRITTEN = {"@": ("@", "%40", "&#64;", "\uff20"), " ": (" ", "\u00a0", "&nbsp;")}


@dataclass
class Plan:
    """Who is forgotten: what becomes of each of their keys (by source) and addresses, and the words that name them."""

    person: str  # salted hash of what was asked for
    keys: dict[str, dict[str, str]] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)  # and telephone numbers; nobody else's
    name_parts: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)  # in landing/

    @property
    def words(self) -> list[str]:
        """What no file may hold any more, in lower case, in each form that others may have written it."""
        words = [(address, "@") for address in self.addresses] + [(name, " ") for name in self.names]
        return list(dict.fromkeys(word.lower().replace(sign, form) for word, sign in words for form in _WRITTEN[sign]))

    @property
    def telling_keys(self) -> list[str]:
        """Keys that no other value can be taken for."""
        return [key for keys in self.keys.values() for key in keys if len(key) >= _TELLING_KEY]


def plan_path(settings: Settings) -> Path:
    """What is left to do; it names the person, and goes when they are forgotten."""
    return settings.data_dir / "forget.json"


def make_plan(settings: Settings, tables: Sequence[Table], person: str) -> Plan:
    """Find all that the lake knows of a person, given by e-mail address, key or published contact_id; write it down.

    A plan that was not carried out is returned as it is.

    Raises:
        ConfigError: the lake knows nobody by that, another person's plan is not carried out yet, or landing/ has
            files that name them and are not loaded.
    """
    path = plan_path(settings)
    hashed = hashlib.sha256(f"{settings.contact_salt}:forgotten:{person.strip().lower()}".encode()).hexdigest()[:16]
    if path.exists():
        plan = Plan(**json.loads(path.read_text(encoding="utf-8")))
        if plan.person != hashed:
            raise ConfigError("another person is not forgotten yet; run `make forget` for that one again first")
        return plan
    with duckdb.connect() as connection:
        plan = _find(connection, settings, tables, person.strip(), hashed)
        _naming_files(connection, settings, tables, plan)  # what a refused file tells of them is still to be found
    draft = path.with_suffix(".tmp")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(asdict(plan)), encoding="utf-8")
    flush(draft)
    draft.replace(path)
    flush(path.parent)
    return plan


def erase(settings: Settings, tables: Sequence[Table], plan: Plan) -> None:
    """Carry out the plan in landing/ and lake/, and delete what is made again from them.

    Raises:
        ConfigError: landing/ has files that name the person and are not loaded; nothing was changed.
    """
    with lake_lock(settings.lake), duckdb.connect() as connection:
        naming = _naming_files(connection, settings, tables, plan)
        prepare_lake(tables, settings.lake)  # which also removes what killed runs left in incoming/
        for path in naming:
            path.unlink()
        by_key = group_by_lake_table(tables)
        for path in sorted(settings.lake.rglob("*.parquet")):
            place = path.relative_to(settings.lake).parts
            of_rows = by_key.get((place[1], place[2]), []) if place[0] == "raw" else []
            _rewrite(connection, path, of_rows if path.name in (DATA_FILE, MALFORMED_FILE) else [], plan)
    for path in (settings.warehouse, settings.warehouse.with_suffix(".build.json")):
        path.unlink(missing_ok=True)
    settings.warehouse.with_name(f"{settings.warehouse.name}.wal").unlink(missing_ok=True)
    for folder in (settings.data_dir / "as_known", settings.exports):
        shutil.rmtree(folder, ignore_errors=True)
    with duckdb.connect() as connection:
        for folder in (settings.dbt_target, settings.data_docs, settings.site, settings.dagster_home, settings.dlt):
            if any(holds(connection, path, plan) for path in _files(folder)):
                shutil.rmtree(folder)  # made again, or the history of runs


def finish(settings: Settings, plan: Plan) -> list[Path]:
    """After a new publication: remove the former ones, search every file, and record the day.

    Returns:
        The files that still hold something of the person; none, and then there is a record and no plan any more.
    """
    serving = settings.serving
    for path in _files(serving.parent):
        if path != serving and (path.suffix == ".duckdb" or path.name.startswith(f"{serving.name}.")):
            path.unlink()
    _write_afresh(serving)
    with duckdb.connect() as connection:
        holding = [
            path for path in _files(settings.data_dir) if path != plan_path(settings) and holds(connection, path, plan)
        ]
    if not holding:
        day = datetime.now(UTC).date().isoformat()
        record = settings.lake / "forgotten" / f"{day}_{plan.person}.json"
        record.parent.mkdir(exist_ok=True)
        record.write_text(json.dumps({"person": plan.person, "forgotten_on": day}) + "\n", encoding="ascii")
        flush(record)
        flush(record.parent)
        plan_path(settings).unlink()
    return holding


# --------------------------------------------------------------------------------------------- who it is


def _find(
    connection: duckdb.DuckDBPyConnection, settings: Settings, tables: Sequence[Table], person: str, hashed: str
) -> Plan:
    """Follow keys and addresses from row to row until no new one turns up."""
    people = [(table, rows) for table in tables if (rows := _lake_rows(connection, settings, table))]
    addresses, keys = _asked_for(connection, settings, people, person)
    names: set[str] = set()
    files: set[str] = set()
    known = -1
    while known != len(addresses) + len(keys):
        known = len(addresses) + len(keys)
        for table, rows in people:
            for row in _own_rows(connection, table, rows, addresses, keys):
                files.add(row["_file"])
                keys |= {(_namespace(table), row[c]) for c in table.person.keys if row.get(c)}
                email = _address(row.get(table.person.email or ""))
                addresses |= {email} if email else set()
                name = " ".join(str(row[c]).strip() for c in table.person.names if row.get(c))
                numbers = [str(row[c]) for c in table.personal_columns if _is_number(row.get(c))]
                names |= {word for word in (name, *numbers) if word}
    if not files:
        raise ConfigError(f"{person}: nobody in the lake has this e-mail address, key or contact_id")
    telling = [name for name in sorted(names) if " " in name or _is_number(name)]
    token = f"{TOKEN}{secrets.token_hex(8)}"
    staff = staff_domains(settings)
    tokens = {address: f"{token}-{n}" for n, address in enumerate(sorted(addresses))}
    plan = Plan(
        person=hashed,
        # Staff stay staff: the domain decides that their answers do not count.
        addresses={a: f"{t}@{a.rpartition('@')[2]}" if a.rpartition("@")[2] in staff else t for a, t in tokens.items()},
        names=[name for name in telling if not _is_of_others(connection, people, name, addresses, keys)],
        name_parts=sorted({part.lower() for name in names for part in name.split() if len(part) > 1}),
    )
    for n, (namespace, key) in enumerate(sorted(keys)):
        plan.keys.setdefault(namespace, {})[key] = f"{token}-{len(tokens) + n}"
    plan.files = sorted(files)
    return plan


def _asked_for(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    people: Sequence[tuple[Table, str]],
    person: str,
) -> tuple[set[str], set[tuple[str, str]]]:
    """The addresses and keys that `person` stands for: it may also be the hash that is published of one."""
    if "@" in person:
        return {person.lower()}, set()
    keys = set()
    addresses = set()
    salted = "left(sha256($salt || ':' || lower(trim({}))), 16)"
    hashed = person.rpartition(":")[2]
    for table, rows in people:
        for column in {*table.person.keys} & _columns(connection, rows):
            query = f"select distinct {quoted(column)} from {rows} where {quoted(column)} = $person"
            if ":" in person:
                query += f" or {salted.format(quoted(column))} = $hashed"
            given = {"person": person} | ({"hashed": hashed, "salt": settings.contact_salt} if ":" in person else {})
            keys |= {(_namespace(table), key) for (key,) in connection.execute(query, given).fetchall()}
        email = table.person.email
        if ":" in person and email in _columns(connection, rows):
            query = f"select distinct {quoted(email)} from {rows} where {salted.format(quoted(email))} = $hashed"
            found = connection.execute(query, {"hashed": hashed, "salt": settings.contact_salt}).fetchall()
            addresses |= {address for (text,) in found if (address := _address(text))}
    return addresses, keys


def _naming_files(
    connection: duckdb.DuckDBPyConnection, settings: Settings, tables: Sequence[Table], plan: Plan
) -> list[Path]:
    """The files in landing/ that name the person, all of them loaded, so that the lake has the rows of everybody else.

    Raises:
        ConfigError: some are not; an API would not give their rows again.
    """
    landing = settings.landing
    planned = {landing / name for name in plan.files}  # by a short key as well, which is not searched for
    naming = [path for path in _files(landing) if path in planned or holds(connection, path, plan)]
    loads = registered_loads(settings.lake)
    hashes = {load.sha256 for load in loads}
    of_tables = {(load.source_system, load.lake_source, load.table_name, load.sha256) for load in loads}
    read_by = [((t.source_system, t.lake_source, t.name), set(landing.glob(t.files))) for t in tables]
    left = []
    for path in naming:
        sha256 = sha256_of(path)
        # Without a reader: of a source that is switched off.
        if sha256 not in hashes or any(path in files and (*key, sha256) not in of_tables for key, files in read_by):
            left.append(name_of(path, landing))
    if left:
        raise ConfigError(
            f"{len(left)} file(s) in landing/ are not loaded yet and name the person; nothing was changed. Run first "
            f"(`make run`), or remove them; repair or remove one that the run refuses: {', '.join(left)}"
        )
    return naming


def _lake_rows(connection: duckdb.DuckDBPyConnection, settings: Settings, table: Table) -> str | None:
    """The rows that a source delivered to a lake table, as SQL; None where rows of the table are about nobody."""
    folder = settings.lake / "raw" / table.lake_source / table.name
    if table.person == type(table.person)() or not any(folder.glob(f"*/{DATA_FILE}")):
        return None
    files = f"read_parquet({literal_path(folder)} || '/*/{DATA_FILE}', union_by_name = true, hive_partitioning = false)"
    return f"(select * from {files} where _source_system = '{table.source_system}')"


def _columns(connection: duckdb.DuckDBPyConnection, rows: str) -> set[str]:
    return {row[0] for row in connection.execute(f"describe from {rows}").fetchall()}


def _own_rows(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    rows: str,
    addresses: set[str],
    keys: set[tuple[str, str]],
) -> Iterator[dict[str, Any]]:
    columns = _columns(connection, rows)
    conditions = [f"list_contains($keys, {quoted(c)})" for c in table.person.keys if c in columns]
    if table.person.email in columns:
        conditions.append(f"list_contains($addresses, lower(trim({quoted(table.person.email)})))")
    if not conditions:
        return
    given: dict[str, list[str]] = {}
    if table.person.keys:
        given["keys"] = [key for namespace, key in keys if namespace == _namespace(table)]
    if table.person.email in columns:
        given["addresses"] = sorted(addresses)
    found = connection.execute(f"select * from {rows} where {' or '.join(conditions)}", given)
    names = [column[0] for column in found.description or []]
    for row in found.fetchall():
        yield dict(zip(names, row, strict=True))


def _is_of_others(
    connection: duckdb.DuckDBPyConnection,
    people: Sequence[tuple[Table, str]],
    word: str,
    addresses: set[str],
    keys: set[tuple[str, str]],
) -> bool:
    """Whether a row about another person bears the same name or number."""
    for table, rows in people:
        columns = _columns(connection, rows)
        parts = [f"coalesce(trim({quoted(c)}), '')" for c in table.person.names if c in columns]
        same = [f"lower({quoted(c)}) = lower($word)" for c in table.personal_columns if c in columns]
        if parts:
            same.append(f"lower(concat_ws(' ', {', '.join(parts)})) = lower($word)")
        if not same:
            continue
        found = connection.execute(f"select * from {rows} where {' or '.join(same)}", {"word": word})
        names = [column[0] for column in found.description or []]
        for values in found.fetchall():
            row = dict(zip(names, values, strict=True))
            if not _is_own(row, table, addresses, {key for ns, key in keys if ns == _namespace(table)}):
                return True
    return False


def _namespace(table: Table) -> str:
    return "crm" if table.source_system in _CRMS else table.source_system


def _address(text: Any) -> str | None:
    """An e-mail address as it is compared."""
    return str(text).strip().lower() if text and "@" in str(text) else None


def _is_number(text: Any) -> bool:
    return bool(text) and bool(re.fullmatch(r"[\d\s()+./-]{7,}", str(text)))


# -------------------------------------------------------------------------------------------- rewriting


def _rewrite(connection: duckdb.DuckDBPyConnection, path: Path, tables: Sequence[Table], plan: Plan) -> None:
    """Replace a Parquet file by one in which the person is not named; as it is, where they are not.

    `tables` are those that share a lake table; for none of them, only words are hidden.
    """
    source = f"read_parquet({literal_path(path)}, hive_partitioning = false, file_row_number = true)"
    described = connection.execute(f"describe from {source}").fetchall()
    texts = [name for name, kind, *_ in described if kind == "VARCHAR"]
    conditions = _naming_conditions(texts, plan)
    keys = sorted({key for keys in plan.keys.values() for key in keys})
    for column in {c for table in tables for c in (*table.person.keys, *table.person.others)} & set(texts):
        conditions.append(f"list_contains($keys, {quoted(column)})")
    change = _without
    if path.name == MALFORMED_FILE:  # has few rows
        change, conditions = _without_line, ["true"]
    if not conditions:
        return
    query = f"select * from {source} where {' or '.join(conditions)}"
    found = connection.execute(query, {"keys": keys} if "$keys" in query else {})
    names = [column[0] for column in found.description or []]
    rows = [dict(zip(names, values, strict=True)) for values in found.fetchall()]
    changes = {row["file_row_number"]: changed for row in rows if (changed := change(row, texts, tables, plan))}
    if not changes:
        return
    connection.execute(f"create or replace temp table rewritten as from {source}")
    for number, values in changes.items():
        assigned = ", ".join(f"{quoted(column)} = ?" for column in values)
        connection.execute(f"update rewritten set {assigned} where file_row_number = ?", [*values.values(), number])
    draft = path.with_suffix(".tmp")  # not *.parquet: a reader must not meet half a file
    connection.execute(
        f"copy (select * exclude (file_row_number) from rewritten order by file_row_number) to {literal(draft)} "
        "(format parquet, compression zstd)"
    )
    connection.execute("drop table rewritten")
    replace_stored(path, draft)


def _naming_conditions(columns: Iterable[str], plan: Plan) -> list[str]:
    """SQL: one of the columns holds a word that names the person."""
    together = ", ".join(quoted(column) for column in columns)
    return (
        [f"contains(lower(concat_ws(chr(31), {together})), {literal(word)})" for word in plan.words] if together else []
    )


def _is_own(row: dict[str, Any], table: Table, addresses: Container[Any], keys: Container[Any]) -> bool:
    """Whether a row is about the person: by key, by address, or by an address in JSON that says who answered."""
    if any(row.get(column) in keys for column in table.person.keys if row.get(column)):
        return True
    if _address(row.get(table.person.email or "")) in addresses:
        return True
    leaves = (leaf for column in table.personal_columns for leaf in _leaves(_json(row.get(column))))
    return any(_address(leaf) in addresses for leaf in leaves)


def _without(row: dict[str, Any], texts: Sequence[str], tables: Sequence[Table], plan: Plan) -> dict[str, str | None]:
    """The columns of a row that change, with what they become."""
    table = next((t for t in tables if t.source_system == row.get("_source_system")), None)
    keys = plan.keys.get(_namespace(table), {}) if table else {}
    is_own = table is not None and _is_own(row, table, plan.addresses, keys)
    changed: dict[str, str | None] = {}
    for column in texts:
        value = row[column]
        if value is None or column == "_row_hash":
            continue
        new: str | None
        if table and column in (*table.person.keys, *table.person.others) and value in keys:
            new = keys[value]
        elif table and (address := _address(value)) in plan.addresses and address:
            new = plan.addresses[address]
        elif table and is_own and not column.startswith("_") and _is_emptied(column, table):
            content = _json(value)
            new = None if content is None else json.dumps(_emptied(content, plan))
        else:
            new = _hide_words(value, plan)
        if new != value:
            changed[column] = new
    if changed and row.get("_row_hash"):
        # Equal rows stay equal, and nobody can tell by the hash what stood there.
        secret = next(iter((*plan.addresses.values(), *(t for k in plan.keys.values() for t in k.values()))))
        changed["_row_hash"] = hashlib.md5(f"{secret} {row['_row_hash']}".encode(), usedforsecurity=False).hexdigest()
    return changed


def _without_line(
    row: dict[str, Any], texts: Sequence[str], tables: Sequence[Table], plan: Plan
) -> dict[str, str | None]:
    """The same of a line that is no row: hidden whole, since nobody knows what else in it is about the person."""
    changed: dict[str, str | None] = {column: _hide_words(row[column] or "", plan) for column in texts}
    line = row["raw_row"] or ""
    table = next((t for t in tables if t.source_system == row["_source_system"]), None)
    # A score has two digits.
    keys = [key for key in plan.keys.get(_namespace(table), {}) if len(key) > 2] if table else []
    named = " ".join(re.findall(r"\w+", line))  # first and last name may be two fields
    if (
        changed["raw_row"] != line
        or _hide_words(named, plan) != named
        or any(key in line for key in plan.telling_keys)
        or any(re.search(rf"(?<!\w){re.escape(key)}(?!\w)", line) for key in keys)
    ):
        changed["raw_row"] = HIDDEN
    return {column: new for column, new in changed.items() if new != (row[column] or "")}


def _is_emptied(column: str, table: Table) -> bool:
    """What names or describes a person, and what nobody declared."""
    return column in table.personal_columns or column not in (*table.columns, *table.optional_columns)


def _hide_words(text: str, plan: Plan) -> str:
    for word in plan.words:
        text = re.sub(re.escape(word), HIDDEN, text, flags=re.IGNORECASE)
    return text


def _json(text: Any) -> dict[str, Any] | list[Any] | None:
    """What a text is as JSON; None where it is no object and no list."""
    if isinstance(text, str) and text.lstrip()[:1] in ("{", "["):
        with contextlib.suppress(ValueError):
            content = json.loads(text)
            return content if isinstance(content, dict | list) else None
    return None


def _leaves(content: Any) -> Iterator[str]:
    if isinstance(content, dict | list):
        for value in content.values() if isinstance(content, dict) else content:
            yield from _leaves(value)
    elif isinstance(content, str):
        yield from re.split(r"[;,\s]+", content)


def _emptied(content: Any, plan: Plan) -> Any:
    """JSON in which texts of several words and whatever names the person are empty; codes, numbers and dates stay."""
    if isinstance(content, dict):
        return {name: _emptied(value, plan) for name, value in content.items()}
    if isinstance(content, list):
        return [_emptied(value, plan) for value in content]
    if not isinstance(content, str):
        return content
    if (address := _address(content)) in plan.addresses and address:
        return plan.addresses[address]
    for keys in plan.keys.values():
        if content in keys and len(content) > 2:  # a score has two digits
            return keys[content]
    names_them = content.strip().lower() in plan.name_parts or _hide_words(content, plan) != content
    return "" if names_them or re.search(r"\S\s+\S", content) else content


# ---------------------------------------------------------------------------------------------- searching


def holds(connection: duckdb.DuckDBPyConnection, path: Path, plan: Plan) -> bool:
    """Whether a file holds a word or a telling key of the person: in its bytes, or in the values packed in it."""
    if _bytes_hold(path.open("rb"), plan):
        return True
    if path.suffix == ".gz":
        with contextlib.suppress(OSError, EOFError):
            return _bytes_hold(gzip.open(path), plan)
    if path.suffix == ".parquet":
        with contextlib.suppress(duckdb.Error):  # one that cannot be read has shown its bytes
            return _relation_holds(connection, f"read_parquet({literal_path(path)}, hive_partitioning = false)", plan)
    if path.suffix == ".duckdb":
        connection.execute(f"attach {literal(path)} as searched (read_only)")
        try:
            tables = connection.execute(
                "select schema_name, table_name from duckdb_tables() where database_name = 'searched'"
            ).fetchall()
            return any(
                _relation_holds(connection, f"searched.{quoted(schema)}.{quoted(table)}", plan)
                for schema, table in tables
            )
        finally:
            connection.execute("detach searched")
    return False


def _bytes_hold(file: Any, plan: Plan) -> bool:
    words = _as_bytes([*plan.words, *plan.telling_keys])
    longest = max((len(word) for word in words), default=0)
    rest = b""
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            content = rest + chunk.lower()
            if any(word in content for word in words):
                return True
            rest = content[-longest:]
    return False


def _as_bytes(words: Iterable[str]) -> set[bytes]:
    """How words may stand in the bytes of a file, where bytes are compared in lower case, which only ASCII has."""
    found = set()
    for word in words:
        plain = (word.lower(), word.upper(), word.title())
        for written in (*plain, *(json.dumps(text)[1:-1] for text in plain)):
            for encoding in ("utf-8", "utf-16-le", "utf-16-be", "cp1252"):
                with contextlib.suppress(UnicodeEncodeError):  # no file of this encoding can hold it
                    found.add(written.encode(encoding).lower())
    return found


def _relation_holds(connection: duckdb.DuckDBPyConnection, relation: str, plan: Plan) -> bool:
    described = connection.execute(f"describe from {relation}").fetchall()
    texts = [f"cast({quoted(name)} as varchar)" for name, kind, *_ in described if "VARCHAR" in kind or kind == "JSON"]
    if not texts:
        return False
    together = f"lower(concat_ws(chr(31), {', '.join(texts)}))"
    conditions = [f"contains({together}, {literal(word)})" for word in plan.words]
    conditions += [f"list_contains($keys, {text})" for text in texts] if plan.telling_keys else []
    if not conditions:
        return False
    query = f"select 1 from {relation} where {' or '.join(conditions)} limit 1"
    return bool(connection.execute(query, {"keys": plan.telling_keys} if plan.telling_keys else {}).fetchone())


def _write_afresh(database: Path) -> None:
    """A DuckDB file keeps what was deleted in free blocks; a copy of its tables does not."""
    draft = database.with_name(f"{database.name}.forgetting")
    draft.unlink(missing_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"attach {literal(database)} as published (read_only)")
        version = connection.execute(
            "select tags['storage_version'] from duckdb_databases() where database_name = 'published'"
        ).fetchall()[0][0]
        storage = f" (storage_version '{version.split(' ')[0].rstrip('+')}')" if version else ""
        connection.execute(f"attach {literal(draft)} as afresh{storage}")
        connection.execute("copy from database published to afresh")
    flush(draft)
    draft.replace(database)
    flush(database.parent)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
