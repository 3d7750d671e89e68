"""Bad files beside good ones: what is loaded, what the check results tell the steward, and the history as it was."""

from __future__ import annotations

import gzip
import os
import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from expectations import validation
from expectations.thresholds import read_thresholds
from orchestration.ingest import load_new_files
from orchestration.register import registered_loads
from orchestration.settings import ROOT, Settings
from orchestration.sources import Guard, Table

HEADER = "id,survey,score,at"
ANSWERS = Table(
    "shop",
    "files",
    "answers",
    files="shop/*",
    columns=("id", "survey", "score", "at"),
    optional_columns=("mood",),
    guard=Guard(score="score", time="at"),
)
ROWS = [f"{number},exit,{number % 11},2025-03-01 12:00:00" for number in range(20)]

Failed = list[tuple[str | None, str, str, str | None]]
Judged = dict[str | None, list[tuple[str, str, str | None]]]


def run(settings: Settings, run_id: str) -> Failed:
    """Load what lies in landing/; the failed checks of the run: file, what was judged, severity, what was found."""
    load_new_files(settings, [ANSWERS], run_id=run_id)
    written = settings.check_results / f"run_id={run_id}" / "loads.parquet"
    if not written.exists():
        return []
    return duckdb.execute(
        """
        select item, coalesce(column_name, expectation), severity, observed_value
        from read_parquet(?)
        where not is_success
        """,
        [str(written)],
    ).fetchall()


def history(settings: Settings) -> dict[Path, bytes]:
    """Every file of every load."""
    return {path: path.read_bytes() for path in (settings.lake / "raw").glob("*/*/*/*") if path.is_file()}


def changed(**columns: str) -> bytes:
    """The good rows with columns renamed (id="Id"), dropped (id="") or added."""
    names = [columns.get(name, name) for name in HEADER.split(",")]
    added = [name for name in columns if name not in HEADER.split(",")]
    rows = [[*row.split(","), *(columns[name] for name in added)] for row in ROWS]
    kept = [place for place, name in enumerate([*names, *added]) if name]
    table = [[*names, *added], *rows]
    return "".join(",".join(row[place] for place in kept) + "\n" for row in table).encode()


def with_values(column: int, value: str, rows: int) -> bytes:
    """The good rows, so many of them with another value in a column."""
    table = [row.split(",") for row in ROWS]
    for row in table[:rows]:
        row[column] = value
    return "\n".join([HEADER, *(",".join(row) for row in table), ""]).encode()


GOOD = changed()
# The file, what is judged, and what is found. All are delivered in one run, in this order.
CASES = {
    "a renamed column": ("1.csv", changed(score="Score"), "file_is_readable", "score (found 'Score': did you mean"),
    "a dropped column": ("2.csv", changed(at=""), "file_is_readable", "missing column(s) at"),
    "a header alone renamed": ("3.csv", b"Id,survey,score,at\n", "file_is_readable", "missing column(s) id"),
    "a score of another type": ("4.csv", with_values(2, "nine", 20), "valid_score_share", "0.00%"),
    "a score on another scale": ("4b.csv", with_values(2, "95", 4), "valid_score_share", "80.00%"),
    "no times": ("5.csv", with_values(3, "", 20), "time_share", "0.00%"),
    "lines that do not fit": ("6.csv", GOOD + b"1,2\n" * 4, "malformed_share", "16.67%"),
    "a file cut within a row": ("7.csv", GOOD[:-25], "file_is_readable", "line 21: the file ends within this row"),
    "a file cut within a quote": ("7b.csv", GOOD + b'99,"ex', "file_is_readable", "line 22: the file ends within"),
    "a cut archive": ("7c.csv.gz", gzip.compress(GOOD)[:-9], "file_is_readable", "not a whole gzip file"),
    "a cut Parquet file": ("7d.parquet", b"PAR1" + bytes(40), "file_is_readable", "cannot be read"),
    "a cut object": (
        "7e.jsonl",
        b'{"id": 1, "survey": "exit", "sc',
        "file_is_readable",
        "line 1: the file ends within",
    ),
    "an empty file": ("8.csv", b"", "file_is_readable", "empty"),
    "a name in Latin-1": (os.fsdecode(b"8b\xe9.csv"), GOOD + b"1,,,\n", "file_is_readable", "its name is not UTF-8"),
    "another ending": ("8.xlsx", GOOD, "file_is_readable", "unknown ending"),
    "an added column": ("9.csv", changed(language="de"), "column_changes", "+language"),
}
LOADED = {"shop/a.csv", "shop/9.csv"}  # an added column is kept, and only reported


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """The failed checks of a run with every bad file after a good one, by file."""
    settings = Settings(config_dir=ROOT, data_dir=tmp_path_factory.mktemp("bad"))
    (settings.landing / "shop").mkdir(parents=True)
    (settings.landing / "shop" / "a.csv").write_bytes(GOOD)
    assert run(settings, "first") == []
    before = history(settings)
    for name, content, *_ in CASES.values():
        (settings.landing / "shop" / name).write_bytes(content)
    failed: Judged = {}
    for file, what, severity, observed in run(settings, "second"):
        failed.setdefault(file, []).append((what, severity, observed))
    after = history(settings)
    assert {path: after[path] for path in before} == before
    assert {load.file for load in registered_loads(settings.lake)} == LOADED
    return failed


@pytest.mark.parametrize("case", CASES)
def test_a_bad_file_is_refused_or_reported_by_name(case: str, judged: Judged) -> None:
    name, _, what, found = CASES[case]
    file = f"shop/{name}".replace("\udce9", r"\xe9")
    [(judged_by, severity, observed)] = judged[file]
    assert judged_by == what
    assert found in str(observed)
    assert severity == ("warn" if file in LOADED else "block")


def test_repeated_and_reordered_deliveries_have_the_hashes_and_places_of_the_first(tmp_path: Path) -> None:
    """The same file again is no load; the same rows in another order are, and dbt tells by key and hash."""
    settings = Settings(config_dir=ROOT, data_dir=tmp_path)
    folder = settings.landing / "shop"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_bytes(GOOD)
    (folder / "copy.csv").write_bytes(GOOD)
    lines = GOOD.decode().splitlines()
    (folder / "reordered.csv").write_text("\n".join([lines[0], *reversed(lines[1:]), ""]))
    assert run(settings, "run") == []
    rows = f"read_parquet('{settings.lake}/raw/files/answers/*/data_0.parquet', union_by_name = true)"
    found = duckdb.execute(f"select _file, count(*), bit_xor(hash(_row_hash, _row_ordinal)) from {rows} group by all")
    places, counts, hashes = zip(*found.fetchall(), strict=True)
    assert set(places) == {"shop/a.csv", "shop/reordered.csv"}
    assert set(counts) == {20}
    assert len(set(hashes)) == 1


def test_an_absent_required_delivery_is_in_the_check_results(tmp_path: Path) -> None:
    settings = Settings(config_dir=ROOT, data_dir=tmp_path)
    settings.landing.mkdir()
    [(file, what, severity, observed)] = run(settings, "run")
    assert (file, what, severity) == (None, "file_is_readable", "block")
    assert "no file matches shop/*" in str(observed)


def test_the_quality_page_tells_a_refused_file_and_later_that_none_came_since(tmp_path: Path) -> None:
    settings = Settings(config_dir=ROOT, data_dir=tmp_path)
    (settings.landing / "shop").mkdir(parents=True)
    page = settings.data_docs / "index.html"
    good, bad = (settings.landing / "shop" / name for name in ("good.csv", "bad.csv"))
    good.write_bytes(changed())
    run(settings, "first")
    assert ">passed<" in page.read_text() and "loads-new-files.html" in page.read_text()

    bad.write_bytes(changed(score=""))
    found = validation.refuse_file("marts.t", None, "rows: 2", read_thresholds(settings), "second")
    warning = replace(found, suite="dbt", expectation="unique_t", severity="warn")
    validation.write_results([warning], settings.check_results)
    run(settings, "second")
    text = page.read_text()
    assert ">failed<" in text and ">warning<" in text and "unique_t: rows: 2. " in text
    [fault] = [line for line in re.findall(r"<p>(.*?)</p>", text) if "bad.csv" in line]
    assert fault.startswith("shop/bad.csv: missing column(s) score") and "file_is_readable" not in fault
    assert "Do what the message says" in fault and "No new file was found since" not in text
    assert not (settings.data_docs / "loads-new-files.html").exists()  # it was about a file of an earlier run

    bad.unlink()
    run(settings, "third")
    assert ">failed then<" in page.read_text() and "No new file was found since" in page.read_text()


CELL = st.text(alphabet='0159,"\n\r;\\ é', max_size=6)
LINE = st.lists(CELL, min_size=2, max_size=6).map(",".join)
FILE = st.binary(max_size=60) | st.lists(LINE, max_size=6).map(lambda lines: "\n".join([HEADER, *lines, ""]).encode())


# Many files in one run: judging takes longer than reading.
@hypothesis_settings(max_examples=3, deadline=None)
@given(st.lists(FILE, min_size=20, max_size=40, unique=True))
def test_every_file_is_loaded_or_refused_with_a_reason(contents: list[bytes]) -> None:
    with TemporaryDirectory() as folder:
        settings = Settings(config_dir=ROOT, data_dir=Path(folder))
        (settings.landing / "shop").mkdir(parents=True)
        for number, content in enumerate(contents):
            (settings.landing / "shop" / f"{number}.csv").write_bytes(content)
        blocked = {file for file, _, severity, _ in run(settings, "run") if severity == "block"}
        loaded = {load.file for load in registered_loads(settings.lake)}
        assert not loaded & blocked
        assert loaded | blocked == {f"shop/{number}.csv" for number in range(len(contents))}
