"""Quality: the guard of the finished marts as blocking asset checks; publishing waits for them."""

from collections.abc import Iterator

import dagster as dg

from expectations.thresholds import read_thresholds
from orchestration.settings import Settings

# What expectations/suites.py judges. A test holds the two lists equal: importing Great Expectations here would
# cost every start of Dagster seconds.
GUARDED_TABLES = ("marts.fct_nps_responses", "marts.nps_by_segment_period", "quality.quality_reconciliation")
CHECK_NAME = "great_expectations"


def mart_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """One blocking check per guarded table, all in one pass over the warehouse after dbt built it."""

    @dg.multi_asset_check(
        name="guard",
        specs=[
            dg.AssetCheckSpec(
                CHECK_NAME,
                asset=dg.AssetKey(table.split(".")),
                blocking=True,
                description="Thresholds, owners and what to do stand in expectations/thresholds.yml.",
            )
            for table in GUARDED_TABLES
        ],
    )
    def guard(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        from expectations import validation  # noqa: PLC0415

        outcome = validation.validate_marts(
            settings.warehouse, read_thresholds(settings.thresholds), context.run.run_id
        )
        validation.write_results(outcome.checks, settings.check_results)
        validation.build_data_docs(outcome, settings.data_docs)
        for table in GUARDED_TABLES:
            checks = [check for check in outcome.checks if check.table_name == table]
            failed = [check for check in checks if not check.is_success]
            is_blocking = any(check.is_blocking for check in failed)
            yield dg.AssetCheckResult(
                asset_key=dg.AssetKey(table.split(".")),
                check_name=CHECK_NAME,
                passed=not failed,
                severity=dg.AssetCheckSeverity.ERROR if is_blocking else dg.AssetCheckSeverity.WARN,
                metadata={
                    "expectations": len(checks),
                    "failed": [check.sentence for check in failed],
                    "quality report": dg.MetadataValue.path(str(settings.data_docs / "index.html")),
                },
            )

    return guard
