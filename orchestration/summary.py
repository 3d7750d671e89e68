"""The result of a run as a person likes to read it: headline, trend, decisions, checks, and where to look next.

Reads the published file only; every figure is one the marts hold.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from orchestration.settings import Settings

TREND_PERIODS = 8
SCALE_WIDTH = 41  # characters for -100..100, so that 0 has one of its own


def print_summary(settings: Settings, console: Console) -> None:
    """Print the summary of the published file, or say how to make one."""
    if not settings.serving.exists():
        console.print("Nothing is published yet. [bold]make demo[/] loads the sample company.")
        return
    with duckdb.connect(settings.serving, read_only=True) as connection:
        console.print()
        console.print(_headline(connection))
        console.print(_trend(connection))
        console.print(_decisions(connection))
        console.print(_checks(connection))
    console.print(_next_steps(settings))


def _rows(connection: duckdb.DuckDBPyConnection, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
    return connection.execute(query, parameters or None).fetchall()


def points(score: float | None) -> str:
    """An NPS as people write it: +48.4, −3.8, or that there are too few answers."""
    return "too few answers" if score is None else f"{score:+.1f}".replace("-", "−")


def interval_picture(score: float | None, low: float | None, high: float | None) -> Text:
    """A score and its interval on a scale from −100 to 100, as one line of characters."""
    line = ["·"] * SCALE_WIDTH
    line[SCALE_WIDTH // 2] = "┊"

    def position(value: float) -> int:
        return round((float(value) + 100) / 200 * (SCALE_WIDTH - 1))

    if score is None or low is None or high is None:
        return Text("".join(line), style="dim")
    start, end = position(low), position(high)
    for place in range(start, end + 1):
        line[place] = "━"
    line[position(score)] = "●"
    text = Text("".join(line), style="dim")
    text.stylize("not dim cyan", start, end + 1)
    return text


def _headline(connection: duckdb.DuckDBPyConnection) -> Panel:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name, justify in (
        ("survey type", "left"),
        ("NPS", "right"),
        ("95% interval", "left"),
        ("−100" + " " * (SCALE_WIDTH - 8) + "+100", "left"),
        ("answers", "right"),
        ("response rate", "right"),
        ("evidence", "left"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    first = last = None
    for survey_type, nps, low, high, answers, rate, evidence, start, end in _rows(
        connection,
        """
        select survey_type, nps, ci_low, ci_high, responses, response_rate, evidence, first_date, last_date
        from marts.nps_overall where segment = 'all' order by responses desc
        """,
    ):
        table.add_row(
            survey_type,
            Text(points(nps), style="bold"),
            "" if low is None else f"{points(low)} to {points(high)}",
            interval_picture(nps, low, high),
            f"{answers:,}",
            "unknown" if rate is None else f"{rate:.1%}",
            evidence,
        )
        first, last = min(first or start, start), max(last or end, end)
    return Panel(table, title=f"Net Promoter Score, {first} to {last}", title_align="left", padding=(1, 2))


def _trend(connection: duckdb.DuckDBPyConnection) -> Panel:
    grain, survey_type = _trend_grain(connection)
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
    table = Table(box=None, pad_edge=False, show_header=False)
    for start, nps, low, high, answers, rate, is_complete in reversed(rows):
        label = f"{start:%Y} Q{(start.month + 2) // 3}" if grain == "quarter" else f"{start:%Y-%m}"
        table.add_row(
            label + ("" if is_complete else " (so far)"),
            interval_picture(nps, low, high),
            Text(points(nps), style="bold" if nps is not None else "dim"),
            f"{answers:,} answers" + ("" if rate is None else f", {rate:.0%} response"),
        )
    return Panel(table, title=f"Trend, {survey_type} surveys by {grain}", title_align="left", padding=(1, 2))


def _trend_grain(connection: duckdb.DuckDBPyConnection) -> tuple[str, str]:
    """Quarters of the survey type with the most answers, or months where there are few quarters."""
    survey_type, quarters = _rows(
        connection,
        """
        select survey_type, count(*) from marts.nps_by_segment_period
        where segment = 'all' and period_grain = 'quarter'
        group by survey_type order by sum(responses) desc limit 1
        """,
    )[0]
    return ("quarter" if quarters >= 4 else "month"), survey_type


def _decisions(connection: duckdb.DuckDBPyConnection) -> Panel:
    decisions = _rows(
        connection,
        "select decision, count(*) from marts.response_eligibility group by decision order by count(*) desc",
    )
    quarantined = _rows(
        connection,
        """
        select reason, count(*), min(source_file || ':' || source_line)
        from quality.quality_quarantine group by reason order by count(*) desc, reason
        """,
    )
    total = sum(count for _, count in decisions)
    reasons = " + ".join(f"{count:,} {decision}" for decision, count in decisions)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("quarantined because")
    table.add_column("rows", justify="right")
    table.add_column("the first at")
    for reason, count, place in quarantined:
        table.add_row(reason, f"{count:,}", place)
    content: list[Any] = [f"{total:,} raw answers = {reasons}"]
    if quarantined:
        content += ["", table]
    return Panel(Group(*content), title="Where every answer went", title_align="left", padding=(1, 2))


def _checks(connection: duckdb.DuckDBPyConnection) -> Panel:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("checks", "passed", "failed"):
        table.add_column(name, justify="left" if name == "checks" else "right")
    last_run = "run_id = (select run_id from quality.publication)"
    for suite, passed, failed in _rows(
        connection,
        f"""
        select suite, count(*) filter (where is_success), count(*) filter (where not is_success)
        from quality.quality_check_results where {last_run} group by suite order by suite
        """,
    ):
        table.add_row(_SUITES.get(suite, suite), f"{passed:,}", Text(f"{failed:,}", style="yellow" if failed else ""))
    failures = _rows(
        connection,
        f"""
        select severity, coalesce(item, table_name), expectation, coalesce(observed_value, ''), threshold, action
        from quality.quality_check_results where {last_run} and not is_success
        """,
    )
    lines = [
        Text(f"{severity}: {item}: {expectation}: found {observed}, but {threshold}. {action}", style="yellow")
        for severity, item, expectation, observed, threshold, action in failures
    ]
    return Panel(Group(table, *lines), title="Checks of the run", title_align="left", padding=(1, 2))


_SUITES = {
    "loads": "new files (Great Expectations)",
    "marts": "marts (Great Expectations)",
    "dbt": "models (dbt tests)",
}


def _next_steps(settings: Settings) -> Panel:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("published file", _short(settings.serving))
    table.add_row("quality report", _short(settings.data_docs / "index.html"))
    table.add_row("look around", "make dev      Dagster: assets, checks, runs on http://127.0.0.1:3000")
    table.add_row("your own data", "put files into " + _short(settings.landing) + ", describe them in sources/, make run")
    return Panel(table, title="Next", title_align="left", padding=(1, 2))


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
