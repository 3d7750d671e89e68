"""Publishing to PostgreSQL, for tools that speak ODBC or JDBC: the tables of the published file, in one transaction.

Who reads meanwhile sees the old tables or the new ones: these are filled under other names and take the place of the
old ones at the end. A push that is killed leaves what was there.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb
import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier, Literal

from orchestration.settings import PUBLISHED_SCHEMAS, ConfigError

CONNECTION = "NPS_POSTGRES"
# Types that are called otherwise there; the rest, such as decimal(9,4) and date, are called the same.
TYPES = {"VARCHAR": "text", "DOUBLE": "double precision", "TIMESTAMP WITH TIME ZONE": "timestamptz"}
SAME_TYPES = ("BIGINT", "INTEGER", "SMALLINT", "BOOLEAN", "DATE", "TIMESTAMP", "DECIMAL")
# Only for the moment in which tables change places; a reader that holds one longer must not make all others wait.
LOCK_TIMEOUT = "60s"
CHUNK_BYTES = 1 << 20


class PushError(Exception):
    """PostgreSQL refused the tables; the message says why and holds no secret."""


def connection_string(environment: Mapping[str, str]) -> str:
    """How to reach PostgreSQL, from NPS_POSTGRES: a URI or `key=value` words; passwords may stand in ~/.pgpass instead.

    Raises:
        ConfigError: it is missing or no connection string; the message does not repeat it.
    """
    text = environment.get(CONNECTION, "")
    try:
        if text and conninfo_to_dict(text):
            return text
    except psycopg.ProgrammingError:
        pass
    raise ConfigError(f"set {CONNECTION} to a connection string such as postgresql://user:password@host:5432/database")


def push(served: Path, target: str) -> dict[str, int]:
    """Put every table of the published file, with its comments, into the database; the rows by table name.

    Raises:
        PushError: it cannot be reached, or refused something; the tables are as they were.
    """
    try:
        with psycopg.connect(target) as database:
            # One push after the other; the file is opened by whose turn it is, so that the latest one stays.
            database.execute("select pg_advisory_xact_lock(hashtext('nps publication'))")
            with duckdb.connect(served, read_only=True) as source:
                return _push(source, database)
    except psycopg.Error as error:
        # Not the whole text: it may quote rows, or what of a mistyped connection string was taken for a host.
        reasons = [error.diag.message_primary, error.diag.message_detail, error.diag.message_hint]
        told = "; ".join(reason for reason in reasons if reason)
        raise PushError(told or f"no connection; is the server up, and what {CONNECTION} says of it right?") from None


def _push(source: duckdb.DuckDBPyConnection, database: psycopg.Connection) -> dict[str, int]:
    published = source.execute(
        "select schema_name, table_name from duckdb_tables() where schema_name in $schemas order by all",
        {"schemas": list(PUBLISHED_SCHEMAS)},
    ).fetchall()
    for schema in PUBLISHED_SCHEMAS:
        if not database.execute("select 1 from pg_namespace where nspname = %s", [schema]).fetchone():
            database.execute(SQL("create schema {}").format(Identifier(schema)))
    earlier = _published_earlier(database)
    for schema, table in published:
        exists = database.execute("select to_regclass(%s)", [f'"{schema}"."{table}"']).fetchone()
        if exists and exists[0] and (schema, table) not in earlier:
            raise PushError(
                f"{schema}.{table} is there already, and no publication of this project; nothing was changed"
            )
    rows = {f"{schema}.{table}": _fill(source, database, schema, table) for schema, table in published}

    database.execute(SQL("set local lock_timeout = {}").format(Literal(LOCK_TIMEOUT)))
    for schema, table in sorted(earlier):
        database.execute(SQL("drop table if exists {}").format(Identifier(schema, table)))
    for schema, table in published:
        new = Identifier(schema, _new(table))
        database.execute(SQL("alter table {} rename to {}").format(new, Identifier(table)))
    return rows


def _published_earlier(database: psycopg.Connection) -> set[tuple[str, str]]:
    """The tables that an earlier push made, by what it wrote down."""
    known = database.execute("select to_regclass('quality.published_tables')").fetchone()
    if not (known and known[0]):
        return set()
    names = database.execute("select table_name from quality.published_tables").fetchall()
    listed = {(schema, table) for schema, _, table in (str(name).partition(".") for (name,) in names)}
    return listed | {("quality", "published_tables"), ("quality", "publication")}


def _new(table: str) -> str:
    return f"{table}__new"


def _fill(source: duckdb.DuckDBPyConnection, database: psycopg.Connection, schema: str, table: str) -> int:
    """Make the table under another name, fill it and comment on it; its number of rows."""
    new = Identifier(schema, _new(table))
    rows = copy_table(source, database, f"select * from {schema}.{table}", new)
    comment = source.execute(
        "select comment from duckdb_tables() where schema_name = $schema and table_name = $table",
        {"schema": schema, "table": table},
    ).fetchone()
    if comment and comment[0]:
        database.execute(SQL("comment on table {} is {}").format(new, Literal(comment[0])))
    comments = source.execute(
        """
        select column_name, comment from duckdb_columns()
        where schema_name = $schema and table_name = $table and comment is not null
        """,
        {"schema": schema, "table": table},
    ).fetchall()
    for name, text in comments:
        column = Identifier(schema, _new(table), name)
        database.execute(SQL("comment on column {} is {}").format(column, Literal(text)))
    database.execute(SQL("analyze {}").format(new))
    return rows


def copy_table(source: duckdb.DuckDBPyConnection, database: psycopg.Connection, query: str, table: Identifier) -> int:
    """Make a table of the rows of a query to DuckDB; their number.

    Raises:
        PushError: a column has a type that is not known there.
    """
    columns = [(name, kind) for name, kind, *_ in source.execute(f"describe {query}").fetchall()]
    definitions = SQL(", ").join(SQL("{} {}").format(Identifier(name), SQL(_type(kind))) for name, kind in columns)
    database.execute(SQL("create table {} ({})").format(table, definitions))
    # PostgreSQL's texts hold no character 0.
    values = ", ".join(
        f"replace(\"{name}\", chr(0), '')" if kind == "VARCHAR" else f'"{name}"' for name, kind in columns
    )
    # Frozen rows are seen by every transaction: one that began before would otherwise find the new tables empty.
    statement = SQL("copy {} from stdin (format csv, null '\\N', freeze)").format(table)
    with database.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for chunk in _csv(source, f"select {values} from ({query}) as delivered"):
                copy.write(chunk)
        return cursor.rowcount


def _type(data_type: str) -> str:
    if data_type in TYPES:
        return TYPES[data_type]
    if data_type.partition("(")[0] in SAME_TYPES:
        return data_type
    raise PushError(
        f"{data_type} has no type in PostgreSQL that this project knows; add it to orchestration/postgres.py"
    )


def _csv(source: duckdb.DuckDBPyConnection, query: str) -> Iterator[bytes]:
    """The rows as CSV, piece by piece, while DuckDB writes them: nothing is held, and no row passes through Python."""
    reading, writing = os.pipe()
    failures: list[duckdb.Error] = []

    def write() -> None:
        options = "format csv, header false, nullstr '\\N', use_tmp_file false"
        try:
            source.cursor().execute(f"copy ({query}) to '/dev/fd/{writing}' ({options})")
        except duckdb.Error as error:
            failures.append(error)
        finally:
            os.close(writing)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while chunk := os.read(reading, CHUNK_BYTES):
            yield chunk
    finally:
        os.close(reading)  # who stops reading stops the writer
        writer.join()
    if failures:
        raise failures[0]
