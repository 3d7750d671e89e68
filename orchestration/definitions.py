"""What Dagster loads: assembles the parts and says nothing of its own."""

from __future__ import annotations

import os

import dagster as dg

from orchestration.extractors import load_extractors
from orchestration.ingest import lake_assets, raw_table_assets
from orchestration.jobs import (
    EXTRACT,
    PIPELINE,
    alert_sensor,
    arrival_sensor,
    compact_job,
    compact_schedule,
    daily_schedule,
    dead_run_sensor,
    extract_schedule,
)
from orchestration.landing import landing_assets
from orchestration.pipeline import progress_logger
from orchestration.publish import published_asset
from orchestration.quality import mart_checks
from orchestration.runs import run_executor
from orchestration.settings import PUBLISHED_SCHEMAS, Settings
from orchestration.sources import load_sources
from orchestration.transform import transform_assets


def build_definitions(settings: Settings) -> dg.Definitions:
    """All assets, checks, jobs and resources for one data folder."""
    os.environ.update(settings.environment())
    sources = load_sources(settings)
    extractors = load_extractors(settings)
    transform = transform_assets(settings, sources)
    compaction = compact_job(settings, sources)
    extraction = extract_schedule(settings)  # also without an API: a wrong one is not for the day that there is one
    published_from = [key for key in transform.keys if key.path[0] in PUBLISHED_SCHEMAS]
    return dg.Definitions(
        assets=[
            *landing_assets(settings, extractors),
            raw_table_assets(settings, sources, extractors),
            *lake_assets(sources),
            transform,
            published_asset(settings, published_from),
        ],
        asset_checks=[mart_checks(settings)],
        # A job needs an asset: where no source has an API, there is nothing to extract.
        jobs=[PIPELINE, compaction, *([EXTRACT] if extractors else [])],
        schedules=[
            daily_schedule(settings),
            compact_schedule(settings, compaction),
            *([extraction] if extractors else []),
        ],
        sensors=[arrival_sensor(settings, sources), alert_sensor(settings), dead_run_sensor()],
        loggers={"progress": progress_logger},
        # DuckDB lets one process write; steps in one process also start without delay.
        executor=run_executor,
    )


defs = build_definitions(Settings.from_env())
