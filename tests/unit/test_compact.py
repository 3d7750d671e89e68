"""Compaction: whatever was loaded reads the same before and after, and at every moment in between."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration import compact as compaction
from orchestration.__main__ import main
from orchestration.compact import Compacted, compact, exchange
from orchestration.loader import (
    DATA_FILE,
    MALFORMED_FILE,
    LakeBusy,
    lake_lock,
    load_all,
    readers_of,
    verify_loads,
)
from orchestration.register import REGISTER_FILE, LakeDamaged, LakeFault, Load, read_register, registered_loads
from orchestration.sources import Table

# Two sources in one lake table, and a table of its own.
HEADERS = {"shop": "id,score", "web": "id,rating", "crm": "id,score"}
TABLES = (
    Table("shop", "files", "answers", files="shop/*", columns=("id", "score"), optional_columns=("lang",)),
    Table("web", "files", "answers", files="web/*", columns=("id", "rating")),
    Table("crm", "crm", "people", files="crm/*", columns=("id", "score")),
)
MANY_ROWS = 1000


class House:
    """A landing folder and a lake of two tables."""

    def __init__(self, root: Path) -> None:
        self.landing, self.lake = root / "landing", root / "lake"

    def deliver(self, source: str, name: str, lines: Sequence[str], more: str = "") -> None:
        """A file of a source; `lines` may fit its header or not, `more` is another column of it."""
        file = self.landing / source / f"{name}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join([HEADERS[source] + more, *lines, ""]), encoding="utf-8")

    def load(self) -> int:
        """Load what is new, as a run does; how many files that were."""
        return len(load_all([replace(table, is_required=False) for table in TABLES], self.landing, self.lake))

    def compact(self, large_rows: int = MANY_ROWS) -> list[Compacted]:
        return list(compact(self.lake, TABLES, large_rows))

    def rows(self) -> list[list[dict[str, Any]]]:
        """What is read of each table, and of all that was no row: values by column, in the order of delivery."""
        globs = (f"files/answers/*/{DATA_FILE}", f"crm/people/*/{DATA_FILE}", f"*/*/*/{MALFORMED_FILE}")
        found = []
        with duckdb.connect() as connection:
            for glob in globs:
                files = f"read_parquet('{self.lake}/raw/{glob}', union_by_name = true, hive_partitioning = false)"
                read = connection.execute(f"from {files} order by _load_id, _line")
                names = [column[0] for column in read.description or []]
                rows = [dict(zip(names, row, strict=True)) for row in read.fetchall()]
                found.append([{name: row[name] for name in sorted(row) if row[name] is not None} for row in rows])
        return found

    def register(self) -> list[Load]:
        """Its entries, but for the hashes of the files."""
        return [replace(load, stored={}) for load in registered_loads(self.lake)]

    def folders(self) -> list[Path]:
        return sorted(self.lake.glob(f"raw/*/*/*/{REGISTER_FILE}"))


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Five loads, three of them in the table of two sources."""
    house = House(tmp_path)
    house.deliver("shop", "a", ["1,9", "2,0"])
    house.deliver("shop", "b", ["1,9", "2,1"])
    house.deliver("web", "a", ["1,9,well", "too,many,fields,here"], ",mood")
    house.deliver("crm", "a", ["1,2"])
    house.deliver("crm", "b", ["1,3"])
    assert house.load() == 5
    return house


LINES = st.lists(st.sampled_from(["1,9", "2,0", "1,9", "x", "", "3,1,de", '4,"5\n6"', "5,1,a,b"]), max_size=6)
DELIVERY = st.tuples(st.sampled_from(sorted(HEADERS)), LINES, st.sampled_from(["", ",mood", ",Mood", ",lang"]))


@settings(max_examples=int(os.environ.get("LOADER_EXAMPLES", "6")), deadline=None)
@given(st.lists(st.tuples(DELIVERY, st.booleans()), min_size=2, max_size=5), st.integers(1, 12))
def test_whatever_comes_reads_the_same(deliveries: list[tuple[Any, bool]], large_rows: int) -> None:
    with TemporaryDirectory() as folder:
        house = House(Path(folder))
        for number, ((source, lines, more), is_compacted_then) in enumerate(deliveries):
            house.deliver(source, str(number), lines, more)
            house.load()
            if is_compacted_then:
                house.compact(large_rows)
        rows, register, folders = house.rows(), house.register(), len(house.folders())
        done = house.compact(large_rows)

        assert house.rows() == rows
        assert house.register() == register
        verify_loads(house.lake)
        assert sum(before - after for _, before, after in done) == folders - len(house.folders())
        small = [path.parent.parent for path in house.folders() if rows_of(path) < large_rows]
        assert len(small) == len(set(small)), "two small folders of one table"
        assert house.compact(large_rows) == []
        # What was loaded is known, as a file and as content, and so is what came last under another name.
        assert house.load() == 0
        for number, ((source, lines, more), _) in enumerate(deliveries):
            house.deliver(source, str(number), lines, more)
        assert house.load() == 0
        for source, lines, more in {delivery[0]: delivery for delivery, _ in deliveries}.values():
            house.deliver(source, "again", lines, more)
        assert house.load() == 0
        assert house.rows() == rows


def rows_of(register: Path) -> int:
    return sum(load.rows + load.malformed_rows for load in read_register([register]))


def test_what_is_large_stays_where_it_is(house: House) -> None:
    house.deliver("shop", "large", [f"{row},1" for row in range(20)])
    house.load()
    assert house.compact(10) == [("crm.people", 2, 1), ("files.answers", 4, 2)]
    assert [len(read_register([path])) for path in house.folders()] == [2, 3, 1]


# ------------------------------------------------------------------------------------------------- at every moment

# The last is the exchange; what is only written, nobody reads.
CHANGES = {"os.mkdir", "os.link", "os.rename", "os.remove", "os.rmdir", "ctypes.dlsym"}


def compact_until(house: House, changes: int) -> None:
    """Compact, and be killed before so many changes of the file system are done."""
    done = 0

    def count(event: str, _: Any) -> None:
        nonlocal done
        if event in CHANGES:
            done += 1
            if done == changes:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    house.compact()
    os._exit(0)


def test_a_kill_at_any_moment_leaves_every_row_once(house: House, tmp_path: Path) -> None:
    rows, register = house.rows(), house.register()
    context = multiprocessing.get_context("fork")
    states = set()
    for kills in range(1, 1000):
        killed = House(tmp_path / "killed")
        shutil.copytree(house.lake, killed.lake)
        child = context.Process(target=compact_until, args=(killed, kills))
        child.start()
        child.join()
        assert killed.rows() == rows, f"killed before change {kills}"
        assert killed.register() == register
        verify_loads(killed.lake)
        states.add(len(killed.folders()))
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
        if kills % 7 == 0:  # as it does after any
            killed.compact()
            assert killed.rows() == rows
            assert len(killed.folders()) == 2
            assert list((killed.lake / "incoming").iterdir()) == []
        shutil.rmtree(killed.lake)
    assert kills > 30
    assert states == {5, 4, 2}  # none, one, both of the tables


def load_and_compact(house: House, rounds: int) -> None:
    for number in range(rounds):
        house.deliver("shop", f"{number:03}", [f"{10 * number + row},1" for row in range(10)])
        house.load()
        house.compact()
    os._exit(0)


def test_who_reads_meanwhile_finds_every_row_once(tmp_path: Path) -> None:
    house, rounds = House(tmp_path), 4
    house.deliver("shop", "none", [])
    house.load()
    child = multiprocessing.get_context("fork").Process(target=load_and_compact, args=(house, rounds))
    child.start()
    counts = []
    while child.is_alive():
        with lake_lock(readers_of(house.lake), is_shared=True):
            ids = [int(row["id"]) for row in house.rows()[0]]
        assert ids == list(range(len(ids)))
        counts.append(len(ids))
        time.sleep(0.02)
    assert child.exitcode == 0
    assert sorted(counts) == counts and len(set(counts)) > 2
    assert len(house.rows()[0]) == 10 * rounds
    assert len(house.folders()) == 1


def test_compaction_waits_for_runs_and_readers(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    before = house.folders()
    monkeypatch.setattr(compaction, "lake_lock", partial(lake_lock, wait_seconds=0.1))
    with lake_lock(house.lake), pytest.raises(LakeBusy):
        house.compact()
    with lake_lock(readers_of(house.lake), is_shared=True), pytest.raises(LakeBusy):
        house.compact()
    assert house.folders() == before
    assert len(house.compact()) == 2


def test_the_command_says_what_it_did(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NPS_DATA_DIR", str(house.lake.parent))
    assert main(["compact"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "✓ crm.people  2 folders of loads are 1 now",
        "✓ files.answers  3 folders of loads are 1 now",
    ]
    assert main(["compact"]) == 0
    assert "nothing to do" in capsys.readouterr().out


# -------------------------------------------------------------------------------------------------------- what fails


def test_what_is_damaged_is_not_compacted(house: House) -> None:
    data = house.folders()[0].with_name(DATA_FILE)
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    before = house.folders()
    with pytest.raises(LakeDamaged, match="is damaged: it is not what was written"):
        house.compact()
    assert house.folders() == before
    assert data.read_bytes() == content


def test_rows_that_the_register_does_not_count_are_noticed(house: House) -> None:
    entry = house.folders()[0]
    load = json.loads(entry.read_text())
    entry.write_text(json.dumps({**load, "rows": load["rows"] + 1, "stored": {}}))
    before = house.folders()
    with pytest.raises(LakeDamaged, match="not those that the register counts"):
        house.compact()
    assert house.folders() == before


def test_a_file_system_that_cannot_exchange_folders_says_so(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with pytest.raises(LakeFault, match=r"is not compacted: its file system cannot exchange two folders"):
        exchange(tmp_path / "one", Path("/proc/self"))
    assert (tmp_path / "one").is_dir()
