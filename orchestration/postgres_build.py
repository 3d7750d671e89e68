"""The models on PostgreSQL: the tables of the lake copied into a database, and dbt on these.

    python -m orchestration.postgres_build          copy the lake, build seeds and models
    python -m orchestration.postgres_build test     any dbt command with the target postgres, on what was copied last

Where the database is, the variables of libpq say: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import SimpleNamespace

import duckdb
import psycopg
from dbt.adapters.duckdb.relation import DuckDBRelation
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from psycopg.sql import SQL, Identifier

from orchestration.loader import declare_columns
from orchestration.postgres import copy_table
from orchestration.settings import ConfigError, Settings
from orchestration.sources import SEEDS_AND_MODELS, dbt_arguments, load_sources

# What the target of profiles.yml connects to where libpq's variables are not set.
DEFAULTS = {"PGHOST": "127.0.0.1", "PGPORT": "5432", "PGUSER": "nps", "PGDATABASE": "nps"}


def main(arguments: Sequence[str]) -> int:
    """Run dbt on PostgreSQL, by default a build without tests; the exit code."""
    settings = Settings.from_env()
    os.environ.update({name: value for name, value in DEFAULTS.items() if name not in os.environ})
    os.environ.update(settings.environment())
    os.environ["DBT_TARGET_PATH"] = str(settings.postgres)
    os.environ["DBT_LOG_PATH"] = str(settings.postgres / "logs")
    os.environ["PGOPTIONS"] = session(settings)
    sources = load_sources(settings)
    declare_columns(sources.tables, settings.lake)
    project = [*dbt_arguments(sources), "--target", "postgres"]
    done = dbtRunner().invoke(["--quiet", "parse", *project])
    if done.success and not arguments:
        copy_lake(done.result)
    if done.success:
        done = dbtRunner().invoke(["--no-use-colors", *(arguments or SEEDS_AND_MODELS), *project])
    if done.exception:
        print(done.exception, file=sys.stderr)
    return 0 if done.success else 1


def session(settings: Settings) -> str:
    """What every connection is told, as libpq takes it; so no log of dbt's and no view holds the salt."""
    salt = settings.contact_salt.replace("\\", "\\\\").replace(" ", "\\ ")
    # To compile the queries takes longer than to run them.
    told = {"TimeZone": "UTC", "jit": "off", "client_min_messages": "warning", "nps.contact_salt": salt}
    return " ".join(f"-c {name}={value}" for name, value in told.items())


def copy_lake(manifest: Manifest) -> None:
    """Copy every table of the lake that a model reads from where DuckDB reads it, in one transaction.

    Raises:
        ConfigError: the database orders texts otherwise than DuckDB, or does not know all letters.
    """
    read = {source for node in manifest.nodes.values() for source in node.depends_on_nodes}
    with psycopg.connect() as database, duckdb.connect() as lake:
        texts = database.execute(
            """
            select pg_encoding_to_char(encoding), datcollate, datctype from pg_database
            where datname = current_database()
            """
        ).fetchone()
        if texts is None or texts[:2] != ("UTF8", "C") or texts[2] in ("C", "POSIX"):
            raise ConfigError(
                "the database must order texts by their bytes and know all letters: make it with "
                "create database nps template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C.UTF-8'"
            )
        lake.execute("set TimeZone = 'UTC'")
        for source in manifest.sources.values():
            if source.unique_id not in read:
                continue
            location = DuckDBRelation.create_from(SimpleNamespace(quoting={}), source).render()
            columns = lake.execute(f"describe select * from {location}").fetchall()
            # No model reads the lists.
            copied = ", ".join(f'"{name}"' for name, kind, *_ in columns if not kind.endswith("[]"))
            table = Identifier(source.schema, source.identifier)
            database.execute(SQL("create schema if not exists {}").format(Identifier(source.schema)))
            database.execute(SQL("drop table if exists {} cascade").format(table))
            copy_table(lake, database, f"select {copied} from {location}", table)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ConfigError as fault:
        sys.exit(f"Configuration: {fault}")
    except psycopg.OperationalError as fault:
        sys.exit(f"PostgreSQL: {fault}")
