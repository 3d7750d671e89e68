"""The runs in Dagster's history: which are still alive, and how those that failed came to it.

Dagster is not told that a process was killed or lost its power: its run would be in progress for ever, and every later
one would wait for it. So each run holds a lock, which goes with its process, however that ends.
"""

from __future__ import annotations

import fcntl
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

import dagster as dg
from dagster import DagsterEvent, DagsterEventType, DagsterInstance, DagsterRunStatus
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.instance.ref import InstanceRef

from orchestration.event_log import EventLog
from orchestration.settings import Settings

IN_PROGRESS = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
# A process that Dagster launches has begun its run after as long.
LAUNCH = timedelta(minutes=5)


def open_instance(settings: Settings) -> DagsterInstance:
    """The Dagster instance of the data folder; what this process writes to its event log, it writes in less time."""
    folder = str(settings.dagster_home)
    log = {"module": EventLog.__module__, "class": EventLog.__name__, "config": {"base_dir": f"{folder}/history/runs"}}
    return DagsterInstance.from_ref(InstanceRef.from_dir(folder, overrides={"event_log_storage": log}))


_held: list[TextIO] = []


def hold_run(instance: DagsterInstance, run_id: str) -> None:
    """Show that a run is alive until this process ends: a run is a process."""
    file = _lock_of(instance, run_id)
    file.parent.mkdir(exist_ok=True)
    lock = file.open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    _held.append(lock)


class _HeldRun(InProcessExecutor):
    def execute(self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan) -> Iterator[DagsterEvent]:
        hold_run(plan_context.instance, plan_context.run_id)
        yield from super().execute(plan_context, execution_plan)


@dg.executor(name="in_process")
def run_executor(_: dg.InitExecutorContext) -> _HeldRun:
    """All steps in the process of the run, which shows that it is alive."""
    return _HeldRun(RetryMode.ENABLED)


def end_dead_runs(instance: DagsterInstance) -> list[str]:
    """Report every run as failed whose process is gone (as canceled, where that was asked for); their ids."""
    in_progress = [run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=IN_PROGRESS))]
    free = [run_id for run_id in in_progress if not _is_held(_lock_of(instance, run_id))]
    ended = []
    # Looked up once more: a process lets go of its lock when its run has ended, so what is in progress now is dead.
    for record in instance.get_run_records(dg.RunsFilter(run_ids=free, statuses=IN_PROGRESS)) if free else []:
        run = record.dagster_run
        has_begun = _lock_of(instance, run.run_id).exists()
        if not has_begun and datetime.now(UTC) - record.update_timestamp < LAUNCH:
            continue
        said = "The process of this run is gone: it was killed, or the machine went down."
        if run.status == DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, said)
        else:
            instance.report_run_failed(run, said)
        ended.append(run.run_id)
    for file in _lock_of(instance, "").glob("*"):
        is_old = time.time() - file.stat().st_mtime > LAUNCH.total_seconds()
        if is_old and file.name not in in_progress and not _is_held(file):
            file.unlink(missing_ok=True)
    return ended


def _lock_of(instance: DagsterInstance, run_id: str) -> Path:
    return Path(instance.root_directory) / "running" / run_id


def _is_held(file: Path) -> bool:
    try:
        with file.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def failed_by_fault(instance: DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a run failed though no check refused anything: another try may end otherwise."""
    if run.status != DagsterRunStatus.FAILURE:
        return False
    checks = (
        entry.get_dagster_event().asset_check_evaluation_data
        for entry in instance.all_logs(run.run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION)
    )
    return all(check.passed or check.severity != dg.AssetCheckSeverity.ERROR for check in checks)


def faults_of(instance: DagsterInstance, run_id: str) -> list[str]:
    """Why a run failed, in sentences: what its steps said, else what was reported of it."""
    kinds = {DagsterEventType.STEP_FAILURE, DagsterEventType.RUN_FAILURE}
    events = [entry.get_dagster_event() for entry in instance.all_logs(run_id, of_type=kinds)]
    steps = [reason for event in events if event.is_step_failure for reason in reasons(event)]
    return steps or [event.message or "failed" for event in events]


def reasons(event: DagsterEvent) -> list[str]:
    """Why a step failed: the sentences of a dg.Failure, else the innermost error."""
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return failure.user_failure_data.description.splitlines()
    error = failure.error
    while error and error.cause:
        error = error.cause
    # Our own errors are sentences; others need their name.
    message = re.sub(r"^orchestration[.\w]+: ", "", error.message.strip()) if error else "failed"
    return [f"step {event.step_key}: {message}"]
