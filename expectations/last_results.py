"""What every guard found when it ran last: as rows, in words, and as the page that leads to the others.

From the results of the lake, which also know what dbt found and which files could not be read. Needed by every run, and
so apart from validation.py: Great Expectations takes seconds to import.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb

READABLE = "file_is_readable"
# In the order of a run.
SUITES = {
    "loads": "new files (Great Expectations)",
    "dbt": "models (dbt tests)",
    "marts": "marts (Great Expectations)",
}

Row = dict[str, Any]


def last_results(check_results: Path) -> list[Row]:
    """Every check of the last run of each suite; of no suite where none ran yet."""
    if not any(check_results.glob("*/*.parquet")):
        return []
    with duckdb.connect() as connection:
        found = connection.execute(
            """
            with results as (
                select * from read_parquet($files, union_by_name = true, hive_partitioning = false)
            ),

            latest as (
                select suite, arg_max(run_id, checked_at) as run_id from results group by suite
            )

            from results
            semi join latest using (suite, run_id)
            order by list_position($suites, suite), suite, table_name, item, column_name, expectation
            """,
            {"files": f"{check_results}/*/*.parquet", "suites": list(SUITES)},
        )
        names = [column[0] for column in found.description or []]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def in_words(result: Mapping[str, Any]) -> str:
    """What a failed check found and what was expected; the fault of a file that cannot be read says both."""
    if result["expectation"] == READABLE:
        return f"{str(result['observed_value']).removesuffix('.')}."
    if result["suite"] == "dbt":  # by name: a test may be of no column, and of no table
        return f"{result['expectation']}: {result['observed_value']}."
    of, what = result["item"] or result["table_name"], result["column_name"] or result["expectation"]
    return f"{of}: {what} is {result['observed_value']}, but {result['threshold']}."


def write_index(check_results: Path, folder: Path, run_id: str) -> Path:
    """Write the page over the last results of every suite; each step of a run that judges does, or finds nothing to."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        _row(suite, list(results), sorted(folder.glob(f"{suite}-*.html")), run_id)
        for suite, results in groupby(last_results(check_results), key=lambda result: str(result["suite"]))
    ]
    header = "<tr><th>Guard</th><th>State</th><th>Checks</th><th>What failed</th><th>Checked (UTC)</th></tr>"
    index = folder / "index.html"
    index.write_text(
        page(
            "Data quality",
            f"<h1>Data quality</h1><p>The last result of every guard, written {_minute(datetime.now(UTC))} UTC.</p>"
            f"<table>{header}{''.join(rows)}</table>",
        ),
        encoding="utf-8",
    )
    return index


def _row(suite: str, results: Sequence[Row], pages: Sequence[Path], run_id: str) -> str:
    failed = sorted((result for result in results if not result["is_success"]), key=lambda r: str(r["severity"]))
    colour, state = ("success", "passed")
    if failed:
        is_blocked = any(result["severity"] == "block" for result in failed)
        colour, state = ("danger", "failed") if is_blocked else ("warning", "warning")
    checked = _minute(max(result["checked_at"] for result in results))
    # What is refused is judged again by every run for as long as it is there: it is gone by now.
    if suite == "loads" and results[0]["run_id"] != run_id:
        checked += "<br>No new file was found since."
        if failed:
            colour, state = "muted", f"{state} then"
    links = ", ".join(
        f'<a href="{html.escape(path.name)}">{html.escape(path.stem.removeprefix(f"{suite}-"))}</a>' for path in pages
    )
    told = "".join(
        f"<p>{html.escape(in_words(result))} {html.escape(result['action'])} ({html.escape(result['owner'])})</p>"
        for result in failed
    )
    return (
        f"<tr><td>{html.escape(SUITES.get(suite, suite))}<br>{links}</td>"
        f'<td class="text-{colour}">{state}</td><td>{len(results):,}</td><td>{told}</td>'
        f'<td class="time">{checked}</td></tr>'
    )


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def page(title: str, content: str) -> str:
    """A page that fetches nothing."""
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>{content}</body></html>"
    )


# Stands in for the stylesheets and scripts that Great Expectations fetches from the web: `:target` opens
# what its scripts would, and the parts that need them (navigation, filter) are not shown.
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2733; max-width: 1100px; margin: 2rem auto;
  padding: 0 1.5rem; }
h1 { font-size: 1.5rem; } h4, h5, h6, .h6 { font-size: 1rem; font-weight: 600; margin: 0; }
.navbar, .sticky, .col-lg-2, [hidden], .collapse { display: none; }
.collapse:target { display: block; }
.ge-section { border-top: 1px solid #d5dce4; margin-top: 1.5rem; padding-top: 1rem; }
.alert-secondary { margin-bottom: .75rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0;
  border-bottom: 1px solid #e6eaef; }
td { overflow-wrap: break-word; } td td, td th { font-size: .85rem; padding-right: .6rem; }
td.time { min-width: 9rem; } td p { margin: 0 0 .5rem; }
th { font-size: .8rem; color: #5a6876; overflow-wrap: normal; }
.badge { background: #eef1f5; border-radius: 3px; padding: 0 .35rem; font-size: .9em; }
.text-danger { color: #b3261e; font-weight: 600; } .text-success { color: #1b7f4b; font-weight: 600; }
.text-warning { color: #9a6700; font-weight: 600; }
.fa-times::before { content: "\\2717"; } .fa-check-circle::before { content: "\\2713"; }
.fa-exclamation-triangle::before { content: "!"; } .fas { font-style: normal; }
pre, code { white-space: pre-wrap; font-size: .85rem; } a { color: #0b57d0; }
"""
