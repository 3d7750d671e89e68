"""The result of a run as a person likes to read it: headline, trend, decisions, checks, and where to look next.

Reads the published file only; every figure is one that the marts hold. Fits into 80 columns.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from expectations.last_results import SUITES, in_words
from orchestration.served_file import named_rows
from orchestration.settings import ROOT, Settings

WIDTH = 80
TREND_PERIODS = 8
SCALE_WIDTH = 37  # characters for −100..100; odd, so that 0 has one of its own


def print_summary(settings: Settings, console: Console) -> None:
    """Print the summary of the published file, or say how to make one."""
    if not settings.serving.exists():
        console.print("Nothing is published yet. [bold]make demo[/] loads the sample company.")
        return
    with duckdb.connect(settings.serving, read_only=True) as connection:
        console.print()
        for panel in (_headline, _trend, _decisions, _checks):
            console.print(panel(connection))
    console.print(_next_steps(settings))


def print_headline(warehouse: Path, console: Console) -> None:
    """Print the headline of a database that has the marts, published or not."""
    with duckdb.connect(warehouse, read_only=True) as connection:
        console.print(_headline(connection))


def points(score: float | None) -> str:
    """An NPS as people write it, such as +48.4 or −3.8; a dash where there are too few answers."""
    return "–" if score is None else f"{score:+.1f}".replace("-", "−")


def interval_picture(score: float | None, low: float | None, high: float | None) -> Text:
    """A score and its interval on a scale from −100 to 100, as one line of characters."""
    line = ["·"] * SCALE_WIDTH
    line[SCALE_WIDTH // 2] = "┊"
    if score is None or low is None or high is None:
        return Text("".join(line), style="dim")

    def position(value: float) -> int:
        return round((float(value) + 100) / 200 * (SCALE_WIDTH - 1))

    start, end = position(low), position(high)
    line[start : end + 1] = ["━"] * (end + 1 - start)
    line[position(score)] = "●"
    text = Text("".join(line), style="dim")
    text.stylize("not dim cyan", start, end + 1)
    return text


def _rows(connection: duckdb.DuckDBPyConnection, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
    return connection.execute(query, parameters or None).fetchall()


def _panel(title: str, *content: RenderableType) -> Panel:
    return Panel(Group(*content), title=f"[bold]{title}[/]", title_align="left", padding=(1, 2), width=WIDTH)


def _table(*columns: str) -> Table:
    """A plain table; a column whose name ends in > is aligned to the right."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column.rstrip(">"), justify="right" if column.endswith(">") else "left", no_wrap=True)
    return table


def _headline(connection: duckdb.DuckDBPyConnection) -> Panel:
    rows = _rows(
        connection,
        """
        select survey_type, nps, ci_low, ci_high, responses, response_rate, evidence, first_date, last_date
        from marts.nps_overall where segment = 'all' order by responses desc
        """,
    )
    table = _table("survey type", "NPS>", "interval", "answers>", "response rate>", "evidence")
    for survey_type, nps, low, high, answers, rate, evidence, _, _ in rows:
        table.add_row(
            survey_type,
            Text(points(nps), style="bold"),
            "too few answers" if low is None else f"{points(low)} to {points(high)}",
            f"{answers:,}",
            "unknown" if rate is None else f"{rate:.1%}",
            evidence,
        )
    first, last = min(row[7] for row in rows), max(row[8] for row in rows)
    return _panel(f"Net Promoter Score, {first} to {last}", table)


def _trend(connection: duckdb.DuckDBPyConnection) -> Panel:
    """Quarters of the survey type with the most answers, or months where there are few quarters."""
    survey_type, quarters = _rows(
        connection,
        """
        select survey_type, count(*) from marts.nps_by_segment_period
        where segment = 'all' and period_grain = 'quarter'
        group by survey_type order by sum(responses) desc limit 1
        """,
    )[0]
    grain = "quarter" if quarters >= 4 else "month"
    rows = _rows(
        connection,
        """
        select period_start, nps, ci_low, ci_high, responses, response_rate, is_complete_period
        from marts.nps_by_segment_period
        where segment = 'all' and survey_type = $survey_type and period_grain = $grain
        order by period_start desc limit $periods
        """,
        survey_type=survey_type,
        grain=grain,
        periods=TREND_PERIODS,
    )
    table = _table(f"{grain} from", f"−100{'0':^{SCALE_WIDTH - 8}}+100", "NPS>", "answers>", "rate>")
    for start, nps, low, high, answers, rate, is_complete in reversed(rows):
        table.add_row(
            f"{start:%Y-%m}" + ("" if is_complete else "…"),
            interval_picture(nps, low, high),
            Text(points(nps), style="bold"),
            f"{answers:,}",
            "" if rate is None else f"{rate:.0%}",
        )
    return _panel(f"Trend of the {survey_type} surveys", table)


def _decisions(connection: duckdb.DuckDBPyConnection) -> Panel:
    decisions = _rows(
        connection,
        "select decision, count(*) from marts.response_eligibility group by all order by count(*) desc, decision",
    )
    quarantined = _rows(
        connection,
        """
        select reason, count(*), min(source_file || ':' || source_line)
        from quality.quality_quarantine group by all order by count(*) desc, reason
        """,
    )
    total = sum(count for _, count in decisions)
    content: list[RenderableType] = [
        f"{total:,} raw answers = " + " + ".join(f"{count:,} {decision}" for decision, count in decisions)
    ]
    if quarantined:
        table = _table("quarantined because", "rows>", "the first at")
        for reason, count, place in quarantined:
            table.add_row(reason, f"{count:,}", Text(place))
        content += ["", table]
    return _panel("Where every answer went", *content)


def _checks(connection: duckdb.DuckDBPyConnection) -> Panel:
    rows = named_rows(
        connection,
        """
        from quality.quality_check_results
        where run_id = (select run_id from quality.publication)
        """,
    )
    table = _table("checks of the run", "passed>", "failed>")
    for suite, name in SUITES.items():
        outcomes = [row["is_success"] for row in rows if row["suite"] == suite]
        failed = outcomes.count(False)
        table.add_row(name, f"{outcomes.count(True):,}", Text(f"{failed:,}", style="bold yellow" if failed else ""))
    failures = [
        Text(f"{row['severity']}: {in_words(row)} {row['action']}", style="yellow")
        for row in rows
        if not row["is_success"]
    ]
    return _panel("Quality", table, *([""] if failures else []), *failures)


def _next_steps(settings: Settings) -> Panel:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_row("published file", Text(_short(settings.serving)))
    table.add_row("quality report", Text(_short(settings.data_docs / "index.html")))
    table.add_row("make dev", "Dagster: every asset, check and run, on 127.0.0.1:3000")
    if settings.config_dir == ROOT:
        table.add_row("make run", Text(f"the same over your own files in {_short(settings.landing)}"))
    table.add_row("make help", "all commands")
    return _panel("Next", table)


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
