"""The published file: how it is filled from the warehouse, and what it says of itself.

create  the tables of the warehouse, written into a new file
update  a copy of the published file, in which large tables take over the rows that batches touched since
"""

import logging
import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from orchestration.readers import literal
from orchestration.settings import PUBLISHED_SCHEMAS

# Every client of DuckDB 1.0 and later reads this, and it is no larger or slower than later versions.
STORAGE_VERSION = "v1.0.0"
# In the order of time, so that a question about some weeks reads their part of the file and no more.
TIME_ORDER = {"marts.fct_nps_responses": "response_date"}


@dataclass(frozen=True)
class Keyed:
    """A large table, whose rows are replaced by key.

    `tracked_by` are the models that write down which keys their batches touched (`meta.tracked`,
    dbt_project/macros/incremental.sql). By the `figures`, columns that are quickly read, the result is compared with
    the warehouse. A table with a `day` lies in the order of time, and is looked up on those days alone which rows left
    or came to (`meta.differences`).
    """

    key: str
    tracked_by: tuple[str, ...]
    figures: str
    day: str | None = None


KEYED = {
    "marts.contact_fatigue": Keyed("contact_id", ("contact_fatigue",), figures="survey_type, state, last_asked_at"),
    "marts.detractor_recovery": Keyed(
        "response_id", ("detractor_recovery",), figures="state, due_at, owner_id, next_score"
    ),
    "marts.dim_accounts": Keyed("account_id", ("dim_accounts",), figures="account_id"),
    "marts.dim_contacts": Keyed("contact_id", ("dim_contacts",), figures="contact_id"),
    "marts.fct_nps_responses": Keyed(
        "response_id", ("fct_nps_responses",), figures="response_date, score", day="response_date"
    ),
    "marts.fct_survey_invitations": Keyed(
        "invitation_id", ("fct_survey_invitations",), figures="sent_date, outcome", day="sent_date"
    ),
    "marts.nps_by_account": Keyed(
        "account_id", ("nps_by_account",), figures="survey_type, contacts_asked, trailing_nps"
    ),
    "marts.response_eligibility": Keyed(
        "response_id", ("int_delivered_answers", "int_repeated_answers"), figures="load_id, decision"
    ),
}
# Replaced rows leave dead ones behind, and new ones stand out of the order of time: beyond this share of appended rows
# a table is copied whole, and beyond it in all of them together the file is created anew.
MAX_APPENDED = 0.2
COMMENTS = {
    "table quality.publication": "One row: what this file was made from, and when.",
    "column quality.publication.run_id": "Run that published it",
    "column quality.publication.publication_id": "Its entry in the publication log, as in nps_restatements",
    "column quality.publication.published_at": "Time of the publication (UTC)",
    "column quality.publication.built_at": "Time at which the build began that it shows (UTC)",
    "column quality.publication.as_of": "As of when cases are open and people may be asked again (UTC)",
    "column quality.publication.code_version": "Version of the code: git describe, or that of the package",
    "column quality.publication.inputs_fingerprint": "Hash of the loads, code and configuration it was made from",
    "column quality.publication.checks_passed": "Checks of the run that passed",
    "column quality.publication.checks_warned": "Checks of the run that failed with severity warn",
    "table quality.published_tables": "One row per table of marts and quality in this file.",
    "column quality.published_tables.table_name": "The table, with its schema",
    "column quality.published_tables.row_count": "Rows in it",
    "column quality.published_tables.appended_rows": "Rows added by difference since the file was created",
}


@dataclass(frozen=True)
class TableRows:
    """The rows of a published table, and how many were added by difference since the file was created."""

    rows: int
    appended: int


def ask(served: Path, query: str) -> list[tuple[Any, ...]]:
    """The rows a published file gives; none where there is no such file, or one that does not know the query."""
    if not served.exists():
        return []
    try:
        with duckdb.connect(served, read_only=True) as connection:
            return connection.execute(query).fetchall()
    except duckdb.Error:
        return []


def named_rows(connection: duckdb.DuckDBPyConnection, query: str, **parameters: Any) -> list[dict[str, Any]]:
    """The rows of a query, each by the names of its columns."""
    result = connection.execute(query, parameters or None)
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, values, strict=True)) for values in result.fetchall()]


def create(connection: duckdb.DuckDBPyConnection, file: Path, unpublished: Collection[str]) -> dict[str, TableRows]:
    """Write the tables of the attached database `warehouse` into a new file, which stays attached as `published`.

    Those named in `unpublished`, without their schema, are left out.
    """
    connection.execute(f"attach {literal(file)} as published (storage_version '{STORAGE_VERSION}')")
    for schema in PUBLISHED_SCHEMAS:
        connection.execute(f"create schema published.{schema}")
    return {name: _copy_table(connection, name) for name in published_relations(connection, but=unpublished)}


def update(
    connection: duckdb.DuckDBPyConnection, served: Path, file: Path, built_at: datetime, unpublished: Collection[str]
) -> dict[str, TableRows] | None:
    """Write a copy of the published file, brought to the state of `warehouse`; it stays attached as `published`.

    `built_at` is the build that the published file shows. None, and no file, where it has other tables, where the
    warehouse does not know what changed since, where too much did, or where the result is not what the warehouse holds.

    Raises:
        duckdb.Error: the published file, or the warehouse, is damaged.
    """
    known = {
        name: TableRows(*counts)
        for name, *counts in ask(
            served,
            f"""
            select table_name, row_count, appended_rows from quality.published_tables
            where (
                select tags['storage_version'] = '{STORAGE_VERSION}+' from duckdb_databases()
                where database_name = current_database()
            )
            """,
        )
    }
    relations = published_relations(connection, but=unpublished)
    if not (known.keys() == relations.keys() and _is_known_since(connection, built_at)):
        return None
    touched = {name: count for name, count in _find_touched(connection, built_at).items() if name in known}
    appended = {name: known[name].appended + count for name, count in touched.items()}
    if sum(appended.values()) > MAX_APPENDED * sum(known[name].rows for name in touched):
        return None

    shutil.copyfile(served, file)
    connection.execute(f"attach {literal(file)} as published")
    tables = {}
    for name, is_view in relations.items():
        if name not in touched or appended[name] > MAX_APPENDED * known[name].rows:
            tables[name] = _copy_table(connection, name)
            continue
        _replace_touched(connection, name, built_at, is_view=is_view)
        figures = [_figures(connection, database, name) for database in ("warehouse", "published")]
        if figures[0] != figures[1]:
            logging.getLogger(__name__).warning("%s by difference is not what the warehouse holds: %s", name, figures)
            connection.execute("detach published")
            remove(file)
            return None
        tables[name] = TableRows(figures[0][0], appended[name])
    return tables


def remove(file: Path) -> None:
    """Remove an unfinished file with what DuckDB keeps beside it."""
    for path in file.parent.glob(f"{file.name}*"):
        path.unlink()


def describe(
    connection: duckdb.DuckDBPyConnection, tables: dict[str, TableRows], publication: dict[str, object]
) -> None:
    """Write quality.publication and quality.published_tables, and the comments of every table and column."""
    columns = ", ".join(f"${column} as {column}" for column in publication)
    connection.execute(
        f"""
        create or replace table published.quality.publication as
        select
            {columns},
            count(*) filter (is_success) as checks_passed,
            count(*) filter (not is_success and severity = 'warn') as checks_warned
        from published.quality.quality_check_results
        where run_id = $run_id
        """,
        publication,
    )
    connection.execute(
        """
        create or replace table published.quality.published_tables (
            table_name varchar, row_count bigint, appended_rows bigint
        )
        """
    )
    connection.executemany(
        "insert into published.quality.published_tables values (?, ?, ?)",
        [(name, counts.rows, counts.appended) for name, counts in tables.items()],
    )
    for target, comment in [*COMMENTS.items(), *_comments(connection, tables)]:
        kind, name = target.split(" ", 1)
        connection.execute(f"comment on {kind} published.{name} is {literal(comment.strip())}")


def _is_known_since(connection: duckdb.DuckDBPyConnection, built_at: datetime) -> bool:
    """Whether this warehouse made that build, and has built none of the keyed tables in full since."""
    models = {model for table in KEYED.values() for model in table.tracked_by}
    made, rebuilt = connection.execute(
        """
        select
            count(*) filter (model_name = 'int_answer_changes' and built_at = $built_at),
            count(*) filter (model_name in $models and is_full and built_at > $built_at)
        from warehouse.builds.model_builds
        """,
        {"built_at": built_at, "models": sorted(models)},
    ).fetchall()[0]
    return bool(made and not rebuilt)


def _find_touched(connection: duckdb.DuckDBPyConnection, built_at: datetime) -> dict[str, int]:
    """Note in the temporary table `touched` the keys that batches touched since, and count them by table."""
    connection.execute("create or replace temporary table touched (table_name varchar, key varchar)")
    for name, table in KEYED.items():
        connection.execute(
            """
            insert into touched
            select distinct $name, changed_value from warehouse.builds.changes
            where model_name in $models and column_name = $key and built_at > $built_at
            """,
            {"name": name, "models": list(table.tracked_by), "key": table.key, "built_at": built_at},
        )
    counted = connection.execute("select table_name, count(*) from touched group by all").fetchall()
    return dict.fromkeys(KEYED, 0) | dict(counted)


def _replace_touched(connection: duckdb.DuckDBPyConnection, name: str, built_at: datetime, *, is_view: bool) -> None:
    table = KEYED[name]
    on_its_days = "true"
    if table.day:
        differences = f"warehouse.builds.{table.tracked_by[0]}_differences"
        on_its_days = f"{table.day} in (select {table.day} from {differences} where built_at > '{built_at}')"
    touched = f"{on_its_days} and {table.key} in (select key from touched where table_name = {literal(name)})"
    # The keys are looked up in one narrow pass; otherwise all columns of all rows are read. A view has no row numbers.
    found = touched if is_view else f"rowid in (select rowid from warehouse.{name} where {touched})"
    connection.execute(f"delete from published.{name} where {touched}")
    connection.execute(f"insert into published.{name} from warehouse.{name} where {found}{_order(name)}")


def _copy_table(connection: duckdb.DuckDBPyConnection, name: str) -> TableRows:
    connection.execute(f"create or replace table published.{name} as from warehouse.{name}{_order(name)}")
    counted = connection.execute(f"select count(*) from published.{name}").fetchone()
    return TableRows(counted[0] if counted else 0, appended=0)


def _order(name: str) -> str:
    return f" order by {TIME_ORDER[name]}" if name in TIME_ORDER else ""


def _figures(connection: duckdb.DuckDBPyConnection, database: str, name: str) -> tuple[int, int]:
    """The number of rows, and a sum over their figures."""
    query = f"select count(*), sum(hash({KEYED[name].figures})) from {database}.{name}"
    rows, total = connection.execute(query).fetchall()[0]
    return rows, total


def published_relations(
    connection: duckdb.DuckDBPyConnection, database: str = "warehouse", but: Collection[str] = ()
) -> dict[str, bool]:
    """What an attached database has in the published schemas, and whether each is a view; `but` is left out."""
    return dict(
        connection.execute(
            """
            select table_schema || '.' || table_name, table_type = 'VIEW' from information_schema.tables
            where table_catalog = $database and table_schema in $schemas and table_name not in $but
            order by all
            """,
            {"database": database, "schemas": list(PUBLISHED_SCHEMAS), "but": list(but)},
        ).fetchall()
    )


def _comments(connection: duckdb.DuckDBPyConnection, tables: Collection[str]) -> Iterable[tuple[str, str]]:
    """What the warehouse says of tables, views and their columns, by what each is in the published file."""
    return connection.execute(
        """
        select format('table {}.{}', schema_name, table_name), comment from (
            select database_name, schema_name, table_name, comment from duckdb_tables()
            union all
            select database_name, schema_name, view_name, comment from duckdb_views()
        )
        where database_name = 'warehouse' and schema_name || '.' || table_name in $tables and comment is not null
        union all
        select format('column {}.{}."{}"', schema_name, table_name, column_name), comment from duckdb_columns()
        where database_name = 'warehouse' and schema_name || '.' || table_name in $tables and comment is not null
        """,
        {"tables": list(tables)},
    ).fetchall()
