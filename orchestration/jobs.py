"""Jobs and schedules: what runs together, and when."""

from __future__ import annotations

import dagster as dg

from orchestration.landing import GROUP
from orchestration.settings import Settings

PIPELINE = dg.define_asset_job(
    "pipeline",
    selection=dg.AssetSelection.all() - dg.AssetSelection.groups(GROUP),
    description="load, guard, dbt build, guard, publish",
)
EXTRACT = dg.define_asset_job(
    "extract",
    selection=dg.AssetSelection.groups(GROUP),
    description="bring what is new in the vendors' APIs into landing/",
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
