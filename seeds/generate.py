"""The sample company: deterministic raw exports of any size, with the truth that was planted in them.

All data is made in DuckDB by generate.sql; this module sets its variables and writes its views to files.
It knows neither the loader nor the models: what they should find is in truth.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import duckdb

SEEDS = Path(__file__).resolve().parent

# Each view of generate.sql with the columns that order its files; a monthly one becomes a file per month.
MONTHLY = {
    "delighted.survey_responses": "updated_at, id",
    "delighted.survey_requests": "created_at, id",
}
WHOLE = {
    "delighted.people": "id",
    "delighted.unsubscribes": "person_id",
    "delighted.bounces": "person_id",
    "salesforce.account": "id",
    "salesforce.account_history": "id, _fivetran_start",
    "salesforce.contact": "id",
    "salesforce.opportunity": "id",
    "salesforce.task": "id",
    "salesforce.user": "id",
}

Format = Literal["csv", "parquet"]


class UsageError(Exception):
    """The arguments ask for something impossible; the message says what to change."""


def generate(
    out: Path,
    *,
    answers: int = 3000,
    invitations_per_answer: int = 4,
    seed: int = 7,
    file_format: Format = "csv",
    memory_limit: str = "3GB",
) -> dict[str, Any]:
    """Write the exports and truth.json below `out`, replacing an earlier sample there; return the truth.

    Raises:
        UsageError: a size is out of range, or `out` holds files that are no earlier sample.
    """
    if answers < 300:
        raise UsageError(
            f"--answers must be at least 300, not {answers}: a smaller company shows none of what is planted"
        )
    if not 2 <= invitations_per_answer <= 8:
        raise UsageError(
            f"--invitations-per-answer must be 2 to 8, not {invitations_per_answer}: "
            f"beyond that people would be asked again within days"
        )
    if not 0 <= seed < 2**31:
        raise UsageError(f"--seed must be 0 to {2**31 - 1}, not {seed}")
    _check_replaceable(out)
    # On disk, so that sorting and joining ten million answers spills instead of failing.
    with (
        tempfile.TemporaryDirectory(prefix=".generating-", dir=out) as scratch,
        duckdb.connect(Path(scratch) / "company.duckdb") as connection,
    ):
        connection.execute(f"set memory_limit = '{memory_limit}'")
        variables = {
            "answers": answers,
            "invitations_per_answer": invitations_per_answer,
            "seed": seed,
            "verbatims_csv": str(SEEDS / "verbatims.csv"),
            "surveys_csv": str(SEEDS / "reference" / "surveys.csv"),
            "staff_domains_csv": str(SEEDS / "reference" / "staff_domains.csv"),
            "exclusions_csv": str(SEEDS / "reference" / "exclusions.csv"),
        }
        for name, value in variables.items():
            connection.execute(f"set variable {name} = ?", [value])
        connection.execute((SEEDS / "generate.sql").read_text(encoding="utf-8"))
        _export(connection, Path(scratch), file_format)
        [[truth]] = connection.execute("select to_json(truth) from truth").fetchall()
        content: dict[str, Any] = json.loads(truth)
        for vendor in ("delighted", "salesforce"):
            shutil.rmtree(out / vendor, ignore_errors=True)
            (Path(scratch) / vendor).rename(out / vendor)
    (out / "truth.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return content


def _check_replaceable(out: Path) -> None:
    """Refuse to replace anything but an earlier sample: a mistyped --out must cost nobody their files."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: is a file, not a folder")
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()) and not (out / "truth.json").exists():
        raise UsageError(f"--out {out}: not empty, and not an earlier sample (no truth.json); name another folder")


def _export(connection: duckdb.DuckDBPyConnection, out: Path, file_format: Format) -> None:
    months = connection.execute("select month_no, label from months order by month_no").fetchall()
    for view, order in MONTHLY.items():
        for month_no, label in months:
            query = f"select * exclude (month_no) from {view} where month_no = {month_no} order by {order}"
            _copy(connection, query, out / view.replace(".", "/") / f"{label}.{file_format}", file_format)
    for view, order in WHOLE.items():
        table = view.partition(".")[2]
        path = out / view.replace(".", "/") / f"{table}.{file_format}"
        _copy(connection, f"select * from {view} order by {order}", path, file_format)


def _copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path, file_format: Format) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = "format csv, header" if file_format == "csv" else "format parquet, compression zstd"
    escaped = str(path).replace("'", "''")
    connection.execute(f"copy ({query}) to '{escaped}' ({options})")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code (2: the arguments make no sense)."""
    parser = argparse.ArgumentParser(prog="python -m seeds.generate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write, e.g. seeds/raw")
    parser.add_argument("--answers", type=int, default=3000, help="about how many answers (default %(default)s)")
    parser.add_argument("--invitations-per-answer", type=int, default=4, help="2 to 8 (default %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="another company of the same kind")
    parser.add_argument("--format", choices=["csv", "parquet"], default="csv", dest="file_format")
    options = parser.parse_args(arguments)
    try:
        truth = generate(**vars(options))
    except UsageError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    counted = truth["decisions"]["counted"]
    print(f"{options.out}: {truth['raw_answers']:,} answers, {counted:,} of them to be counted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
