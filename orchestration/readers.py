"""Reading one delivered file into DuckDB, as text: delimited text, JSON Lines or Parquet, in any encoding.

Each reader has the rows written once, with line and hash; where faults or blank lines lie between them, the table
`shifts` says how many lines those take, and what could not be read is in the table `malformed`. What is lost in silence
is the worst fault, so header, rows, line breaks inside them, faults and blank lines must add up to the file.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import glob
import gzip
import hashlib
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np

from orchestration.faults import cannot_write
from orchestration.sources import Table

# Delivered columns may not take the names that the lake gives; its folder load_id=… reads as a column, too.
ORIGIN_TYPES = {
    "_source_system": "VARCHAR",
    "_load_id": "VARCHAR",
    "_loaded_at": "TIMESTAMP",
    "_file": "VARCHAR",
    "_line": "BIGINT",
}
DATA_TYPES = ORIGIN_TYPES | {"_row_hash": "VARCHAR", "_row_ordinal": "BIGINT"}
_RESERVED = {*DATA_TYPES, "load_id"}

_DELIMITED = {".csv", ".tsv", ".txt"}
_JSON_LINES = {".jsonl", ".ndjson", ".json"}
_NOT_JSON = "not valid JSON"

_CHUNK_BYTES = 1 << 20
_MAX_RECORD_BYTES = 16 << 20
_MAX_MALFORMED_ROWS = 100_000
# The least that is worth a piece of its own when a large file is read by several processors.
_PIECE_BYTES = 32 << 20
# DuckDB's share; with the buffers outside its count a load stays under 2 GB.
_MEMORY_LIMIT = "1500MB"


class RefusedFile(Exception):
    """A file that is not loaded; the message names it, the line if known, the fault and the remedy."""


@dataclass(frozen=True)
class Reading:
    """What a reader found; the rows are in the view `records` of its connection."""

    columns: list[str]
    encoding: str = "utf-8"


# Given the columns and a query of their fields, _line and _row_hash: writes its rows, which become the view `records`.
Write = Callable[[Sequence[str], str], None]


# -------------------------------------------------------------------------------------- delimited text


@dataclass(frozen=True)
class _Fault:
    """A record that DuckDB could not read, `start` bytes into the file."""

    start: int
    raw_row: str
    reason: str
    is_unclosed: bool

    @property
    def lines(self) -> int:
        return self.raw_row.count("\n") + 1


@dataclass(frozen=True)
class _Piece:
    """A part of a text file that begins with a row, or with the header; lines are those of the whole file."""

    path: Path
    first_line: int  # of the first row
    last_line: int
    rows_above: int | None  # above the last header row; None without a header
    is_part: bool = True


def _read_delimited(
    connection: duckdb.DuckDBPyConnection, table: Table, file: Path, scan: Scan, scratch: Path, write: Write
) -> Reading:
    text = _as_utf8(file, scan, scratch)
    header = _read_header(text.path, table.delimiter)
    columns = _check_columns(table, header.fields)
    whole = _Piece(text.path, header.lines + 1, text.scan.lines, header.rows_above, is_part=False)
    pieces = _cut(text, whole, _scalar(connection, "select current_setting('threads')"), scratch)
    faults = _read_pieces(connection, pieces, table.delimiter, columns, write)
    if len(pieces) > 1 and (faults or any(_unexplained(connection, piece, columns) for piece in pieces)):
        faults = _read_pieces(connection, [whole], table.delimiter, columns, write)
    fault_lines = _number_lines(connection, whole, columns, faults)
    for line, fault in zip(fault_lines, faults, strict=True):
        if line + fault.lines - 1 < text.scan.lines:
            continue
        if not text.scan.ends_with_newline:
            raise RefusedFile(f"line {line}: the file ends within this row; deliver it again, whole")
        if fault.is_unclosed:
            raise RefusedFile(f"line {line}: a quote is opened and never closed; deliver the file again")
    connection.execute(
        "insert into malformed select unnest($1::bigint[]), unnest($2::varchar[]), unnest($3::varchar[])",
        [fault_lines, [fault.raw_row for fault in faults], [fault.reason for fault in faults]],
    )
    return Reading(columns, text.encoding)


def _cut(text: _PlainText, whole: _Piece, processors: int, scratch: Path) -> list[_Piece]:
    """The file, or copies of its parts when it is large: DuckDB numbers the rows of one text on one processor only.

    A part ends with a line up to which all quotes are closed. Where a lone quote in a text makes that wrong, the part
    ends within a quoted text; DuckDB then finds a fault in it, and the file is read again in one piece.
    """
    count = min(processors, text.scan.size // _PIECE_BYTES)
    if count < 2 or text.scan.lone_returns:  # which DuckDB may take for line ends
        return [whole]
    pieces: list[_Piece] = []
    with text.path.open("rb") as source:
        starts = [(0, whole.first_line)]
        for nth in range(1, count):
            chunk = nth * text.scan.size // count // _CHUNK_BYTES
            newlines, quotes = text.scan.counted_before[chunk]
            source.seek(chunk * _CHUNK_BYTES)
            while line := source.readline():
                newlines, quotes = newlines + 1, quotes + line.count(b'"')
                if quotes % 2 == 0:
                    break
            if starts[-1][0] < source.tell() < text.scan.size and newlines >= whole.first_line:
                starts.append((source.tell(), newlines + 1))
        for (start, first_line), (end, next_line) in pairwise([*starts, (text.scan.size, whole.last_line + 1)]):
            path = scratch / f"piece_{len(pieces)}"
            source.seek(start)
            with path.open("wb") as target:
                while chunk_bytes := source.read(min(_CHUNK_BYTES, end - source.tell())):
                    target.write(chunk_bytes)
            pieces.append(_Piece(path, first_line, next_line - 1, None if pieces else whole.rows_above))
    return pieces


def _read_pieces(
    connection: duckdb.DuckDBPyConnection, pieces: list[_Piece], delimiter: str, columns: list[str], write: Write
) -> list[_Fault]:
    """Write the rows, each with the line it has if no other but its piece's rows lie above it; return the faults."""
    connection.execute("drop table if exists reject_errors")
    # Several pieces are read at once only if their rows may mix.
    connection.execute(f"set preserve_insertion_order = {len(pieces) == 1}")
    write(columns, " union all ".join(_rows_of(piece, delimiter, columns) for piece in pieces))
    connection.execute("reset preserve_insertion_order")
    return _faults(connection, len(columns))


def _rows_of(piece: _Piece, delimiter: str, columns: list[str]) -> str:
    # Everything is given and nothing guessed: sniffing types loses text, and a `new_line` that is not
    # the file's makes DuckDB return no rows without an error. The lines are counted afterwards.
    header = "header = false" if piece.rows_above is None else f"header = true, skip = {piece.rows_above}"
    fields = delivered_fields(columns)
    return f"""
        select
            * exclude (content, breaks),
            -- Line breaks of the rows above; only a frame that ends here is counted while the rows pass by.
            {piece.first_line} - 1 + row_number() over ()
            + sum(breaks) over (rows between unbounded preceding and current row) - breaks as _line,
            {_row_hash("content")} as _row_hash
        from (
            select *, {_line_breaks("content")} as breaks
            from (
                select *, {_content(columns)} as content
                from read_csv(
                    {literal_path(piece.path)}, auto_detect = false, {header},
                    columns = {{{", ".join(f"{field}: 'VARCHAR'" for field in fields)}}},
                    delim = {literal(delimiter)}, quote = '"', escape = '"',
                    max_line_size = {_MAX_RECORD_BYTES}, buffer_size = {2 * _MAX_RECORD_BYTES},
                    store_rejects = true, rejects_limit = {_MAX_MALFORMED_ROWS},
                    rejects_line_size_limit = {_MAX_RECORD_BYTES}
                )
            )
        )
    """


@dataclass(frozen=True)
class _Header:
    """The names of the columns."""

    fields: list[str]
    lines: int  # those above the first answer
    rows_above: int  # rows and blank lines above the last header row


def _read_header(path: Path, delimiter: str) -> _Header:
    """The first row that is not blank; Qualtrics writes two more below it, known by the last one's ImportId."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        reader = csv.reader(iter(lambda: text.readline(_CHUNK_BYTES), ""), delimiter=delimiter)
        try:
            for rows_above, fields in enumerate(reader):
                if fields:
                    if not any(field.strip() for field in fields):
                        break
                    header = _Header(fields, reader.line_num, rows_above)
                    with suppress(csv.Error):  # a fault below the header is a fault of a row
                        next(reader, None)  # the questions in words
                        if _are_import_ids(next(reader, [])):
                            return _Header(fields, reader.line_num, rows_above + 2)
                    return header
        except csv.Error as error:
            raise RefusedFile(
                f"line {reader.line_num}: the header cannot be read ({error}); "
                "export the file as text with one header line and \\n or \\r\\n line ends"
            ) from error
    raise RefusedFile("empty; a file without rows still needs its header line")


def _are_import_ids(fields: Sequence[str]) -> bool:
    return bool(fields) and all(field.replace(" ", "").startswith('{"ImportId":') for field in fields)


def _faults(connection: duckdb.DuckDBPyConnection, columns: int) -> list[_Fault]:
    """The records DuckDB rejected, in file order."""
    entries = connection.execute("""
        select
            line_byte_position, first(csv_line), list(error_type::varchar order by column_idx),
            max(column_idx)
        from reject_errors
        group by line_byte_position
        order by line_byte_position
    """).fetchall()
    if count_rows(connection, "reject_errors") >= _MAX_MALFORMED_ROWS:
        raise RefusedFile(
            f"more than {_MAX_MALFORMED_ROWS:,} faults, the first at byte {entries[0][0]:,}; "
            "compare the header and the delimiter with the rows"
        )
    faults = []
    for position, record, kinds, fields in entries:
        # DuckDB counts the blank lines before a record to it.
        raw_row = record.lstrip("\r\n")
        faults.append(
            _Fault(
                start=position - 1 + len(record.encode()) - len(raw_row.encode()),
                raw_row=raw_row.removesuffix("\n").removesuffix("\r"),
                reason=_reason(kinds[0], fields, columns),
                # Only a record that swallowed the rest of the file keeps its last line end.
                is_unclosed=raw_row.endswith("\n"),
            )
        )
    return faults


def _reason(kind: str, fields: int, columns: int) -> str:
    match kind:
        case "MISSING COLUMNS":
            return f"{fields} fields where the header has {columns}"
        case "TOO MANY COLUMNS":
            return f"{fields} fields where the header has {columns}; is a text with the delimiter unquoted?"
        case "UNQUOTED VALUE":
            return "text after a closing quote, or a quote that is never closed"
        case "INVALID ENCODING":
            return "bytes that are not UTF-8 in a file that otherwise is"
        case "LINE SIZE OVER MAXIMUM":
            return f"longer than {_MAX_RECORD_BYTES >> 20} MiB; is a quote never closed?"
    return kind.lower()


def _unexplained(connection: duckdb.DuckDBPyConnection, piece: _Piece, columns: list[str]) -> int:
    """How many lines of a piece no row takes, as its rows are numbered so far."""
    last_row = connection.execute(
        f"""
        select _line + {_line_breaks(_content(columns, list(map(quoted, columns))))}
        from records
        where _line = (select max(_line) from records where $1 is null or _line between $2 and $1)
        """,
        [piece.last_line if piece.is_part else None, piece.first_line],
    ).fetchone()
    return piece.last_line - (last_row[0] if last_row else piece.first_line - 1)


def _number_lines(
    connection: duckdb.DuckDBPyConnection, whole: _Piece, columns: list[str], faults: list[_Fault]
) -> list[int]:
    """Fill `shifts` where faults or blank lines lie between rows; return the lines of the faults.

    Raises:
        RefusedFile: the lines of rows, faults and blanks do not add up to those of the file, so that
            something would be lost in silence.
    """
    unexplained = _unexplained(connection, whole, columns)
    fault_lines: list[int] = []
    if unexplained or faults:
        content = _content(columns, list(map(quoted, columns)))
        connection.execute(f"""
            select _line, {_line_breaks(content)} from records where contains({content}, chr(10)) order by _line
        """)
        # DuckDB skips blank lines, but in a file of one column they are rows.
        events = _gap_events(whole.path, faults, skips_blank=len(columns) > 1)
        gaps, fault_lines = _find_gaps(events, whole.first_line, iter(connection.fetchone, None))
        unexplained -= sum(lines for _, lines in gaps)
        connection.execute(
            """
            insert into shifts
            select place, sum(lines) over (order by place)
            from (select unnest($1::bigint[]) as place, unnest($2::bigint[]) as lines)
            """,
            [[place for place, _ in gaps], [lines for _, lines in gaps]],
        )
    if unexplained or len(fault_lines) < len(faults):
        raise RefusedFile(
            f"its {whole.last_line} lines do not add up to its rows; deliver it with one kind of line end "
            "(\\n or \\r\\n) and every quote closed"
        )
    return fault_lines


def _find_gaps(
    events: Iterable[tuple[int, _Fault | None]], first_line: int, long_rows: Iterator[tuple[int, int]]
) -> tuple[list[tuple[int, int]], list[int]]:
    """Where lines between rows belong to none: (line the next row would have without any, number of lines).

    One walk over the faults and blank lines of the file beside the rows that span several lines (`long_rows`: line
    without gaps, further lines): a blank line within a quoted text is part of a row. Also returns the faults' lines.
    """
    gaps: list[tuple[int, int]] = []
    fault_lines: list[int] = []
    shift, covered = 0, first_line - 1  # lines in gaps so far, and the last line of the latest
    row, breaks = next(long_rows, (0, 0))
    for line, fault in events:
        if fault is not None:
            fault_lines.append(line)
        place = line - shift
        while breaks and row + breaks < place:
            row, breaks = next(long_rows, (0, 0))
        if line <= covered or (breaks and row < place):
            continue
        lines = 1 if fault is None else fault.lines
        gaps.append((place, lines))
        shift += lines
        covered = line + lines - 1
    return gaps, fault_lines


def _gap_events(path: Path, faults: list[_Fault], skips_blank: bool) -> Iterator[tuple[int, _Fault | None]]:
    """The line of every fault and, where they are skipped, of every blank line."""
    fault_at = {fault.start: fault for fault in faults}
    offset = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if fault := fault_at.get(offset):
                yield number, fault
            elif skips_blank and line in (b"\n", b"\r\n"):
                yield number, None
            offset += len(line)


# ------------------------------------------------------------------------------------------ JSON Lines


def _read_json_lines(
    connection: duckdb.DuckDBPyConnection, table: Table, file: Path, scan: Scan, scratch: Path, write: Write
) -> Reading:
    """One object a line; numbers keep their text up to double precision (9.0 stays 9.0, 1e2 is 100.0)."""
    text = _as_utf8(file, scan, scratch)
    path = text.path
    if text.scan.carriage_returns:
        # In JSON a bare carriage return is a blank; DuckDB would take some for line ends.
        path = _rewrite(path, scratch / "spaced", lambda chunk, _: chunk.replace(b"\r", b" "))
    # One column, no quotes and a delimiter that cannot occur: each line as it is. An escaped NUL would be one in the
    # content of the row, and PostgreSQL has none.
    query = rf"""
        select
            text,
            case
                when coalesce(trim(text), '') = '' then ''
                when not json_valid(text) then {literal(_NOT_JSON)}
                when json_type(text) != 'OBJECT' then 'not a JSON object'
                when len(json_keys(text)) > len(list_distinct(json_keys(text))) then 'a key appears twice'
                when contains(text, '\u0000') and regexp_matches(text, '(^|[^\\])(\\\\)*\\u0000')
                    then 'a NUL character (\u0000), which is no text'
            end as fault
        from read_csv(
            {literal_path(path)}, auto_detect = false, header = false,
            columns = {{'text': 'VARCHAR'}}, delim = '\0', quote = '', escape = '',
            max_line_size = {_MAX_RECORD_BYTES}, buffer_size = {2 * _MAX_RECORD_BYTES}
        )
    """
    _keep(connection, "delivered", query, scratch)
    if count_rows(connection, "delivered") != text.scan.lines:
        raise RefusedFile("its lines cannot be told apart; deliver one JSON object per line")
    connection.execute("""
        insert into malformed
        select file_row_number + 1, text, fault from delivered
        where fault != ''
    """)
    # The beginning of an object is no JSON; what else is wrong with the last line was not cut off.
    last = connection.execute(
        "select ltrim(raw_row, chr(9) || ' ') from malformed where line = $1 and reason = $2",
        [text.scan.lines, _NOT_JSON],
    ).fetchone()
    if last and last[0].startswith("{") and not text.scan.ends_with_newline:
        raise RefusedFile(f"line {text.scan.lines}: the file ends within this row; deliver it again, whole")
    keys = [
        key
        for (key,) in connection.execute("""
            select key
            from (
                select file_row_number as id, unnest(keys) as key, generate_subscripts(keys, 1) as nth
                from (select file_row_number, json_keys(text) as keys from delivered where fault is null)
            )
            group by key
            order by min((id, nth))
        """).fetchall()
    ]
    if not keys:
        raise RefusedFile("no line holds a JSON object; deliver JSON Lines: one object per line, no array")
    columns = _check_columns(table, keys)
    pointers = ", ".join(literal("/" + key.replace("~", "~0").replace("/", "~1")) for key in keys)
    values = ", ".join(
        f"nullif(fields[{nth}], '') as {field}" for nth, field in enumerate(delivered_fields(columns), start=1)
    )
    query = f"""
        select *, {_row_hash(_content(columns))} as _row_hash
        from (
            select {values}, _line
            from (
                select json_extract_string(text, [{pointers}]) as fields, file_row_number + 1 as _line
                from delivered
                where fault is null
            )
        )
    """
    write(columns, query)
    return Reading(columns, text.encoding)


# --------------------------------------------------------------------------------------------- Parquet


def _read_parquet(
    connection: duckdb.DuckDBPyConnection, table: Table, file: Path, scan: Scan, scratch: Path, write: Write
) -> Reading:
    """Typed values become the text DuckDB prints for them, nested ones JSON; times with a zone are in UTC."""
    described = connection.execute(
        f"describe select * from read_parquet({literal_path(file)}, hive_partitioning = false)"
    ).fetchall()
    source = f"read_parquet({literal_path(file)}, hive_partitioning = false, file_row_number = true)"
    names = [name for name, *_ in described]
    columns = _check_columns(table, names)
    values = ", ".join(
        f"nullif({_as_text(quoted(name), kind)}, '') as {field}"
        for (name, kind, *_), field in zip(described, delivered_fields(columns), strict=True)
    )
    query = f"""
        select *, {_row_hash(_content(columns))} as _row_hash
        from (select {values}, file_row_number + 1 as _line from {source})
    """
    write(columns, query)
    return Reading(columns)


def _as_text(value: str, kind: str) -> str:
    is_nested = kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION"))
    if kind == "VARCHAR":
        return f"if(contains({value}, chr(0)), error('a text holds a NUL character'), {value})"
    return f"to_json({value})::varchar" if is_nested else f"{value}::varchar"


# ------------------------------------------------------------------------------- bytes, encodings, names

_Reader = Callable[[duckdb.DuckDBPyConnection, Table, Path, "Scan", Path, Write], Reading]


def read_file(
    connection: duckdb.DuckDBPyConnection, table: Table, file: Path, scan: Scan, scratch: Path, write: Write
) -> Reading:
    """Read a scanned file: its rows by way of `write`, the rest into `shifts` and `malformed` of the connection.

    Raises:
        RefusedFile: the file cannot be read whole.
    """
    read = reader_of(file)
    try:
        return read(connection, table, file, scan, scratch, write)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        if cannot_write(str(error)):  # which is no fault of the file
            raise
        hint = " (carriage returns outside quotes?)" if read is _read_delimited and scan.carriage_returns else ""
        raise RefusedFile(f"cannot be read{hint}: {str(error).splitlines()[0]}; export it again") from error


def reader_of(file: Path) -> _Reader:
    """The reader for the ending of a file; an unknown one is refused."""
    ending = Path(file.stem).suffix if file.suffix.lower() == ".gz" else file.suffix
    if ending.lower() in _DELIMITED:
        return _read_delimited
    if ending.lower() in _JSON_LINES:
        return _read_json_lines
    if file.suffix.lower() == ".parquet":
        return _read_parquet
    known = ", ".join(sorted(_DELIMITED | _JSON_LINES))
    raise RefusedFile(f"unknown ending; the loader reads {known} (also with .gz) and .parquet")


@dataclass(frozen=True)
class Scan:
    """What one pass over the bytes of a file tells."""

    sha256: str
    size: int
    newlines: int
    carriage_returns: int
    lone_returns: int  # not before a newline
    has_nul: bool
    is_utf8: bool
    ends_with_newline: bool
    counted_before: list[tuple[int, int]]  # newlines and quotes before each chunk

    @property
    def lines(self) -> int:
        """Physical lines; the last may lack its line end."""
        return self.newlines + (self.size > 0 and not self.ends_with_newline)


@dataclass(frozen=True)
class _PlainText:
    """A text file as DuckDB reads it: unpacked and in UTF-8."""

    path: Path
    scan: Scan
    encoding: str  # as delivered


def scan_file(path: Path) -> Scan:
    """Pass once over the bytes of a file: its hash, its lines, and what they say of its encoding."""
    digest = hashlib.sha256()
    decoder = codecs.getincrementaldecoder("utf-8")()
    size = newlines = quotes = carriage_returns = line_ends = 0
    counted_before = []
    has_nul, is_utf8, last = False, True, b""
    try:
        with path.open("rb") as file, ThreadPoolExecutor(1) as other_thread:
            while chunk := file.read(_CHUNK_BYTES):
                hashed = other_thread.submit(digest.update, chunk)
                size += len(chunk)
                counted_before.append((newlines, quotes))
                newlines += _count(chunk, b"\n")
                quotes += _count(chunk, b'"')
                if b"\r" in chunk or last == b"\r":
                    carriage_returns += chunk.count(b"\r")
                    line_ends += chunk.count(b"\r\n") + (last == b"\r" and chunk.startswith(b"\n"))
                has_nul = has_nul or b"\0" in chunk
                is_utf8 = is_utf8 and _decodes(decoder, chunk)
                last = chunk[-1:]
                hashed.result()
    except OSError as error:
        raise RefusedFile(f"cannot be opened ({error.strerror}); check the file and its rights") from error
    return Scan(
        sha256=digest.hexdigest(),
        size=size,
        newlines=newlines,
        carriage_returns=carriage_returns,
        lone_returns=carriage_returns - line_ends,
        has_nul=has_nul,
        is_utf8=is_utf8 and _decodes(decoder, b"", final=True),
        ends_with_newline=last == b"\n",
        counted_before=counted_before,
    )


def _count(chunk: bytes, byte: bytes) -> int:
    """As chunk.count(byte), in a quarter of the time."""
    return int(np.count_nonzero(np.frombuffer(chunk, np.uint8) == ord(byte)))


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes, final: bool = False) -> bool:
    if chunk.isascii() and not decoder.getstate()[0] and not final:
        return True
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True


def _as_utf8(file: Path, scan: Scan, scratch: Path) -> _PlainText:
    """The file itself when it is plain UTF-8, else an unpacked, transcoded copy."""
    if file.suffix.lower() == ".gz":
        packed, file = file, scratch / "unpacked"
        try:
            with gzip.open(packed) as source, file.open("wb") as target:
                shutil.copyfileobj(source, target, _CHUNK_BYTES)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise RefusedFile(f"not a whole gzip file ({error}); deliver it again") from error
        scan = scan_file(file)
    encoding = _encoding(file, scan)
    if encoding != "utf-8":
        try:
            file = _transcode(file, encoding, scratch)
        except UnicodeDecodeError as error:
            if encoding != "cp1252":
                raise RefusedFile(f"not whole {encoding} text ({error.reason}); deliver it again") from error
            encoding = "latin-1"
            file = _transcode(file, encoding, scratch)
        scan = scan_file(file)
    if scan.has_nul:
        raise RefusedFile("holds NUL bytes, so it is no text file; export it as text (UTF-8)")
    return _PlainText(file, scan, encoding)


def _encoding(file: Path, scan: Scan) -> str:
    with file.open("rb") as source:
        head = source.read(1 << 12)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if scan.has_nul:
        # Mostly ASCII text in UTF-16 has a NUL as nearly every other byte, and few among the others (U+4E00 has one);
        # anything else with NULs is no text.
        even, odd = head[0::2].count(0), head[1::2].count(0)
        if odd > len(head) / 5 and odd > 2 * even:
            return "utf-16-le"
        if even > len(head) / 5 and even > 2 * odd:
            return "utf-16-be"
        return "utf-8"
    return "utf-8" if scan.is_utf8 or _is_damaged_utf8(file) else "cp1252"


def _is_damaged_utf8(file: Path) -> bool:
    """Whether more of the non-ASCII bytes make UTF-8 characters than not: then only its bad lines are bad."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    good = bad = 0
    with file.open("rb") as source:
        while chunk := source.read(_CHUNK_BYTES):
            text = decoder.decode(chunk)
            replaced = text.count("\ufffd")
            bad += replaced
            good += len(text) - len(text.encode("ascii", "ignore")) - replaced
    return good > bad


def _transcode(file: Path, encoding: str, scratch: Path) -> Path:
    decoder = codecs.getincrementaldecoder(encoding)()
    return _rewrite(file, scratch / encoding, lambda chunk, final: decoder.decode(chunk, final).encode())


def _rewrite(source: Path, target: Path, change: Callable[[bytes, bool], bytes]) -> Path:
    with source.open("rb") as reader, target.open("wb") as writer:
        while chunk := reader.read(_CHUNK_BYTES):
            writer.write(change(chunk, False))
        writer.write(change(b"", True))
    return target


def _check_columns(table: Table, delivered: Sequence[str]) -> list[str]:
    """The delivered names without the blanks around them; one without a name is called by its place.

    Raises:
        RefusedFile: two columns have one name, or a declared column is missing or only nearly there. It quotes no
            delivered name unless some are known: the first line of a file without a header is somebody's answer.
    """
    columns = [name.strip() or f"unnamed_{place}" for place, name in enumerate(delivered, start=1)]
    by_lower: dict[str, str] = {}
    declared = [*table.columns, *table.optional_columns]
    if table.columns and not {name.lower() for name in declared} & {name.lower() for name in columns}:
        raise RefusedFile(
            f"missing column(s) {', '.join(table.columns)}: none of the {len(columns)} names in its header is known; "
            "names must be exact: correct the export, its header line, its delimiter or "
            f"sources/{table.source_system}.yml"
        )
    for column in columns:
        # DuckDB and many readers of the lake do not tell upper from lower case.
        if earlier := by_lower.get(column.lower()):
            raise RefusedFile(f"two columns are called {earlier!r} and {column!r}; give each its own name")
        if column.lower() in _RESERVED:
            raise RefusedFile(f"the loader writes a column {column!r} itself; rename it in the export")
        by_lower[column.lower()] = column
    missing = [name for name in table.columns if name not in columns]
    missing += [name for name in table.optional_columns if name not in columns and name.lower() in by_lower]
    if missing:
        hints = []
        for name in missing:
            near = difflib.get_close_matches(name.lower(), list(by_lower), n=1)
            hints.append(f"{name} (found {by_lower[near[0]]!r}: did you mean that?)" if near else name)
        raise RefusedFile(
            f"missing column(s) {', '.join(hints)}; found {', '.join(columns[:50])}; names must be exact: "
            f"correct the export, its delimiter or sources/{table.source_system}.yml"
        )
    return columns


def delivered_fields(columns: Sequence[str]) -> list[str]:
    """The columns' names within this module's SQL, where delivered ones could be `id` or `line`."""
    return [f"field_{place}" for place in range(len(columns))]


def _content(columns: Sequence[str], fields: Sequence[str] = ()) -> str:
    """A row as one text: its columns with a value, in name order, each after a NUL, which no value that is read holds.

    Empty columns count for nothing: a column that a vendor adds later leaves the rows that have no value there what
    they were. Line breaks are those of the values.
    """
    named = sorted(zip(columns, fields or delivered_fields(columns), strict=True))
    # One concat over constants and fields; a text made for each field and then joined would cost twice as much.
    pairs = (
        f"case when {field} is not null then chr(0) || {literal(' '.join(column.splitlines()) + '=')} end, {field}"
        for column, field in named
    )
    return f"concat({', '.join(pairs)})"


def _row_hash(content: str) -> str:
    """16 hex digits over the content of a row."""
    return f"left(md5({content}), 16)"


def _line_breaks(content: str) -> str:
    return f"if(contains({content}, chr(10)), strlen({content}) - strlen(replace({content}, chr(10), '')), 0)"


# ---------------------------------------------------------------------------------------------- DuckDB


def connect(scratch: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory that spills into `scratch`, with the tables the readers fill."""
    connection = duckdb.connect(config={"memory_limit": _MEMORY_LIMIT, "temp_directory": str(scratch)})
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("create temp table shifts (place bigint, lines bigint)")
    connection.execute("create temp table malformed (line bigint, raw_row varchar, reason varchar)")
    return connection


def _keep(connection: duckdb.DuckDBPyConnection, view: str, query: str, scratch: Path) -> None:
    """Keep a query's rows for several passes, as a view with their place in `file_row_number` (from 0).

    DuckDB numbers rows in parallel only when it reads Parquet: numbering while parsing takes one core, and
    a table in memory three times the memory for the same time.
    """
    path = scratch / f"{view}.parquet"
    connection.execute(
        f"copy ({query}) to {literal(path)} (format parquet, compression uncompressed, dictionary_size_limit 1)"
    )
    connection.execute(
        f"create temp view {view} as select * from read_parquet({literal_path(path)}, file_row_number = true)"
    )


def _scalar(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def count_rows(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """How many rows a table or view of the connection has."""
    return _scalar(connection, f"select count(*) from {table}")


def quoted(name: str) -> str:
    """A column name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str | Path) -> str:
    """A text as SQL."""
    return "'" + str(text).replace("'", "''") + "'"


def literal_path(path: Path) -> str:
    """A path for DuckDB's readers, to which [ and * in a name are wildcards."""
    return literal(glob.escape(str(path)))
