"""One CSV file as the loader loads it, and as a plain COPY would: each side is run in a process of its own."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from orchestration import loader
from orchestration.sources import Table


def write_answers(path: Path, rows: int) -> None:
    """Make an export of answers: 12 columns, three out of ten with a comment, some of those in two lines."""
    with duckdb.connect() as connection:
        connection.execute(
            f"""
            create macro any_of(number, seed, count) as cast(hash(number, seed) % count as bigint);
            copy (
                select
                    md5(cast(number as varchar)) as id,
                    any_of(number, 1, 11) as score,
                    timestamp '2020-01-01' + to_seconds(any_of(number, 2, 150_000_000)) as created_at,
                    created_at + to_hours(any_of(number, 3, 48)) as updated_at,
                    'survey_' || any_of(number, 4, 7) as survey,
                    'person' || any_of(number, 5, 3_000_000) || '@example.com' as email,
                    'account-' || any_of(number, 6, 50_000) as account,
                    ['en', 'de', 'fr', 'es'][1 + any_of(number, 7, 4)] as language,
                    ['email', 'web', 'sms'][1 + any_of(number, 8, 3)] as channel,
                    case
                        when any_of(number, 9, 10) < 3
                            then 'The delivery was ' || ['late', 'quick, and friendly'][1 + any_of(number, 10, 2)]
                            || if(any_of(number, 11, 20) = 0, chr(10), ' ')
                            || 'for order ' || any_of(number, 12, 100_000)
                    end as comment,
                    ['north', 'south', 'east', 'west', null][1 + any_of(number, 13, 5)] as region,
                    'store ' || any_of(number, 14, 400) as store
                from range({rows}) as numbers (number)
            ) to '{path}' (format csv)
            """
        )


def load(file: Path, target: Path) -> None:
    """Load the file into a lake in `target`, as the pipeline does."""
    with file.open() as lines:
        columns = lines.readline().strip().split(",")
    table = Table("bench", "files", "answers", files=file.name, columns=tuple(columns))
    loader.prepare_lake([table], target)
    if staged := loader.stage(table, file, file.parent, target, datetime.now(UTC)):
        loader.commit(staged)


def copy(file: Path, target: Path) -> None:
    """The least that loading could be: the text of every column, packed alike, without line, hash, origin or check."""
    target.mkdir()
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (from read_csv('{file}', all_varchar = true)) to '{target}/copied.parquet' ({loader.PACKING})"
        )


if __name__ == "__main__":
    {"load": load, "copy": copy}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
