"""The command line behind the Makefile: python -m orchestration <command>."""

from __future__ import annotations

import argparse
import atexit
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from rich.console import Console
from rich.markup import escape

from orchestration.alerts import read_configuration, send_alerts
from orchestration.extractors import load_extractors
from orchestration.faults import explained
from orchestration.loader import declare_columns, hold_lake, lake_lock, readers_of, verify_loads
from orchestration.reference import check_reference
from orchestration.register import LakeFault, registered_loads
from orchestration.settings import ROOT, ConfigError, Settings
from orchestration.sources import dbt_vars, load_sources

FAILURE = 1
SAMPLE_ENDS_ON = "2025-07-01"


def command_line() -> argparse.ArgumentParser:
    """Every command with its arguments."""
    parser = argparse.ArgumentParser(prog="python -m orchestration", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="load the sample company and run the pipeline")
    commands.add_parser("run", help="run the pipeline over the files in landing/")
    extraction = commands.add_parser("extract", help="bring what is new in the vendors' APIs into landing/")
    extraction.add_argument("sources", nargs="*", help="default: every source that has its credentials")
    extraction.add_argument(
        "--from", dest="start", type=date.fromisoformat, help="backfill: what changed since this day"
    )
    extraction.add_argument("--to", dest="end", type=date.fromisoformat, help="backfill: and before this day")
    commands.add_parser("compact", help="put the many small loads of the lake together into few large files")
    commands.add_parser("summary", help="show the published result")
    known = commands.add_parser("as-known", help="build what was known at a past moment, into a file of its own")
    known.add_argument("moment", help="a day, to its end, or a time, UTC where it names no zone: 2025-03-31")
    publishing = commands.add_parser("publish", help="push the published tables to where other tools read them")
    publishing.add_argument("--to", required=True, choices=["postgres"], help="a database that NPS_POSTGRES names")
    going_back = commands.add_parser("rollback", help="show the publication before, or another that is kept, again")
    going_back.add_argument("publication", nargs="?", help="a publication_id; default: the one before")
    exporting = commands.add_parser("export", help="write a file for others, from what is published")
    scope = exporting.add_mutually_exclusive_group(required=True)
    scope.add_argument(
        "--owner", metavar="OWNER_ID", help="answers and accounts of an owner and of who reports to them"
    )
    scope.add_argument("--outside", action="store_true", help="figures in which no small group can be found")
    exporting.add_argument("--to", type=Path, help="file to write; default: in exports/ of the data folder")
    reporting = commands.add_parser("report", help="write the page of an owner for a staff meeting")
    reporting.add_argument("owner", metavar="OWNER_ID", help="an owner, with all who report to them")
    reporting.add_argument("--to", type=Path, help="file to write; default: in exports/ of the data folder")
    bundling = commands.add_parser("superset", help="write the import bundle for Apache Superset")
    bundling.add_argument("--at", help="path of the published file where Superset runs; default: as here")
    bundling.add_argument("--to", type=Path, help="file to write; default: in exports/ of the data folder")
    forgetting = commands.add_parser("forget", help="erase a person from everything that is kept")
    forgetting.add_argument("person", help="e-mail address, key in the CRM or a survey tool, or published contact_id")
    commands.add_parser("docs", help="build the documentation as a site of plain files")
    commands.add_parser("dev", help="open Dagster")
    commands.add_parser("dashboard", help="open the dashboard")
    example = commands.add_parser("example", help="run one of the folders in examples/")
    example.add_argument("name")
    example.add_argument("folder", help="folder with the delivered files")
    for name in ("dbt", "mf", "sqlfluff"):
        tool = commands.add_parser(name, help=f"run {name} with this project's settings", add_help=False)
        tool.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser


def main(arguments: Sequence[str]) -> int:
    """Run one command; the exit code is not 0 when anything was refused or failed."""
    options = command_line().parse_args(arguments)
    console = Console(file=sys.stdout)  # stays with the terminal while a run sends other output to its log
    settings = Settings.from_env()
    try:
        match options.command:
            case "demo":
                deliver(ROOT / "seeds" / "raw", settings.landing)
                os.environ.setdefault("NPS_AS_OF", SAMPLE_ENDS_ON)  # or every case would be a year overdue
                return run(settings, console)
            case "run":
                return run(settings, console)
            case "extract":
                return extract(settings, options.sources, (options.start, options.end), console)
            case "compact":
                return compact(settings, console)
            case "summary":
                print_summary(settings, console)
                return 0
            case "as-known":
                return as_known(settings, options.moment, console)
            case "publish":
                return push_to_postgres(settings, console)
            case "rollback":
                return rollback(settings, options.publication, console)
            case "export":
                return export(settings, options.owner, options.to, console)
            case "report":
                return report(settings, options.owner, options.to, console)
            case "superset":
                return superset_bundle(settings, options.at, options.to, console)
            case "forget":
                return forget(settings, options.person, console)
            case "docs":
                return docs(settings, console)
            case "dev":
                return dev(settings)
            case "dashboard":
                return open_dashboard(settings)
            case "example":
                return run_example(options.name, Path(options.folder), console)
            case "dbt":
                return dbt(settings, options.arguments)
            case "mf":
                return mf(settings, options.arguments)
            case "sqlfluff":
                return sqlfluff(settings)
    except Exception as error:
        show_fault(error, settings, console)
    return FAILURE


def show_fault(error: Exception, settings: Settings, console: Console) -> None:
    """Say in a sentence what went wrong; where in the code it did is for the log."""
    if isinstance(error, ConfigError):
        console.print(f"[bold red]Configuration:[/] {escape(str(error))}", soft_wrap=True)
    elif isinstance(error, LakeFault):
        console.print(f"[bold red]✗[/] {escape(str(error))}", soft_wrap=True)
    else:
        sentence = explained(f"{type(error).__name__}: {error}", settings)
        console.print(f"[bold red]✗[/] {escape(sentence)}", soft_wrap=True)
        log = settings.data_dir / "error.log"
        with suppress(OSError):
            log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
            console.print(f"[dim]Where it happened: {escape(str(log))}[/]", soft_wrap=True)


def deliver(folder: Path, landing: Path, names: Sequence[str] = ("**/*",)) -> None:
    """Copy delivered files into landing/, keeping their times, so that a second delivery is no news.

    `names` are the patterns of the files wanted, relative to the folder.

    Raises:
        ConfigError: the folder has no file by one of these names; nothing was copied.
    """
    files = {
        name: [path for path in folder.glob(name) if path.is_file() and path.name != "truth.json"] for name in names
    }
    if missing := [name for name, found in files.items() if not found]:
        raise ConfigError(
            f"{folder}: holds no {' and no '.join(missing)}; DIR=<folder> is where the delivered files are"
        )
    for file in sorted(path for found in files.values() for path in found):
        target = landing / file.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)


def run(settings: Settings, console: Console) -> int:
    """Run the whole pipeline as one Dagster run in this process and print what came of it."""
    started = time.monotonic()
    os.environ.update(settings.environment())
    settings.landing.mkdir(parents=True, exist_ok=True)
    load_sources(settings)  # a fault in the configuration shows before anything else happens
    load_extractors(settings)
    check_reference(settings)
    read_configuration(settings)
    hold_lake(settings.lake)
    console.print("[dim]Starting Dagster ...[/]")

    from orchestration.pipeline import run_pipeline  # noqa: PLC0415  (Dagster takes seconds to import)

    outcome = run_pipeline(settings, console)
    for fault in send_alerts(settings):
        console.print(f"[yellow]{escape(fault)}[/]", soft_wrap=True)
    if not outcome.is_success:
        console.print()
        for problem in outcome.problems:
            console.print(f"[bold red]✗[/] {escape(problem)}", soft_wrap=True)
        kept = "The published file is as it was." if settings.serving.exists() else "Nothing was published."
        console.print(f"\n[bold]{kept}[/] Repair what is named above and run again.", soft_wrap=True)
        return FAILURE
    print_summary(settings, console)
    state = "published" if outcome.is_published else "nothing new, the published file stays as it is"
    console.print(f"[dim]{time.monotonic() - started:.0f} s, {state}[/]")
    return 0


def extract(settings: Settings, names: Sequence[str], days: tuple[date | None, date | None], console: Console) -> int:
    """Bring what is new in the APIs of the named sources (default: all with credentials) into landing/.

    With `days`, the first and the one after the last, it is what changed on them, whatever was delivered before.
    """
    from orchestration.api import ExtractError  # noqa: PLC0415
    from orchestration.extract import Window, extract  # noqa: PLC0415

    extractors = load_extractors(settings)
    window = None
    if any(days):
        zone = ZoneInfo(settings.variables["business_time_zone"])
        start, end = (datetime.combine(day, datetime.min.time(), zone) if day else datetime.now(UTC) for day in days)
        if not names or start >= end:
            raise ConfigError("a backfill needs the sources by name, --from, and with --to a later day than --from")
        window = Window(start, end)
    if unknown := sorted(set(names) - extractors.keys()):
        raise ConfigError(
            f"{', '.join(unknown)}: not in `sources:`, or without a file in extractors/; known: {', '.join(extractors)}"
        )
    is_success = True
    for name, extractor in extractors.items():
        if not names and (missing := extractor.missing(os.environ)):
            console.print(f"[dim]- {name}  skipped: {' and '.join(missing)} not set[/]", soft_wrap=True)
        elif not names or name in names:
            try:
                for delivery in extract(settings, extractor, window=window):
                    is_success = is_success and delivery.error is None
                    if delivery.error:
                        console.print(f"[red]✗[/] {escape(delivery.error)}", soft_wrap=True)
                    else:
                        figures = f"{delivery.records} new or changed, {delivery.unchanged} unchanged"
                        console.print(f"[green]✓[/] {name}.{escape(delivery.resource)}  [dim]{figures}[/]")
            except (ConfigError, ExtractError) as error:  # of this source; the others are extracted all the same
                is_success = False
                console.print(f"[red]✗[/] {escape(str(error))}", soft_wrap=True)
    return 0 if is_success else FAILURE


def compact(settings: Settings, console: Console) -> int:
    """Put small loads together, table by table; what was loaded when stays as it is."""
    from orchestration import compact as compaction  # noqa: PLC0415  (a run does without it)

    is_compact = True
    for table, before, after in compaction.compact(settings.lake, load_sources(settings).tables):
        is_compact = False
        console.print(f"[green]✓[/] {table}  [dim]{before} folders of loads are {after} now[/]")
    if is_compact:
        console.print("No table has several small loads: nothing to do.")
    return 0


def print_summary(settings: Settings, console: Console) -> None:
    """Print the published result."""
    from orchestration import summary  # noqa: PLC0415

    summary.print_summary(settings, console)


def as_known(settings: Settings, moment: str, console: Console) -> int:
    """Build the models from what was known at `moment`, and print the headline; nothing else is touched."""
    from orchestration import summary  # noqa: PLC0415

    known_at = parse_moment(moment, settings.variables["business_time_zone"])
    if not any(datetime.fromisoformat(load.loaded_at) <= known_at for load in registered_loads(settings.lake)):
        raise ConfigError(f"{moment}: nothing had been loaded by then")
    known = replace(settings, as_known_at=known_at)
    verify_loads(settings.lake)
    known.warehouse.parent.mkdir(parents=True, exist_ok=True)
    known.warehouse.unlink(missing_ok=True)
    console.print(f"[dim]Building what was known at {known.variables['as_known_at']} UTC ...[/]")
    status = dbt(known, ["build", "--quiet", "--resource-type", "seed", "--resource-type", "model"])
    if status == 0:
        summary.print_headline(known.warehouse, console)
        console.print(escape(str(known.warehouse)), soft_wrap=True)
    return status


def push_to_postgres(settings: Settings, console: Console) -> int:
    """Push the published tables to PostgreSQL, all in one transaction."""
    from orchestration import postgres  # noqa: PLC0415

    target = postgres.connection_string(os.environ)
    served = settings.published_file()
    try:
        rows = postgres.push(served, target)
    except postgres.PushError as error:
        console.print(f"[bold red]PostgreSQL:[/] {escape(str(error))}", soft_wrap=True)
        return FAILURE
    console.print(f"[green]✓[/] {len(rows)} tables, {sum(rows.values()):,} rows")
    return 0


def rollback(settings: Settings, publication_id: str | None, console: Console) -> int:
    """Show an earlier publication again, and say what that means."""
    from orchestration.publish import roll_back  # noqa: PLC0415

    shown = roll_back(settings, publication_id or None)
    console.print(
        f"Shown again: [bold]{shown}[/]. What was taken back is not published again from the same loads, code and "
        "configuration.",
        soft_wrap=True,
    )
    return 0


def parse_moment(text: str, time_zone: str) -> datetime:
    """A time, UTC where it names no zone, or a day of `time_zone`, which means its last microsecond.

    Raises:
        ConfigError: it is neither.
    """
    try:
        if len(text) > len("2025-03-31"):
            moment = datetime.fromisoformat(text)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        next_day = date.fromisoformat(text) + timedelta(days=1)
    except (ValueError, OverflowError):  # the last day of the calendar has no next one
        raise ConfigError(f"{text!r} is no moment; give a day or a time, such as AT=2025-03-31") from None
    start = datetime(next_day.year, next_day.month, next_day.day, tzinfo=ZoneInfo(time_zone))
    return start - timedelta(microseconds=1)


def export(settings: Settings, owner_id: str | None, target: Path | None, console: Console) -> int:
    """Write the domain of an owner into a DuckDB file, or without one the figures for anybody."""
    from orchestration.export import export_outside, export_owner  # noqa: PLC0415

    target = _target(settings, target, f"owner_{_file_name(owner_id)}.duckdb" if owner_id else "outside.duckdb")
    if owner_id:
        rows = export_owner(settings, owner_id, target)
        told = ", ".join(f"{count:,} {table}" for table, count in rows.items())
    else:
        told = "{:,} rows shown, {:,} hidden".format(*export_outside(settings, target))
    console.print(f"[green]✓[/] {escape(str(target))}  [dim]{told}[/]", soft_wrap=True)
    return 0


def report(settings: Settings, owner_id: str, target: Path | None, console: Console) -> int:
    """Write the page of an owner for a staff meeting."""
    from orchestration.report import write_report  # noqa: PLC0415

    target = _target(settings, target, f"report_{_file_name(owner_id)}.html")
    write_report(settings, owner_id, target)
    console.print(
        f"[green]✓[/] {escape(str(target))}  [dim]one page; open it in a browser, print it from there[/]",
        soft_wrap=True,
    )
    return 0


def superset_bundle(settings: Settings, served_at: str | None, target: Path | None, console: Console) -> int:
    """Write the database, datasets, charts and dashboard of bi/superset/ as a zip file that Superset imports."""
    from orchestration.superset import write_bundle  # noqa: PLC0415

    target = _target(settings, target, "superset.zip")
    write_bundle(settings, target, served_at)
    console.print(
        f"[green]✓[/] {escape(str(target))}  [dim]in Superset: Dashboards, Import dashboards[/]", soft_wrap=True
    )
    return 0


def _target(settings: Settings, target: Path | None, default: str) -> Path:
    """Where a file for others is written.

    Raises:
        ConfigError: it would stand among the project's own or in the place of one, or is a folder.
    """
    target = target or settings.exports / default
    path = target.resolve()
    if path.is_dir():
        raise ConfigError(f"{target}: is a folder; name a file in it, such as {target / default}")
    if path.is_relative_to(settings.data_dir) and not path.is_relative_to(settings.exports.resolve()):
        raise ConfigError(f"{target}: choose {settings.exports}, or a place outside of {settings.data_dir}")
    return target


def _file_name(owner_id: str) -> str:
    return re.sub("[^A-Za-z0-9_-]", "_", owner_id)


def forget(settings: Settings, person: str, console: Console) -> int:
    """Erase a person from landing, lake, warehouse, pages and published files, and search them all for what is left.

    What was begun and not ended (a kill, a run that failed) is ended by the same command.
    """
    from orchestration import forget as forgetting  # noqa: PLC0415  (a run without it does not need it)

    tables = load_sources(settings).tables
    plan = forgetting.make_plan(settings, tables, person)
    forgetting.erase(settings, tables, plan)
    sys.argv[1:] = ["forget"]  # dbt logs the command line
    if run(settings, console):
        console.print("[bold red]Not forgotten yet:[/] the former publication stands. Run the same command again.")
        return FAILURE
    for path in (holding := forgetting.finish(settings, plan)):
        console.print(f"[bold red]✗[/] {escape(str(path))}: still names the person", soft_wrap=True)
    if not holding:
        console.print(f"[green]✓[/] forgotten; {len(plan.files)} file(s) of landing/ that named the person are removed")
    return FAILURE if holding else 0


def docs(settings: Settings, console: Console) -> int:
    """Build the documentation: what dbt knows of the models, and around it the site."""
    from orchestration.documentation import write_site  # noqa: PLC0415

    if status := dbt(settings, ["docs", "generate", "--static", "--no-compile", "--quiet"]):
        return status
    index = escape(str(write_site(settings, settings.site)))
    console.print(f"[green]✓[/] {index}  [dim]open it in a browser[/]", soft_wrap=True)
    return 0


def dev(settings: Settings) -> int:
    """Open Dagster on the loopback address, in this process's place."""
    from orchestration.pipeline import configure_dagster  # noqa: PLC0415

    configure_dagster(settings)
    os.chdir(ROOT)
    os.environ.update(settings.environment())
    dagster = Path(sys.executable).with_name("dagster")
    port = os.environ.get("NPS_DAGSTER_PORT", "3000")
    os.execv(
        dagster,
        [
            "dagster",
            "dev",
            "--module-name",
            "orchestration.definitions",
            "--host",
            "127.0.0.1",
            "--port",
            port,
        ],
    )


def open_dashboard(settings: Settings) -> int:
    """Open the dashboard on the loopback address."""
    os.environ.update({"NPS_CONFIG_DIR": str(settings.config_dir), "NPS_DATA_DIR": str(settings.data_dir)})
    os.chdir(ROOT / "dashboard")  # where Streamlit finds its configuration
    from streamlit.logger import set_log_level  # noqa: PLC0415
    from streamlit.web import cli  # noqa: PLC0415

    # The pages are loaded before anybody waits for the first one; Streamlit would warn that it does not serve yet.
    set_log_level("error")
    import dashboard.app  # noqa: PLC0415

    port = os.environ.get("NPS_DASHBOARD_PORT", "8501")
    cli.main(["run", str(dashboard.app.__file__), "--server.port", port], prog_name="streamlit")
    return 0


def run_example(name: str, folder: Path, console: Console) -> int:
    """Run examples/<name> over the files of `folder`, with its own configuration and data folder."""
    configuration = ROOT / "examples" / name
    if not configuration.is_dir():
        raise ConfigError(f"examples/{name}: no such example")
    base = Settings.from_env()
    settings = Settings(config_dir=configuration, data_dir=base.data_dir / "examples" / name)
    deliver(folder, settings.landing, [table.files for table in load_sources(settings).tables])
    return run(settings, console)


def dbt(settings: Settings, arguments: Sequence[str]) -> int:
    """Run dbt as the pipeline does: same variables, same target folder."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # noqa: PLC0415
    from dbt.cli.main import cli  # noqa: PLC0415

    takes_vars = ["--help"]
    if arguments:
        sources = load_sources(settings)
        declare_columns(sources.tables, settings.lake)
        takes_vars = [*arguments, *dbt_vars(sources)]
    os.environ.update(settings.environment())
    with lake_lock(readers_of(settings.lake), is_shared=True):
        try:
            cli(takes_vars, prog_name="dbt")
        except SystemExit as end:
            return int(end.code or 0)
        finally:
            DuckDBConnectionManager.close_all_connections()
    return 0


# Either keeps the kinds of survey apart; a query that was saved does.
OF_ONE_KIND = ("survey_type", "survey__survey_name", "--saved-query", "--help")


def mf(settings: Settings, arguments: Sequence[str]) -> int:
    """Ask MetricFlow about the published figures.

    Raises:
        ConfigError: nothing is published, or relationship, transactional and episodic surveys would be one number.
    """
    if "query" in arguments and not any(name in argument for argument in arguments for name in OF_ONE_KIND):
        raise ConfigError(
            "relationship, transactional and episodic surveys are never pooled; add survey__survey_type to --group-by, "
            """or --where "{{ Dimension('survey__survey_type') }} = 'relationship'\""""
        )
    import update_checker  # noqa: PLC0415
    from dbt_metricflow.cli import main as metricflow  # noqa: PLC0415

    from orchestration.transform import parsed_manifest  # noqa: PLC0415

    settings.published_file()
    os.environ.update(settings.environment())
    parsed_manifest(settings, load_sources(settings))
    # mf reads target/ of its project and no other folder, so each data folder gets a project for it.
    project = settings.dbt_target / "metricflow"
    (project / "target").mkdir(parents=True, exist_ok=True)
    semantics = json.loads((settings.dbt_target / "semantic_manifest.json").read_text(encoding="utf-8"))
    known = without_tables(semantics, settings.variables["unpublished"])
    (project / "target" / "semantic_manifest.json").write_text(json.dumps(known), encoding="utf-8")
    (project / "dbt_project.yml").write_text("name: nps\nprofile: nps\n", encoding="utf-8")
    # The manifest names relations after the warehouse file; the published one stands in for it, and is only read.
    published = {"path": str(settings.serving), "alias": settings.warehouse.stem, "read_only": True}
    output = {"type": "duckdb", "path": ":memory:", "attach": [published], "settings": {"TimeZone": "UTC"}}
    profile = {"nps": {"target": "duckdb", "outputs": {"duckdb": output}}}
    (project / "profiles.yml").write_text(yaml.safe_dump(profile), encoding="utf-8")
    os.environ.update({"DBT_PROJECT_DIR": str(project), "DBT_PROFILES_DIR": str(project)})
    # mf asks a server for a newer version of itself on every call; nothing here phones home.
    update_checker.UpdateChecker.check = lambda *_: None
    metricflow.cli(args=list(arguments), prog_name="mf")
    return 0


def without_tables(semantics: Mapping[str, Any], tables: Collection[str]) -> dict[str, Any]:
    """A semantic manifest without the metrics and saved queries that need one of the `tables`, which nobody can ask."""
    models = [model for model in semantics["semantic_models"] if model["node_relation"]["alias"] not in tables]
    measures = {measure["name"] for model in models for measure in model["measures"]}
    metrics = [
        metric
        for metric in semantics["metrics"]
        if measures.issuperset(measure["name"] for measure in metric["type_params"]["input_measures"])
    ]
    names = {metric["name"] for metric in metrics}
    queries = [query for query in semantics["saved_queries"] if names.issuperset(query["query_params"]["metrics"])]
    return {**semantics, "semantic_models": models, "metrics": metrics, "saved_queries": queries}


def sqlfluff(settings: Settings) -> int:
    """Lint the SQL of the dbt project as dbt compiles it."""
    executable = str(Path(sys.executable).with_name("sqlfluff"))
    settings.dbt_target.mkdir(parents=True, exist_ok=True)
    command = [executable, "lint", "--disable-progress-bar", "dbt_project/models", "dbt_project/data_tests"]
    return subprocess.run(command, env=os.environ | settings.environment(), cwd=ROOT, check=False).returncode


def say_no_more() -> None:
    """Close the way to the terminal for what is only taken down.

    DuckDB's library lists objects there that Python frees after it: dozens of lines, about nothing that anybody can
    mend, below what the command had to say.
    """
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


if __name__ == "__main__":
    atexit.register(say_no_more)  # registered first, it comes last
    logging.captureWarnings(True)
    sys.exit(main(sys.argv[1:]))
