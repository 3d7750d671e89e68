"""Jobs, schedules and the sensor: what runs together, and when."""

import hashlib
import json

import dagster as dg

from orchestration import loader
from orchestration.alerts import send_alerts
from orchestration.compact import compact
from orchestration.landing import BACKFILL, GROUP
from orchestration.readers import RefusedFile
from orchestration.runs import end_dead_runs
from orchestration.settings import Settings
from orchestration.sources import Sources

PIPELINE = dg.define_asset_job(
    "pipeline",
    selection=dg.AssetSelection.all() - dg.AssetSelection.groups(GROUP, BACKFILL),
    description="load, guard, dbt build, guard, publish",
)
EXTRACT = dg.define_asset_job(
    "extract",
    selection=dg.AssetSelection.groups(GROUP),
    description="bring what is new in the vendors' APIs into landing/",
)


def compact_job(settings: Settings, sources: Sources) -> dg.JobDefinition:
    """The small loads of the lake put together; a run that is started meanwhile waits for it in Dagster's queue."""

    @dg.op(pool=loader.LAKE_POOL)
    def compact_lake(context: dg.OpExecutionContext) -> None:
        for table, before, after in compact(settings.lake, sources.tables):
            context.log.info(f"{table}: {before} folders of loads are {after} now")

    @dg.job(name="compact", description="many small loads of the lake become few large files")
    def job() -> None:
        compact_lake()

    return job


def compact_schedule(settings: Settings, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Compaction on the night to Sunday, once someone switches the schedule on."""
    return dg.ScheduleDefinition(
        name="compact_weekly",
        job=job,
        cron_schedule="0 3 * * 0",
        execution_timezone=settings.variables["business_time_zone"],
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )


def daily_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """The pipeline every morning before work, once someone switches the schedule on."""
    return dg.ScheduleDefinition(
        name="every_morning",
        job=PIPELINE,
        cron_schedule="0 6 * * *",
        execution_timezone=settings.variables["business_time_zone"],
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )


def extract_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """The vendors' APIs, in time for the pipeline, once someone switches the schedule on."""
    return dg.ScheduleDefinition(
        name="extract_apis",
        job=EXTRACT,
        cron_schedule=settings.variables["extract_cron"],
        execution_timezone=settings.variables["business_time_zone"],
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )


def arrival_sensor(settings: Settings, sources: Sources) -> dg.SensorDefinition:
    """The pipeline as soon as new files lie complete in landing/, once someone switches the sensor on.

    A file is complete when two looks find it with the same size and time of change. Who writes more slowly than the
    sensor looks writes under a hidden name and renames, as the extractors do.
    """

    @dg.sensor(
        name="new_files",
        job=PIPELINE,
        minimum_interval_seconds=15,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="starts the pipeline when complete new files lie in landing/",
    )
    def new_files(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        before: list[list[str | int]] = json.loads(context.cursor or "[]")
        waiting = arrivals(settings, sources)
        context.update_cursor(json.dumps(waiting))
        if not waiting:
            return dg.SkipReason("no new file in landing/")
        if growing := [str(file[0]) for file in waiting if file not in before]:
            return dg.SkipReason(f"still arriving, or just arrived: {', '.join(growing)}")
        # One run for these files: when one of them is refused, it is not asked for again until it is repaired.
        return dg.RunRequest(run_key=hashlib.sha256(json.dumps(waiting).encode()).hexdigest())

    return new_files


def dead_run_sensor() -> dg.SensorDefinition:
    """Runs whose process is gone end as failed: otherwise those after them would wait for ever."""

    @dg.sensor(
        name="dead_runs",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="reports runs as failed whose process was killed",
    )
    def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        dead = end_dead_runs(context.instance)
        return dg.SkipReason(f"failed, since killed: {', '.join(dead)}" if dead else "every run in progress is alive")

    return dead_runs


def alert_sensor(settings: Settings) -> dg.SensorDefinition:
    """Messages of what went wrong, however a run ended; they go nowhere until alerts.yml has a target that is set."""

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="tells the targets of alerts.yml what they were not told yet",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        faults = send_alerts(settings)
        for fault in faults:
            context.log.warning(fault)
        return dg.SkipReason(" ".join(faults) or "every target was told of every cause")

    return alerts


def arrivals(settings: Settings, sources: Sources) -> list[list[str | int]]:
    """The files in landing/ that no load has: path, size in bytes and time of change in nanoseconds of each."""
    found = set()
    for table in sources.tables:
        try:
            found |= set(loader.new_files(table, settings.landing, settings.lake))
        except RefusedFile:  # a required table without a file: its first one has yet to come
            continue
    return [
        [loader.name_of(path, settings.landing), path.stat().st_size, path.stat().st_mtime_ns] for path in sorted(found)
    ]
