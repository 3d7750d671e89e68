"""Readers and kills while publications follow each other: always one publication, whole, and the log says which."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from datetime import UTC, timedelta
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path

import duckdb
import pytest

from orchestration.publish import publish, settle_log
from orchestration.served_file import KEYED
from orchestration.settings import ROOT, Settings
from tests.warehouse import START, change, make_warehouse

READERS = 8
# By hand: NPS_PUBLICATIONS=200 pytest tests/integration/test_readers.py
PUBLICATIONS = int(os.environ.get("NPS_PUBLICATIONS", "5"))
KILLS = PUBLICATIONS
# Forked from a process that has imported everything, and nothing else.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.integration.test_readers"])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(config_dir=ROOT, data_dir=tmp_path)
    make_warehouse(settings)
    publish_version(settings, 0)
    return settings


def publish_version(settings: Settings, version: int) -> None:
    at = START.replace(tzinfo=UTC) + timedelta(days=version, hours=1)
    publish(settings, run_id="run", fingerprint=str(version), published_at=at)


def version_shown(file: Path) -> int:
    """The version that all tables of a published file agree on, twice over one connection."""
    tables = ["marts.nps_by_segment_period", *KEYED]
    query = " union all ".join(f"select max(version) from {table}" for table in tables)
    query += f" union all select date_diff('day', timestamp '{START}', built_at) from quality.publication"
    with duckdb.connect(file, read_only=True, config={"threads": 1}) as connection:
        first, second = (connection.execute(query).fetchall() for _ in range(2))
    versions = {version for (version,) in first + second}
    assert len(versions) == 1, versions
    return int(versions.pop())


def read(
    file: Path, is_over: Event, published: Synchronized[int], reads: Synchronized[int], faults: Synchronized[int]
) -> None:
    """Ask until it is over; a fault is an error, a mixture, or a publication older than the connection."""
    test = multiprocessing.parent_process()
    while test and test.is_alive() and not is_over.is_set():
        before = published.value
        try:
            is_sound = version_shown(file) >= before
        except Exception as error:
            print(repr(error))
            is_sound = False
        with reads.get_lock():
            reads.value += 1
            faults.value += not is_sound
        time.sleep(0.3)


def test_readers_see_one_publication_and_the_latest(settings: Settings) -> None:
    is_over = PROCESSES.Event()
    published, reads, faults = (PROCESSES.Value("i", 0) for _ in range(3))
    arguments = (settings.serving, is_over, published, reads, faults)
    readers: list[BaseProcess] = [PROCESSES.Process(target=read, args=arguments) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    try:
        for version in range(1, PUBLICATIONS + 1):
            change(settings, START + timedelta(days=version), version)
            publish_version(settings, version)
            published.value = version
    finally:
        is_over.set()
        for reader in readers:
            reader.join(60)
    assert faults.value == 0
    assert reads.value > PUBLICATIONS
    assert version_shown(settings.serving) == PUBLICATIONS


def publish_on(settings: Settings, version: int) -> None:
    """One publication after the other, until killed."""
    while True:
        change(settings, START + timedelta(days=version), version)
        publish_version(settings, version)
        version += 1


def test_a_kill_leaves_one_publication_and_its_log(settings: Settings) -> None:
    choice = random.Random(1)
    for _ in range(KILLS):
        with duckdb.connect(settings.warehouse, read_only=True) as warehouse:
            (version,) = warehouse.execute("select max(version) from marts.nps_by_segment_period").fetchall()[0]
        process = PROCESSES.Process(target=publish_on, args=(settings, version + 1))
        process.start()
        time.sleep(choice.uniform(0.1, 1.5))
        process.kill()
        process.join()
        shown = version_shown(settings.serving)
        settle_log(settings)
        logged = [folder.name for folder in (settings.lake / "publications").iterdir() if folder.name != "declared"]
        assert max(logged) == f"{START + timedelta(days=shown, hours=1):%Y%m%dT%H%M%S%fZ}"
        assert not list((settings.lake / "publishing").iterdir())
    publish_version(settings, 300)
    assert not list(settings.serving.parent.glob("*.publishing*"))
