"""What Dagster shows: every asset with group, owner and description, every test and guard as a check."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from orchestration.alerts import JOBS
from tests.conftest import ROOT, Pipeline

DESCRIBE = """
import json
from orchestration.definitions import defs
graph = defs.resolve_asset_graph()
print(json.dumps({
    "assets": {
        "/".join(key.path): {
            "group": graph.get(key).group_name,
            "owners": list(graph.get(key).owners),
            "description": graph.get(key).description or "",
            "kinds": sorted(graph.get(key).kinds),
            "documentation": getattr(graph.get(key).metadata.get("documentation"), "value", None),
        }
        for key in graph.get_all_asset_keys()
    },
    "checks": {
        f"{'/'.join(key.asset_key.path)}:{key.name}": graph.get_check_spec(key).blocking
        for key in graph.asset_check_keys
    },
    "jobs": [job.name for job in defs.resolve_all_job_defs() if not job.name.startswith("__")],
    "pools": {
        job: sorted({str(node.definition.pool) for node in defs.resolve_job_def(job).nodes})
        for job in ("compact", "extract", "pipeline")
    },
    "schedules": [schedule.name for schedule in defs.schedules],
}))
"""


@pytest.fixture(scope="module")
def shown(sample: Pipeline) -> dict[str, Any]:
    """What Dagster finds in the folder of a run, and nothing is written there that other tests read meanwhile."""
    manifest = sample.data / "dbt" / "manifest.json"
    written_at = manifest.stat().st_mtime_ns
    done = subprocess.run(
        [sys.executable, "-c", DESCRIBE],
        cwd=ROOT,
        env=os.environ | {"NPS_DATA_DIR": str(sample.data)},
        text=True,
        capture_output=True,
        check=True,
    )
    assert manifest.stat().st_mtime_ns == written_at
    content: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return content


def test_every_asset_has_group_owner_and_description(shown: dict[str, Any]) -> None:
    assets = shown["assets"]
    groups = {asset["group"] for asset in assets.values()}
    assert groups == {
        "landing",
        "backfill",
        "raw",
        "reference",
        "staging",
        "intermediate",
        "marts",
        "quality",
        "serving",
    }
    said = ("owners", "description", "kinds")
    assert [(key, name) for key, asset in assets.items() for name in said if not asset[name]] == []
    for key in (
        "delighted/survey_responses",
        "salesforce/account_history",
        "marts/fct_nps_responses",
        "serving/nps_duckdb",
    ):
        assert key in assets


def test_published_tables_lead_to_their_page(shown: dict[str, Any], sample: Pipeline) -> None:
    published = {key: asset for key, asset in shown["assets"].items() if asset["group"] in ("marts", "quality")}
    for key, asset in published.items():
        page = str(sample.data.resolve() / "docs" / "site" / f"table-{key.replace('/', '.')}.html")
        assert asset["documentation"] == page and {"dbt", "duckdb"} <= set(asset["kinds"])
    assert len(published) > 35
    assert shown["assets"]["serving/nps_duckdb"]["documentation"].endswith("index.html")


def test_guards_and_dbt_tests_are_checks(shown: dict[str, Any]) -> None:
    checks = shown["checks"]
    raw = [key for key, asset in shown["assets"].items() if asset["group"] == "raw" and not key.startswith("lake/")]
    assert len(raw) == 13
    for key in raw:
        assert checks[f"{key}:new_files_are_readable"]
        assert checks[f"{key}:new_rows_are_valid"]
    for table in ("marts/fct_nps_responses", "marts/nps_by_segment_period", "quality/quality_reconciliation"):
        assert checks[f"{table}:great_expectations"], "a guard of the marts blocks publishing"
    assert checks["quality/quality_figures:score_drift"] and checks["quality/quality_freshness:load_age_hours"]
    assert "quality/quality_reconciliation:nothing_is_lost" in checks
    assert "marts/nps_by_segment_period:categories_add_up_to_responses" in checks


def test_guarded_tables_are_those_of_the_suites() -> None:
    from expectations.suites import build_mart_checks  # noqa: PLC0415
    from expectations.thresholds import read_thresholds  # noqa: PLC0415
    from orchestration.quality import FIGURE_TABLES, GUARDED_TABLES  # noqa: PLC0415
    from orchestration.settings import Settings  # noqa: PLC0415

    checks = build_mart_checks(read_thresholds(Settings(config_dir=ROOT, data_dir=ROOT / "data")))
    assert {check.table_name for check in checks} == {*GUARDED_TABLES, "quality.quality_figures"}
    figures = next(check.query for check in checks if check.table_name == "quality.quality_figures")
    assert all(table in figures for table in FIGURE_TABLES.values())


def test_job_and_schedule(shown: dict[str, Any]) -> None:
    assert shown["jobs"] == ["compact", "extract", "pipeline"] == sorted(JOBS)
    assert shown["schedules"] == ["every_morning", "compact_weekly", "extract_apis"]


def test_who_holds_the_lake_is_one_at_a_time(shown: dict[str, Any]) -> None:
    assert shown["pools"] == {"compact": ["lake"], "extract": ["landing"], "pipeline": ["lake"]}
