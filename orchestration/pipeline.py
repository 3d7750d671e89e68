"""One run of the whole pipeline in this process, with progress on the console and its history in Dagster."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster import DagsterEventType, DagsterInstance
from rich.console import Console

from orchestration.settings import Settings
from orchestration.transform import ONLY_IF_CHANGED


@dataclass(frozen=True)
class Outcome:
    """How a run ended; `problems` are sentences that name what to repair."""

    is_success: bool
    is_published: bool
    problems: tuple[str, ...]


def run_pipeline(settings: Settings, console: Console) -> Outcome:
    """Materialise every asset once, in order; build and publish only if something changed."""
    from orchestration.definitions import build_definitions  # noqa: PLC0415

    (settings.dagster_home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    definitions = build_definitions(settings)
    with DagsterInstance.get() as instance:
        result = definitions.resolve_job_def("pipeline").execute_in_process(
            instance=instance,
            raise_on_error=False,
            tags={ONLY_IF_CHANGED: "true"},
        )
    return Outcome(
        is_success=result.success,
        is_published=any(
            event.asset_key == dg.AssetKey(["serving", "nps_duckdb"])
            for event in result.all_events
            if event.event_type == DagsterEventType.ASSET_MATERIALIZATION
        ),
        problems=(),
    )
