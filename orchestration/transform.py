"""Transforming: the dbt project as Dagster assets, one dbt invocation a run, its tests as asset checks."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, dbt_assets
from dagster_dbt.errors import DagsterDbtCliRuntimeError
from packaging.version import Version

from orchestration.publish import inputs_fingerprint, published_fingerprint, settle_log
from orchestration.quality import BuildStamp
from orchestration.settings import DBT_PROJECT_DIR, Settings
from orchestration.sources import Sources

# A run with this tag ends after loading when the published file is made from the same loads, code and
# configuration. Runs started from the Dagster page do not carry it: who clicks wants to see a build.
ONLY_IF_CHANGED = "nps/only_if_changed"


class Translator(DagsterDbtTranslator):  # type: ignore[misc]
    """Groups assets by layer and takes their owner from the dbt group."""

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """The folder below models/: staging, intermediate, marts or quality; seeds are reference data."""
        if dbt_resource_props["resource_type"] == "seed":
            return "reference"
        return str(dbt_resource_props["fqn"][1])

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str] | None:
        """Marts belong to analytics engineering, quality tables to the stewards, the rest to the platform."""
        group = dbt_resource_props.get("config", {}).get("group")
        return [
            {"analytics": "team:analytics-engineering", "stewardship": "team:data-stewards"}.get(
                group, "team:data-engineering"
            )
        ]


class QuietDbt(DbtCliResource):  # type: ignore[misc]
    """Asks the installed package for dbt's version: `dbt --version` asks a server for a newer one, on every run."""

    @cached_property
    def _cli_version(self) -> Version:
        return Version(metadata.version("dbt-core"))


def dbt_vars(sources: Sources) -> list[str]:
    """The arguments that hand the configuration to dbt; the same for every command, or dbt parses anew."""
    return ["--vars", json.dumps(sources.dbt_variables, sort_keys=True)]


def dbt_resource() -> DbtCliResource:
    """The dbt command line, bound to this project and data folder."""
    return QuietDbt(
        project_dir=str(DBT_PROJECT_DIR),
        profiles_dir=str(DBT_PROJECT_DIR),
        dbt_executable=str(Path(sys.executable).with_name("dbt")),
        global_config_flags=["--no-use-colors"],
    )


def parsed_manifest(settings: Settings, sources: Sources) -> Path:
    """The manifest of the dbt project under these settings, parsed again only when something changed."""
    manifest = settings.dbt_target / "manifest.json"
    stamp = settings.dbt_target / "parsed_from.json"
    state = json.dumps([dbt_vars(sources), _modified(settings)])
    if not (manifest.exists() and stamp.exists() and stamp.read_text() == state):
        settings.dbt_target.mkdir(parents=True, exist_ok=True)
        from dbt.cli.main import dbtRunner  # noqa: PLC0415

        # In this process, which has most of dbt imported by now: another would take seconds to get there.
        project = ["--project-dir", str(DBT_PROJECT_DIR), "--profiles-dir", str(DBT_PROJECT_DIR)]
        target = ["--target-path", str(settings.dbt_target), "--log-path", str(settings.dbt_target / "logs")]
        parsed = dbtRunner().invoke(["--quiet", "parse", *project, *target, *dbt_vars(sources)])
        if not parsed.success:
            raise RuntimeError(f"dbt could not parse the project: {parsed.exception}")
        stamp.write_text(state)
    return manifest


def _modified(settings: Settings) -> list[tuple[str, int]]:
    paths = [DBT_PROJECT_DIR / "dbt_project.yml", DBT_PROJECT_DIR / "profiles.yml"]
    for folder in ("models", "macros", "data_tests"):
        paths += sorted(p for p in (DBT_PROJECT_DIR / folder).rglob("*") if p.suffix in {".sql", ".yml"})
    paths += sorted((settings.config_dir / "seeds" / "reference").glob("*.csv"))
    return [(str(path), path.stat().st_mtime_ns) for path in paths]


def transform_assets(settings: Settings, sources: Sources) -> dg.AssetsDefinition:
    """Every dbt seed, model and test of the project."""

    @dbt_assets(
        manifest=parsed_manifest(settings, sources),
        dagster_dbt_translator=Translator(),
        name="dbt_build",
    )
    def dbt_build(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        settle_log(settings)
        fingerprint = inputs_fingerprint(settings)
        stamp = BuildStamp(settings)
        if context.run.tags.get(ONLY_IF_CHANGED) and (
            fingerprint == stamp.approved_fingerprint() == published_fingerprint(settings.serving)
        ):
            context.log.info("Nothing new: the published file is made from these loads, code and configuration.")
            return
        from expectations import validation  # noqa: PLC0415  (Great Expectations takes two seconds to import)

        validation.declare_results(settings.check_results)
        settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
        stamp.withdraw()
        os.environ.update(settings.environment())  # the configuration may have changed since Dagster was started
        # The results of an earlier run must not pass for those of one that dbt never began.
        (settings.dbt_target / "run_results.json").unlink(missing_ok=True)
        # Unit tests judge the code, not the data: `make test` runs them, and they take as long as the models.
        build = dbt.cli(
            ["build", "--exclude-resource-type", "unit_test", *dbt_vars(sources)],
            context=context,
            target_path=settings.dbt_target,
        )
        try:
            yield from build.stream()
            if not context.is_subset:
                stamp.built(fingerprint)
        except DagsterDbtCliRuntimeError:
            raise dg.Failure(description="\n".join(dbt_failures(settings.dbt_target))) from None
        finally:
            results = dbt_test_results(settings.dbt_target, run_id=context.run_id)
            validation.write_results(results, settings.check_results)

    return dbt_build


def dbt_failures(target: Path) -> list[str]:
    """What went wrong in the last dbt invocation, a sentence per node; the log where there is nothing to say."""
    results_file = target / "run_results.json"
    if not results_file.exists():
        return [f"dbt ended before it began; see {target / 'dbt.log'}"]
    return [
        f"dbt: {result['unique_id'].split('.', 2)[2]}: {(result.get('message') or result['status']).strip()}"
        for result in json.loads(results_file.read_text())["results"]
        if result["status"] in ("error", "fail", "runtime error")
    ]


def dbt_test_results(target: Path, *, run_id: str) -> list[Any]:
    """The data tests of the last dbt invocation as rows of quality_check_results."""
    from expectations.validation import CheckResult  # noqa: PLC0415

    results_file = target / "run_results.json"
    if not results_file.exists():
        return []
    nodes = _tests(json.loads((target / "manifest.json").read_text()))
    results = []
    for result in json.loads(results_file.read_text())["results"]:
        test = nodes.get(result["unique_id"])
        if test is None or result["status"] == "skipped":
            continue
        is_success = result["status"] == "pass"
        results.append(
            CheckResult(
                run_id=run_id,
                checked_at=datetime.now(UTC).replace(tzinfo=None),
                suite="dbt",
                table_name=test["table"],
                item=None,
                column_name=test["column"],
                expectation=test["name"],
                severity="warn" if test["severity"] == "WARN" else "block",
                is_success=is_success,
                observed_value=None if is_success else result.get("message"),
                unexpected_count=result.get("failures"),
                unexpected_percent=None,
                threshold="no row breaks the rule",
                owner="data engineering",
                action=f"Look at the rows: make dbt ARGS='test -s {test['name']} --store-failures'.",
            )
        )
    return results


def _tests(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    tests: dict[str, dict[str, Any]] = {}
    for unique_id, node in manifest["nodes"].items():
        if node["resource_type"] == "test":
            parent = manifest["nodes"].get(node.get("attached_node") or "", {})
            tests[unique_id] = {
                "name": node["name"],
                "table": f"{parent['schema']}.{parent['name']}" if parent else "",
                "column": node.get("column_name"),
                "severity": str(node["config"].get("severity", "ERROR")).upper(),
            }
    return tests
