"""Runs in Dagster's history: who is killed keeps nobody waiting, and who is at work is left alone."""

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.op_concurrency_limits_counter import GlobalOpConcurrencyLimitsCounter

from orchestration import runs
from orchestration.loader import LAKE_POOL
from orchestration.pipeline import configure_dagster
from orchestration.runs import IN_PROGRESS, end_dead_runs, hold_run, open_instance, run_executor
from orchestration.settings import ROOT, Settings


@dg.op(pool=LAKE_POOL)
def hold() -> None: ...


@dg.op(pool="landing")
def ask() -> None: ...


@dg.op
def look(context: dg.OpExecutionContext) -> None:
    assert end_dead_runs(context.instance) == []
    assert (Path(context.instance.root_directory) / "running" / context.run_id).exists()


@dg.job
def builds() -> None:
    hold()


@dg.job
def asks() -> None:
    ask()


@dg.job(executor_def=run_executor)
def looks() -> None:
    look()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(config_dir=ROOT, data_dir=tmp_path)
    configure_dagster(settings)
    return settings


@pytest.fixture
def instance(settings: Settings) -> Iterator[DagsterInstance]:
    with open_instance(settings) as instance:
        yield instance


def started(instance: DagsterInstance, status: DagsterRunStatus = DagsterRunStatus.STARTED) -> str:
    return instance.create_run_for_job(builds, status=status).run_id


def status(instance: DagsterInstance, run_id: str) -> DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run
    return run.status


def test_a_run_that_was_killed_is_failed_and_one_at_work_is_not(instance: DagsterInstance) -> None:
    at_work, killed = started(instance), started(instance)
    hold_run(instance, at_work)
    hold_run(instance, killed)
    assert end_dead_runs(instance) == []
    runs._held.pop().close()  # as the machine does for a process that ends, however it does
    assert end_dead_runs(instance) == [killed]
    assert [status(instance, run) for run in (at_work, killed)] == [DagsterRunStatus.STARTED, DagsterRunStatus.FAILURE]
    assert end_dead_runs(instance) == []


def test_a_run_that_dagster_launches_shows_that_it_is_alive(
    instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "LAUNCH", timedelta())
    with dg.execute_job(dg.reconstructable(looks), instance=instance) as result:
        assert result.success


def test_a_process_has_time_to_begin_its_run(instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    launched = [started(instance, status) for status in IN_PROGRESS]
    assert end_dead_runs(instance) == []
    monkeypatch.setattr(runs, "LAUNCH", timedelta())
    assert sorted(end_dead_runs(instance)) == sorted(launched)
    failed, canceled = DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED
    assert [status(instance, run_id) for run_id in launched] == [failed, failed, canceled]


def test_the_locks_of_runs_that_ended_are_removed(instance: DagsterInstance) -> None:
    folder = Path(instance.root_directory) / "running"
    hold_run(instance, "begins")
    for name in ("begins", "ended"):
        (folder / name).touch()
        os.utime(folder / name, times=(time.time() - 3600,) * 2)
    end_dead_runs(instance)
    assert [file.name for file in folder.iterdir()] == ["begins"]


def test_who_holds_the_lake_waits_for_another_and_not_for_an_extraction(instance: DagsterInstance) -> None:
    """By Dagster's own count, which its queue asks."""

    def is_blocked(job: dg.JobDefinition) -> bool:
        run = instance.create_run_for_job(job, status=DagsterRunStatus.NOT_STARTED)
        pools = {LAKE_POOL, "landing"}
        counter = GlobalOpConcurrencyLimitsCounter(
            instance,
            [run],
            list(instance.get_run_records(dg.RunsFilter(statuses=IN_PROGRESS))),
            pools,
            instance.event_log_storage.get_pool_limits(),
            pool_granularity=instance.get_concurrency_config().pool_config.pool_granularity,
        )
        return counter.is_blocked(run)

    instance.create_run_for_job(asks, status=DagsterRunStatus.STARTED)
    assert [is_blocked(asks), is_blocked(builds)] == [True, False]
    started(instance)
    assert is_blocked(builds)
