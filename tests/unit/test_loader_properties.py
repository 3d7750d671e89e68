"""What holds for every file: nothing lost, doubled or changed, and no other error than a refusal."""

from __future__ import annotations

import csv
import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration import readers
from orchestration.loader import stage
from orchestration.readers import RefusedFile
from orchestration.sources import Table

ANSWERS = Table("shop", "files", "answers", files="*", columns=("id", "score", "comment"))

# Each example is a file written, read and synced to disk.
MANY = settings(max_examples=int(os.environ.get("LOADER_EXAMPLES", "40")), deadline=None)

# NUL and lone surrogates are no text that a file can carry.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
CELL = TEXT | st.text(alphabet="ab\",'\n\r ;|\t\\é€", max_size=8)
ROWS = st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=12)
RAGGED_ROWS = st.lists(st.lists(CELL, min_size=2, max_size=5), max_size=12)
LINE_ENDS = st.sampled_from(["\n", "\r\n"])

Found = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]


def staged_rows(content: bytes, name: str) -> Found | None:
    """The rows (id, score, comment, line) and malformed lines staged from a file; None for a refusal."""
    with TemporaryDirectory() as folder, duckdb.connect() as connection:
        landing, lake = Path(folder) / "landing", Path(folder) / "lake"
        landing.mkdir()
        (landing / name).write_bytes(content)
        try:
            staged = stage(ANSWERS, landing / name, landing, lake, datetime(2026, 11, 21, tzinfo=UTC))
        except RefusedFile:
            assert not any((lake / "incoming").glob("*"))
            return None
        assert staged is not None
        rows = connection.execute(f"select id, score, comment, _line from '{staged.data}' order by _line")
        good = rows.fetchall()
        bad = connection.execute(f"select _line from '{staged.malformed}' order by _line").fetchall()
        assert (staged.load.rows, staged.load.malformed_rows) == (len(good), len(bad))
        return good, bad


def written(rows: list[list[str]], line_end: str, blanks: list[int]) -> tuple[bytes, list[int]]:
    """A CSV file as Python writes it, with blank lines after some rows; and the line of every row."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=line_end)
    writer.writerow(ANSWERS.columns)
    lines = []
    for place, row in enumerate(rows):
        lines.append(text.getvalue().count("\n") + 1)
        writer.writerow(row)
        text.write(line_end * (blanks[place] if place < len(blanks) else 0))
    return text.getvalue().encode(), lines


BLANKS = st.lists(st.integers(0, 2), max_size=12)


@MANY
@given(ROWS, LINE_ENDS, BLANKS)
def test_every_row_comes_back_once_with_its_text_and_line(
    rows: list[list[str]], line_end: str, blanks: list[int]
) -> None:
    content, lines = written(rows, line_end, blanks)
    expected = [(*(cell or None for cell in row), line) for row, line in zip(rows, lines, strict=True)]
    assert staged_rows(content, "a.csv") == (expected, [])


# Rows of any text, with or without faults and blank lines; the header alone fills the first of the small chunks.
@MANY
@given(ROWS | RAGGED_ROWS, LINE_ENDS, BLANKS | st.just([]), st.integers(30, 100))
def test_a_file_read_in_pieces_is_the_same(rows: list[list[str]], line_end: str, blanks: list[int], size: int) -> None:
    content, _ = written(rows, line_end, blanks)
    whole = staged_rows(content, "a.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "_CHUNK_BYTES", size)
        patch.setattr(readers, "_PIECE_BYTES", size)
        assert staged_rows(content, "a.csv") == whole


@MANY
@given(RAGGED_ROWS, LINE_ENDS, BLANKS)
def test_ragged_rows_are_malformed_and_the_others_are_whole(
    rows: list[list[str]], line_end: str, blanks: list[int]
) -> None:
    content, lines = written(rows, line_end, blanks)
    # Empty fields beyond the header (a delimiter at the end of the line) hold nothing and pass.
    rows = [row[:3] if len(row) > 3 and not any(row[3:]) else row for row in rows]
    numbered = list(zip(rows, lines, strict=True))
    good = [(*(cell or None for cell in row), line) for row, line in numbered if len(row) == 3]
    bad = [(line,) for row, line in numbered if len(row) != 3]
    assert staged_rows(content, "a.csv") == (good, bad)


@MANY
@given(ROWS, LINE_ENDS)
def test_json_lines_come_back_too(rows: list[list[str]], line_end: str) -> None:
    objects = [dict(zip(ANSWERS.columns, row, strict=True)) for row in rows]
    content = "".join(json.dumps(line, ensure_ascii=False) + line_end for line in objects).encode()
    expected = [(*(cell or None for cell in row), line) for line, row in enumerate(rows, start=1)]
    assert staged_rows(content, "a.jsonl") == ((expected, []) if rows else None)


@MANY
@given(st.binary(max_size=200), st.sampled_from(["a.csv", "a.jsonl", "a.parquet", "a.csv.gz"]))
def test_arbitrary_bytes_are_loaded_or_refused(content: bytes, name: str) -> None:
    staged_rows(content, name)


@MANY
@given(st.binary(max_size=120) | st.text(alphabet='ab",\n\r \\', max_size=60).map(str.encode))
def test_arbitrary_bytes_after_a_header_are_loaded_or_refused(content: bytes) -> None:
    staged_rows(b"id,score,comment\n" + content, "a.csv")
    staged_rows(b'{"id": 1, "score": 2, "comment": 3}\n' + content, "a.jsonl")
