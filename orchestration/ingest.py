"""Loading: the files in landing/ become loads in the lake, once each, after the guard has judged them.

One asset per raw table, one step for all of them, so that the guard passes over the new files once.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from expectations.last_results import write_index
from expectations.thresholds import read_thresholds
from orchestration import loader
from orchestration.extractors import Extractor
from orchestration.landing import extracted_keys
from orchestration.quality import as_check_result
from orchestration.readers import RefusedFile
from orchestration.reference import check_reference
from orchestration.register import Load
from orchestration.settings import Settings
from orchestration.sources import Sources, Table

READABLE = "new_files_are_readable"
VALID = "new_rows_are_valid"


@dataclass
class TableReport:
    """What a run did to one raw table."""

    loads: list[Load] = field(default_factory=list)
    repeats: list[str] = field(default_factory=list)  # files that bring once more what was the last to be loaded
    unreadable: list[str] = field(default_factory=list)  # messages that name file and remedy
    invalid: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)  # of the guard, for every file

    def metadata(self) -> dict[str, Any]:
        """Figures for the Dagster page."""
        return {
            "new_files": len(self.loads),
            "dagster/partition_row_count": sum(load.rows for load in self.loads),
            "malformed_rows": sum(load.malformed_rows for load in self.loads),
            "files": [load.file for load in self.loads],
            "repeated_files": self.repeats,
            "unexpected_columns": sorted({c for load in self.loads for c in load.extra_columns}),
        }


def load_new_files(settings: Settings, tables: Sequence[Table], *, run_id: str) -> dict[tuple[str, str], TableReport]:
    """Load every file of `tables` that is not in the lake yet; refuse, whole, those that are broken.

    A refused file leaves no trace in the lake: it is judged again by the next run, so that repairing it,
    removing it or changing a threshold is all a steward needs to do. The caller holds the lake.
    """
    reports: dict[tuple[str, str], TableReport] = defaultdict(TableReport)
    loader.prepare_lake(tables, settings.lake)
    times = loader.load_times(settings.lake)
    staged = []
    unreadable: list[tuple[Table, str | None, str]] = []
    for table in tables:
        try:
            files = loader.new_files(table, settings.landing, settings.lake)
        except RefusedFile as refusal:
            unreadable.append((table, None, str(refusal)))
            continue
        for file in files:
            try:
                new = loader.stage(table, file, settings.landing, settings.lake, next(times))
            except RefusedFile as refusal:
                unreadable.append((table, loader.name_of(file, settings.landing), str(refusal)))
            else:
                if new is None:
                    reports[table.key].repeats.append(file.relative_to(settings.landing).as_posix())
                else:
                    staged.append((table, new))
    for table, _, fault in unreadable:
        reports[table.key].unreadable.append(fault)
    refused = _judge(settings, staged, unreadable, reports, run_id=run_id)
    for table, new in staged:
        if new.load.file in refused[table.key]:
            loader.discard(new)
        elif (load := loader.commit(new)).load_id == new.load.load_id:
            reports[table.key].loads.append(load)
        else:
            reports[table.key].repeats.append(new.load.file)
    return reports


def _judge(
    settings: Settings,
    staged: Sequence[tuple[Table, loader.StagedLoad]],
    unreadable: Sequence[tuple[Table, str | None, str]],
    reports: dict[tuple[str, str], TableReport],
    *,
    run_id: str,
) -> dict[tuple[str, str], set[str]]:
    """Run the guard over the staged files and write its results and the unreadable files; what it refuses, by table."""
    refused: dict[tuple[str, str], set[str]] = defaultdict(set)
    if not staged and not unreadable:
        write_index(settings.check_results, settings.data_docs, run_id)  # that there is none
        return refused
    # Great Expectations takes two seconds to import; a run without new files does without.
    from expectations import validation  # noqa: PLC0415

    thresholds = read_thresholds(settings)
    outcome = validation.validate_loads(
        [
            validation.StagedLoad(
                source_system=table.lake_source,
                table_name=table.name,
                file=new.load.file,
                path=new.data,
                columns=table.columns,
                column_changes=changes,
                rows_malformed=new.load.malformed_rows,
                profile=validation.LoadProfile(table.guard.score, table.guard.time, table.guard.where),
            )
            for (table, new), changes in zip(staged, _column_changes(staged, settings), strict=True)
        ],
        thresholds,
        run_id,
    )
    refusals = [
        validation.refuse_file(".".join(table.key), file, fault, thresholds, run_id)
        for table, file, fault in unreadable
    ]
    validation.write_results([*outcome.checks, *refusals], settings.check_results)
    validation.build_data_docs(outcome, settings.data_docs)
    write_index(settings.check_results, settings.data_docs, run_id)
    keys = {".".join(table.key): table.key for table, _ in staged}
    for check in outcome.checks:
        key = keys[check.table_name]
        reports[key].results.append(check)
        if check.is_success or check.item is None:
            continue
        if check.is_blocking:
            refused[key].add(check.item)
            reports[key].invalid.append(check.sentence)
        else:
            reports[key].warnings.append(check.sentence)
    return refused


def _column_changes(staged: Sequence[tuple[Table, loader.StagedLoad]], settings: Settings) -> Iterator[str | None]:
    """What each staged file has other columns than the one before it, of the same table and source; in their order."""
    latest: dict[Table, list[str] | None] = {}
    for table, new in staged:
        columns = new.load.columns
        before = latest[table] if table in latest else loader.latest_columns(table, settings.lake)
        latest[table] = columns
        changes = [] if before is None else [f"+{c}" for c in columns if c not in before]
        changes += [f"-{c}" for c in before or [] if c not in columns]
        yield ", ".join(changes) or None


def lake_assets(sources: Sources) -> list[dg.AssetSpec]:
    """What loading and the guards write beside the raw tables, for the lineage: dbt reads it as sources."""
    raw = [dg.AssetKey(list(key)) for key in sources.lake_tables]
    return [
        dg.AssetSpec(
            dg.AssetKey(["lake", name]),
            deps=raw,
            group_name="raw",
            owners=["team:data-engineering"],
            kinds={kind},
            description=description,
        )
        for name, kind, description in (
            ("loads", "json", "The load register: one row per loaded file."),
            ("malformed_rows", "parquet", "Delivered lines that could not be read as a row."),
            ("check_results", "parquet", "Every check of every run, as the guards wrote it."),
            ("publications", "parquet", "The publication log: when was published, and from what."),
            ("published_numbers", "parquet", "The publication log: the numbers that were new or other ones."),
            ("published_answers", "parquet", "The publication log: the answers that were new or counted otherwise."),
            (
                "published_changes",
                "parquet",
                "The publication log: the changes of the counts, day by day and by cause.",
            ),
        )
    ]


def raw_table_assets(settings: Settings, sources: Sources, extractors: Mapping[str, Extractor]) -> dg.AssetsDefinition:
    """The raw tables of the lake as Dagster assets, each with two blocking checks, below those of the APIs."""
    keys = {dg.AssetKey(list(key)): tables for key, tables in sources.lake_tables.items()}

    @dg.multi_asset(
        name="load",
        pool=loader.LAKE_POOL,
        description="Reads each new file of landing/ once, as text, and adds it to the lake if it is sound.",
        specs=[
            dg.AssetSpec(
                key,
                deps=extracted_keys(extractors[s] for s in {t.source_system for t in tables} & extractors.keys()),
                group_name="raw",
                owners=["team:data-engineering"],
                kinds={"parquet"},
                description=f"{key.path[0]}: rows as delivered, from files {' and '.join(t.files for t in tables)}.",
                skippable=True,
            )
            for key, tables in keys.items()
        ],
        check_specs=[
            dg.AssetCheckSpec(name, asset=key, blocking=True, description=description)
            for key in keys
            for name, description in (
                (READABLE, "Every new file could be read whole; a broken one is refused and not loaded."),
                (
                    VALID,
                    "Schema, score validity and times of every new file are within expectations/thresholds.yml.",
                ),
            )
        ],
        can_subset=True,
    )
    def load(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        check_reference(settings)  # read when Dagster has long been started, and before anything else happens
        loader.hold_lake(settings.lake)
        # A check started alone means its table: there is nothing to judge but new files.
        selected = context.selected_asset_keys | {key.asset_key for key in context.selected_asset_check_keys}
        tables = [table for key in sorted(selected) for table in keys[key]]
        reports = load_new_files(settings, tables, run_id=context.run_id)
        for key in sorted(selected):
            report = reports[(key.path[0], key.path[1])]
            for sentence in [*report.unreadable, *report.invalid]:
                context.log.error(sentence)
            for file in report.repeats:
                context.log.info(f"{file}: is what was delivered last, so it is no load")
            if key in context.selected_asset_keys:
                yield dg.MaterializeResult(asset_key=key, metadata=report.metadata())
            for name, failures, warnings, results in (
                (READABLE, report.unreadable, [], []),
                (VALID, report.invalid, report.warnings, report.results),
            ):
                if dg.AssetCheckKey(key, name) in context.selected_asset_check_keys:
                    yield as_check_result(key, name, failures, warnings=warnings, results=results)

    return load
