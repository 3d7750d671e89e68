"""The APIs as Dagster assets: one per source, bringing what is new into landing/. The pipeline runs without them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from orchestration.api import ExtractError
from orchestration.extract import Delivery, extract
from orchestration.extractors import Extractor
from orchestration.settings import ConfigError, Settings

GROUP = "landing"


def landing_key(source: str) -> dg.AssetKey:
    """The asset of the files that a source's API gave."""
    return dg.AssetKey([GROUP, source])


def landing_assets(settings: Settings, extractors: Mapping[str, Extractor]) -> Sequence[dg.AssetsDefinition]:
    """One asset per source with an API; a source without its credentials is skipped."""
    return [_landing_asset(settings, extractor) for extractor in extractors.values()]


def _landing_asset(settings: Settings, extractor: Extractor) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"extract_{extractor.source}",
        specs=[
            dg.AssetSpec(
                landing_key(extractor.source),
                group_name=GROUP,
                owners=["team:data-engineering"],
                kinds={"dlt"},
                description=f"{extractor.source}: what its API gave, as JSON Lines in landing/.",
                skippable=True,
            )
        ],
        # The client itself tries again for minutes; this is for an API that is down for longer.
        retry_policy=dg.RetryPolicy(max_retries=3, delay=120, backoff=dg.Backoff.EXPONENTIAL),
    )
    def extract_source(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        if missing := extractor.missing(os.environ):
            context.log.info(f"{extractor.source} is skipped: {' and '.join(missing)} not set")
            return
        try:
            deliveries = list(extract(settings, extractor, os.environ))
        except (ConfigError, ExtractError) as error:
            raise dg.Failure(str(error), allow_retries=isinstance(error, ExtractError)) from None
        if errors := [delivery.error for delivery in deliveries if delivery.error]:
            raise dg.Failure("\n".join(errors))
        yield dg.MaterializeResult(asset_key=landing_key(extractor.source), metadata=_figures(deliveries))

    return extract_source


def _figures(deliveries: Sequence[Delivery]) -> dict[str, Any]:
    return {
        "dagster/row_count": sum(delivery.records for delivery in deliveries),
        "records": {delivery.resource: delivery.records for delivery in deliveries},
        "unchanged": sum(delivery.unchanged for delivery in deliveries),
        "files": [delivery.file for delivery in deliveries if delivery.file],
    }
