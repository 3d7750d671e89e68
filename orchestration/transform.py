"""Transforming: the dbt project as Dagster assets, one dbt invocation a run, its tests as asset checks."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import DagsterDbtTranslator, dbt_assets
from dagster_dbt.asset_utils import get_updated_cli_invocation_params_for_context
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

from expectations.last_results import write_index
from orchestration.documentation import table_page
from orchestration.faults import Build, last_build
from orchestration.loader import LAKE_POOL, flush, hold_lake, verify_loads
from orchestration.publications import last_publication
from orchestration.publish import inputs_fingerprint, is_of_this_day, published_fingerprint, settle_log
from orchestration.quality import BuildStamp, has_come_due, has_turned_late
from orchestration.segments import check_segment_columns
from orchestration.settings import DBT_PROJECT_DIR, PUBLISHED_SCHEMAS, ROOT, Settings
from orchestration.sources import Sources, dbt_arguments, dbt_vars
from orchestration.warehouse import fill

# A run with this tag ends after loading when a build would show nothing new (has_news). Runs started from the Dagster
# page do not carry it: who clicks wants to see a build.
ONLY_IF_CHANGED = "nps/only_if_changed"
# What dbt says when a seed, a model or a test has ended.
SHOWN_EVENTS = ("LogSeedResult", "LogModelResult", "LogTestResult")


class Translator(DagsterDbtTranslator):  # type: ignore[misc]
    """Groups assets by layer, takes their owner from the dbt group, and says which page is about them."""

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

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        """Where `make docs` writes the page of a published table."""
        if dbt_resource_props["schema"] not in PUBLISHED_SCHEMAS:
            return {}
        page = table_page(f"{dbt_resource_props['schema']}.{dbt_resource_props['name']}")
        return {"documentation": dg.MetadataValue.path(str(Settings.from_env().site / page))}


def own_arguments(settings: Settings, sources: Sources) -> list[str]:
    """The arguments of a dbt command in this process, which names its folder for what dbt writes as well."""
    folder = settings.dbt_target
    return [*dbt_arguments(sources), "--target-path", str(folder), "--log-path", str(folder / "logs")]


def parsed_manifest(settings: Settings, sources: Sources) -> Path:
    """The manifest of the dbt project under these settings, parsed again only when something changed.

    It is a copy of what parsing wrote: each build writes dbt's own anew, and half of it where the disk is full or the
    run is killed.
    """
    manifest = settings.dbt_target / "parsed_manifest.json"
    stamp = settings.dbt_target / "parsed_from.json"
    state = json.dumps([dbt_vars(sources), _modified(settings)])
    if not (manifest.exists() and stamp.exists() and stamp.read_text() == state):
        settings.dbt_target.mkdir(parents=True, exist_ok=True)
        from dbt.cli.main import dbtRunner  # noqa: PLC0415

        # In this process, which has most of dbt imported by now: another would take seconds to get there.
        parsed = dbtRunner().invoke(["--quiet", "parse", *own_arguments(settings, sources)])
        if not parsed.success:
            raise RuntimeError(f"dbt could not parse the project: {parsed.exception}")
        draft = manifest.with_suffix(".tmp")
        shutil.copyfile(settings.dbt_target / "manifest.json", draft)
        flush(draft)
        draft.replace(manifest)
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
        pool=LAKE_POOL,
    )
    def dbt_build(context: dg.AssetExecutionContext) -> Iterator[Any]:
        hold_lake(settings.lake)
        settle_log(settings)
        fingerprint = inputs_fingerprint(settings)
        stamp = BuildStamp(settings)
        if context.run.tags.get(ONLY_IF_CHANGED) and not has_news(settings, fingerprint):
            context.log.info("Nothing new: the published file is made from these loads, code and configuration, today.")
            return
        check_segment_columns(settings, sources.tables)  # a column may have come with the files of this run
        from expectations import validation  # noqa: PLC0415  (Great Expectations takes two seconds to import)

        validation.declare_results(settings.check_results)
        settings.warehouse.parent.mkdir(parents=True, exist_ok=True)
        stamp.withdraw()
        last = last_build(settings.warehouse)
        if last is None or last.definition != settings.definition():
            verify_loads(settings.lake)  # it is going to be read whole
        os.environ.update(settings.environment())  # the configuration may have changed since Dagster was started
        os.environ["NPS_BUILT_AT"] = f"{_build_time(settings, last):%Y-%m-%d %H:%M:%S.%f}"
        # The results of an earlier run must not pass for those of one that dbt never began.
        (settings.dbt_target / "run_results.json").unlink(missing_ok=True)
        # Unit tests judge the code, not the data: `make test` runs them, and they take as long as the models.
        command = ["build", "--exclude-resource-type", "unit_test"]
        target = settings.spark / "dbt" if settings.engine == "spark" else settings.dbt_target
        try:
            if settings.engine == "spark":
                yield from spark_events(context, command, settings)
            else:
                yield from dbt_events(context, [*command, *own_arguments(settings, sources)], target)
            if not context.is_subset:
                stamp.built(fingerprint)
        except dg.Failure:
            verify_loads(settings.lake)
            raise
        finally:
            results = dbt_test_results(target, run_id=context.run_id)
            validation.write_results(results, settings.check_results)
            write_index(settings.check_results, settings.data_docs, context.run_id)

    return dbt_build


def has_news(settings: Settings, fingerprint: str) -> bool:
    """Whether a build would show anything else than the published file does; `fingerprint` is that of its inputs.

    Time makes news as well: at once what somebody is told of, that a source is late and a case overdue, and all else
    with the day.
    """
    serving = settings.serving
    return (
        not fingerprint == BuildStamp(settings).approved_fingerprint() == published_fingerprint(serving)
        or not is_of_this_day(settings)
        or has_turned_late(serving)
        or has_come_due(serving, settings.moment)
    )


def _build_time(settings: Settings, last: Build | None) -> datetime:
    """Now, in UTC without a zone, but after every earlier build, also where the clock was set back."""
    with duckdb.connect() as connection:
        published = last_publication(connection, settings.lake)
    earlier = [build.built_at for build in (last, published) if build]
    return max([datetime.now(UTC).replace(tzinfo=None), *(time + timedelta(microseconds=1) for time in earlier)])


def dbt_events(context: dg.AssetExecutionContext, arguments: Sequence[str], target: Path) -> Iterator[Any]:
    """Run dbt for the selected assets; what it did as Dagster events, while it goes on.

    In this process: another would take seconds to start, and would live on when this one is killed.

    Raises:
        dg.Failure: a sentence per node that failed.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # noqa: PLC0415
    from dbt.cli.main import dbtRunner, dbtRunnerResult  # noqa: PLC0415
    from dbt_common.events.functions import env_scrubber, msg_to_dict  # noqa: PLC0415

    selected = get_updated_cli_invocation_params_for_context(context, {}, Translator())
    indirect = ["--indirect-selection", selected.indirect_selection] if selected.indirect_selection else []
    messages: SimpleQueue[Any] = SimpleQueue()
    results: list[dbtRunnerResult] = []

    def build() -> None:
        try:
            runner = dbtRunner(callbacks=[messages.put])
            # dbt makes ready every line of its log, with each statement, before it sees that nobody asked for it.
            quiet = ["--no-use-colors", "--log-level", "none", "--log-level-file", "none"]
            results.append(runner.invoke([*quiet, *arguments, *selected.selection_args, *indirect]))
        finally:
            DuckDBConnectionManager.close_all_connections()
            messages.put(None)

    (target / "logs").mkdir(parents=True, exist_ok=True)
    # Line by line: what a run that was killed had come to is in the log.
    with (target / "logs" / "dbt.log").open("w", buffering=1, encoding="utf-8") as log:
        # A daemon: who stops the run does not wait for the model that is being built.
        Thread(target=build, name="dbt", daemon=True).start()
        while (message := messages.get()) is not None:
            if message.info.level in ("info", "warn", "error"):
                line = env_scrubber(f"{message.info.ts.ToDatetime():%H:%M:%S}  {message.info.msg}")
                print(line, flush=True)
                log.write(f"{line}\n")
            if message.info.name in SHOWN_EVENTS:
                event = DbtCoreCliEventMessage(raw_event=msg_to_dict(message), event_history_metadata={})
                yield from event.to_default_asset_events(
                    selected.manifest, selected.dagster_dbt_translator, context, target
                )
    if not results[0].success:
        raise dg.Failure(description="\n".join(dbt_failures(target, results[0].exception)))


def spark_events(context: dg.AssetExecutionContext, command: Sequence[str], settings: Settings) -> Iterator[Any]:
    """The same on Spark, in its own environment; the tables then take the place of the warehouse file's.

    Raises:
        dg.Failure: a sentence per node that failed.
    """
    if context.is_subset:
        raise dg.Failure(description="Spark has every table made anew: materialize all assets together.")
    if not settings.spark_python.exists():
        raise dg.Failure(description=f"{settings.spark_python}: not there; make .spark/.installed installs it.")
    selected = get_updated_cli_invocation_params_for_context(context, {}, Translator())
    target = settings.spark / "dbt"
    target.mkdir(parents=True, exist_ok=True)
    (target / "run_results.json").unlink(missing_ok=True)
    arguments = [str(settings.spark_python), "-m", "orchestration.spark", *command, "--log-format", "json"]
    with (
        (target.parent / "spark.log").open("w") as log,
        subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        for line in process.stdout or ():
            if not line.startswith("{"):  # Spark's own words
                continue
            event = json.loads(line)
            if event["info"]["name"] in SHOWN_EVENTS:
                message = DbtCoreCliEventMessage(raw_event=event, event_history_metadata={})
                yield from message.to_default_asset_events(
                    selected.manifest, selected.dagster_dbt_translator, context, target
                )
    if process.returncode:
        raise dg.Failure(description="\n".join(dbt_failures(target)))
    fill(settings, target / "manifest.json", datetime.fromisoformat(os.environ["NPS_BUILT_AT"]))


def dbt_failures(target: Path, error: BaseException | None = None) -> list[str]:
    """What went wrong in the last dbt invocation, a sentence per node; `error` where it did not get to them."""
    results = _run_results(target)
    if results is None:
        return [f"dbt ended before it began: {error or 'see its log'}; {target / 'logs' / 'dbt.log'}"]
    return [
        f"dbt: {result['unique_id'].split('.', 2)[2]}: {(result.get('message') or result['status']).strip()}"
        for result in results
        if result["status"] in ("error", "fail", "runtime error")
    ]


def _run_results(target: Path) -> list[dict[str, Any]] | None:
    """What dbt wrote of its last invocation; None where it wrote nothing, or half of it to a full disk."""
    try:
        content: dict[str, Any] = json.loads((target / "run_results.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return list(content["results"])


def dbt_test_results(target: Path, *, run_id: str) -> list[Any]:
    """The data tests of the last dbt invocation as rows of quality_check_results."""
    from expectations.validation import CheckResult  # noqa: PLC0415

    ran = _run_results(target)
    if not ran:
        return []
    nodes = _tests(json.loads((target / "manifest.json").read_text()))
    results = []
    for result in ran:
        test = nodes.get(result["unique_id"])
        if test is None or result["status"] == "skipped":
            continue
        is_success = result["status"] == "pass"
        failures = result.get("failures")  # None: the test itself could not be run
        observed = result.get("message") if failures is None else f"rows that break the rule: {failures}"
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
                observed_value=None if is_success else observed,
                unexpected_count=failures,
                unexpected_percent=None,
                threshold="no row breaks the rule",
                owner="data engineering",
                action=f"Look at the rows: make dbt ARGS='show -s {test['name']}'.",
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
