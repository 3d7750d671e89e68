"""Quality: the guard of the finished marts as blocking asset checks; publishing waits for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import dagster as dg

from expectations.thresholds import read_thresholds
from orchestration.settings import Settings

# The suites of expectations/suites.py by the table each judges. A test holds the two lists equal: importing
# Great Expectations here would cost every start of Dagster two seconds.
MART_SUITES = {
    "marts.fct_nps_responses": "score_validity",
}


def mart_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """One blocking check per suite, run in one pass over the warehouse after dbt built it."""

    @dg.multi_asset_check(
        name="guard_marts",
        specs=[
            dg.AssetCheckSpec(
                suite,
                asset=dg.AssetKey(table.split(".")),
                blocking=True,
                description="Thresholds and owners stand in expectations/thresholds.yml.",
            )
            for table, suite in MART_SUITES.items()
        ],
    )
    def guard_marts(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        from expectations import validation  # noqa: PLC0415

        outcome = validation.validate_marts(
            settings.warehouse, read_thresholds(settings.thresholds), context.run_id
        )
        validation.write_results(outcome.checks, settings.check_results)
        validation.build_data_docs(outcome, settings.data_docs)
        by_table: dict[str, list[Any]] = defaultdict(list)
        for check in outcome.checks:
            by_table[check.table_name].append(check)
        for table, suite in MART_SUITES.items():
            failed = [check for check in by_table[table] if not check.is_success]
            yield dg.AssetCheckResult(
                asset_key=dg.AssetKey(table.split(".")),
                check_name=suite,
                passed=not failed,
                severity=(
                    dg.AssetCheckSeverity.ERROR
                    if any(check.is_blocking for check in failed)
                    else dg.AssetCheckSeverity.WARN
                ),
                metadata={
                    "checks": len(by_table[table]),
                    "failed": [
                        f"{check.item or table}: {check.expectation}: found {check.observed_value}, "
                        f"but {check.threshold}. {check.action}"
                        for check in failed
                    ],
                    "quality report": dg.MetadataValue.path(str(settings.data_docs / "index.html")),
                },
            )

    return guard_marts
