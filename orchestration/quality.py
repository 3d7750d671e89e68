"""Quality: the guard of the finished marts as blocking asset checks; publishing waits for them."""

import json
from collections.abc import Iterator, Sequence

import dagster as dg

from expectations.thresholds import read_thresholds
from orchestration.loader import hold_lake
from orchestration.settings import Settings

# What expectations/suites.py judges. A test holds the two lists equal: importing Great Expectations here would
# cost every start of Dagster seconds.
GUARDED_TABLES = (
    "marts.fct_nps_responses",
    "marts.nps_by_segment_period",
    "quality.quality_matching",
    "quality.quality_reconciliation",
)
CHECK_NAME = "great_expectations"


def as_check_result(
    key: dg.AssetKey,
    name: str,
    failures: Sequence[str],
    *,
    is_blocking: bool = True,
    warnings: Sequence[str] = (),
) -> dg.AssetCheckResult:
    """A check as the Dagster page shows it: what failed, in sentences, and nothing where nothing did."""
    sentences = [*failures, *warnings]
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=name,
        passed=not failures,
        severity=dg.AssetCheckSeverity.ERROR if is_blocking else dg.AssetCheckSeverity.WARN,
        description=" ".join(sentences) or None,
        metadata={"failures": dg.MetadataValue.md("\n".join(f"- {text}" for text in sentences))} if sentences else {},
    )


def mart_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """One blocking check per guarded table, all in one pass over the warehouse after dbt built it."""
    keys = {table: dg.AssetCheckKey(dg.AssetKey(table.split(".")), CHECK_NAME) for table in GUARDED_TABLES}

    @dg.multi_asset_check(
        name="guard",
        specs=[
            dg.AssetCheckSpec(
                CHECK_NAME,
                asset=key.asset_key,
                blocking=True,
                description="Thresholds, owners and what to do stand in expectations/thresholds.yml.",
            )
            for key in keys.values()
        ],
        can_subset=True,
    )
    def guard(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        from expectations import validation  # noqa: PLC0415

        hold_lake(settings.lake)
        outcome = validation.validate_marts(
            settings.warehouse, read_thresholds(settings.thresholds), context.run.run_id
        )
        validation.write_results(outcome.checks, settings.check_results)
        validation.build_data_docs(outcome, settings.data_docs)
        stamp = BuildStamp(settings)
        if outcome.blocking:
            stamp.withdraw()
        else:
            stamp.approve()
        for table, key in keys.items():
            if key not in context.selected_asset_check_keys:
                continue
            failed = [check for check in outcome.checks if check.table_name == table and not check.is_success]
            for check in failed:
                context.log.error(check.sentence)
            yield as_check_result(
                key.asset_key,
                CHECK_NAME,
                [check.sentence for check in failed],
                is_blocking=any(check.is_blocking for check in failed),
            )

    return guard


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
