"""Quality: the guard of the finished marts as blocking asset checks; publishing waits for them."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import duckdb

from expectations.last_results import write_index
from expectations.thresholds import FIGURES, read_thresholds
from orchestration.loader import LAKE_POOL, hold_lake
from orchestration.settings import Settings

if TYPE_CHECKING:
    from expectations.validation import CheckResult

# What expectations/suites.py judges. A test holds the two lists equal: importing Great Expectations here would
# cost every start of Dagster seconds.
GUARDED_TABLES = ("marts.fct_nps_responses", "marts.nps_by_segment_period", "quality.quality_reconciliation")
CHECK_NAME = "great_expectations"
# The figures of surveys, segments and sources, each of which is a check by its own name.
FIGURE_TABLES = {
    figure: "quality.quality_freshness" if figure.endswith("_age_hours") else "quality.quality_figures"
    for figure in FIGURES
}
RESULTS_SHOWN = 100


def as_check_result(
    key: dg.AssetKey,
    name: str,
    failures: Sequence[str],
    *,
    is_blocking: bool = True,
    warnings: Sequence[str] = (),
    results: Sequence["CheckResult"] = (),
) -> dg.AssetCheckResult:
    """A check as the Dagster page shows it: what failed, in sentences, and each result, what failed first."""
    sentences = [*failures, *warnings]
    metadata: dict[str, dg.MetadataValue] = {}
    if sentences:
        metadata["failures"] = dg.MetadataValue.md("\n".join(f"- {text}" for text in sentences))
    if results:
        shown = sorted(results, key=lambda result: result.is_success)[:RESULTS_SHOWN]
        metadata["results"] = dg.MetadataValue.table([_record(result) for result in shown])
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=name,
        passed=not failures,
        severity=dg.AssetCheckSeverity.ERROR if is_blocking else dg.AssetCheckSeverity.WARN,
        description=" ".join(sentences) or None,
        metadata=metadata,
    )


def _record(result: "CheckResult") -> dg.TableRecord:
    return dg.TableRecord(
        {
            "state": "passed" if result.is_success else "failed",
            "item": result.item or result.table_name,
            "figure": result.column_name or result.expectation,
            "observed value": result.observed_value or "",
            "threshold": result.threshold,
            "severity": result.severity,
            "owner": result.owner,
            "action": result.action,
        }
    )


def results_of(key: dg.AssetCheckKey, results: Sequence["CheckResult"]) -> list["CheckResult"]:
    """Those a check shows: of its table all, or those of its figure. A column of another table may be called so too."""
    table = ".".join(key.asset_key.path)
    return [result for result in results if result.table_name == table and key.name in (CHECK_NAME, result.column_name)]


def mart_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """One check per guarded table and per figure, all in one pass over the warehouse after dbt built it."""
    checks = [dg.AssetCheckKey(dg.AssetKey(table.split(".")), CHECK_NAME) for table in GUARDED_TABLES]
    figures = [dg.AssetCheckKey(dg.AssetKey(table.split(".")), figure) for figure, table in FIGURE_TABLES.items()]

    @dg.multi_asset_check(
        name="guard",
        pool=LAKE_POOL,
        specs=[
            dg.AssetCheckSpec(
                key.name,
                asset=key.asset_key,
                blocking=True,
                description=f"{about} Thresholds, owners and what to do stand in expectations/thresholds.yml.",
            )
            for key, about in [
                *((key, "Score validity, figures that add up, nothing lost.") for key in checks),
                *((key, f"The figure: {FIGURES[key.name].meaning}.") for key in figures),
            ]
        ],
        can_subset=True,
    )
    def guard(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        from expectations import validation  # noqa: PLC0415

        hold_lake(settings.lake)
        outcome = validation.validate_marts(settings.warehouse, read_thresholds(settings), context.run.run_id)
        validation.write_results(outcome.checks, settings.check_results)
        validation.build_data_docs(outcome, settings.data_docs)
        write_index(settings.check_results, settings.data_docs, context.run.run_id)
        stamp = BuildStamp(settings)
        if outcome.blocking:
            stamp.withdraw()
        else:
            stamp.approve()
        for key in sorted(context.selected_asset_check_keys):
            results = results_of(key, outcome.checks)
            failed = [result for result in results if not result.is_success]
            for result in failed:
                context.log.log("ERROR" if result.is_blocking else "WARNING", result.sentence)
            yield as_check_result(
                key.asset_key,
                key.name,
                [result.sentence for result in failed],
                is_blocking=any(result.is_blocking for result in failed),
                results=results,
            )

    return guard


def has_turned_late(serving: Path) -> bool:
    """Whether a source that the published file shows on time is late by now, though nothing was delivered since."""
    return _shows(
        serving,
        """
        from quality.quality_freshness
        where
            hours_late = 0
            and (
                date_sub('hour', last_loaded_at, $now) > load_expected_hours
                or date_sub('hour', last_answer_at, $now) > answer_expected_hours
            )
        """,
        datetime.now(UTC).replace(tzinfo=None),
    )


def has_come_due(serving: Path, moment: datetime) -> bool:
    """Whether a case that the published file shows as open is overdue at a moment of UTC, which carries no zone."""
    return _shows(serving, "from marts.detractor_recovery where state = 'open' and due_at <= $now", moment)


def _shows(serving: Path, query: str, now: datetime) -> bool:
    """Whether the published file has such rows, or is damaged: either is a reason to publish again."""
    try:
        with duckdb.connect(serving, read_only=True) as connection:
            row = connection.execute(f"select count(*) {query}", {"now": now}).fetchone()
    except duckdb.Error:
        return True
    return row is not None and row[0] > 0


class BuildStamp:
    """What the warehouse was built from, and whether the guard approved it.

    Publishing asks this file and not the order of steps: from the Dagster page every step can be started alone.
    """

    def __init__(self, settings: Settings) -> None:
        self.warehouse = settings.warehouse
        self.path = settings.warehouse.with_suffix(".build.json")

    def withdraw(self) -> None:
        """The warehouse is changing, or was refused: what is in it may not be published."""
        self.path.unlink(missing_ok=True)

    def built(self, fingerprint: str) -> None:
        """A whole build ended well; `fingerprint` is that of its inputs, taken before it began."""
        self._write({"fingerprint": fingerprint, "is_approved": False})

    def approve(self) -> None:
        """The guard passed; without a whole build there is nothing to approve."""
        if self.path.exists():
            self._write(json.loads(self.path.read_text()) | {"is_approved": True})

    def approved_fingerprint(self) -> str | None:
        """What the approved warehouse was built from; None when there is none that may be published."""
        if not (self.path.exists() and self.warehouse.exists()):
            return None
        content = json.loads(self.path.read_text())
        return str(content["fingerprint"]) if content["is_approved"] else None

    def _write(self, content: dict[str, object]) -> None:
        draft = self.path.with_suffix(".tmp")
        draft.write_text(json.dumps(content))
        draft.replace(self.path)
