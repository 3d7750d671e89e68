"""Faults of the machine: each ends in a sentence, with nothing lost and nothing half done."""

from __future__ import annotations

import json
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest
from rich.console import Console

from orchestration import __main__ as command_line
from orchestration import ingest, loader, pipeline
from orchestration.faults import explained, last_build
from orchestration.loader import verify_loads
from orchestration.publications import prepare, settle
from orchestration.quality import has_come_due, has_turned_late
from orchestration.register import REGISTER_FILE, LakeDamaged, registered_loads
from orchestration.settings import ROOT, ConfigError, Settings
from orchestration.sources import Guard, Table, load_sources
from orchestration.transform import _build_time, dbt_failures, dbt_test_results, parsed_manifest

ANSWERS = Table(
    "shop", "files", "answers", files="shop/*", columns=("id", "score", "at"), guard=Guard(score="score", time="at")
)
IN_FUTURE = datetime(2099, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class House:
    """A data folder with one table."""

    settings: Settings

    def deliver(self, name: str, rows: int = 20) -> Path:
        file = self.settings.landing / "shop" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        answers = (f"{name}-{number},{number % 11},2025-03-01 12:00:00" for number in range(rows))
        file.write_text("\n".join(["id,score,at", *answers, ""]), encoding="utf-8")
        return file

    def load(self) -> list[str]:
        """Load what is new, as a run does; why files were refused."""
        return ingest.load_new_files(self.settings, [ANSWERS], run_id="run")[ANSWERS.key].unreadable

    def loaded(self) -> set[str]:
        return {load.file for load in registered_loads(self.settings.lake)}

    def stored(self) -> list[Path]:
        """The files of the loads, but for the register's entries."""
        return sorted((self.settings.lake / "raw").glob("*/*/load_id=2*/*.parquet"))


@pytest.fixture(scope="module")
def loaded_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with one load."""
    house = House(Settings(config_dir=ROOT, data_dir=tmp_path_factory.mktemp("loaded")))
    house.deliver("a.csv")
    assert house.load() == []
    return house.settings.data_dir


@pytest.fixture
def house(loaded_once: Path, tmp_path: Path) -> House:
    """A copy of it, to do things to."""
    shutil.copytree(loaded_once, tmp_path / "data", copy_function=shutil.copy2)
    return House(Settings(config_dir=ROOT, data_dir=tmp_path / "data"))


# ------------------------------------------------------------------------------- disk, rights, two at once


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """A disk with room for files of this many bytes, as a write sees it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", ["b.csv", "b.csv.gz", "b.jsonl"])
def test_a_full_disk_is_no_fault_of_the_file(house: House, name: str) -> None:
    """Nothing of it is loaded, it is not refused, and the next run loads it."""
    file = house.deliver("b.csv", rows=20_000)
    if name != file.name:
        rows = f"from read_csv('{file}', all_varchar = true)"
        duckdb.execute(f"copy ({rows}) to '{file.with_name(name)}' (format {'csv' if '.csv' in name else 'json'})")
        file.unlink()
    with largest_file(40_000), pytest.raises((OSError, duckdb.IOException)) as fault:
        house.load()
    assert explained(str(fault.value), house.settings).startswith("the disk is full, or fails: make room")
    assert house.loaded() == {"shop/a.csv"}
    assert list((house.settings.lake / "incoming").iterdir()) == []
    assert house.load() == []
    assert house.loaded() == {"shop/a.csv", f"shop/{name}"}


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o500)
    if os.access(data, os.W_OK):
        data = Path("/proc/nps")  # where nobody can write, whoever runs this
    said = run_command(data, monkeypatch)
    assert f"{data}" in said
    assert "Traceback" not in said


def test_any_other_fault_is_a_sentence_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "landing").write_text("a file where a folder should be")
    said = run_command(tmp_path, monkeypatch)
    assert f"File exists: '{tmp_path / 'landing'}'" in said
    assert "Traceback" not in said
    assert "Traceback" in (tmp_path / "error.log").read_text(encoding="utf-8")


def test_what_is_said_of_a_name_is_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brackets are no markup of the console."""

    def refuse(_: Settings) -> None:
        raise ConfigError("exclusions.csv:2: '[a-z]+(' is no regular expression, nor is [/x]")

    monkeypatch.setattr(command_line, "check_reference", refuse)
    said = run_command(tmp_path / "[b]", monkeypatch)
    assert "Configuration: exclusions.csv:2: '[a-z]+(' is no regular expression, nor is [/x]" in said

    monkeypatch.undo()
    outcome = pipeline.Outcome(is_success=False, problems=["landing/[/x].csv: [red] is missing"])
    monkeypatch.setattr(pipeline, "run_pipeline", lambda *_: outcome)
    said = run_command(tmp_path / "[b]", monkeypatch)
    assert "✗ landing/[/x].csv: [red] is missing" in said


def run_command(data: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `run` says, which must fail."""
    console = Console(width=500, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    monkeypatch.setattr(command_line, "Console", lambda **_: console)
    monkeypatch.setenv("NPS_DATA_DIR", str(data))
    assert command_line.main(["run"]) == 1
    return console.export_text()


# ------------------------------------------------------------------------------------ damaged files


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (loader.DATA_FILE, "cut"),
        (loader.DATA_FILE, "one bit"),
        (loader.MALFORMED_FILE, "gone"),
        (loader.MALFORMED_FILE, "empty"),
    ],
)
def test_a_damaged_file_of_the_lake_is_named_with_the_way_back(house: House, name: str, damage: str) -> None:
    """Parquet itself does not notice most single bits: the rows would just be other ones."""
    verify_loads(house.settings.lake)
    [file] = [file for file in house.stored() if file.name == name]
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        file.write_bytes({"cut": content[:-9], "one bit": flipped, "empty": b""}[damage])
    with pytest.raises(LakeDamaged) as fault:
        verify_loads(house.settings.lake)
    assert str(fault.value).startswith(f"{file} is damaged")
    assert "landing/ still has shop/a.csv" in str(fault.value)
    # As it says: without the folder, the delivered file is loaded again.
    for path in (*file.parent.iterdir(), file.parent):
        path.rmdir() if path.is_dir() else path.unlink()
    assert house.load() == []
    assert house.loaded() == {"shop/a.csv"}
    verify_loads(house.settings.lake)


@pytest.mark.parametrize("entry", ["{", '{"load_id": 1}'])
def test_a_damaged_entry_of_the_register_is_named(house: House, entry: str) -> None:
    [file] = (house.settings.lake / "raw").glob(f"*/*/*/{REGISTER_FILE}")
    file.write_text(entry)
    with pytest.raises(LakeDamaged, match=r"_load\.json is damaged"):
        house.load()


def warehouse_built_at(warehouse: Path, built_at: datetime) -> None:
    with duckdb.connect(warehouse) as connection:
        connection.execute("create schema builds")
        connection.execute("create table builds.model_builds as select 'm' as model_name, $1::timestamp as built_at, "
                           "true as is_full, 'd1' as definition", [built_at.replace(tzinfo=None)])  # fmt: skip


@pytest.mark.parametrize("damage", ["cut", "one bit", "empty", "text"])
def test_a_damaged_warehouse_is_removed_for_it_is_a_cache(tmp_path: Path, damage: str) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    warehouse_built_at(warehouse, IN_FUTURE)
    build = last_build(warehouse)
    assert build
    assert (build.definition, build.built_at) == ("d1", IN_FUTURE.replace(tzinfo=None))
    content = warehouse.read_bytes()
    flipped = content[:9000] + bytes([content[9000] ^ 1]) + content[9001:]
    warehouse.write_bytes({"cut": content[:9000], "one bit": flipped, "empty": b"", "text": b"x" * 9000}[damage])
    assert last_build(warehouse) is None
    assert not warehouse.exists() or not warehouse.stat().st_size  # an empty file is a new database to DuckDB


def test_a_delivered_file_without_the_right_to_read_is_no_fault_of_the_folder(tmp_path: Path) -> None:
    settings = Settings(config_dir=ROOT, data_dir=tmp_path)
    refused = "shop/a.csv: cannot be opened (Permission denied); check the file and its rights"
    assert explained(refused, settings) == refused
    assert "cannot be written" in explained(f"[Errno 13] Permission denied: '{tmp_path}/lake'", settings)


@pytest.mark.parametrize("moment", ["9999-12-31", "soon"])
def test_a_day_beyond_the_calendar_is_no_moment(moment: str) -> None:
    with pytest.raises(ConfigError, match="is no moment; give a day or a time"):
        command_line.parse_moment(moment, "UTC")


def test_the_damaged_database_is_named_where_duckdb_says_which(tmp_path: Path) -> None:
    settings = Settings(config_dir=ROOT, data_dir=tmp_path)
    cut = "IO Error: Could not read enough bytes from file"
    assert explained(f'{cut} "{settings.serving}"', settings).startswith(f"{settings.serving} is damaged, remove it")
    said = explained("Corrupt database file: computed checksum 1 does not match stored checksum 2", settings)
    assert f"is it {settings.warehouse}, or {settings.serving}, remove it" in said


def test_a_published_file_that_cannot_be_read_is_published_again(tmp_path: Path) -> None:
    (tmp_path / "nps.duckdb").write_bytes(b"damaged")
    assert has_turned_late(tmp_path / "nps.duckdb")
    assert has_come_due(tmp_path / "nps.duckdb", IN_FUTURE)


def test_a_manifest_that_a_build_left_cut_is_not_what_dagster_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dbt writes its own anew in each build: on a full disk, or killed, half of it."""
    settings = Settings(config_dir=ROOT, data_dir=tmp_path)
    parsed = []

    class Runner:
        def invoke(self, arguments: list[str]) -> SimpleNamespace:
            parsed.append(arguments)
            (settings.dbt_target / "manifest.json").write_text('{"nodes": {}}')
            return SimpleNamespace(success=True)

    monkeypatch.setattr("dbt.cli.main.dbtRunner", Runner)
    sources = load_sources(settings)
    parsed_manifest(settings, sources)
    (settings.dbt_target / "manifest.json").write_text('{"nod')
    assert json.loads(parsed_manifest(settings, sources).read_text()) == {"nodes": {}}
    assert len(parsed) == 1


def test_results_that_dbt_left_cut_do_not_hide_why_it_ended(tmp_path: Path) -> None:
    (tmp_path / "run_results.json").write_text('{"results": [')
    assert "no space left" in " ".join(dbt_failures(tmp_path, OSError("no space left on device")))
    assert dbt_test_results(tmp_path, run_id="run") == []


# ------------------------------------------------------------------------- a clock that is set back


def test_loads_keep_their_order_when_the_clock_is_set_back(house: House) -> None:
    file = house.deliver("b.csv")
    lake = house.settings.lake
    staged = loader.stage(ANSWERS, file, house.settings.landing, lake, IN_FUTURE)
    assert staged
    loader.commit(staged)
    for name in ("c.csv", "d.csv"):
        house.deliver(name)
        assert house.load() == []
    loads = registered_loads(lake)
    assert [load.file[-5:] for load in loads] == ["a.csv", "b.csv", "c.csv", "d.csv"]
    times = [datetime.fromisoformat(load.loaded_at) for load in loads]
    assert times[1:] == [IN_FUTURE + timedelta(microseconds=number) for number in range(3)]


def test_builds_and_publications_keep_their_order_when_the_clock_is_set_back(tmp_path: Path) -> None:
    settings = Settings(config_dir=ROOT, data_dir=tmp_path)
    settle(settings.lake, None)
    now = datetime.now(UTC).replace(tzinfo=None)
    assert now <= _build_time(settings, None) < now + timedelta(minutes=1)
    warehouse_built_at(settings.warehouse, IN_FUTURE)
    build = last_build(settings.warehouse)
    assert _build_time(settings, build) == IN_FUTURE.replace(tzinfo=None) + timedelta(microseconds=1)
    # What a build leaves for the log, as far as the order goes.
    with duckdb.connect(settings.warehouse) as connection:
        connection.execute("update builds.model_builds set model_name = 'int_answer_changes'")
        connection.execute("create table builds.current_loads as select null::varchar as load_id where false")
        for name, source in (
            ("staging.stg_lake__loads", "loads"),
            ("marts.nps_by_segment_period", "numbers"),
            ("intermediate.int_answer_states", "answers"),
            ("intermediate.int_answer_changes", "answers"),
            ("intermediate.int_daily_changes", "changes"),
        ):
            connection.execute(f"create schema if not exists {name.split('.')[0]}")
            rows = "select null::varchar as load_id, null::timestamp as loaded_at where false"
            if source != "loads":
                declared = settings.lake / "publications" / "declared" / f"{source}.parquet"
                rows = f"select *, false as is_complete_period from '{declared}'"
            connection.execute(f"create table {name} as {rows}")
    entries = []
    for published_at in (IN_FUTURE, datetime(2025, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)):
        with duckdb.connect() as connection:
            connection.execute(f"attach '{settings.warehouse}' as warehouse (read_only)")
            entry = prepare(connection, settings.lake, published_at, "inputs")
        settle(settings.lake, entry.publication_id)
        entries.append(entry)
        with duckdb.connect(settings.warehouse) as connection:
            connection.execute("update builds.model_builds set built_at = built_at + interval 1 second")
    assert [entry.published_at for entry in entries] == [
        IN_FUTURE.replace(tzinfo=None) + timedelta(microseconds=number) for number in range(3)
    ]
    assert len({entry.publication_id for entry in entries}) == 3
    settings.warehouse.unlink()
    assert _build_time(settings, last_build(settings.warehouse)) > entries[-1].built_at
