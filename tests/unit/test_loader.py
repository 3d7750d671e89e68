"""The loader on real files: what becomes of each kind of delivery, line by line."""

from __future__ import annotations

import gzip
import hashlib
import multiprocessing
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration import loader, readers
from orchestration.compact import compact
from orchestration.loader import (
    LakeBusy,
    StagedLoad,
    commit,
    discard,
    lake_lock,
    load_all,
    load_times,
    matching_files,
    new_files,
    prepare_lake,
    stage,
)
from orchestration.readers import RefusedFile
from orchestration.register import Load, registered_loads
from orchestration.sources import Table

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ANSWERS = Table(
    source_system="shop",
    lake_source="files",
    name="answers",
    files="shop/*",
    columns=("id", "score", "comment"),
    optional_columns=("lang",),
)


class House:
    """A landing folder and a lake, and the questions tests ask of them."""

    def __init__(self, root: Path) -> None:
        self.landing = root / "landing"
        self.lake = root / "lake"
        (self.landing / "shop").mkdir(parents=True)
        self.table = ANSWERS
        self.now = NOON
        prepare_lake([ANSWERS], self.lake)

    def deliver(self, content: str | bytes, name: str = "a.csv") -> Path:
        file = self.landing / "shop" / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def load(self, content: str | bytes, name: str = "a.csv") -> Load:
        self.now += timedelta(seconds=1)
        staged = stage(self.table, self.deliver(content, name), self.landing, self.lake, self.now)
        assert staged is not None
        return commit(staged)

    def refusal(self, content: str | bytes, name: str = "a.csv") -> str:
        with pytest.raises(RefusedFile) as refused:
            stage(self.table, self.deliver(content, name), self.landing, self.lake, NOON)
        assert list((self.lake / "incoming").iterdir()) == []
        assert registered_loads(self.lake) == []
        return str(refused.value)

    def rows(self, columns: str = "id, score, comment") -> list[tuple[Any, ...]]:
        return self._read("data", columns)

    def malformed(self, columns: str = "_line, raw_row, reason") -> list[tuple[Any, ...]]:
        return self._read("malformed", columns)

    def _read(self, kind: str, columns: str) -> list[tuple[Any, ...]]:
        glob = self.lake / "raw" / "files" / "answers" / "*" / f"{kind}_0.parquet"
        with duckdb.connect() as connection:
            return connection.execute(
                f"select {columns} from read_parquet('{glob}', union_by_name = true) order by _load_id, _line"
            ).fetchall()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    yield House(tmp_path)


# ---------------------------------------------------------------------------------------- what is loaded


def test_a_row_is_text_with_its_origin(house: House) -> None:
    load = house.load("id,score,comment\n1,9,good\n2,0,\n")
    assert house.rows("*") == [
        ("1", "9", "good", None, "shop", load.load_id, datetime(2026, 11, 21, 12, 0, 1), "shop/a.csv", 2)
        + house.rows("_row_hash, _row_ordinal, load_id")[0],
        ("2", "0", None, None, "shop", load.load_id, datetime(2026, 11, 21, 12, 0, 1), "shop/a.csv", 3)
        + house.rows("_row_hash, _row_ordinal, load_id")[1],
    ]
    assert load.load_id.startswith("20261121T120001000000Z_")
    assert (load.rows, load.malformed_rows, load.encoding) == (2, 0, "utf-8")
    assert (load.columns, load.extra_columns, load.absent_columns) == (
        ["id", "score", "comment"],
        [],
        ["lang"],
    )
    assert registered_loads(house.lake) == [load]
    assert list((house.lake / "incoming").iterdir()) == []


def test_scores_stay_the_text_they_are(house: House) -> None:
    scores = ["", "N/A", "11", "-1", "8.9", "9.0", " 10 ", "ten", "NULL", "0", "1e1", "007"]
    house.load("id,score,comment\n" + "".join(f"{i},{score},x\n" for i, score in enumerate(scores)))
    assert [score for (score,) in house.rows("score")] == [None, *scores[1:]]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_three_header_rows_of_qualtrics_are_one_header(house: House, ending: str) -> None:
    header = ["", "id,score,comment", '"ID","How likely,\nreally?","Why? Say ""all"""']
    ids = ",".join('"{""ImportId"":""' + name + '""}"' for name in ("_recordId", "QID1", "QID2_TEXT"))
    load = house.load(ending.join([*header, ids, "1,9,good", '2,0,"two', 'lines"', "x", "3,7,", ""]))
    assert house.rows("id, score, _line") == [("1", "9", 6), ("2", "0", 7), ("3", "7", 10)]
    assert house.malformed("_line, raw_row") == [(9, "x")]
    assert (load.rows, load.columns) == (3, ["id", "score", "comment"])


def test_rows_that_only_look_like_a_second_header_are_answers(house: House) -> None:
    house.load('id,score,comment\n1,9,ImportId\n"{""ImportId"":""a""}",9,no\n')
    assert [row[0] for row in house.rows()] == ["1", '{"ImportId":"a"}']


def test_header_only_is_a_load_of_no_rows(house: House) -> None:
    assert house.load("id,score,comment").rows == 0
    assert house.load("id,score,comment\r\n", "b.csv").rows == 0
    assert house.rows() == []


def test_extra_columns_are_kept_and_reported(house: House) -> None:
    load = house.load("id,score,comment,mood\n1,9,good,sunny\n")
    assert load.extra_columns == ["mood"]
    assert house.rows("id, mood") == [("1", "sunny")]


def test_a_column_without_a_name_is_called_by_its_place(house: House) -> None:
    assert house.load("id,score,comment,\n1,9,good,x\n").extra_columns == ["unnamed_4"]


def test_column_order_changes_neither_rows_nor_hashes(house: House) -> None:
    house.load("id,score,comment\n1,9,good\n")
    house.load("comment, score ,id\ngood,9,1\n", "b.csv")
    assert house.rows() == [("1", "9", "good")] * 2
    assert len(set(house.rows("_row_hash"))) == 1


def test_hashes_tell_apart_what_only_looks_alike(house: House) -> None:
    house.load("id,score,comment\nab,,x\na,b,x\n,ab,x\na,,bx\n1:a,,\n")
    hashes = [value for (value,) in house.rows("_row_hash")]
    assert len(set(hashes)) == 5
    assert {len(value) for value in hashes} == {16}


def test_the_hash_of_a_row_is_what_it_was(house: House) -> None:
    """The lake keeps it for good: a row delivered again after an update of the project must be told by it."""
    house.load("id,score,comment\n1,,it's good\n")
    assert house.rows("_row_hash") == [(hashlib.md5(b"\0comment=it's good\0id=1").hexdigest()[:16],)]


def test_an_empty_new_column_leaves_the_hash(house: House) -> None:
    house.load("id,score,comment\n1,9,good\n")
    house.load("id,score,comment,mood\n1,9,good,\n", "b.csv")
    assert len(set(house.rows("_row_hash"))) == 1


def test_identical_rows_are_counted_apart(house: House) -> None:
    house.load("id,score,comment\n1,9,x\n2,8,y\n1,9,x\n1,9,z\n1,9,x\n")
    assert house.rows("id, _line, _row_ordinal") == [
        ("1", 2, 1),
        ("2", 3, 1),
        ("1", 4, 2),
        ("1", 5, 1),
        ("1", 6, 3),
    ]


def test_names_that_look_like_wildcards_or_sql(house: House) -> None:
    load = house.load("id,score,comment\n1,9,it's\n", "o'brien [1] *?.csv")
    assert load.file == "shop/o'brien [1] *?.csv"
    assert house.rows() == [("1", "9", "it's")]


# --------------------------------------------------------------------------- encodings, line ends, lines


@pytest.mark.parametrize(
    ("codec", "encoding"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("latin-1", "cp1252"),
        ("cp1252", "cp1252"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_encodings(house: House, codec: str, encoding: str, name: str) -> None:
    text = {
        "a.csv": "id,score,comment\n1,9,schön übergeben\n",
        "a.jsonl": '{"id": "1", "score": 9, "comment": "schön übergeben"}\n',
    }[name]
    assert house.load(text.encode(codec), name).encoding == encoding
    assert house.rows() == [("1", "9", "schön übergeben")]


def test_bytes_that_cp1252_lacks_are_read_as_latin_1(house: House) -> None:
    assert house.load(b"id,score,comment\n1,9,\x81\xe9\n").encoding == "latin-1"
    assert house.rows("comment") == [("\x81é",)]


def test_one_broken_character_does_not_turn_a_utf_8_file_into_latin_1(house: House) -> None:
    load = house.load("id,score,comment\n1,9,schön\n2,8,früh\n".encode() + b"3,7,\xff\n4,6,x\n")
    assert load.encoding == "utf-8"
    assert house.rows("id, comment, _line") == [("1", "schön", 2), ("2", "früh", 3), ("4", "x", 5)]
    assert house.malformed("_line, reason") == [(4, "bytes that are not UTF-8 in a file that otherwise is")]


def test_gzip(house: House) -> None:
    house.load(gzip.compress(b"id,score,comment\n1,9,x\n", mtime=0), "a.csv.gz")
    house.load(gzip.compress(b'{"id": 2, "score": 8, "comment": "y"}\n'), "a.jsonl.gz")
    assert house.rows() == [("1", "9", "x"), ("2", "8", "y")]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_are_those_of_the_file(house: House, end: str) -> None:
    lines = [
        "",
        '"id",score,"comment"',
        "1,9,one line",
        '2,8,"two',
        'lines"',
        "",
        "3,7",
        '4,6,"a paragraph',
        "",
        'and another"',
        "",
        "",
        '5,5,"four","',
        'fields"',
        "6,4,6",
        "",
    ]
    load = house.load(end.join(lines))
    assert house.rows("id, comment, _line") == [
        ("1", "one line", 3),
        ("2", f"two{end}lines", 4),
        ("4", f"a paragraph{end}{end}and another", 8),
        ("6", "6", 15),
    ]
    assert [(line, raw) for line, raw, _ in house.malformed()] == [
        (7, "3,7"),
        (13, f'5,5,"four","{end}fields"'),
    ]
    assert (load.rows, load.malformed_rows) == (4, 2)


def test_blank_lines_at_the_end(house: House) -> None:
    house.load("id,score,comment\n1,9,x\n2,8,y\n\n\n")
    assert house.rows("id, _line") == [("1", 2), ("2", 3)]


def test_a_file_of_one_column(house: House) -> None:
    house.table = replace(ANSWERS, columns=("id",))
    house.load('id\n1\n\n"2\n2"\n""\n3\n')
    assert house.rows("id, _line") == [("1", 2), (None, 3), ("2\n2", 4), (None, 6), ("3", 7)]


def test_ragged_rows_are_kept_apart_and_the_others_loaded(house: House) -> None:
    house.load('id,score,comment\n1,9\n2,8,y\n3,7,z,extra,more\n4,6,"w"!\n5,5,v\n')
    assert house.rows("id, _line") == [("2", 3), ("5", 6)]
    assert house.malformed() == [
        (2, "1,9", "2 fields where the header has 3"),
        (
            4,
            "3,7,z,extra,more",
            "5 fields where the header has 3; is a text with the delimiter unquoted?",
        ),
        (5, '4,6,"w"!', "text after a closing quote, or a quote that is never closed"),
    ]


def test_a_long_malformed_row_is_kept_whole(house: House) -> None:
    house.load(f"id,score,comment\n1,{'x' * 200_000}\n2,8,y\n")
    assert house.malformed("length(raw_row)") == [(200_002,)]


def test_another_delimiter(house: House) -> None:
    house.table = replace(ANSWERS, delimiter="\t")
    house.load('id\tscore\tcomment\n1\t9\ta 5" pipe, and more\n', "a.tsv")
    assert house.rows() == [("1", "9", 'a 5" pipe, and more')]


# ---------------------------------------------------------------------------------- JSON Lines, Parquet


def test_json_lines(house: House) -> None:
    load = house.load(
        '{"id": 1, "score": 9, "comment": "x", "who": {"name": "Zoë", "tags": [1, 2.0]}}\r\n'
        "\n"
        '{"score": 8.9, "id": "2", "comment": null}\n'
        '{"id": 3, "score"\n'
        '{"id": 4, "score": 9.0, "comment": ""}\n'
        "[5]\n"
        '{"id": 6, "score": 1, "score": 10}\n'
        '{"id": 7, "score": true, "comment": "two\\nlines", "a/b~c": 12345678901234567890123}',
        "a.jsonl",
    )
    assert load.columns == ["id", "score", "comment", "who", "a/b~c"]
    assert house.rows('id, score, comment, who, "a/b~c", _line') == [
        ("1", "9", "x", '{"name":"Zoë","tags":[1,2.0]}', None, 1),
        ("2", "8.9", None, None, None, 3),
        ("4", "9.0", None, None, None, 5),
        ("7", "true", "two\nlines", None, "12345678901234567890123", 8),
    ]
    assert house.malformed() == [
        (4, '{"id": 3, "score"', "not valid JSON"),
        (6, "[5]", "not a JSON object"),
        (7, '{"id": 6, "score": 1, "score": 10}', "a key appears twice"),
    ]


def test_an_escaped_nul_is_no_text(house: House) -> None:
    """In the hash of a row it would stand where a column begins, and PostgreSQL takes none."""
    rows = [r'"x\u0000b"', r'"x\\u0000b"', r'"x\\\u0000b"']
    house.load("".join(f'{{"id": {n}, "score": 9, "comment": {text}}}\n' for n, text in enumerate(rows)), "a.jsonl")
    assert house.rows("id, comment") == [("1", r"x\u0000b")]
    assert house.malformed("_line, reason") == [
        (1, r"a NUL character (\u0000), which is no text"),
        (3, r"a NUL character (\u0000), which is no text"),
    ]
    file = house.landing / "shop" / "a.parquet"
    duckdb.execute(f"copy (select 1 as id, 9 as score, 'x' || chr(0) as comment) to '{file}'")
    with pytest.raises(RefusedFile, match="a text holds a NUL character; export it again"):
        stage(ANSWERS, file, house.landing, house.lake, NOON)


def test_what_is_whole_is_not_called_cut(house: House) -> None:
    """The last line may lack its line end; only the beginning of an object has lost something."""
    house.load('{"id":1,"score":2,"comment":3}\n{"id":1,"id":2}', "a.jsonl")
    assert house.malformed() == [(2, '{"id":1,"id":2}', "a key appears twice")]


def test_parquet_with_types(house: House) -> None:
    file = house.landing / "shop" / "a.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            "copy (select 1 as id, 9.0::double as score, '' as comment, true as flag, ['a', 'b'] as tags, "
            "{'n': 1.5} as deep, timestamptz '2026-01-01 10:00:00+02' as at "
            f"union all select 2, 8.9, 'y', null, null, null, null) to '{file}'"
        )
    load = house.load(file.read_bytes(), "a.parquet")
    assert load.extra_columns == ["flag", "tags", "deep", "at"]
    assert house.rows('id, score, comment, flag, tags, deep, "at", _line') == [
        ("1", "9.0", None, "true", '["a","b"]', '{"n":1.5}', "2026-01-01 08:00:00+00", 1),
        ("2", "8.9", "y", None, None, None, None, 2),
    ]


# --------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("", "a.csv", "empty"),
        (b"\xef\xbb\xbf", "a.csv", "empty"),
        (" \n\n", "a.csv", "empty"),
        ("", "a.jsonl", "no line holds a JSON object"),
        ("id,score\n1,9\n", "a.csv", r"missing column\(s\) comment; found id, score"),
        ("id,Score,coment\n1,9,x\n", "a.csv", r"score \(found 'Score'.*comment \(found 'coment'"),
        ("id;score;comment\n1;9;x\n", "a.csv", "missing column.*its delimiter"),
        ("id,score,comment,Lang\n1,9,x,de\n", "a.csv", r"lang \(found 'Lang'"),
        ("id,score,comment,id\n1,9,x,1\n", "a.csv", "two columns are called 'id' and 'id'"),
        ("id,score,comment,ID\n1,9,x,1\n", "a.csv", "two columns are called 'id' and 'ID'"),
        ("id,score,comment,_line\n1,9,x,1\n", "a.csv", "'_line' itself"),
        ("id,score,comment\n1,9,x\n2,8", "a.csv", "line 3: the file ends within this row"),
        ('id,score,comment\n1,9,x\n2,8,"y', "a.csv", "line 3: the file ends within this row"),
        ('id,score,comment\n1,9,x\n2,8,"y\n3,7,z\n\n', "a.csv", "line 3: a quote is opened"),
        (b"id,score,comment\n1,\x009,x\n", "a.csv", "NUL bytes"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a.csv", "NUL bytes"),
        ("id,score,comment\r1,9,x\r", "a.csv", "line end"),
        ("id,score,comment\n1,9,x\r\n2,8,y\n", "a.csv", "carriage returns outside quotes"),
        ('{"id": 1}\n', "a.jsonl", r"missing column\(s\) score, comment; found id"),
        ('[{"id": 1}]\n', "a.json", "no array"),
        ('[{"id": 1}]', "a.json", "no array"),
        ('[\n  {"id": 1},\n  {"id": 2},\n]', "a.json", "no array"),
        ('{"id":1,"score":2,"comment":3}\n{"id":1,"sc', "a.jsonl", "line 2: the file ends within"),
        ("id,score,comment\n1,9,x\n", "a.parquet", "cannot be read"),
        (b"PAR1 not really PAR1", "a.parquet", "cannot be read"),
        ("id,score,comment\n1,9,x\n", "a.csv.gz", "not a whole gzip file"),
        (gzip.compress(b"id,score,comment\n1,9,x\n", mtime=0)[:-9], "a.csv.gz", "not a whole gzip file"),
        ("id,score,comment\n1,9,x\n", "a.xlsx", "unknown ending; the loader reads .csv"),
    ],
)
def test_refused_whole(house: House, content: str | bytes, name: str, message: str) -> None:
    refusal = house.refusal(content, name)
    assert refusal.startswith(f"shop/{name}: ")
    assert re.search(message, refusal), refusal


def test_missing_file(house: House) -> None:
    with pytest.raises(RefusedFile, match="cannot be opened"):
        stage(ANSWERS, house.landing / "shop" / "none.csv", house.landing, house.lake, NOON)


def test_unreadable_file(house: House) -> None:
    file = house.landing / "shop" / "a.csv"
    file.mkdir()
    with pytest.raises(RefusedFile, match="cannot be opened"):
        stage(ANSWERS, file, house.landing, house.lake, NOON)


@pytest.mark.parametrize("change", ["written", "replaced"])
def test_a_file_that_changes_while_it_is_read(house: House, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    file = house.deliver("id,score,comment\n1,9,x\n")
    scan = readers.scan_file

    def scan_then_change(path: Path) -> readers.Scan:
        result = scan(path)
        if change == "written":
            os.utime(path, ns=(0, 0))
        else:  # by one of the same size and time
            other = house.deliver("id,score,comment\n1,0,y\n", "other.csv")
            shutil.copystat(path, other)
            other.replace(path)
        return result

    monkeypatch.setattr(loader, "scan_file", scan_then_change)
    with pytest.raises(RefusedFile, match="still being written"):
        stage(ANSWERS, file, house.landing, house.lake, NOON)
    assert list((house.lake / "incoming").iterdir()) == []


def test_a_large_file_is_read_in_pieces_and_whole_where_a_line_is_no_row(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces: list[int] = []
    read_pieces, connect = readers._read_pieces, readers.connect

    def count_pieces(connection: Any, given: list[Any], *arguments: Any) -> Any:
        pieces.append(len(given))
        return read_pieces(connection, given, *arguments)

    def connect_with_three_threads(scratch: Path) -> duckdb.DuckDBPyConnection:
        connection = connect(scratch)
        connection.execute("set threads = 3")
        return connection

    monkeypatch.setattr(readers, "_read_pieces", count_pieces)
    monkeypatch.setattr(loader, "connect", connect_with_three_threads)
    monkeypatch.setattr(readers, "_CHUNK_BYTES", 64)
    monkeypatch.setattr(readers, "_PIECE_BYTES", 64)
    rows = [f'{number},9,"two\nlines, one with ""quotes"""\n' for number in range(50)]
    house.load("id,score,comment\n" + "".join(rows))
    assert pieces == [3]
    assert house.rows("id, _line") == [(str(number), 2 + 2 * number) for number in range(50)]
    rows[20:20] = ["\n", "ragged\n"]
    house.load("id,score,comment\n" + "".join(rows), "b.csv")
    assert pieces == [3, 3, 1]
    assert house.rows("id, _line")[50:] == [(str(n), 2 + 2 * n + (2 if n > 19 else 0)) for n in range(50)]
    assert house.malformed("_line") == [(43,)]


def test_too_many_malformed_rows(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "_MAX_MALFORMED_ROWS", 3)
    refusal = house.refusal("id,score,comment\n" + "ann@home.example,9\n" * 9)
    assert "more than 3 faults, the first at byte 18;" in refusal and "ann" not in refusal


@pytest.mark.parametrize("first", ["r1,9,Ann called +49 170 7654321", "r1,9,r1", "r1,9,_line"])
def test_a_file_without_a_header_is_refused_and_not_quoted(house: House, first: str) -> None:
    """Its first line is somebody's answer, and a refusal is published."""
    refusal = house.refusal(f"{first}\nr2,8,x\n")
    assert "missing column(s) id, score, comment: none of the 3 names in its header is known" in refusal
    assert not {"r1", "Ann", "7654321"} & set(re.split(r"[^\w]+", refusal))


# ------------------------------------------------------------------------ once, whole, and by one run only


def test_the_same_content_is_loaded_once_under_any_name(house: House) -> None:
    content = "id,score,comment\n1,9,x\n"
    house.load(content)
    for name in ("a.csv", "copy.csv"):
        file = house.deliver(content, name)
        assert stage(ANSWERS, file, house.landing, house.lake, house.now + timedelta(hours=1)) is None
    assert len(registered_loads(house.lake)) == 1


def test_content_that_comes_back_after_other_content_is_a_delivery(house: House) -> None:
    """A, B, A: in files of their own or over each other; what lies there still, or comes twice running, is none."""

    def loaded() -> list[str]:
        house.now += timedelta(minutes=1)
        return [load.file for load in load_all([ANSWERS], house.landing, house.lake, house.now)]

    old, new = "id,score,comment\n1,10,x\n", "id,score,comment\n1,3,x\n"
    house.deliver(old, "1.csv")
    assert loaded() == ["shop/1.csv"]
    house.deliver(old, "copy.csv")
    assert loaded() == []
    house.deliver(new, "2.csv")
    assert loaded() == ["shop/2.csv"]
    assert loaded() == []  # neither 1.csv nor its copy has come again
    assert [compacted.folders_after for compacted in compact(house.lake, [ANSWERS])] == [1]
    for name in ("1.csv", "copy.csv", "2.csv"):
        os.utime(house.landing / "shop" / name, ns=(5, 5))
    assert loaded() == []
    assert new_files(ANSWERS, house.landing, house.lake) == []
    for name, content in (("3.csv", old), ("4.csv", old), ("5.csv", new), ("6.csv", old)):
        house.deliver(content, name)
    assert loaded() == ["shop/3.csv", "shop/5.csv", "shop/6.csv"]
    for content in (new, old, new):
        house.deliver(content, "6.csv")
        os.utime(house.landing / "shop" / "6.csv", ns=(7, 7))  # as a backup brings it back
        assert loaded() == ["shop/6.csv"]
        assert loaded() == []


def test_what_is_staged_together_is_compared_when_it_is_committed(house: House) -> None:
    """The guard may refuse what lies between two files, or a run be killed before the last of them."""
    old, new = "id,score,comment\n1,10,x\n", "id,score,comment\n1,3,x\n"
    first = house.load(old, "1.csv")

    def staged() -> list[StagedLoad]:
        prepare_lake([ANSWERS], house.lake)
        times = load_times(house.lake, house.now)
        files = new_files(ANSWERS, house.landing, house.lake)
        return [new for file in files if (new := stage(ANSWERS, file, house.landing, house.lake, next(times)))]

    house.deliver(new, "2.csv")
    house.deliver(old, "3.csv")
    second, third = staged()
    assert commit(second) == second.load
    discard(third)  # killed
    [third] = staged()
    assert commit(third) == third.load
    house.deliver(new, "4.csv")
    house.deliver(old, "5.csv")
    refused, repeat = staged()
    discard(refused)
    assert commit(repeat).load_id == third.load.load_id
    assert [file.name for file in new_files(ANSWERS, house.landing, house.lake)] == ["4.csv"]
    assert registered_loads(house.lake)[0] == first


def test_files_that_wait_together_are_read_in_the_order_of_their_names(house: House) -> None:
    for name in ("export-10.csv", "export-9.csv", "export-9b.csv", "2024/1.csv", "10.csv", "9.csv"):
        (house.landing / "shop" / name).parent.mkdir(exist_ok=True)
        house.deliver("id,score,comment\n", name)
    table = replace(ANSWERS, files="shop/**/*.csv")
    names = [
        file.relative_to(house.landing / "shop").as_posix() for file in new_files(table, house.landing, house.lake)
    ]
    assert names == ["9.csv", "10.csv", "2024/1.csv", "export-9.csv", "export-9b.csv", "export-10.csv"]


def test_the_same_content_is_another_load_for_another_source(house: House) -> None:
    file = house.deliver("id,score,comment\n1,9,x\n")
    for table in (ANSWERS, replace(ANSWERS, source_system="webshop")):
        staged = stage(table, file, house.landing, house.lake, NOON)
        assert staged is not None
        commit(staged)
    assert {load.source_system for load in registered_loads(house.lake)} == {"shop", "webshop"}


def test_a_changed_file_is_a_new_load(house: House) -> None:
    first = house.load("id,score,comment\n1,9,x\n")
    assert new_files(ANSWERS, house.landing, house.lake) == []
    second = house.load("id,score,comment\n1,2,xyz\n")
    assert registered_loads(house.lake) == [first, second]
    assert house.rows("score, _file") == [("9", "shop/a.csv"), ("2", "shop/a.csv")]


def test_only_files_without_a_load_are_new(house: House) -> None:
    house.load("id,score,comment\n1,9,x\n")
    new = house.deliver("id,score,comment\n2,9,x\n", "b.csv")
    (house.landing / "shop" / ".hidden.csv").touch()
    assert new_files(ANSWERS, house.landing, house.lake) == [new]
    assert len(matching_files(ANSWERS, house.landing, house.lake)) == 2


def test_a_required_table_without_a_file(house: House) -> None:
    with pytest.raises(RefusedFile, match=r"shop.answers: no file matches shop/\* in .*landing"):
        matching_files(ANSWERS, house.landing, house.lake)
    assert matching_files(replace(ANSWERS, is_required=False), house.landing, house.lake) == []
    house.load("id,score,comment\n1,9,x\n")
    (house.landing / "shop" / "a.csv").unlink()
    assert new_files(ANSWERS, house.landing, house.lake) == []


def test_a_run_killed_before_commit_leaves_nothing_and_the_next_loads_once(house: House) -> None:
    file = house.deliver("id,score,comment\n1,9,x\n")
    assert stage(ANSWERS, file, house.landing, house.lake, NOON) is not None
    assert house.rows() == []
    assert registered_loads(house.lake) == []

    prepare_lake([ANSWERS], house.lake)
    assert list((house.lake / "incoming").iterdir()) == []
    assert new_files(ANSWERS, house.landing, house.lake) == [file]
    staged = stage(ANSWERS, file, house.landing, house.lake, NOON + timedelta(hours=1))
    assert staged is not None
    commit(staged)
    assert house.rows("id") == [("1",)]


def test_copies_staged_together_become_one_load(house: House) -> None:
    content = "id,score,comment\n1,9,x\n"
    files = [house.deliver(content, name) for name in ("a.csv", "b.csv", "c.csv")]
    first = stage(ANSWERS, files[0], house.landing, house.lake, NOON)
    assert stage(ANSWERS, files[1], house.landing, house.lake, NOON) is None
    later = stage(ANSWERS, files[2], house.landing, house.lake, NOON + timedelta(seconds=1))
    assert first is not None
    assert later is not None
    assert commit(first) == commit(later) == first.load
    [load] = registered_loads(house.lake)
    assert (load.load_id, list(load.files)) == (first.load.load_id, ["shop/a.csv", "shop/c.csv"])
    assert list((house.lake / "incoming").iterdir()) == []


def test_discard(house: House) -> None:
    file = house.deliver("id,score,comment\n1,9,x\n")
    staged = stage(ANSWERS, file, house.landing, house.lake, NOON)
    assert staged is not None
    assert staged.data.exists()
    assert staged.malformed.exists()
    discard(staged)
    assert list((house.lake / "incoming").iterdir()) == []
    assert new_files(ANSWERS, house.landing, house.lake) == [file]


def test_the_declaration_gives_globs_their_columns_and_follows_the_sources(house: House) -> None:
    def described(kind: str) -> list[str]:
        glob = house.lake / "raw" / "files" / "answers" / "*" / f"{kind}_0.parquet"
        with duckdb.connect() as connection:
            rows = connection.execute(f"describe from read_parquet('{glob}', hive_partitioning = false)")
            return [name for name, *_ in rows.fetchall()]

    assert described("data")[:4] == ["id", "score", "comment", "lang"]
    assert described("malformed")[-2:] == ["raw_row", "reason"]
    other = replace(ANSWERS, source_system="webshop", columns=("id", "rating"), optional_columns=())
    prepare_lake([ANSWERS, other], house.lake)
    assert described("data")[:5] == ["id", "score", "comment", "lang", "rating"]
    assert registered_loads(house.lake) == []


def _hold(lake: Path, held: Event, release: Event) -> None:
    with lake_lock(lake):
        held.set()
        release.wait()


def test_a_second_run_waits_and_then_says_why_it_gave_up(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, held, release))
    other.start()
    try:
        assert held.wait(30)
        with pytest.raises(LakeBusy, match="another run is working with"), lake_lock(tmp_path, 0.2):
            pass
    finally:
        release.set()
        other.join()
    with lake_lock(tmp_path, 0):
        pass
