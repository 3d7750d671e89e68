"""Runs the suites against DuckDB files and keeps the results: as rows of the lake and as pages for people.

What is expected stands in suites, how much is tolerated in thresholds.yml. Great Expectations takes seconds
to import, so import this module where a guard runs, not where a pipeline is defined.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import great_expectations as gx
import sqlalchemy as sa
from great_expectations import ExpectationSuite
from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults
from great_expectations.datasource.fluent import SQLDatasource
from great_expectations.render.renderer import ValidationResultsPageRenderer
from great_expectations.render.view import DefaultJinjaPageView

from expectations.last_results import READABLE, in_words, page
from expectations.suites import Check, build_load_check, build_mart_checks
from expectations.thresholds import Severity, Thresholds, observed_in_words
from orchestration.readers import quoted

# Read when a context is made; without it every context reports to a server.
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

# By default SQLAlchemy rolls back when a connection returns to the pool; duckdb-sqlalchemy then throws away
# what Great Expectations has yet to read, and its metrics come back empty.
ENGINE_OPTIONS: dict[str, Any] = {
    "isolation_level": "AUTOCOMMIT",
    "skip_autocommit_rollback": True,
    "pool_reset_on_return": None,
    "connect_args": {"read_only": True},
}
UNEXPECTED_ROWS_SHOWN = 20
# Results are kept over all runs and published: one that named somebody would stop every publication after it.
ADDRESS = re.compile(r"""[^\s@"'<>(),;:]+@[^\s@"'<>(),;:]+""")
PLACE = ("source_system", "survey_id", "segment", "segment_value")


@dataclass(frozen=True)
class LoadProfile:
    """Which columns of a source table carry the score and the time; `where` keeps the rows that have a score."""

    score: str | None = None
    time: str | None = None
    where: str = "true"


@dataclass(frozen=True)
class StagedLoad:
    """One delivered file, read into Parquet and not yet visible."""

    source_system: str
    table_name: str
    file: str
    path: Path
    columns: tuple[str, ...]
    column_changes: str | None = None  # against the file before: "+added, -dropped"
    rows_malformed: int = 0
    profile: LoadProfile = LoadProfile()


@dataclass(frozen=True)
class CheckResult:
    """One row of quality_check_results."""

    run_id: str
    checked_at: datetime
    suite: str
    table_name: str
    item: str | None  # what was judged, where a table is judged in parts: the file, the survey
    column_name: str | None
    expectation: str
    severity: Severity
    is_success: bool
    observed_value: str | None
    unexpected_count: int | None
    unexpected_percent: float | None
    threshold: str
    owner: str
    action: str
    # What a figure is of, where it is of one; `item` says it in words.
    source_system: str | None = None
    survey_id: str | None = None
    segment: str | None = None
    segment_value: str | None = None

    @property
    def is_blocking(self) -> bool:
        """Whether this result stops the load or the publication."""
        return not self.is_success and self.severity == "block"

    @property
    def sentence(self) -> str:
        """A failed check in words: what was judged, what was found, what was expected, what to do."""
        return f"{in_words(asdict(self))} {self.action}"


@dataclass(frozen=True)
class Validation:
    """The outcome of one guard: rows for the lake, and what the pages are rendered from."""

    suite: str
    checks: tuple[CheckResult, ...]
    documents: tuple[ExpectationSuiteValidationResult, ...]

    @property
    def blocking(self) -> tuple[CheckResult, ...]:
        """The failed checks that stop the load or the publication."""
        return tuple(check for check in self.checks if check.is_blocking)


def validate_loads(loads: Sequence[StagedLoad], thresholds: Thresholds, run_id: str) -> Validation:
    """Judge every staged file on its own; `item` of a result is the file."""
    if not loads:
        return Validation(suite="loads", checks=(), documents=())
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "load_profile.duckdb"
        profile_loads(loads, database)
        return _validate(database, "loads", [build_load_check(thresholds)], run_id)


def refuse_file(table_name: str, file: str | None, fault: str, thresholds: Thresholds, run_id: str) -> CheckResult:
    """A new file that could not be read whole (None: none was delivered), as a failed check of the run."""
    return CheckResult(
        run_id=run_id,
        checked_at=datetime.now(UTC),
        suite="loads",
        table_name=table_name,
        item=file,
        column_name=None,
        expectation=READABLE,
        severity="block",
        is_success=False,
        observed_value=fault,
        unexpected_count=1,
        unexpected_percent=None,
        threshold="every new file can be read whole",
        owner=thresholds.owner,
        action="Do what the message says, or take the file away; it is read again in the next run.",
    )


def validate_marts(warehouse: Path, thresholds: Thresholds, run_id: str) -> Validation:
    """Judge the finished warehouse file; no other connection of this process may have it open for writing."""
    return _validate(warehouse, "marts", build_mart_checks(thresholds), run_id)


def profile_loads(loads: Sequence[StagedLoad], database: Path) -> None:
    """Measure every staged file: one row each in the table load_profile of a new DuckDB file."""
    with duckdb.connect(database) as connection:
        connection.execute("""
            create table load_profile (
                table_name varchar, item varchar, missing_columns varchar, column_changes varchar,
                valid_score_share double, time_share double, malformed_share double
            )
        """)
        connection.begin()  # one commit for all files, not one for each
        for load in loads:
            connection.execute(*_profile_query(load, connection))
        connection.commit()


def _profile_query(load: StagedLoad, connection: duckdb.DuckDBPyConnection) -> tuple[str, list[Any]]:
    rows = "read_parquet(?, hive_partitioning = false)"
    delivered = {row[0] for row in connection.execute(f"describe from {rows}", [str(load.path)]).fetchall()}
    missing = [column for column in load.columns if column not in delivered]
    # A share is null, and then not judged, where no row of the table carries such a column.
    score_share = time_share = "null"
    if not missing and load.profile.score:
        score = f"nullif(trim({quoted(load.profile.score)}), '')"
        number = f"try_cast({score} as double)"
        valid = f"{number} between 0 and 10 and {number} = floor({number})"
        score_share = f"""
            count(*) filter (where ({load.profile.where}) and {valid})
            / nullif(count({score}) filter (where {load.profile.where}), 0)
        """
    if not missing and load.profile.time:
        time = f"nullif(trim({quoted(load.profile.time)}), '')"
        time_share = f"count({time}) / nullif(count(*), 0)"
    query = f"""
        insert into load_profile
        select
            ?, ?, nullif(?, ''), ?, {score_share}, {time_share},
            ?::bigint / nullif(count(*) + ?::bigint, 0)
        from {rows}
    """
    return query, [
        f"{load.source_system}.{load.table_name}",
        load.file,
        ", ".join(missing),
        load.column_changes,
        load.rows_malformed,
        load.rows_malformed,
        str(load.path),
    ]


@contextmanager
def _datasource(database: Path) -> Iterator[SQLDatasource]:
    with _quiet():
        # The default also makes a folder for pages, for every context, and leaves it behind.
        stores = InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
        context = gx.get_context(mode="ephemeral", project_config=DataContextConfig(store_backend_defaults=stores))
        context.variables.progress_bars = {"globally": False}
        source = context.data_sources.add_sql(
            "duckdb", connection_string=f"duckdb:///{database}", kwargs=ENGINE_OPTIONS
        )
        try:
            yield source
        finally:
            # Two engines, one file: each keeps it open, and open for reading it cannot be written.
            source.get_execution_engine().close()
            source.get_engine().dispose()


@contextmanager
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _validate(database: Path, suite: str, checks: Sequence[Check], run_id: str) -> Validation:
    checked_at = datetime.now(UTC)
    results: list[CheckResult] = []
    documents: list[ExpectationSuiteValidationResult] = []
    with _datasource(database) as source:
        for check in checks:
            rows = _rows(source, check) if check.is_per_row or check.weight else []
            if check.is_per_row and not rows:
                continue  # nothing to judge, which Great Expectations would call a failure
            document = _run(source, _only_used_rules(check, rows), max(len(rows), UNEXPECTED_ROWS_SHOWN))
            if check.weight:
                _weigh(document, rows, check.weight)
            document.meta["run_id"] = RunIdentifier(run_name=run_id, run_time=checked_at)
            documents.append(document)
            for result in document.results:
                common: dict[str, Any] = {"run_id": run_id, "checked_at": checked_at, "suite": suite}
                common |= _described(result)
                if check.is_per_row:
                    results += [CheckResult(**common | row) for row in _judged_rows(result, rows)]
                else:
                    results.append(CheckResult(**common, **_judged_table(result, check)))
    return Validation(suite=suite, checks=tuple(results), documents=tuple(documents))


def _rows(source: SQLDatasource, check: Check) -> list[dict[str, Any]]:
    with source.get_engine().connect() as connection:
        return [dict(row) for row in connection.execute(sa.text(check.query)).mappings()]


def _only_used_rules(check: Check, rows: Sequence[dict[str, Any]]) -> Check:
    """Each expectation is a query or more: those of a rule that no row falls under are left out."""
    used = {None, *(row.get("rule") for row in rows)}
    expectations = [expectation for expectation in check.suite.expectations if expectation.meta["rule"] in used]
    return replace(check, suite=ExpectationSuite(name=check.suite.name, expectations=expectations))


def _run(source: SQLDatasource, check: Check, rows_shown: int) -> ExpectationSuiteValidationResult:
    asset = source.add_query_asset(check.suite.name, query=check.query)
    result_format: dict[str, Any] = {"result_format": "COMPLETE", "partial_unexpected_count": rows_shown}
    if check.is_per_row:
        result_format["unexpected_index_column_names"] = ["table_name", "item"]
    elif check.weight or check.key:
        result_format["unexpected_index_column_names"] = [check.weight] if check.weight else list(check.key)
    batch = asset.add_batch_definition_whole_table("all").get_batch()
    document = batch.validate(check.suite, result_format=result_format)
    for result in document.results:
        # Found under the metric that failed, or at the top: a check that did not run has not passed.
        faults = [result.exception_info, *result.exception_info.values()]
        for fault in faults:
            if isinstance(fault, dict) and fault.get("raised_exception"):
                raise RuntimeError(f"{check.suite.name}: {fault['exception_message']}")
    return document


def _weigh(document: ExpectationSuiteValidationResult, rows: Sequence[dict[str, Any]], weight: str) -> None:
    """Count what the rows stand for, so that neither a result nor a page tells of the rows themselves."""
    total = sum(row[weight] for row in rows)
    for result in document.results:
        outcome = result.result
        if "unexpected_count" in outcome:
            failed = sum(row[weight] for row in _failed_rows(outcome))
            percent = 100 * failed / total if total else None
            outcome |= {"element_count": total, "unexpected_count": failed, "unexpected_percent": percent}
        elif outcome["observed_value"] is None:
            outcome["observed_value"] = 0  # the sum of no rows


def _failed_rows(outcome: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows that failed, by the columns that name them."""
    named = outcome.get("partial_unexpected_index_list") or []
    # Great Expectations caps its lists; a row beyond the cap must not count as passed.
    if len(named) != (outcome["unexpected_count"] or 0):
        raise RuntimeError(f"{len(named)} failed rows are named, {outcome['unexpected_count']} were found")
    return named


def _described(result: ExpectationValidationResult) -> dict[str, Any]:
    configuration = result.expectation_config
    columns = [
        configuration.kwargs[name] for name in ("column", "column_A", "column_B") if name in configuration.kwargs
    ]
    meta = configuration.meta
    return {
        "column_name": ", ".join(columns) or None,
        "expectation": configuration.type,
        "severity": meta["severity"],
        "threshold": meta["threshold"],
        "owner": meta["owner"],
        "action": meta["action"],
    }


def _judged_table(result: ExpectationValidationResult, check: Check) -> dict[str, Any]:
    outcome = result.result
    observed = outcome.get("observed_value")
    if "unexpected_rows" in outcome.get("details", {}):
        observed = _examples(outcome["details"]["unexpected_rows"])
        count, percent = outcome["observed_value"], None
    else:
        count, percent = outcome.get("unexpected_count"), outcome.get("unexpected_percent")
        if observed is None:
            observed = _examples(outcome.get(f"partial_unexpected_{'index_' if check.key else ''}list") or [])
    return {
        "table_name": check.table_name,
        "item": None,
        "is_success": bool(result.success),
        "observed_value": None if observed is None else str(observed),
        "unexpected_count": count,
        "unexpected_percent": percent,
    }


def _examples(rows: Sequence[Any]) -> str | None:
    distinct = dict.fromkeys(
        ", ".join(f"{name}={value}" for name, value in row.items()) if isinstance(row, dict) else str(row)
        for row in rows
    )
    return "; ".join(list(distinct)[:3]) or None


def _judged_rows(result: ExpectationValidationResult, rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    configuration, outcome = result.expectation_config, result.result
    failed = {(row["table_name"], row["item"]) for row in _failed_rows(outcome)}
    for row in rows:
        if configuration.meta["rule"] in (None, row.get("rule")):
            is_success = (row["table_name"], row["item"]) not in failed
            value = row[configuration.kwargs["column"]]
            name = row.get("figure", configuration.kwargs["column"])
            observed = observed_in_words(name, value) if isinstance(value, float) else value
            yield {
                "table_name": row["table_name"],
                "item": row["item"],
                "column_name": name,
                "is_success": is_success,
                "observed_value": f"{observed} ({row['detail']})" if row.get("detail") else observed,
                "unexpected_count": int(not is_success),
                "unexpected_percent": None,
            } | {name: row[name] for name in PLACE if name in row}


_COLUMN_TYPES = {
    "checked_at": "timestamp",
    "is_success": "boolean",
    "unexpected_count": "bigint",
    "unexpected_percent": "double",
}


def write_results(results: Sequence[CheckResult], folder: Path) -> list[Path]:
    """Write run_id=…/<suite>.parquet for each run and suite; a repeated run replaces its own file."""
    by_file: dict[Path, list[CheckResult]] = {}
    for result in results:
        path = folder / f"run_id={result.run_id}" / f"{result.suite}.parquet"
        by_file.setdefault(path, []).append(result)
    for path, rows in by_file.items():
        _write_parquet(rows, path)
    return list(by_file)


def declare_results(folder: Path) -> Path:
    """Write a file without rows, so that a reader of the folder finds the columns before the first run.

    Anew each time: an older version of this program declared fewer.
    """
    path = folder / "run_id=none" / "declared.parquet"
    _write_parquet([], path)
    return path


def _write_parquet(results: Sequence[CheckResult], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not *.parquet: a reader must not meet half a file.
    unfinished = path.with_suffix(".tmp")
    names = [field.name for field in fields(CheckResult)]
    columns = ", ".join(f"{name} {_COLUMN_TYPES.get(name, 'varchar')}" for name in names)
    with duckdb.connect() as connection:
        connection.execute(f"create table results ({columns})")
        if results:
            # One list per column: a statement per row takes longer than the checks themselves.
            columns_of_values = [list(values) for values in zip(*map(_stored, results), strict=True)]
            lists = ", ".join("unnest(?)" for _ in names)
            connection.execute(f"insert into results select {lists}", columns_of_values)
        connection.table("results").write_parquet(str(unfinished), compression="zstd")
    unfinished.replace(path)


def _stored(result: CheckResult) -> tuple[Any, ...]:
    # The lake holds UTC without a zone, like every time in it.
    checked_at = result.checked_at
    if checked_at.tzinfo:
        checked_at = checked_at.astimezone(UTC).replace(tzinfo=None)
    values = astuple(replace(result, checked_at=checked_at))
    return tuple(ADDRESS.sub("***", value) if isinstance(value, str) else value for value in values)


def build_data_docs(validation: Validation, folder: Path) -> None:
    """Write the pages of a guard in place of those of its run before; the index over them is last_results.write_index.

    Nothing on the pages is fetched from anywhere: they read the same on a machine without a network.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob(f"{validation.suite}-*"):
        stale.unlink()
    for document in validation.documents:
        name = f"{validation.suite}-{document.suite_name.replace(' ', '-')}"
        with _quiet():
            rendered = DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(document))
        (folder / f"{name}.html").write_text(_offline(rendered, document.suite_name), encoding="utf-8")


def _offline(rendered: str, title: str) -> str:
    """The content of a page of Great Expectations in a head of our own, without what it would fetch."""
    content = rendered[rendered.index("<body>") + len("<body>") : rendered.index("</body>")]
    for element in ("script", "style", "footer"):
        content = re.sub(rf"<{element}\b.*?</{element}>", "", content, flags=re.DOTALL)
    content = re.sub(r"<(?:link|img)\b[^>]*>", "", content)
    # Only links within the page stay; the others lead to pages of a larger site, or to the web.
    content = re.sub(r'<a\b[^>]*href="(?!#)[^"]*"[^>]*>(.*?)</a>', r"\1", content, flags=re.DOTALL)
    return page(title, f'<p><a href="index.html">All checks</a></p>{content}')
