"""One run of the whole pipeline in this process, with progress on the console and its history in Dagster."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from uuid import uuid4

import dagster as dg
from dagster import DagsterEvent, DagsterEventType
from rich.console import Console
from rich.status import Status

from orchestration.faults import explained
from orchestration.runs import end_dead_runs, hold_run, open_instance, reasons
from orchestration.settings import Settings
from orchestration.transform import ONLY_IF_CHANGED

PUBLISHED = dg.AssetKey(["serving", "nps_duckdb"])
STEPS = {
    "load": "load new files",
    "dbt_build": "build and test models",
    "guard": "guard the marts",
    "serving__nps_duckdb": "publish",
}


@dataclass
class Outcome:
    """How a run ended; `problems` are sentences that name what to repair."""

    is_success: bool
    is_published: bool = False
    problems: list[str] = field(default_factory=list)


def run_pipeline(settings: Settings, console: Console) -> Outcome:
    """Materialise every asset once, in order; build and publish only if something changed."""
    configure_dagster(settings)
    # Dagster's lines go to its page and dbt's to a file; the console gets one line per step.
    logging.getLogger("dagster").addHandler(logging.NullHandler())
    settings.dbt_target.mkdir(parents=True, exist_ok=True)
    with (settings.dbt_target / "pipeline.log").open("w") as log, redirect_stdout(log), Progress(console) as progress:
        progress.status.update("reading the dbt project")
        from orchestration.definitions import defs  # noqa: PLC0415  (reads these settings from the environment)

        job = defs.resolve_job_def("pipeline")
        instance = open_instance(settings)
        end_dead_runs(instance)
        run_id = str(uuid4())
        hold_run(instance, run_id)
        result = job.execute_in_process(
            instance=instance,
            run_id=run_id,
            raise_on_error=False,
            tags={ONLY_IF_CHANGED: "true"},
            run_config={"loggers": {"progress": {}}},
        )
    outcome = _outcome(result.success, result.all_events)
    outcome.problems = [explained(problem, settings) for problem in outcome.problems]
    return outcome


def configure_dagster(settings: Settings) -> None:
    """Write the instance configuration into the data folder."""
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    (settings.dagster_home / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\n"
        "nux: {enabled: false}\n"
        "# One run at a time of those that share a pool: DuckDB lets one process write the warehouse, and who asks an\n"
        "# API that is down, for hours, keeps no other run waiting.\n"
        "concurrency: {pools: {default_limit: 1, granularity: run}}\n"
    )


def _outcome(is_success: bool, events: Sequence[DagsterEvent]) -> Outcome:
    outcome = Outcome(is_success)
    for event in events:
        if event.event_type == DagsterEventType.ASSET_MATERIALIZATION and event.asset_key == PUBLISHED:
            outcome.is_published = True
        elif event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            # dbt names its failed tests itself, with the models and unit tests that are no checks.
            is_dbt = event.step_key == "dbt_build"
            if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR and not is_dbt:
                outcome.problems += _sentences(check.metadata) or [check.check_name]
        elif event.event_type == DagsterEventType.STEP_FAILURE and not outcome.problems:
            outcome.problems += reasons(event)
    return outcome


def _sentences(metadata: Mapping[str, dg.MetadataValue]) -> list[str]:
    """What a failed check of ours says: its metadata `failures` is a list of sentences."""
    failures = metadata.get("failures")
    return [line.removeprefix("- ") for line in str(failures.value).splitlines()] if failures else []


class Progress:
    """One line per step with its time and, for dbt, the counts of models and tests."""

    current: Progress | None = None  # Dagster makes its loggers itself and hands nothing over

    def __init__(self, console: Console) -> None:
        self.console = console
        self.status = Status("", console=console)
        self.started = time.monotonic()
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> Progress:
        Progress.current = self
        self.status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.status.stop()
        Progress.current = None

    def show(self, event: DagsterEvent) -> None:
        """Take note of one event of the run."""
        label = STEPS.get(event.step_key or "", event.step_key or "")
        match event.event_type:
            case DagsterEventType.STEP_START:
                self.started = time.monotonic()
                self.counts.clear()
                self.status.update(label)
            case DagsterEventType.ASSET_MATERIALIZATION:
                metadata = event.step_materialization_data.materialization.metadata
                rows = metadata["rows"].value if "rows" in metadata else None
                self.counts["tables"] += len(rows) if isinstance(rows, dict) else 1
                for name in ("new_files", "malformed_rows"):
                    if name in metadata:
                        self.counts[name.replace("_", " ")] += int(str(metadata[name].value))
                self.status.update(f"{label}  {self.figures()}")
            case DagsterEventType.ASSET_CHECK_EVALUATION:
                passed = event.asset_check_evaluation_data.passed
                self.counts["checks passed" if passed else "checks failed"] += 1
                self.status.update(f"{label}  {self.figures()}")
            case DagsterEventType.STEP_SUCCESS | DagsterEventType.STEP_FAILURE:
                mark = "[green]✓[/]" if event.event_type == DagsterEventType.STEP_SUCCESS else "[red]✗[/]"
                seconds = time.monotonic() - self.started
                self.console.print(f"{mark} {label}  [dim]{seconds:.1f} s  {self.figures()}[/]")
            case DagsterEventType.STEP_SKIPPED:
                self.console.print(f"[dim]- {label}  not needed[/]")

    def figures(self) -> str:
        """The counts so far, in words."""
        return ", ".join(f"{count} {name}" for name, count in self.counts.items() if count)


class _ProgressHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "dagster_meta", {}).get("dagster_event")
        if event is not None and Progress.current is not None:
            Progress.current.show(event)


@dg.logger({}, description="One line per step, for a run started from the command line.")
def progress_logger(context: dg.InitLoggerContext) -> logging.Logger:
    """Hand the events of a run to the Progress on the console."""
    logger = logging.Logger("nps.progress", logging.DEBUG)
    logger.addHandler(_ProgressHandler())
    return logger
