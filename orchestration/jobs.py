"""Jobs and schedules: what runs together, and when."""

from __future__ import annotations

import dagster as dg

from orchestration.settings import Settings

PIPELINE = dg.define_asset_job(
    "pipeline",
    selection=dg.AssetSelection.all(),
    description="load, guard, dbt build, guard, publish",
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
