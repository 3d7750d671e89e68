"""What the abstraction costs: loading and `dbt build` beside one hand-written DuckDB script, in the same run.

Both start from the same lake and end in the same tables, which are compared row for row; then ten usual dashboard
queries are timed on the published file, the guards are measured, and a day's batch is loaded and built upon it all.
dbt's data tests are measured by themselves. Where Spark is installed, it builds the same beside DuckDB. How well
comments are classified is measured on labelled ones.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles

import duckdb
from rich.console import Console
from rich.table import Table

from benchmarks import engines
from benchmarks.loading import write_answers
from benchmarks.queries import DASHBOARD_QUERIES
from benchmarks.themes import MODEL, quality, seconds_per_million
from expectations.validation import declare_results
from orchestration import loader
from orchestration.publish import publish, settle_log
from orchestration.served_file import published_relations
from orchestration.settings import ROOT, Settings
from orchestration.sources import SEEDS_AND_MODELS, dbt_vars, load_sources
from seeds.generate import generate

INVITATIONS_PER_ANSWER = 5
REPETITIONS = 20
# How many days back the late and the edited answers of a batch go.
BATCHES = {"a day's batch": 60, "the same, strewn over the whole history": 10 * 365}


@dataclass(frozen=True)
class Cost:
    """What a process took; on a busy machine the seconds of CPU say more than those of the clock."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the whole comparison; 1 when a table differs or a step fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--answers", type=int, default=1_000_000, help="about how many answers (default %(default)s)")
    parser.add_argument("--folder", type=Path, help="where to work; raw files and lake found there are used again")
    parser.add_argument("--keep", action="store_true", help="leave everything there for a look")
    parser.add_argument("--only-loading", action="store_true", help="load a CSV file of so many answers, and stop")
    parser.add_argument(
        "--only-themes", action="store_true", help="classify labelled and so many other comments, and stop"
    )
    parser.add_argument("--only-engines", action="store_true", help="build on DuckDB and on Spark, compare, and stop")
    options = parser.parse_args(arguments)
    # How cases stand depends on the moment: one for all builds that are compared.
    os.environ.setdefault("NPS_AS_OF", f"{datetime.now(UTC):%Y-%m-%d}")
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    # Files that lie in a folder of the user's stay: making ten million answers again takes minutes.
    with working_folder(options.folder, keep=options.keep) as folder:
        if options.only_themes:
            settings = Settings(config_dir=ROOT, data_dir=folder.resolve())
            build_little(settings)
            print_themes(settings, options.answers, Console())
            return 0
        if options.only_engines:
            settings = make_company(folder.resolve(), options.answers, Console())
            return 1 if compare_engines(settings, build(settings)[0], Console()) else 0
        compare_loading(folder.resolve(), options.answers, Console())
        return 0 if options.only_loading else compare(folder.resolve(), options.answers, Console())


@contextmanager
def working_folder(parent: Path | None, *, keep: bool) -> Iterator[Path]:
    """The folder as given when it is kept, otherwise a temporary one in it."""
    if keep:
        yield parent or Path(tempfile.mkdtemp(prefix="nps-bench-"))
    else:
        with tempfile.TemporaryDirectory(prefix="nps-bench-", dir=parent) as temporary:
            yield Path(temporary)


def make_company(folder: Path, answers: int, console: Console) -> Settings:
    """Generate and load a company of so many answers, where the folder has none; nothing is built."""
    settings = Settings(config_dir=ROOT, data_dir=folder)
    console.print(f"[dim]{folder}[/]", soft_wrap=True)
    if not (settings.landing / "truth.json").exists():
        seconds = timed(
            lambda: generate(
                settings.landing,
                answers=answers,
                invitations_per_answer=INVITATIONS_PER_ANSWER,
                file_format="parquet",
            )
        )
        console.print(f"generated in {seconds:,.1f} s")
    if not settings.lake.exists():
        loading = timed(lambda: load(settings))
        copying = timed(lambda: copy_plainly(settings.landing, folder / "copied"))
        console.print(f"loaded in {loading:,.1f} s; plain DuckDB COPY of the same files {copying:,.1f} s")
    declare_results(settings.check_results)
    settle_log(settings)
    settings.warehouse.unlink(missing_ok=True)
    return settings


def compare(folder: Path, answers: int, console: Console) -> int:
    """Generate, load, build twice, compare, publish and query."""
    settings = make_company(folder, answers, console)
    handwritten = folder / "handwritten.duckdb"
    handwritten.unlink(missing_ok=True)
    by_hand = run_measured(
        [sys.executable, "-m", "benchmarks.handwritten", str(settings.lake), str(handwritten)],
        environment={"DBT_ENV_SECRET_CONTACT_SALT": settings.contact_salt},
    )
    by_dbt, models = build(settings)

    table = Table("", "time", "CPU", "peak memory", "database")
    for name, cost, database in (("by hand", by_hand, handwritten), ("dbt", by_dbt, settings.warehouse)):
        table.add_row(
            name,
            f"{cost.seconds:,.1f} s",
            f"{cost.cpu_seconds:,.1f} s",
            f"{cost.peak_bytes / 2**30:.2f} GB",
            f"{database.stat().st_size / 2**20:,.0f} MB",
        )
    pairs = (
        (by_dbt.seconds, by_hand.seconds),
        (by_dbt.cpu_seconds, by_hand.cpu_seconds),
        (by_dbt.peak_bytes, by_hand.peak_bytes),
    )
    table.add_row("ratio", *(f"{one / other:.2f}" for one, other in pairs), "")
    console.print(table)
    console.print(slowest(models))
    console.print(testing(settings))
    print_themes(settings, answers, console)

    differences = differing_tables(settings.warehouse, handwritten, console)
    differences += compare_engines(settings, by_dbt, console)
    started = time.process_time()
    console.print(publishing(settings))
    console.print(guard_costs(folder, by_dbt.cpu_seconds + time.process_time() - started))
    console.print(query_times(settings.serving))

    for name, days in BATCHES.items():
        rows = deliver_batch(settings.landing, days)
        seconds = timed(lambda: load(settings))
        console.print(f"{name}: {rows:,} answers, loaded in {seconds:,.1f} s")
        by_batch, batch_models = build(settings)
        console.print(slowest(batch_models))
        in_models = sum(seconds for _, seconds in batch_models)
        share = in_models / sum(seconds for _, seconds in models)
        console.print(
            f"built in {by_batch.seconds:,.1f} s, {by_batch.cpu_seconds:,.1f} s CPU, "
            f"{by_batch.peak_bytes / 2**30:.2f} GB; "
            f"its models took {in_models:,.1f} s, {100 * share:.1f} % of the full build"
        )
        console.print(testing(settings))
        console.print(publishing(settings))
    if differences:
        console.print(f"[bold red]What should be equal differs in {', '.join(differences)}[/]")
        return 1
    return 0


def publishing(settings: Settings) -> str:
    """Publish, and say what it took."""
    started, started_cpu = time.monotonic(), time.process_time()
    publication = publish(settings, run_id="bench", fingerprint="bench", published_at=datetime.now(UTC))
    return (
        f"published {'anew' if publication.is_new_file else 'by difference'} in {time.monotonic() - started:,.1f} s, "
        f"{time.process_time() - started_cpu:,.1f} s CPU, {publication.path.stat().st_size / 2**20:,.0f} MB"
    )


def timed(step: Callable[[], object]) -> float:
    """The seconds a step takes."""
    started = time.monotonic()
    step()
    return time.monotonic() - started


# ---------------------------------------------------------------------------------------------- loading


def load(settings: Settings) -> None:
    """Load every file of landing/ as the pipeline does, without the guard."""
    loader.load_all(load_sources(settings).tables, settings.landing, settings.lake)


def compare_loading(folder: Path, rows: int, console: Console) -> None:
    """Load one CSV file, and copy it plainly, three times by turns; the median of each side."""
    file = folder / "answers.csv"
    write_answers(file, rows)
    costs: dict[str, list[Cost]] = {"copy": [], "load": []}
    for turn in range(3):
        for side, measured in costs.items():
            target = folder / f"{side}-{turn}"
            measured.append(
                run_measured([sys.executable, "-m", "benchmarks.loading", side, str(file), str(target)], environment={})
            )
            shutil.rmtree(target)
    file.unlink()
    table = Table(f"{rows:,} answers from CSV", "time", "CPU", "peak memory")
    medians = {
        side: [median(getattr(cost, name) for cost in measured) for name in ("seconds", "cpu_seconds", "peak_bytes")]
        for side, measured in costs.items()
    }
    for side, (seconds, cpu_seconds, peak_bytes) in medians.items():
        table.add_row(side, f"{seconds:,.1f} s", f"{cpu_seconds:,.1f} s", f"{peak_bytes / 2**30:.2f} GB")
    speeds = [copied / loaded for copied, loaded in zip(medians["copy"], medians["load"], strict=True)]
    table.add_row("speed of loading", f"{speeds[0]:.2f}", f"{speeds[1]:.2f}", "")
    console.print(table)


def copy_plainly(landing: Path, copied: Path) -> None:
    """The least that loading could be: each file read and written once as text, with its name and line."""
    with duckdb.connect() as connection:
        for number, file in enumerate(sorted(landing.rglob("*.parquet"))):
            copied.mkdir(parents=True, exist_ok=True)
            connection.execute(
                f"""
                copy (
                    select columns(*)::varchar, filename, file_row_number
                    from read_parquet('{file}', filename = true, file_row_number = true)
                ) to '{copied / f"{number}.parquet"}' (format parquet, compression zstd)
                """
            )


def deliver_batch(landing: Path, days: int) -> int:
    """What a day brings, 0.1 % of the answers: half are edited, a quarter new with their invitations, a quarter late.

    They are rows of the history, the new ones under keys of their own: at the time of the newest answers or, late and
    edited, at their own within the last `days` of the history, as the invitations are. Returns how many.
    """
    name = f"batch-{len(list(landing.glob('delighted/survey_responses/batch-*'))) + 1}"
    answers, requests = landing / "delighted" / "survey_responses", landing / "delighted" / "survey_requests"
    with duckdb.connect() as connection:
        connection.execute(f"create view answers as from read_parquet('{answers}/*.parquet')")
        connection.execute(f"create view requests as from read_parquet('{requests}/*.parquet')")
        connection.execute(
            f"""
            create table chosen as
            with timed as (
                -- The very latest times are those of broken clocks.
                select
                    *,
                    quantile_disc(created_at, 0.99) over () as newest
                from answers
                where length(created_at) = 10
            )

            select
                *,
                hash(id) % 4 as kind
            from timed
            where
                cast(created_at as bigint) between cast(newest as bigint) - {days} * 86400 and cast(newest as bigint)
            order by hash(id, '{name}')
            limit (select count(*) // 1000 from answers)
            """
        )
        connection.execute(
            f"""
            copy (
                select * exclude (kind, newest) replace (
                    case when kind < 2 then id else id || '{name}' end as id,
                    case when kind < 2 then score else cast(hash(id) % 11 as varchar) end as score,
                    case when kind = 2 then newest else created_at end as created_at,
                    case when kind = 3 then created_at else newest end as updated_at,
                    case when kind < 2 then survey_request else survey_request || '{name}' end as survey_request
                )
                from chosen
            ) to '{answers / name}.parquet' (format parquet)
            """
        )
        connection.execute(
            f"""
            copy (
                select requests.* replace (requests.id || '{name}' as id)
                from requests
                inner join chosen on requests.id = chosen.survey_request
                where chosen.kind >= 2
                union all
                -- Sent and not answered: nine out of ten.
                (
                    select requests.* replace (requests.id || '{name}' as id)
                    from requests
                    where
                        try_cast(created_at as bigint)
                        > (select cast(max(newest) as bigint) from chosen) - {days} * 86400
                    order by hash(requests.id, '{name}')
                    limit (select count(*) // 1000 from requests)
                )
            ) to '{requests / name}.parquet' (format parquet)
            """
        )
        counted = connection.execute("select count(*) from chosen").fetchone()
    return counted[0] if counted else 0


# ---------------------------------------------------------------------------------------------- building


def build(settings: Settings) -> tuple[Cost, list[tuple[str, float]]]:
    """Build seeds and models with dbt; what it took, and each of them with its seconds."""
    cost = run_dbt(settings, *SEEDS_AND_MODELS)
    return cost, model_seconds(settings.dbt_target / "run_results.json")


def testing(settings: Settings) -> str:
    """Run the data tests as a build does: of all rows, or of those touched since the publication before."""
    cost = run_dbt(settings, "build", "--resource-type", "test")
    return f"data tests took {cost.seconds:,.1f} s, {cost.cpu_seconds:,.1f} s CPU, {cost.peak_bytes / 2**30:.2f} GB"


def run_dbt(settings: Settings, *arguments: str) -> Cost:
    """Run a dbt command to its end; what it took."""
    dbt = str(Path(sys.executable).with_name("dbt"))
    return run_measured([dbt, *arguments, *dbt_vars(load_sources(settings))], settings.environment())


def compare_engines(settings: Settings, on_duckdb: Cost, console: Console) -> list[str]:
    """Build on Spark what DuckDB has built; which published tables differ. Without Spark, say so."""
    if not settings.spark_python.exists():
        console.print(f"[dim]no build on Spark: {settings.spark_python} is not there (make .spark/.installed)[/]")
        return []
    environment = settings.environment() | {
        "PYSPARK_SUBMIT_ARGS": os.environ.get("PYSPARK_SUBMIT_ARGS") or engines.spark_arguments(settings)
    }
    on_spark = run_measured([str(settings.spark_python), "-m", "orchestration.spark"], environment)
    table = Table("the same build", "time", "peak memory")
    for name, cost in (("DuckDB", on_duckdb), ("Spark", on_spark)):
        table.add_row(name, f"{cost.seconds:,.1f} s", f"{cost.peak_bytes / 2**30:.2f} GB")
    table.add_row(
        "ratio", f"{on_spark.seconds / on_duckdb.seconds:.1f}", f"{on_spark.peak_bytes / on_duckdb.peak_bytes:.1f}"
    )
    console.print(table)
    differing = engines.differing_tables(settings.warehouse, settings.spark_tables)
    console.print(f"tables that differ: {', '.join(differing) or 'none'}")
    return differing


def slowest(models: list[tuple[str, float]]) -> Table:
    """The ten slowest models, and all together."""
    table = Table("slowest dbt models", "time")
    for name, seconds in models[:10]:
        table.add_row(name, f"{seconds:,.1f} s")
    table.add_row("all models and seeds", f"{sum(seconds for _, seconds in models):,.1f} s")
    return table


def run_measured(command: Sequence[str], environment: dict[str, str]) -> Cost:
    """Run a process to its end; its wall time and the peak of resident memory, with the processes it started.

    Raises:
        subprocess.CalledProcessError: it failed; what it printed is on the terminal.
    """
    started = time.monotonic()
    with subprocess.Popen(
        command, env=os.environ | environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        printed: list[str] = []
        reader = threading.Thread(target=lambda: printed.extend(process.stdout or []))
        reader.start()
        together = [0]
        ended = threading.Event()
        watch = threading.Thread(target=watch_memory, args=(process.pid, together, ended))
        watch.start()
        # wait4 gives the resources of just this child, where getrusage gives the largest of all so far.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        ended.set()
        watch.join()
        reader.join()
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        print("".join(printed), file=sys.stderr)
        raise subprocess.CalledProcessError(process.returncode, command)
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(seconds, usage.ru_utime + usage.ru_stime, max(usage.ru_maxrss * unit, *together))


def watch_memory(pid: int, together: list[int], ended: threading.Event) -> None:
    """Append the resident bytes of a process and all below it, every second: Spark's is one that nobody waits for."""
    while not ended.wait(1):
        listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,rss="], capture_output=True, text=True, check=True)
        processes = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
        family = {pid}
        while more := {one for one, parent, _ in processes if parent in family} - family:
            family |= more
        together.append(1024 * sum(kilobytes for one, _, kilobytes in processes if one in family))


def model_seconds(run_results: Path) -> list[tuple[str, float]]:
    """The models and seeds of a dbt run with their seconds, the slowest first."""
    results = json.loads(run_results.read_text())["results"]
    seconds = [(result["unique_id"].split(".")[-1], float(result["execution_time"])) for result in results]
    return sorted(seconds, key=lambda pair: -pair[1])


def guard_costs(folder: Path, run_cpu_seconds: float) -> Table:
    """The CPU of the guards, as seconds and as share of building (their models aside) and publishing."""
    command = [sys.executable, "-m", "benchmarks.guards", str(folder)]
    parts = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    without_guards = run_cpu_seconds - parts["their models"]
    table = Table("guards", "CPU", "of building and publishing")
    for name, seconds in (parts | {"together": sum(parts.values())}).items():
        table.add_row(name, f"{seconds:,.1f} s", f"{100 * seconds / without_guards:.1f} %")
    return table


# ---------------------------------------------------------------------------------------------- themes


def build_little(settings: Settings) -> None:
    """Build a company of few answers, so that the SQL of the models lies there."""
    generate(settings.landing, answers=2_000, invitations_per_answer=INVITATIONS_PER_ANSWER, file_format="parquet")
    load(settings)
    declare_results(settings.check_results)
    settle_log(settings)
    build(settings)


def print_themes(settings: Settings, comments: int, console: Console) -> None:
    """How well comments are classified by the model as dbt compiled it, and what so many of them take."""
    compiled = settings.dbt_target / "compiled" / "nps" / MODEL
    console.print(quality(compiled))
    console.print(
        f"classified {comments:,} comments at {seconds_per_million(compiled, comments):,.1f} s CPU per million"
    )


# ---------------------------------------------------------------------------------------------- comparing


def differing_tables(warehouse: Path, handwritten: Path, console: Console) -> list[str]:
    """Of the tables that the script by hand makes, those whose columns or rows differ."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{warehouse}' as warehouse (read_only)")
        connection.execute(f"attach '{handwritten}' as hand (read_only)")
        return [name for name in published_relations(connection, "hand") if not is_equal(connection, name, console)]


def is_equal(connection: duckdb.DuckDBPyConnection, name: str, console: Console) -> bool:
    """Compare the columns of a table on both sides, then the bag of its rows by count and sum of hashes."""
    columns, columns_by_hand = (
        [column[:2] for column in connection.execute(f"describe {database}.{name}").fetchall()]
        for database in ("warehouse", "hand")
    )
    if columns != columns_by_hand:
        console.print(f"[red]{name}[/]: columns {columns} by dbt, {columns_by_hand} by hand")
        return False
    content, by_hand = (
        connection.execute(f"select count(*), sum(hash(rows)::hugeint) from {database}.{name} as rows").fetchall()[0]
        for database in ("warehouse", "hand")
    )
    if content == by_hand:
        return True
    console.print(f"[red]{name}[/]: {content[0]:,} rows by dbt, {by_hand[0]:,} by hand; some that differ:")
    for one, other in (("warehouse", "hand"), ("hand", "warehouse")):
        for row in connection.execute(f"from {one}.{name} except from {other}.{name} order by all limit 3").fetchall():
            console.print(f"  only {one}: {row}", soft_wrap=True)
    return False


# ---------------------------------------------------------------------------------------------- querying


def query_times(serving: Path) -> Table:
    """Each dashboard query some times, the file attached anew for each, so that a new publication is seen at once."""
    table = Table("dashboard query", "rows", "p50", "p95", "max")
    everything: list[float] = []
    with duckdb.connect() as connection:
        for name, query in DASHBOARD_QUERIES.items():
            milliseconds = []
            rows = 0
            for _ in range(REPETITIONS):
                started = time.monotonic()
                connection.execute(f"attach '{serving}' as nps (read_only)")
                connection.execute("use nps")
                rows = len(connection.execute(query).fetchall())
                connection.execute("use memory")
                connection.execute("detach nps")
                milliseconds.append((time.monotonic() - started) * 1000)
            everything += milliseconds
            table.add_row(name, f"{rows:,}", *spread(milliseconds))
    table.add_row("all", "", *spread(everything))
    return table


def spread(milliseconds: list[float]) -> list[str]:
    """The median, the 95th percentile and the maximum, to be read."""
    p95 = quantiles(milliseconds, n=20, method="inclusive")[-1]
    return [f"{value:,.1f} ms" for value in (median(milliseconds), p95, max(milliseconds))]


if __name__ == "__main__":
    sys.exit(main())
