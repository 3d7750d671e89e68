"""The APIs as Dagster assets, which bring files into landing/; the pipeline runs without them.

Two for each source: `landing/<source>` brings what is new since the last time, `backfill/<source>` what changed on the
days that are chosen in the page, as one run for days that follow each other.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from orchestration.api import ExtractError
from orchestration.extract import Delivery, Window, extract
from orchestration.extractors import Extractor
from orchestration.settings import ConfigError, Settings

GROUP = "landing"
BACKFILL = "backfill"


def landing_key(source: str) -> dg.AssetKey:
    """The asset of the files that a source's API gave."""
    return dg.AssetKey([GROUP, source])


def backfill_key(source: str) -> dg.AssetKey:
    """The asset of the files that a source's API gave when it was asked for days of the past."""
    return dg.AssetKey([BACKFILL, source])


def extracted_keys(extractors: Iterable[Extractor]) -> list[dg.AssetKey]:
    """Both assets of the extractors; an API that cannot be asked by time has no backfill."""
    keys = {extractor.source: extractor for extractor in extractors}
    return sorted(
        [landing_key(source) for source in keys]
        + [backfill_key(source) for source, extractor in keys.items() if extractor.asks_by_time]
    )


def landing_assets(settings: Settings, extractors: Mapping[str, Extractor]) -> Sequence[dg.AssetsDefinition]:
    """The assets of every source with an API; a source without its credentials is skipped."""
    days = dg.DailyPartitionsDefinition(
        start_date=str(settings.variables["earliest_submitted_at"]),
        timezone=settings.variables["business_time_zone"],
    )
    return [_landing_asset(settings, extractor) for extractor in extractors.values()] + [
        _landing_asset(settings, extractor, days) for extractor in extractors.values() if extractor.asks_by_time
    ]


def _landing_asset(
    settings: Settings, extractor: Extractor, days: dg.DailyPartitionsDefinition | None = None
) -> dg.AssetsDefinition:
    source = extractor.source
    key = backfill_key(source) if days else landing_key(source)
    what = "what changed on the chosen days" if days else "what is new since the last time"

    @dg.multi_asset(
        name=f"{'backfill' if days else 'extract'}_{source}",
        specs=[
            dg.AssetSpec(
                key,
                group_name=key.path[0],
                owners=["team:data-engineering"],
                kinds={"dlt"},
                description=f"{source}: {what}, as its API gave it, in JSON Lines in landing/.",
                skippable=True,
                partitions_def=days,
            )
        ],
        pool=GROUP,
        # Twelve months are one window to ask the API for, and not 365.
        backfill_policy=dg.BackfillPolicy.single_run() if days else None,
        # The client itself tries again for minutes; this is for an API that is down for longer.
        retry_policy=dg.RetryPolicy(max_retries=3, delay=120, backoff=dg.Backoff.EXPONENTIAL),
    )
    def extract_source(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        if missing := extractor.missing(os.environ):
            context.log.info(f"{source} is skipped: {' and '.join(missing)} not set")
            return
        window = None
        if days:
            window = Window(context.partition_time_window.start, context.partition_time_window.end)
        try:
            deliveries = list(extract(settings, extractor, os.environ, window))
        except (ConfigError, ExtractError) as error:
            raise dg.Failure(str(error), allow_retries=isinstance(error, ExtractError)) from None
        if failed := [delivery for delivery in deliveries if delivery.error]:
            raise dg.Failure(
                "\n".join(str(delivery.error) for delivery in failed),
                allow_retries=not all(delivery.is_refused for delivery in failed),
            )
        yield dg.MaterializeResult(asset_key=key, metadata=_figures(deliveries))

    return extract_source


def _figures(deliveries: Sequence[Delivery]) -> dict[str, Any]:
    return {
        "dagster/row_count": sum(delivery.records for delivery in deliveries),
        "records": {delivery.resource: delivery.records for delivery in deliveries},
        "unchanged": sum(delivery.unchanged for delivery in deliveries),
        "files": [file for delivery in deliveries for file in delivery.files],
    }
