"""What holds for every file: nothing lost, doubled or changed, and no other error than a refusal."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestration import readers
from orchestration.loader import StagedLoad, stage
from orchestration.readers import RefusedFile
from orchestration.sources import Table

ANSWERS = Table("shop", "files", "answers", files="*", columns=("id", "score", "comment"))

# Each example is a file written, read and synced to disk.
MANY = settings(max_examples=int(os.environ.get("LOADER_EXAMPLES", "15")), deadline=None)

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
        staged = staged_file(content, name, Path(folder))
        if staged is None:
            return None
        rows = connection.execute(f"select id, score, comment, _line from '{staged.data}' order by _line")
        good = rows.fetchall()
        bad = connection.execute(f"select _line from '{staged.malformed}' order by _line").fetchall()
        assert (staged.load.rows, staged.load.malformed_rows) == (len(good), len(bad))
        return good, bad


def staged_file(content: bytes, name: str, folder: Path) -> StagedLoad | None:
    """What a file of this content becomes; None for a refusal, of which nothing may be left."""
    landing, lake = folder / "landing", folder / "lake"
    landing.mkdir()
    (landing / name).write_bytes(content)
    try:
        staged = stage(ANSWERS, landing / name, landing, lake, datetime(2026, 11, 21, tzinfo=UTC))
    except RefusedFile as refusal:
        assert not any((lake / "incoming").glob("*"))
        assert str(refusal).startswith(f"{name}: ")
        return None
    assert staged is not None
    return staged


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
@given(ROWS, st.sampled_from(["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]), st.booleans())
@example([["", "", "一𐀁"]], "utf-16-le", False)
@example([["", "", "一𐀁"]], "utf-16-be", True)
def test_every_row_comes_back_from_other_encodings_and_archives(
    rows: list[list[str]], encoding: str, is_packed: bool
) -> None:
    # UTF-16 without a mark is told by its NULs, which some characters have on the other side: 一, 𐀁.
    text, lines = written([[str(number), "9", row[2]] for number, row in enumerate(rows)], "\n", [])
    padded = text.decode() + '"' + "x" * 400 + '","9","x"\n'
    content = padded.encode(encoding)
    found = staged_rows(gzip.compress(content) if is_packed else content, "a.csv.gz" if is_packed else "a.csv")
    assert found
    expected = [(str(n), "9", row[2] or None, line) for n, (row, line) in enumerate(zip(rows, lines, strict=True))]
    assert found[0][:-1] == expected
    assert found[1] == []


TYPED_ROWS = st.lists(
    st.tuples(st.none() | st.integers(-(2**63), 2**63 - 1), st.none() | st.integers(-128, 127), st.none() | TEXT),
    max_size=12,
)


@MANY
@given(TYPED_ROWS, st.sampled_from(["snappy", "zstd", "gzip", "uncompressed"]))
def test_every_row_of_a_parquet_file_comes_back(rows: list[tuple[Any, ...]], compression: str) -> None:
    expected = [
        (*(None if cell is None or cell == "" else str(cell) for cell in row), line)
        for line, row in enumerate(rows, start=1)
    ]
    assert staged_rows(parquet(rows, compression), "a.parquet") == (expected, [])


def parquet(rows: list[tuple[Any, ...]], compression: str = "snappy") -> bytes:
    """A Parquet file of typed columns, as bytes."""
    with TemporaryDirectory() as folder, duckdb.connect() as connection:
        connection.execute("create table answers (id bigint, score tinyint, comment varchar)")
        if rows:
            connection.executemany("insert into answers values (?, ?, ?)", rows)
        connection.execute(f"copy answers to '{folder}/a.parquet' (format parquet, compression {compression})")
        return (Path(folder) / "a.parquet").read_bytes()


# ------------------------------------------------------------------------------------------------ bytes

# Bytes that mean something to a reader, and any others.
PATCH = st.sampled_from(
    [b"", b"\n", b"\r\n", b"\r", b'"', b'""', b",", b'",\n', b"\xef\xbb\xbf", b"{", b"}"]
) | st.binary(max_size=6)
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), PATCH), min_size=1, max_size=4)


def damaged(content: bytes, edits: list[tuple[float, int, bytes]], start: int = 0) -> bytes:
    """A file with some bytes cut out and others put in, from byte `start` on."""
    for place, cut, patch in edits:
        at = start + round(place * (len(content) - start))
        content = content[:at] + patch + content[at + cut :]
    return content


@MANY
@given(ROWS | RAGGED_ROWS, LINE_ENDS, BLANKS, EDITS)
def test_every_line_of_a_damaged_csv_file_is_in_a_row_or_set_aside(
    rows: list[list[str]], line_end: str, blanks: list[int], edits: list[tuple[float, int, bytes]]
) -> None:
    content, _ = written(rows, line_end, blanks)
    content = damaged(content, edits, start=content.index(b"\n") + 1)
    assert_accounted(content, "a.csv", first_line=2)


@MANY
@given(ROWS, LINE_ENDS, EDITS)
def test_every_line_of_a_damaged_json_file_is_in_a_row_or_set_aside(
    rows: list[list[str]], line_end: str, edits: list[tuple[float, int, bytes]]
) -> None:
    whole = '{"id": "1", "score": 9, "comment": "x"}' + line_end
    lines = (json.dumps(dict(zip(ANSWERS.columns, row, strict=True)), ensure_ascii=False) for row in rows)
    content = damaged((whole + "".join(line + line_end for line in lines)).encode(), edits, start=len(whole))
    assert_accounted(content, "a.jsonl", first_line=1)


def assert_accounted(content: bytes, name: str, first_line: int) -> None:
    """From the first line on, each belongs to a row or to a malformed one, but for blank lines; or all is refused."""
    with TemporaryDirectory() as folder, duckdb.connect() as connection:
        staged = staged_file(content, name, Path(folder))
        if staged is None:
            return
        # Line ends within JSON texts are written as \\n.
        texts = (
            "''" if name.endswith("l") else "concat_ws('', " + ", ".join(map(readers.quoted, staged.load.columns)) + ")"
        )
        taken = connection.execute(f"select _line, {texts} from '{staged.data}'").fetchall()
        taken += connection.execute(f"select _line, raw_row from '{staged.malformed}'").fetchall()
    covered = [line for start, text in taken for line in range(start, start + text.count("\n") + 1)]
    assert len(covered) == len(set(covered)), "a line in two rows"
    lines = content.split(b"\n")
    blank = {number for number, line in enumerate(lines, start=1) if not line.strip(b"\r\x00 \t\xef\xbb\xbf")}
    everything = set(range(first_line, len(lines) + 1))
    assert set(covered) <= everything
    assert everything - set(covered) <= blank, "a line that is nowhere"


def whole_file(name: str) -> bytes:
    """A good file of each kind."""
    rows = [(number, number % 11, f"it's {number},\n€") for number in range(40)]
    text, _ = written([[str(cell) for cell in row] for row in rows], "\r\n", [])
    objects = [dict(zip(ANSWERS.columns, row, strict=True)) for row in rows]
    lines = "".join(json.dumps(line) + "\n" for line in objects).encode()
    return {
        "a.csv": text,
        "a.tsv": text.decode().encode("utf-16"),
        "a.jsonl": lines,
        "a.json.gz": gzip.compress(lines, mtime=0),
        "a.csv.gz": gzip.compress(text, mtime=0),
        "a.parquet": parquet(rows),
    }[name]


WHOLE_FILES = {name: whole_file(name) for name in ("a.csv", "a.tsv", "a.jsonl", "a.json.gz", "a.csv.gz", "a.parquet")}


@MANY
@given(st.sampled_from(sorted(WHOLE_FILES)), EDITS)
@example("a.parquet", [(0.921875, 2, b"\x01")])  # a footer that begins before the file
def test_damaged_files_of_every_kind_are_loaded_or_refused(name: str, edits: list[tuple[float, int, bytes]]) -> None:
    staged_rows(damaged(WHOLE_FILES[name], edits), name)


@MANY
@given(st.binary(max_size=200), st.sampled_from(["a.csv", "a.jsonl", "a.parquet", "a.csv.gz"]))
def test_arbitrary_bytes_are_loaded_or_refused(content: bytes, name: str) -> None:
    staged_rows(content, name)


@MANY
@given(st.binary(max_size=120) | st.text(alphabet='ab",\n\r \\', max_size=60).map(str.encode))
def test_arbitrary_bytes_after_a_header_are_loaded_or_refused(content: bytes) -> None:
    staged_rows(b"id,score,comment\n" + content, "a.csv")
    staged_rows(b'{"id": 1, "score": 2, "comment": 3}\n' + content, "a.jsonl")
