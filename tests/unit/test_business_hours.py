"""When a case is due: the models' SQL against plain Python that walks from day to day, with zoneinfo."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models import model_sql

FIRST, LAST = date(2024, 2, 20), date(2024, 11, 20)  # both changes of the clocks, on both sides of the equator
ZONES = (
    "UTC", "America/New_York", "Europe/London", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe",
    "America/St_Johns", "Pacific/Chatham", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Africa/Casablanca",
)  # fmt: skip
Calendar = dict[str, Any]


def local_as_utc(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """A local time as UTC: the second of two; one that is left out, by the clock that went before."""
    local = datetime.combine(day, time()) + timedelta(minutes=minute)
    first, second = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    is_left_out = first.utcoffset() < second.utcoffset()  # type: ignore[operator]
    return (first if is_left_out else second).astimezone(UTC)


def due_at(opened_at: datetime, hours: float, calendar: Calendar, days_off: set[date]) -> datetime:
    """The end of the last of `hours` working hours after a moment; that of a day that closes then, not of the next."""
    zone = ZoneInfo(calendar["time_zone"])
    opens, closes = (int(clock[:2]) * 60 + int(clock[3:]) for clock in (calendar["opens"], calendar["closes"]))
    left = timedelta(hours=hours)
    begins = opened_at.replace(microsecond=0)
    day = opened_at.astimezone(zone).date()
    while True:
        if day.isoweekday() in calendar["days"] and day not in days_off:
            start, end = (local_as_utc(day, minute, zone) for minute in (opens, closes))
            start = max(start, begins)
            if timedelta(0) < left <= end - start:
                return start + left
            left -= max(timedelta(0), end - start)
        day += timedelta(days=1)


def sql_due_at(
    cases: list[tuple[datetime, str, str]], follow_up: dict[str, Any], holidays: list[tuple[str | None, date]]
) -> list[datetime]:
    """What the models say of answers (time, region, tier)."""
    variables = {
        "follow_up": follow_up,
        "business_time_zone": "UTC",
        "segments": [{"name": "region"}, {"name": "tier"}],
    }
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(
            """
            create table fct_nps_responses (
                response_id int, submitted_at timestamp, region text, tier text, category text, survey_type text,
                response_date date
            );
            create table holidays (calendar text, holiday_on date, holiday text);
            """
        )
        rows = [(n, at.replace(tzinfo=None), *case, at.date()) for n, (at, *case) in enumerate(cases)]
        connection.executemany(
            "insert into fct_nps_responses values (?, ?, ?, ?, 'detractor', 'relationship', ?)", rows
        )
        if holidays:
            connection.executemany("insert into holidays values (?, ?, 'rest')", holidays)
        for model in ("int_business_hours", "int_detractor_cases"):
            sql = model_sql(f"intermediate/{model}.sql", variables, as_of_moment="timestamp '2030-01-01'")
            connection.execute(f"create table {model} as {sql}")
        found = connection.execute("select response_id, due_at from int_detractor_cases order by 1").fetchall()
    assert [number for number, _ in found] == list(range(len(cases))), "one case an answer"
    return [due.replace(tzinfo=UTC) for _, due in found]


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    opens = draw(st.integers(0, 22 * 60))
    closes = draw(st.integers(opens + 60, 24 * 60))
    days = sorted(draw(st.sets(st.integers(1, 7), min_size=1)))
    return {"time_zone": draw(st.sampled_from(ZONES)), "opens": clock(opens), "closes": clock(closes), "days": days}


moments = st.datetimes(datetime.combine(FIRST, time()), datetime.combine(LAST, time()), timezones=st.just(UTC))


@settings(max_examples=60, deadline=None)
@given(
    default=calendars(),
    north=calendars(),
    hours=st.tuples(st.integers(1, 40), st.integers(1, 160).map(lambda quarters: quarters / 4)),
    cases=st.lists(
        st.tuples(moments, st.sampled_from(["north", "south"]), st.sampled_from(["A", "B"])), min_size=1, max_size=12
    ),
    holidays=st.lists(
        st.tuples(st.sampled_from([None, "default", "north"]), st.dates(FIRST, LAST)), max_size=20
    ),
)  # fmt: skip
def test_due_is_what_plain_python_says(
    default: Calendar,
    north: Calendar,
    hours: tuple[float, float],
    cases: list[tuple[datetime, str, str]],
    holidays: list[tuple[str | None, date]],
) -> None:
    follow_up = {
        "survey_types": ["relationship"],
        "years": 20,
        "hours": {"segment": "tier", "default": hours[0], "values": {"A": hours[1]}},
        "calendars": {"segment": "region", "default": default, "values": {"north": north}},
    }
    expected = []
    for opened_at, region, tier in cases:
        name = region if region == "north" else "default"
        days_off = {day for calendar, day in holidays if calendar in (None, name)}
        expected.append(due_at(opened_at, hours[tier == "A"], north if name == "north" else default, days_off))
    assert sql_due_at(cases, follow_up, holidays) == expected


OFFICE = {"time_zone": "America/New_York", "opens": "09:00", "closes": "17:00", "days": [1, 2, 3, 4, 5]}


@pytest.mark.parametrize(
    ("opened_at", "tier", "due"),
    [
        ("2024-03-06 14:00:00", "B", "2024-03-06 22:00:00"),  # Wednesday, when it opens: due when it closes
        ("2024-03-06 21:59:59", "B", "2024-03-07 21:59:59"),  # one second before it closes
        ("2024-03-06 22:00:00", "B", "2024-03-07 22:00:00"),
        ("2024-03-07 03:00:00", "B", "2024-03-07 22:00:00"),  # Wednesday evening there
        ("2024-03-09 16:00:00", "B", "2024-03-11 21:00:00"),  # Saturday; on Sunday the clocks go forward
        ("2024-03-08 21:00:00", "B", "2024-03-11 20:00:00"),
        ("2024-07-03 20:00:00", "B", "2024-07-05 20:00:00"),  # over a holiday
        ("2024-07-04 15:00:00", "B", "2024-07-05 21:00:00"),  # on it
        ("2024-11-01 20:00:00", "B", "2024-11-04 21:00:00"),  # Friday; on Sunday the clocks go back
        ("2024-03-06 14:00:00", "A", "2024-03-06 16:00:00"),
        ("2024-03-06 14:00:00", "unknown", "2024-03-06 22:00:00"),  # no such tier: the default
    ],
)
def test_due_at_its_bounds(opened_at: str, tier: str, due: str) -> None:
    follow_up = {
        "survey_types": ["relationship"],
        "years": 20,
        "hours": {"segment": "tier", "default": 8, "values": {"A": 2}},
        "calendars": {"segment": "region", "default": OFFICE},
    }
    moment, expected = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (opened_at, due))
    assert sql_due_at([(moment, "unknown", tier)], follow_up, [(None, date(2024, 7, 4))]) == [expected]
