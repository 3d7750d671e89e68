"""Jobs, schedules and the sensor: what runs together, and when."""

import hashlib
import json
import time
from datetime import timedelta

import dagster as dg

from orchestration import loader
from orchestration.alerts import send_alerts
from orchestration.compact import compact
from orchestration.landing import BACKFILL, GROUP
from orchestration.publish import inputs_fingerprint, published_fingerprint
from orchestration.readers import RefusedFile
from orchestration.runs import end_dead_runs, failed_by_fault
from orchestration.settings import ConfigError, Settings
from orchestration.sources import Sources
from orchestration.strict import variables_file

# What a run of the sensor was started for.
WANTED = "nps/wanted"
# A fault of the machine may pass; one that stays is not worth a run every quarter of a minute.
MOST_TRIES = 3
PAUSE = timedelta(minutes=10)
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
    """The vendors' APIs, in time for the pipeline, once someone switches the schedule on.

    Raises:
        ConfigError: the variable extract_cron is no schedule to Dagster.
    """
    cron = settings.variables["extract_cron"]
    try:
        return dg.ScheduleDefinition(
            name="extract_apis",
            job=EXTRACT,
            cron_schedule=cron,
            execution_timezone=settings.variables["business_time_zone"],
            default_status=dg.DefaultScheduleStatus.STOPPED,
        )
    except dg.DagsterInvalidDefinitionError:
        path = variables_file(settings.config_dir)
        raise ConfigError(f'{path}: extract_cron: {cron!r} is no schedule; write one like "0 5 * * *"') from None


def arrival_sensor(settings: Settings, sources: Sources) -> dg.SensorDefinition:
    """The pipeline as soon as new files lie complete in landing/, once someone switches the sensor on.

    A file is complete when two looks find it with the same size and time of change. Who writes more slowly than the
    sensor looks writes under a hidden name and renames, as the extractors do. The pipeline is tried again for the same
    files, and for what a run loaded and did not publish, when it failed by a fault that may pass.
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
        if growing := [str(file[0]) for file in waiting if file not in before]:
            return dg.SkipReason(f"still arriving, or just arrived: {', '.join(growing)}")
        wanted = _wanted(context.instance, waiting, settings)
        return _try(context.instance, wanted, settings) if wanted else dg.SkipReason("no new file in landing/")

    return new_files


def _wanted(instance: dg.DagsterInstance, waiting: list[list[str | int]], settings: Settings) -> str | None:
    """The inputs that want a run: the files that wait, else what a run loaded that a fault kept from publication."""
    if waiting:
        files = hashlib.sha256(json.dumps(waiting).encode()).hexdigest()
        # A file that repeats another is no load: it waits for ever, and a run has seen it.
        seen = dg.RunsFilter(tags={WANTED: files}, statuses=[dg.DagsterRunStatus.SUCCESS])
        if not instance.get_runs(seen, limit=1):
            return files
    last = instance.get_runs(dg.RunsFilter(job_name=PIPELINE.name), limit=1)
    if last and failed_by_fault(instance, last[0]):
        fingerprint = inputs_fingerprint(settings)
        if fingerprint != published_fingerprint(settings.serving):
            return fingerprint
    return None


def _try(instance: dg.DagsterInstance, wanted: str, settings: Settings) -> dg.RunRequest | dg.SkipReason:
    """A run for these inputs: the first, or another a while after one that failed by a fault that may pass.

    What a check refused is not asked for again until it is repaired, which makes other inputs of it.
    """
    tries = instance.get_run_records(dg.RunsFilter(tags={WANTED: wanted}), limit=MOST_TRIES)
    if tries:
        last = tries[0].dagster_run
        if not last.is_finished:
            return dg.SkipReason(f"run {last.run_id} is at it")
        if len(tries) == MOST_TRIES or not failed_by_fault(instance, last):
            return dg.SkipReason(f"not tried again: see run {last.run_id}, and repair what it names")
        if time.time() - (tries[0].end_time or 0) < PAUSE.total_seconds():
            return dg.SkipReason(f"run {last.run_id} failed; tried again {PAUSE.seconds // 60} minutes after it")
    try:
        with loader.lake_lock(settings.lake, 0):
            pass
    except loader.LakeBusy:  # by a command that is no run of Dagster's
        return dg.SkipReason("another run is working with the lake")
    return dg.RunRequest(run_key=f"{wanted} {len(tries)}", tags={WANTED: wanted})


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
