"""Reading one delivered file into DuckDB, as text: delimited text, JSON Lines or Parquet, in any encoding.

Each reader leaves the rows in the view `records`, in file order and with their hash, the lines of rows that do not
simply follow each other in the table `lines`, and what could not be read in the table `malformed`. What is lost in
silence is the worst fault, so header, rows, line breaks inside them, faults and blank lines must add up to the file.
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
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

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

_CHUNK_BYTES = 1 << 20
_MAX_RECORD_BYTES = 16 << 20
_MAX_MALFORMED_ROWS = 100_000
# DuckDB's share; with the buffers outside its count a load stays under 2 GB.
_MEMORY_LIMIT = "1500MB"


class RefusedFile(Exception):
    """A file that is not loaded; the message names it, the line if known, the fault and the remedy."""


@dataclass(frozen=True)
class Reading:
    """What a reader found; the rows are in the view `records` of its connection, in file order."""

    columns: list[str]
    first_line: int  # of the first row; the others follow line by line, unless the table `lines` differs
    encoding: str = "utf-8"


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


def _read_delimited(
    connection: duckdb.DuckDBPyConnection, table: Table, file: Path, scan: Scan, scratch: Path
) -> Reading:
    text = _as_utf8(file, scan, scratch)
    header = _read_header(text.path, table.delimiter)
    header_lines, columns = header.lines, _check_columns(table, header.fields)
    # Everything is given and nothing guessed: sniffing types loses text, and a `new_line` that is not
    # the file's makes DuckDB return no rows without an error. The lines are counted afterwards.
    query = f"""
        select *, {_row_hash(columns)} as _row_hash
        from read_csv(
            {literal_path(text.path)}, auto_detect = false, header = true, skip = {header.rows_above},
            columns = {{{", ".join(f"{field}: 'VARCHAR'" for field in delivered_fields(columns))}}},
            delim = {literal(table.delimiter)}, quote = '"', escape = '"',
            max_line_size = {_MAX_RECORD_BYTES}, buffer_size = {2 * _MAX_RECORD_BYTES},
            store_rejects = true, rejects_limit = {_MAX_MALFORMED_ROWS},
            rejects_line_size_limit = {_MAX_RECORD_BYTES}
        )
    """
    _keep(connection, "records", query, scratch)
    faults = _faults(connection, len(columns))
    fault_lines = _number_lines(connection, text, header_lines, columns, faults)
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
    return Reading(columns, header_lines + 1, text.encoding)


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
            f"more than {_MAX_MALFORMED_ROWS:,} faults, the first: {entries[0][1].strip()[:200]!r}; "
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
                reason=f"malformed_row: {_reason(kinds[0], fields, columns)}",
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


def _number_lines(
    connection: duckdb.DuckDBPyConnection,
    text: _PlainText,
    header_lines: int,
    columns: list[str],
    faults: list[_Fault],
) -> list[int]:
    """Fill `lines` where rows do not simply follow line by line; return the lines of the faults.

    Raises:
        RefusedFile: the lines of rows, faults and blanks do not add up to those of the file, so that
            something would be lost in silence.
    """
    rows = count_rows(connection, "records")
    unexplained = text.scan.lines - header_lines - rows
    if not unexplained and not faults:
        return []
    connection.execute(f"""
        create temp table breaks as
        select file_row_number as id, length(text) - length(replace(text, chr(10), '')) as lines
        from (select file_row_number, concat_ws('', {", ".join(delivered_fields(columns))}) as text from records)
        where contains(text, chr(10))
    """)
    unexplained -= _scalar(connection, "select coalesce(sum(lines), 0) from breaks")
    gaps: list[tuple[int, int]] = []
    fault_lines: list[int] = []
    if unexplained or faults:
        connection.execute("select id, lines from breaks order by id")
        breaks = iter(connection.fetchone, None)
        # DuckDB skips blank lines, but in a file of one column they are rows.
        events = _gap_events(text.path, faults, skips_blank=len(columns) > 1)
        gaps, fault_lines = _find_gaps(events, header_lines + 1, breaks)
        unexplained -= sum(lines for _, lines in gaps)
    if unexplained or len(fault_lines) < len(faults):
        raise RefusedFile(
            f"its {text.scan.lines} lines do not add up to its rows; deliver it with one kind of line end "
            "(\\n or \\r\\n) and every quote closed"
        )
    connection.execute(
        f"""
        insert into lines
        with
            shifts as (
                select id + 1 as id, lines from breaks
                union all
                select unnest($1::bigint[]), unnest($2::bigint[])
            ),
            shift_by_row as (select id, sum(lines) as lines from shifts group by id)
        select
            range as id,
            {header_lines + 1} + range + sum(coalesce(shift_by_row.lines, 0)) over (order by range)
        from range({rows})
        left join shift_by_row on shift_by_row.id = range
        """,
        [[row for row, _ in gaps], [lines for _, lines in gaps]],
    )
    return fault_lines


def _find_gaps(
    events: Iterable[tuple[int, _Fault | None]], line: int, breaks: Iterator[tuple[int, int]]
) -> tuple[list[tuple[int, int]], list[int]]:
    """Where lines between rows belong to none: (row that follows, number of lines), and the faults' lines.

    The first row starts on `line`. One walk over the faults and blank lines of the file beside the rows
    that span several lines (`breaks`: row, extra lines): a blank line within a quoted text is part of a row.
    """
    gaps: list[tuple[int, int]] = []
    fault_lines: list[int] = []
    row = 0  # the next row, which starts on `line`
    long_row, extra_lines = next(breaks, (None, 0))
    for event_line, fault in events:
        while long_row is not None and line + long_row - row < event_line:
            line += long_row - row + 1 + extra_lines
            row = long_row + 1
            long_row, extra_lines = next(breaks, (None, 0))
        if fault is not None:
            fault_lines.append(event_line)
        if event_line >= line:
            lines = 1 if fault is None else fault.lines
            row += event_line - line
            line = event_line + lines
            gaps.append((row, lines))
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
    connection: duckdb.DuckDBPyConnection, table: Table, file: Path, scan: Scan, scratch: Path
) -> Reading:
    """One object a line; numbers keep their text up to double precision (9.0 stays 9.0, 1e2 is 100.0)."""
    text = _as_utf8(file, scan, scratch)
    path = text.path
    if text.scan.carriage_returns:
        # In JSON a bare carriage return is a blank; DuckDB would take some for line ends.
        path = _rewrite(path, scratch / "spaced", lambda chunk, _: chunk.replace(b"\r", b" "))
    # One column, no quotes and a delimiter that cannot occur: each line as it is.
    query = f"""
        select
            text,
            case
                when coalesce(trim(text), '') = '' then ''
                when not json_valid(text) then 'not valid JSON'
                when json_type(text) != 'OBJECT' then 'not a JSON object'
                when len(json_keys(text)) > len(list_distinct(json_keys(text))) then 'a key appears twice'
            end as fault
        from read_csv(
            {literal_path(path)}, auto_detect = false, header = false,
            columns = {{'text': 'VARCHAR'}}, delim = '\\0', quote = '', escape = '',
            max_line_size = {_MAX_RECORD_BYTES}, buffer_size = {2 * _MAX_RECORD_BYTES}
        )
    """
    _keep(connection, "delivered", query, scratch)
    if count_rows(connection, "delivered") != text.scan.lines:
        raise RefusedFile("its lines cannot be told apart; deliver one JSON object per line")
    connection.execute("""
        insert into malformed
        select file_row_number + 1, text, 'malformed_row: ' || fault from delivered
        where fault != ''
    """)
    last = connection.execute("select max(line) from malformed").fetchone()
    if last == (text.scan.lines,) and not text.scan.ends_with_newline:
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
        select *, {_row_hash(columns)} as _row_hash
        from (
            select {values}
            from (select json_extract_string(text, [{pointers}]) as fields from delivered where fault is null)
        )
    """
    _keep(connection, "records", query, scratch)
    connection.execute("""
        insert into lines
        from (
            select row_number() over (order by file_row_number) - 1 as id, file_row_number + 1 as line
            from delivered where fault is null
        )
        where line != id + 1
    """)
    return Reading(columns, 1, text.encoding)


# --------------------------------------------------------------------------------------------- Parquet


def _read_parquet(
    connection: duckdb.DuckDBPyConnection, table: Table, file: Path, scan_file: Scan, scratch: Path
) -> Reading:
    """Typed values become the text DuckDB prints for them, nested ones JSON; times with a zone are in UTC."""
    source = f"read_parquet({literal_path(file)}, hive_partitioning = false)"
    described = connection.execute(f"describe select * from {source}").fetchall()
    names = [name for name, *_ in described]
    columns = _check_columns(table, names)
    values = ", ".join(
        f"nullif({_as_text(quoted(name), kind)}, '') as {field}"
        for (name, kind, *_), field in zip(described, delivered_fields(columns), strict=True)
    )
    query = f"select *, {_row_hash(columns)} as _row_hash from (select {values} from {source})"
    _keep(connection, "records", query, scratch)
    return Reading(columns, 1)


def _as_text(value: str, kind: str) -> str:
    is_nested = kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION"))
    return f"to_json({value})::varchar" if is_nested else f"{value}::varchar"


# ------------------------------------------------------------------------------- bytes, encodings, names

_Reader = Callable[[duckdb.DuckDBPyConnection, Table, Path, "Scan", Path], Reading]


def read_file(connection: duckdb.DuckDBPyConnection, table: Table, file: Path, scan: Scan, scratch: Path) -> Reading:
    """Read a scanned file into `records`, `lines` and `malformed` of the connection.

    Raises:
        RefusedFile: the file cannot be read whole.
    """
    read = reader_of(file)
    try:
        return read(connection, table, file, scan, scratch)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
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
    has_nul: bool
    is_utf8: bool
    ends_with_newline: bool

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
    size = newlines = carriage_returns = 0
    has_nul, is_utf8, last = False, True, b""
    try:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
                newlines += chunk.count(b"\n")
                carriage_returns += chunk.count(b"\r")
                has_nul = has_nul or b"\0" in chunk
                is_utf8 = is_utf8 and _decodes(decoder, chunk)
                last = chunk[-1:]
    except OSError as error:
        raise RefusedFile(f"cannot be opened ({error.strerror}); check the file and its rights") from error
    return Scan(
        sha256=digest.hexdigest(),
        size=size,
        newlines=newlines,
        carriage_returns=carriage_returns,
        has_nul=has_nul,
        is_utf8=is_utf8 and _decodes(decoder, b"", final=True),
        ends_with_newline=last == b"\n",
    )


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes, final: bool = False) -> bool:
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
        except (OSError, EOFError, zlib.error) as error:
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
        # Mostly ASCII text in UTF-16 has a NUL as every other byte; anything else with NULs is no text.
        even, odd = head[0::2].count(0), head[1::2].count(0)
        if odd > len(head) / 5 and not even:
            return "utf-16-le"
        if even > len(head) / 5 and not odd:
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
        RefusedFile: two columns have one name, or a declared column is missing or only nearly there.
    """
    columns = [name.strip() or f"unnamed_{place}" for place, name in enumerate(delivered, start=1)]
    by_lower: dict[str, str] = {}
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


def _row_hash(columns: Sequence[str]) -> str:
    """16 hex digits over the row's content: its columns with a value, in name order.

    The lengths of the values come first, so that no two contents read the same whatever characters they
    hold. Empty columns count for nothing: a column that a vendor adds later leaves the rows that have no
    value there what they were.
    """
    named = sorted(zip(columns, delivered_fields(columns), strict=True))
    lengths = ", ".join(f"strlen({field})" for _, field in named)
    pairs = ", ".join(f"{literal(f'|{column}=')} || {field}" for column, field in named)
    return f"left(md5(concat(concat_ws(',', {lengths}), {pairs})), 16)"


# ---------------------------------------------------------------------------------------------- DuckDB


def connect(scratch: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory that spills into `scratch`, with the tables the readers fill."""
    connection = duckdb.connect(config={"memory_limit": _MEMORY_LIMIT, "temp_directory": str(scratch)})
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("create temp table lines (id bigint, line bigint)")
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
