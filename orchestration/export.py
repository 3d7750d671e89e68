"""Exports for others: one owner's domain, or figures in which nobody's answer can be found.

Both are made from the published file and hold nothing that is not in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import NamedTuple

import duckdb

from orchestration.loader import flush
from orchestration.readers import literal
from orchestration.served_file import STORAGE_VERSION
from orchestration.settings import ConfigError, Settings

TOTAL = "all"
_LEAF = "month"
_SUMS = ("quarter", "year")


class Period(NamedTuple):
    """A month, quarter or year; a quarter and a year are sums of the months in them."""

    grain: str
    start: date
    end: date

    def has(self, other: Period) -> bool:
        """Whether the other one is a part of it."""
        return self != other and self.start <= other.start and other.end <= self.end


Breakdown = Mapping[str, int]  # answers by segment value, of one segment in one period


def export_owner(settings: Settings, owner_id: str, target: Path) -> dict[str, int]:
    """Write the answers, accounts and contacts of an owner and of everybody who reports to them, at any distance.

    An answer belongs to who owned its account when it was given, and to who handled what it is about; an account and
    its contacts, to who owns it now, and a case to who acts on it.

    Returns:
        Rows by table.

    Raises:
        ConfigError: nothing is published, or there is no such owner.
    """
    tables = {
        "dim_owners": "owner_id in (from domain)",
        "dim_owner_hierarchy": "owner_id in (from domain) and manager_id in (from domain)",
        "nps_by_owner": "owner_id in (from domain)",
        "nps_by_account": "owner_id in (from domain)",
        "dim_accounts": "owner_id in (from domain)",
        "dim_contacts": "account_id in (select account_id from export.dim_accounts)",
        "fct_nps_responses": "owner_id in (from domain) or handled_by in (from domain)",
        "detractor_recovery": "owner_id in (from domain)",
        "recovery_performance": "owner_id in (from domain)",
        "dim_surveys": "true",
        "dim_dates": "true",
        "dim_windows": "true",
    }
    accounts = f"select account_id from published.marts.dim_accounts where {tables['dim_accounts']}"
    # Who stands above, and what belongs to others, is not of this domain.
    hidden = {
        "dim_owners": {"manager_id": "from domain"},
        "dim_accounts": {"parent_account_id": accounts},
        "fct_nps_responses": dict.fromkeys(("owner_id", "handled_by"), "from domain"),
        "detractor_recovery": dict.fromkeys(("manager_id", "owner_when_opened_id", "contacted_by"), "from domain"),
    }
    with duckdb.connect() as connection:
        _open(connection, settings, target)
        note_domain(connection, owner_id)
        for table, condition in tables.items():
            # Never written, rather than updated: a file keeps the bytes of what was there before.
            others = ", ".join(
                f"case when {column} in ({known}) then {column} end as {column}"
                for column, known in hidden.get(table, {}).items()
            )
            columns = f"* replace ({others})" if others else "*"
            connection.execute(
                f"create table export.{table} as select {columns} from published.marts.{table} where {condition}"
            )
        rows = {name: len(connection.execute(f"select 1 from export.{name}").fetchall()) for name in tables}
        connection.execute("detach export")
    finish(target)
    return rows


def note_domain(connection: duckdb.DuckDBPyConnection, owner_id: str) -> None:
    """Note in the temporary table `domain` the owner and everybody who reports to them, at any distance.

    The published file is attached as `published`.

    Raises:
        ConfigError: there is no such owner.
    """
    connection.execute(
        """
        create temp table domain as
        select owner_id from published.marts.dim_owner_hierarchy where manager_id = $owner
        """,
        {"owner": owner_id},
    )
    if not connection.execute("from domain").fetchall():
        raise ConfigError(f"{owner_id}: no such owner; marts.dim_owners lists them")


def export_outside(settings: Settings, target: Path) -> tuple[int, int]:
    """Write NPS and answers by segment value for complete months, quarters and years, without the hidden ones.

    Returns:
        How many rows are shown, and how many hidden.

    Raises:
        ConfigError: nothing is published.
    """
    minimum = int(settings.variables["outside_minimum_answers"])
    single = {segment["name"] for segment in settings.variables["segments"] if "combine" not in segment} | {TOTAL}
    with duckdb.connect() as connection:
        _open(connection, settings, target)
        connection.execute(
            """
            create temp table cells as
            select
                survey_type, period_grain, period_start, period_end, segment, segment_value,
                responses, nps, ci_low, ci_high
            from published.marts.nps_by_segment_period
            where is_complete_period and list_contains($grains, period_grain) and list_contains($segments, segment)
            """,
            {"grains": [_LEAF, *_SUMS], "segments": sorted(single)},
        )
        tables: dict[tuple[str, str], dict[Period, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
        for kind, grain, start, end, segment, value, responses in connection.execute(
            "select survey_type, period_grain, period_start, period_end, segment, segment_value, responses from cells"
        ).fetchall():
            tables[kind, segment][Period(grain, start, end)][value] = responses
        connection.execute("create temp table shown (survey_type text, segment text, grain text, start date)")
        for (kind, segment), breakdowns in tables.items():
            totals = shown_periods(tables[kind, TOTAL], minimum)
            shown = totals if segment == TOTAL else shown_periods(breakdowns, minimum, totals)
            if shown:
                connection.executemany(
                    "insert into shown values (?, ?, ?, ?)", [(kind, segment, p.grain, p.start) for p in sorted(shown)]
                )
        connection.execute("""
            create table export.nps_by_segment_period as
            select
                cells.survey_type, period_grain, period_start, period_end, cells.segment, segment_value,
                shown.start is null as is_hidden,
                if(is_hidden, null, responses) as responses,
                if(is_hidden, null, nps) as nps,
                if(is_hidden, null, ci_low) as ci_low,
                if(is_hidden, null, ci_high) as ci_high
            from cells
            left join shown
                on
                    cells.survey_type = shown.survey_type and cells.segment = shown.segment
                    and period_grain = shown.grain and period_start = shown.start
            order by all
        """)
        [(visible, hidden)] = connection.execute(
            "select count(*) filter (not is_hidden), count(*) filter (is_hidden) from export.nps_by_segment_period"
        ).fetchall()
        connection.execute("detach export")
    finish(target)
    return visible, hidden


def shown_periods(
    breakdowns: Mapping[Period, Breakdown], minimum: int, totals: set[Period] | None = None
) -> set[Period]:
    """The periods whose breakdown by one segment can be shown; `totals` are those whose total is.

    A breakdown is shown whole or hidden whole: it is hidden where one of its values has answers, but fewer than
    `minimum` (primary suppression), and where it would give a hidden one away (complementary suppression; Willenborg
    & de Waal, Elements of Statistical Disclosure Control, 2001, chapter 4). What is shown of a quarter or year, less
    what is shown of its parts, is the sum of the hidden months in it. That sum gives away nothing but itself if it is
    of two months at least, and if of each value it has no answers or `minimum`: the answers of a value in a month may
    then be one more or fewer, as those of another value and another month are, and all sums stay what they are.
    """
    answers = {period: sum(breakdown.values()) for period, breakdown in breakdowns.items()}
    shown = {
        period
        for period, breakdown in breakdowns.items()
        if (totals is None or period in totals) and all(n == 0 or n >= minimum for n in breakdown.values())
    }
    is_safe = False
    while not is_safe:
        is_safe = True
        for total in sorted(period for period in shown if period.grain in _SUMS):
            parts = [period for period in shown if period.grain in _SUMS and total.has(period)]
            months = [
                period
                for period in breakdowns
                if period.grain == _LEAF and total.has(period) and not any(part.has(period) for part in parts)
            ]
            hidden = [month for month in months if month not in shown and answers[month]]
            left: dict[str, int] = defaultdict(int)
            for month in hidden:
                for value, count in breakdowns[month].items():
                    left[value] += count
            if not hidden or (len(hidden) > 1 and all(n == 0 or n >= minimum for n in left.values())):
                continue
            is_safe = False
            candidates = [month for month in months if month in shown and answers[month]]
            shown.remove(min(candidates, key=lambda month: (answers[month], month)) if candidates else total)
            break
    return shown


def attach_published(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Attach the published file as `published`.

    Raises:
        ConfigError: nothing is published.
    """
    connection.execute(f"attach {literal(settings.published_file())} as published (read_only)")


def _open(connection: duckdb.DuckDBPyConnection, settings: Settings, target: Path) -> None:
    attach_published(connection, settings)
    draft = draft_of(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft.unlink(missing_ok=True)
    connection.execute(f"attach {literal(draft)} as export (storage_version '{STORAGE_VERSION}')")


def draft_of(target: Path) -> Path:
    """Where a file is written before it takes its place."""
    return target.with_name(f"{target.name}.tmp")


def finish(target: Path) -> None:
    """Put the finished draft in its place."""
    draft = draft_of(target)
    flush(draft)
    draft.replace(target)
    flush(target.parent)
