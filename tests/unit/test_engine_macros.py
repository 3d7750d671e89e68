"""Macros of macros/engine.sql on DuckDB: odd texts and names. `make test-postgres` compares more with PostgreSQL."""

from __future__ import annotations

import duckdb
import pytest

from tests.models import template_sql


def value(template: str, text: str) -> str | None:
    """What an expression of the column `text` comes to."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        found = connection.execute(f"select cast({template_sql(template)} as varchar) from (select ? as text)", [text])
        ((only,),) = found.fetchall()
        return only


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2025-03-14 10:00:00", "2025-03-14 14:00:00"),
        ("2025-03-14T10:00:00.5", "2025-03-14 14:00:00.5"),
        ("2025-03-14  10:00", "2025-03-14 14:00:00"),
        (" 2025/3/14", "2025-03-14 04:00:00"),
        ("2025-03-14 10:00:00.5 UTC", "2025-03-14 10:00:00.5"),
        ("2025-03-14 10:00 utc", "2025-03-14 10:00:00"),
        ("2025-03-14 10:00:00 GMT", "2025-03-14 10:00:00"),
        ("2025-03-14T10:00:00Z", "2025-03-14 10:00:00"),
        ("2025-03-14T10:00:00.123+0530", "2025-03-14 04:30:00.123"),
        ("2025-03-14 10:00-05", "2025-03-14 15:00:00"),
        # A zone that is not understood is not left out.
        *(
            (f"2025-03-14 10:00:00{rest}", None)
            for rest in (" CET", " PST", " GMT+9", " Europe/Paris", " x", "+01:00:30")
        ),
        ("infinity", None),
        ("epoch", None),
        ("2025-03-14 (BC)", None),
    ],
)
def test_a_time_is_read_in_the_zone_that_it_names_or_not_at_all(text: str, utc: str | None) -> None:
    assert value("{{ utc_timestamp('text', time_zone='America/New_York') }}", text) == utc


@pytest.mark.parametrize(
    ("text", "date"),
    [
        *(
            (text, "2025-03-14")
            for text in ("2025-03-14", " 2025/3/14 ", "2025-03-14 10:00:00", "2025-03-14T10:00:00Z")
        ),
        *((text, None) for text in ("infinity", "-infinity", "epoch", "2025-03-14 (BC)", "2025-02-30", "2025", "")),
    ],
)
def test_a_date_is_one_that_is_written_as_such(text: str, date: str | None) -> None:
    assert value("{{ safe_cast_date('text') }}", text) == date


@pytest.mark.parametrize("offset", ["Z", "+0000", "-00:00", "+00"])
def test_an_offset_may_be_a_letter(offset: str) -> None:
    template = """{{ utc_timestamp('text', "%d.%m.%Y o'clock %H:%M %z", 'Europe/Berlin') }}"""
    assert value(template, f"06.05.2025 o'clock 23:30 {offset}") == "2025-05-06 23:30:00"


@pytest.mark.parametrize("key", ["What's your score?", 'a "b" c', "a\\b", "a.b"])
def test_a_key_in_json_may_have_any_character(key: str) -> None:
    template = "{{ json_text(json_object_text({key: 'text'}), key) }}"
    written = template.replace("key", repr(key))
    assert value(written, "north") == "north"
