"""Publishing to a real PostgreSQL, started here on a free port: old or new, whole, whatever happens meanwhile."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from orchestration.__main__ import main
from orchestration.postgres import PushError, connection_string, push
from orchestration.settings import ConfigError
from tests.conftest import ROOT
from tests.postgres.server import PASSWORD, started

TABLES = ("marts.facts", "marts.numbers", "quality.checks")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with started() as target:
        yield target


@pytest.fixture
def target(server: str) -> str:
    """The server without any table of ours."""
    with psycopg.connect(server) as database:
        for schema in ("marts", "quality"):
            database.execute(f"drop schema if exists {schema} cascade")
    return server


def served(folder: Path, version: int, extra: str = "") -> Path:
    """A published file all of whose tables say its version."""
    file = folder / f"{version}.duckdb"
    listed = ", ".join(f"('{name}', 5000, 0)" for name in TABLES)
    with duckdb.connect(file) as connection:
        connection.execute(
            f"""
            create schema marts;
            create schema quality;
            create table marts.facts as select {version} as version, n as id, 'yes' as answer from range(5000) t(n);
            create table marts.numbers as select {version} as version from range(5000);
            create table quality.checks as select {version} as version from range(5000);
            create table quality.publication as select {version} as version;
            create table quality.published_tables as
            select * from (values {listed}) as tables (table_name, row_count, appended_rows);
            {extra}
            """
        )
    return file


def seen(database: psycopg.Connection[Any]) -> set[tuple[Any, ...]]:
    """What each table says: its rows by version."""
    return {
        (table, *row)
        for table in TABLES
        for row in database.execute(f"select version, count(*) from {table} group by version").fetchall()
    }


def whole(version: int) -> set[tuple[Any, ...]]:
    return {(table, version, 5000) for table in TABLES}


def test_every_value_type_and_comment_arrives(target: str, tmp_path: Path) -> None:
    texts = ["", "\\N", 'q"uo,te', "two\nlines\r\n", "\\.", "back\\slash", "Zürich 🙂", " spaces ", "a\0b", None]
    file = served(
        tmp_path,
        1,
        """
        create table marts.texts (number bigint, text varchar);
        create table marts.types as
        select 1::bigint as a, 2::integer as b, true as c, date '2025-01-31' as d, 0.1::double as e,
            timestamp '2025-01-31 23:59:59.123456' as f, 12.3456::decimal(9, 4) as g,
            timestamptz '2025-01-31 12:00:00+00' as h
        union all select null, null, null, null, null, null, null, null;
        comment on table marts.types is 'It''s 100 % "typed"';
        comment on column marts.types.g is 'Points; {never} a share';
        """,
    )
    with duckdb.connect(file) as connection:
        connection.executemany("insert into marts.texts values (?, ?)", list(enumerate(texts)))
    rows = push(file, target)
    assert rows["marts.texts"] == len(texts)
    assert rows["marts.facts"] == 5000
    with psycopg.connect(target) as database:
        database.execute("set timezone = 'UTC'")
        arrived = [text for (text,) in database.execute("select text from marts.texts order by number").fetchall()]
        assert arrived == [text.replace("\0", "") if text else text for text in texts]
        typed = database.execute("select a, b, c, d, e, f, g, h::text from marts.types where a is not null").fetchall()
        assert typed == [
            (
                1,
                2,
                True,
                date(2025, 1, 31),
                0.1,
                datetime(2025, 1, 31, 23, 59, 59, 123456),
                Decimal("12.3456"),
                "2025-01-31 12:00:00+00",
            )
        ]
        comments = database.execute(
            "select obj_description('marts.types'::regclass), col_description('marts.types'::regclass, 7)"
        ).fetchall()
        assert comments == [('It\'s 100 % "typed"', "Points; {never} a share")]


def test_a_later_push_takes_the_place_of_the_earlier(target: str, tmp_path: Path) -> None:
    push(served(tmp_path, 1, "create table marts.old as select 1 as one"), target)
    file = served(tmp_path, 2)
    push(file, target)
    push(file, target)
    with psycopg.connect(target) as database:
        assert seen(database) == whole(2)
        left = database.execute(
            "select table_name from information_schema.tables where table_schema in ('marts', 'quality')"
        ).fetchall()
    # A table that was never listed as published is nobody's to drop.
    assert {name for (name,) in left} == {"facts", "numbers", "checks", "publication", "published_tables", "old"}


def test_the_command_pushes_the_published_file(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NPS_DATA_DIR", str(tmp_path))
    for setting, text in (("", "set NPS_POSTGRES"), (target, "nothing is published yet")):
        monkeypatch.setenv("NPS_POSTGRES", setting)
        assert main(["publish", "--to", "postgres"]) == 1
        assert text in capsys.readouterr().out
    (tmp_path / "serving").mkdir()
    served(tmp_path, 3).rename(tmp_path / "serving" / "nps.duckdb")
    assert main(["publish", "--to", "postgres"]) == 0
    assert "5 tables, 15,004 rows" in capsys.readouterr().out
    with psycopg.connect(target) as database:
        assert seen(database) == whole(3)


def test_tables_of_others_are_left_alone(target: str, tmp_path: Path) -> None:
    with psycopg.connect(target) as database:
        database.execute("create schema marts")
        database.execute("create table marts.numbers as select 1 as theirs")
    with pytest.raises(PushError, match=r"marts\.numbers is there already"):
        push(served(tmp_path, 1), target)
    with psycopg.connect(target) as database:
        assert database.execute("select theirs from marts.numbers").fetchall() == [(1,)]
        assert database.execute("select to_regclass('marts.facts')").fetchall() == [(None,)]


def test_an_unknown_type_and_a_lost_file_leave_what_was_there(target: str, tmp_path: Path) -> None:
    push(served(tmp_path, 1), target)
    with pytest.raises(PushError, match=r"INTEGER\[\]"):
        push(served(tmp_path, 2, "create table quality.lists as select [1] as list"), target)
    with pytest.raises(duckdb.Error):
        push(tmp_path / "missing.duckdb", target)
    with psycopg.connect(target) as database:
        assert seen(database) == whole(1)


def test_a_push_that_is_killed_leaves_what_was_there(target: str, tmp_path: Path) -> None:
    push(served(tmp_path, 1), target)
    file = served(tmp_path, 2)
    code = f"from pathlib import Path; from orchestration.postgres import push; push(Path({str(file)!r}), {target!r})"
    with psycopg.connect(target) as reader, psycopg.connect(target, autocommit=True) as observer:
        assert seen(reader) == whole(1)  # and holds the tables, so that the push waits with everything copied
        with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as process:
            waiting = (
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like 'drop table%'"
            )
            for _ in range(600):
                if observer.execute(waiting).fetchall() == [(1,)]:
                    break
                time.sleep(0.05)
            else:
                pytest.fail("the push did not come to its end")
            process.kill()
        reader.commit()
        assert seen(reader) == whole(1)
    push(file, target)
    with psycopg.connect(target) as database:
        assert seen(database) == whole(2)


def test_readers_see_one_publication_whole(target: str, tmp_path: Path) -> None:
    push(served(tmp_path, 0), target)
    is_over = threading.Event()
    faults: list[object] = []
    read: list[int] = []

    @contextmanager
    def noted() -> Iterator[None]:
        try:
            yield
        except Exception as error:
            faults.append(error)

    def reader() -> None:
        with noted(), psycopg.connect(target) as database:
            database.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            while not is_over.is_set():
                tables = seen(database)
                version = next(iter(tables))[1]
                read.append(version)
                if tables != whole(version):
                    faults.append(tables)
                database.commit()

    readers = [threading.Thread(target=reader) for _ in range(4)]
    for thread in readers:
        thread.start()
    for version in range(1, 9):
        push(served(tmp_path, version), target)
    is_over.set()
    for thread in readers:
        thread.join()
    assert faults == []
    assert len(set(read)) > 2


def test_the_password_is_never_told(tmp_path: Path) -> None:
    for text in ("", f"postgresql//bi:{PASSWORD}@localhost", f"password='{PASSWORD}"):
        with pytest.raises(ConfigError, match="set NPS_POSTGRES") as told:
            connection_string({"NPS_POSTGRES": text})
        assert PASSWORD not in str(told.value)
    with pytest.raises(PushError, match="no connection") as refused:
        push(served(tmp_path, 1), f"postgresql://bi:{PASSWORD}@127.0.0.1:1/none")
    assert PASSWORD not in str(refused.value)
