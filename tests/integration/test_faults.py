"""Whole runs that are killed, and what readers of the published file see meanwhile."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from tests.conftest import ROOT, Pipeline

# At more moments than CI has time for: NPS_KILLS=100 pytest tests/integration/test_faults.py
KILLS = int(os.environ.get("NPS_KILLS", "2"))
LATEST_KILL_SECONDS = 12 if "NPS_KILLS" not in os.environ else 40


def test_killed_runs_end_where_an_undisturbed_one_does(sample: Pipeline, tmp_path: Path) -> None:
    """With a damaged warehouse and an empty lake at first, beside a published file that is never out of reach."""
    pipeline = Pipeline(tmp_path / "data")
    shutil.copytree(sample.data, pipeline.data, copy_function=shutil.copy2)
    moments = random.Random(KILLS)
    is_killed = False
    with readers(pipeline) as reading:
        for _ in range(KILLS):
            if not is_killed:  # there is nothing left to disturb
                shutil.rmtree(pipeline.data / "lake")
                pipeline.warehouse.write_bytes(b"damaged")
            is_killed = start_and_kill(pipeline, moments.uniform(1, LATEST_KILL_SECONDS))
        printed = pipeline.succeed("run")
    assert "Traceback" not in printed
    assert reading.errors == []
    assert reading.count > 10 * KILLS
    # Which of two equal rows counts is a matter of order; what is counted is not.
    places = ("load_id", "loaded_at", "source_file", "source_line")
    assert pipeline.content("marts", but=places) == sample.content("marts", but=places)
    left = [path for name in ("incoming", "publishing") for path in (pipeline.data / "lake" / name).glob("*")]
    assert left == []
    assert not list(pipeline.serving.parent.glob("*.publishing*"))


def start_and_kill(pipeline: Pipeline, seconds: float) -> bool:
    """Start a run and kill it, with all the processes it started, after so many seconds; False when it ended before."""
    run = subprocess.Popen(
        [sys.executable, "-m", "orchestration", "run"],
        cwd=ROOT,
        env=os.environ | {"NPS_DATA_DIR": str(pipeline.data)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert run.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        return True
    return False


class Reading:
    """What became of the questions to the published file."""

    def __init__(self) -> None:
        self.count = 0
        self.errors: list[str] = []

    def ask(self, serving: Path) -> None:
        """Whether a new connection finds one publication, whole."""
        try:
            with duckdb.connect(serving, read_only=True) as connection:
                counts = connection.execute(
                    """
                    select
                        (select count(*) from quality.publication),
                        (select sum(responses) from marts.nps_overall where segment = 'all'),
                        (select count(*) from marts.fct_nps_responses)
                    """
                ).fetchone()
            self.count += 1
            if not counts or counts[0] != 1 or not counts[1] or counts[1] != counts[2]:
                self.errors.append(f"torn: {counts}")
        except duckdb.Error as error:
            self.errors.append(str(error))


@contextmanager
def readers(pipeline: Pipeline) -> Iterator[Reading]:
    """Somebody who asks the published file all the time."""
    reading, stop = Reading(), threading.Event()

    def read() -> None:
        while not stop.wait(0.1):
            reading.ask(pipeline.serving)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield reading
    finally:
        stop.set()
        thread.join()
