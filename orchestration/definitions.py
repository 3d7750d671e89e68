"""What Dagster loads: assembles the parts and says nothing of its own."""

from __future__ import annotations

import os

import dagster as dg

from orchestration.ingest import lake_assets, raw_table_assets
from orchestration.jobs import PIPELINE, daily_schedule
from orchestration.pipeline import progress_logger
from orchestration.publish import PUBLISHED_SCHEMAS, published_asset
from orchestration.quality import mart_checks
from orchestration.settings import Settings
from orchestration.sources import load_sources
from orchestration.transform import dbt_resource, transform_assets


def build_definitions(settings: Settings) -> dg.Definitions:
    """All assets, checks, jobs and resources for one data folder."""
    os.environ.update(settings.environment())
    sources = load_sources(settings)
    transform = transform_assets(settings, sources)
    published_from = [key for key in transform.keys if key.path[0] in PUBLISHED_SCHEMAS]
    return dg.Definitions(
        assets=[
            raw_table_assets(settings, sources),
            *lake_assets(sources),
            transform,
            published_asset(settings, published_from),
        ],
        asset_checks=[mart_checks(settings)],
        jobs=[PIPELINE],
        schedules=[daily_schedule(settings)],
        resources={"dbt": dbt_resource()},
        loggers={"progress": progress_logger},
        # DuckDB lets one process write; steps in one process also start without delay.
        executor=dg.in_process_executor,
    )


defs = build_definitions(Settings.from_env())
