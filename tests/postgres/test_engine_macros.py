"""Macros of which PostgreSQL has a variant (`make test-postgres`): odd texts come to the same as on DuckDB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from orchestration.postgres_build import session
from orchestration.settings import ROOT, Settings
from orchestration.sources import dbt_arguments, load_sources
from tests.postgres.server import DATABASE, environment, started
from tests.unit.test_privacy import ADDRESSES, CALLED, NUMBERS, OTHERS, shapes

pytestmark = pytest.mark.skipif("NPS_TEST_POSTGRES" not in os.environ, reason="make test-postgres runs it")


def given(texts: str) -> list[str]:
    """Texts that are written with | between them, in lines that end with one."""
    return texts.strip("\n").replace("\n    ", "").removeprefix("    ").split("|")


TIMES = given("""
    2024-03-10 02:30:00|2024-11-03 01:30:00|2024-11-03T01:30:00Z|2024-11-03T01:30:00+02:00|2024-11-03 01:30:00-05|
    2024-02-29|2023-02-29|2024-13-01|2024-1-5|2024/01/05 10:00:00|2024-01-05 10:00|2024-01-05 10|2024-01-05 24:00:00|
    2024-01-05 10:60:00|2024-01-05 10:00:00.123456789|2024-01-05T10:00:00.5Z|2024-01-05 10:00:00 UTC|2024-01-05x|
    2024-01-05 10:00:00.|yesterday|now|2024|20240105|05/01/2024|Jan 5 2024|0001-01-01T00:00:00Z|2024-01-05T10Z|ten||
    2024-01-05 |2024-01-05 10:00 | 2024-01-05|2024-01-05 10:00:00 +0200|2024-01-05 10:00:00+02:00 |2024-01-05 24:00|
    2024-01-05 10:00:00 CET|2024-01-05 10:00:00 PST|2024-01-05 10:00:00 GMT+9|2024-01-05 10:00 utc|
    2024-01-05 10:00:00 GMT|2024-01-05 10:00:00+01:00:30
""")
FORMATTED = given("""
    05/01/2024 10:30|5/1/2024 9:05|31/02/2024 10:00|05/01/24 10:30|05/01/2024|05 Jan 2024 10:30|5 jan 2024 9:5||
    05 January 2024 10:30| 05/01/2024 10:30 |05/01/2024 25:00|05/01/2024 10:30:15|2024-01-05T10:30:00+0200|
    2024-01-05T10:30:00-05:30|2024-01-05T10:30:00+02|2024-01-05T10:30:00Z|10/27/2024 02:30 AM|10/27/2024 12:30 PM|
    10/27/2024 12:30 am|20241027|20240230|27/10/2024 02:30|31/03/2024 02:30
""")
FIGURES = given("""
    1|2.5|-2.5|0.5|1e3|1E3|-0|+5| 7 |9.|1,000|.5|.|-|1d|99999999999999999999|9223372036854775807|9223372036854775808|
    1704067200|1704067200.123456|1704067200123|1e11|99999999999|123456789.005|12345678901234567.89|1e17|9e99|ten||１
""")
OBJECTS = given(r"""
    {"a":"x","b":{"c":1}}|{"a":null}|{"a":1.0}|{"a":[1,2]}|{"a":|[1]|5|null||{"a":true}|{"a":"\u00e9\n"}|{"A":"x"}|
    {"what's \"a\\b\"?":"x"}
""")
LISTS = given(r"""
    [{"x":"1","q":[{"y":"a"},{"y":"b"},{"z":1}]},{"q":[{"y":"c"}]}]|[]|[{"x":null},{"x":"2"}]||[{"x":5},{"x":{"a":1}}]|x|
    [["a"]]|[{"x":"q\"uo\u0041"}]|[1,2]|null
""")
NAMES = given("""
    Ask Ann Lee about it|ask Ann Lee's boss, Jürgen von der Leyen.|ÉMILE ZOLA wrote|Mary\tO'Neil-Smith|ann lee|Ann  Lee|
    Jean-Luc Picard’s ship|Dr. Strange Love|Anna Maria Lopez de la Cruz Garcia Lee|(Ann Lee)|漢字 Ann Lee漢字|
    Lee, Ann, van Dam, Lee,Ann Lee , Ann|x_Ann Lee_y|José Ünal! José Ünal José Ünal|AnnLee x Ann|
    Zoë van Zu Dam|C++ rocks|Lee Lee Lee|Lee.Lee|a.b axb A.B
""")
FRAMES = ("{}", "ring {} please", "({})", "Tel: {}.", "is it\n{}, or not")
COMMENTS = [frame.format(text) for frame in FRAMES for text in shapes(NUMBERS + CALLED + OTHERS + ADDRESSES)]

# What is asked of the table `texts`, of which texts.
QUERIES = {
    "times": (
        """select n, {{ utc_timestamp('text') }}, {{ utc_timestamp('text', time_zone='America/New_York') }},
        {{ safe_cast_date('text') }} from texts""",
        TIMES,
    ),
    "formats": (
        """select n, {{ utc_timestamp('text', '%d/%m/%Y %H:%M', 'Europe/Berlin') }},
        {{ utc_timestamp('text', '%d %b %Y %H:%M') }}, {{ utc_timestamp('text', '%d %B %Y %H:%M') }},
        {{ utc_timestamp('text', '%Y-%m-%dT%H:%M:%S%z') }}, {{ utc_timestamp('text', '%d/%m/%y %H:%M') }},
        {{ utc_timestamp('text', '%m/%d/%Y %I:%M %p', 'America/New_York') }}, {{ utc_timestamp('text', '%Y%m%d') }}
        from texts""",
        FORMATTED,
    ),
    "numbers": (
        """select n, {{ safe_cast_number('text', type_double()) }}, {{ safe_cast_number('text', 'bigint') }},
        {{ safe_cast_number('text', 'decimal(18, 2)') }}, {{ score_number('text') }},
        {{ utc_timestamp('text', 'epoch_seconds') }}, {{ utc_timestamp('text', 'epoch_milliseconds') }} from texts""",
        FIGURES,
    ),
    "JSON objects": (
        """select n, {{ json_text('text', 'a') }}, {{ json_text('text', 'what\\'s "a\\\\b"?') }},
        {{ json_object_text({'a b': 'text', "c's": 'null'}) }}, {{ is_json('text') }} from texts""",
        OBJECTS,
    ),
    "JSON lists": (
        """select n, {{ json_first_text('text', '$[*].q[*].y') }}, null, null from texts
        union all select n, y, null, null from (
            {{ json_rows_at('texts', 'text', '$[*].q[*].y', 'y', ['n']) }}) as ys
        union all select n, x, a, cast(element_number as {{ dbt.type_string() }}) from (
            {{ json_fields('(' ~ json_elements('texts', 'text', ['n']) ~ ') as elements', 'element',
            {'x': 'x', 'a': 'x.a'}, ['n', 'element_number']) }}) as fields""",
        LISTS,
    ),
    "parts": ("{{ split_parts('texts', 'text', ';', 'part', ['n']) }}", ["a;b; c", "a", "", ";", "a;;b", " ;a"]),
    "names": ("{{ name_phrases('texts', 'text', ['n']) }}", NAMES),
    "words": (
        """select texts.n, {{ replace_words('texts.text', 'known.words', '***') }} from texts
        cross join (select {{ any_of_words('text') }} as words from texts where text not like '%Ask%') as known""",
        NAMES,
    ),
    "comments": (
        """select n, text, {{ without_contact_details('text') }}, {{ shown_score_text('delivered') }},
        {{ salted_hash('text') }}, {{ matches_whole('text', "'(?i).*CALL.*'") }},
        {{ matches_whole('text', "'.*5.*|x'") }}
        from (select n, text as delivered, {{ plain_text('text') }} as text from texts) as texts""",
        [*COMMENTS, "PHONE 12 34 56 78", "TÉLÉPHONE 612345678", "José Ünal", "9/10"],
    ),
}


@dataclass(frozen=True)
class Engines:
    """Both engines, and each query as SQL of either, by name."""

    duckdb: duckdb.DuckDBPyConnection
    postgres: psycopg.Connection[Any]
    queries: dict[str, list[str]]


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    settings = Settings(ROOT, tmp_path_factory.mktemp("macros"))
    with started() as server, pytest.MonkeyPatch.context() as patch, duckdb.connect() as here:
        with psycopg.connect(server, autocommit=True) as database:
            database.execute(DATABASE)
        for name, value in (settings.environment() | environment(server) | {"PGOPTIONS": session(settings)}).items():
            patch.setenv(name, value)
        written = {target: compiled(settings, target) for target in ("duckdb", "postgres")}
        here.execute("set TimeZone = 'UTC'")
        here.execute("set variable contact_salt = ?", [settings.contact_salt])
        with psycopg.connect(autocommit=True) as there:
            there.execute(written["postgres"].pop())
            queries = zip(QUERIES, written["duckdb"], written["postgres"], strict=False)
            yield Engines(here, there, {name: list(both) for name, *both in queries})


def compiled(settings: Settings, target: str) -> list[str]:
    """Each query as SQL of an engine; at the end what PostgreSQL is given first."""
    queries = [query for query, _ in QUERIES.values()]
    command = [
        str(Path(sys.executable).with_name("dbt")),
        *("--quiet", "compile", "--output", "json", "--target", target),
        *("--inline", "\n---\n".join([*queries, "{{ postgres__create_functions() }}"])),
        *dbt_arguments(load_sources(settings)),
    ]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    return str(json.loads(done.stdout[done.stdout.index("{") :])["compiled"]).split("\n---\n")


@pytest.mark.parametrize("name", QUERIES)
def test_odd_texts_come_to_the_same(engines: Engines, name: str) -> None:
    texts = list(enumerate(QUERIES[name][1]))
    engines.duckdb.execute("create or replace temp table texts (n integer, text varchar)")
    engines.duckdb.executemany("insert into texts values (?, ?)", texts)
    engines.postgres.execute("drop table if exists texts; create temp table texts (n integer, text text)")
    with engines.postgres.cursor() as cursor:
        cursor.executemany("insert into texts values (%s, %s)", texts)
    on_duckdb, on_postgres = engines.queries[name]
    here = sorted(engines.duckdb.execute(on_duckdb).fetchall(), key=str)
    there = sorted(engines.postgres.execute(on_postgres).fetchall(), key=str)
    assert here
    assert [pair for pair in zip(here, there, strict=True) if pair[0] != pair[1]] == []
