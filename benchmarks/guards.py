"""What the guards take: judging every file of a lake, their models, and judging the marts; a process of its own.

`python -m benchmarks.guards <data folder>` prints the seconds of CPU of each as JSON. The models are run again as dbt
compiled them, into temporary tables.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from orchestration.loader import DATA_FILE
from orchestration.settings import ROOT, Settings
from orchestration.sources import load_sources

MODELS = ("intermediate/int_survey_days", "quality/quality_freshness", "quality/quality_figures")


def main(folder: Path) -> None:
    """Run the guards as a run of the pipeline does, and print what they took."""
    settings = Settings(config_dir=ROOT, data_dir=folder)
    print(
        json.dumps(
            {
                "their models": cpu_seconds(lambda: run_models(settings)),
                "judging every file": cpu_seconds(lambda: judge_loads(settings)),
                "judging the marts": cpu_seconds(lambda: judge_marts(settings)),
            }
        )
    )


def cpu_seconds(step: Callable[[], object]) -> float:
    """The seconds of CPU a step takes, those of all its threads."""
    started = time.process_time()
    step()
    return time.process_time() - started


def run_models(settings: Settings) -> None:
    """Run the models that only the guards need, in full."""
    with duckdb.connect(settings.warehouse, read_only=True) as connection:
        for number, model in enumerate(MODELS):
            compiled = settings.dbt_target / "compiled" / "nps" / "models" / f"{model}.sql"
            connection.execute(f"create temporary table model_{number} as {compiled.read_text()}")


def judge_loads(settings: Settings) -> None:
    """Judge every file in the lake, as if all had just come."""
    from expectations import validation  # noqa: PLC0415  (what importing takes is a cost, too)
    from expectations.thresholds import read_thresholds  # noqa: PLC0415

    loads = [
        validation.StagedLoad(
            source_system=table.source_system,
            table_name=table.name,
            file=path.parent.name,
            path=path,
            columns=table.columns,
            profile=validation.LoadProfile(table.guard.score, table.guard.time, table.guard.where),
        )
        for table in load_sources(settings).tables
        for path in sorted((settings.lake / "raw" / table.lake_source / table.name).glob(f"*/{DATA_FILE}"))
    ]
    outcome = validation.validate_loads(loads, read_thresholds(settings), "bench")
    validation.build_data_docs(outcome, settings.data_docs)


def judge_marts(settings: Settings) -> None:
    """Judge the warehouse, and write results and pages."""
    from expectations import validation  # noqa: PLC0415
    from expectations.thresholds import read_thresholds  # noqa: PLC0415

    outcome = validation.validate_marts(settings.warehouse, read_thresholds(settings), "bench")
    validation.write_results(outcome.checks, settings.check_results)
    validation.build_data_docs(outcome, settings.data_docs)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
