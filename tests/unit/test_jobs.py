"""The sensor: a run for complete new files, and none for those still being written; and compaction as a job."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from orchestration import loader
from orchestration.jobs import alert_sensor, arrival_sensor, compact_job
from orchestration.register import registered_loads
from orchestration.settings import ROOT, Settings
from orchestration.sources import load_sources

HEADER = "person_id,bounced_at\n"


class Landing:
    """A landing folder, and the sensor that watches it from tick to tick."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(config_dir=ROOT, data_dir=folder)
        self.sources = load_sources(self.settings)
        self.sensor = arrival_sensor(self.settings, self.sources)
        self.cursor: str | None = None
        self.file = self.settings.landing / "delighted" / "bounces" / "2024-01.csv"
        self.file.parent.mkdir(parents=True)

    def look(self) -> dg.RunRequest | dg.SkipReason:
        """One tick."""
        context = dg.build_sensor_context(cursor=self.cursor)
        answer = self.sensor(context)
        self.cursor = context.cursor
        assert isinstance(answer, dg.RunRequest | dg.SkipReason)
        return answer

    def load(self) -> None:
        """Load everything, as the run would."""
        tables = [table for table in self.sources.tables if table.name == "bounces"]
        loader.load_all(tables, self.settings.landing, self.settings.lake)


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path)


def skipped(answer: dg.RunRequest | dg.SkipReason) -> str:
    assert isinstance(answer, dg.SkipReason)
    return answer.skip_message or ""


def test_nothing_new_is_no_run(landing: Landing) -> None:
    assert "no new file" in skipped(landing.look())


def test_a_file_that_grows_is_waited_for(landing: Landing) -> None:
    landing.file.write_text(HEADER)
    assert "2024-01.csv" in skipped(landing.look())
    landing.file.write_text(HEADER + "1,1700000000\n")
    assert "2024-01.csv" in skipped(landing.look())
    assert isinstance(landing.look(), dg.RunRequest)


def test_a_second_file_is_waited_for_too(landing: Landing) -> None:
    landing.file.write_text(HEADER + "1,1700000000\n")
    landing.look()
    landing.file.with_name("2024-02.csv").write_text(HEADER)
    assert "2024-02.csv" in skipped(landing.look())
    assert isinstance(landing.look(), dg.RunRequest)


def test_hidden_files_are_no_deliveries(landing: Landing) -> None:
    landing.file.with_name(".2024-01.csv").write_text(HEADER)
    assert "no new file" in skipped(landing.look())


def test_a_loaded_file_is_no_news_and_a_changed_one_is(landing: Landing) -> None:
    landing.file.write_text(HEADER + "1,1700000000\n")
    landing.look()
    first = landing.look()
    landing.load()
    assert "no new file" in skipped(landing.look())
    landing.file.write_text(HEADER + "1,1700000000\n2,1700000001\n")
    landing.look()
    second = landing.look()
    assert isinstance(first, dg.RunRequest) and isinstance(second, dg.RunRequest)
    assert first.run_key != second.run_key


def test_a_refused_file_is_asked_for_once(landing: Landing) -> None:
    """Dagster starts one run per key; the file stays, and with it the key."""
    landing.file.write_text("no,such,columns\n")
    landing.look()
    answers = [landing.look(), landing.look()]
    keys = {answer.run_key for answer in answers if isinstance(answer, dg.RunRequest)}
    assert len(keys) == 1 and len(answers) == 2


def test_the_alert_sensor_tells_and_names_who_could_not_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "alerts.yml").write_text("targets: {stewards: {url: '${TEST_STEWARDS}', events: [failed_check]}}")
    sensor = alert_sensor(Settings(config_dir=tmp_path, data_dir=tmp_path / "data"))
    answers = []
    for faults in ([], ["alerts: stewards did not take a message"]):
        monkeypatch.setattr("orchestration.jobs.send_alerts", lambda _, faults=faults: faults)
        answer = sensor(dg.build_sensor_context())
        assert isinstance(answer, dg.SkipReason)
        answers.append(answer.skip_message)
    assert answers == ["every target was told of every cause", "alerts: stewards did not take a message"]


def test_compaction_is_a_job(landing: Landing) -> None:
    for number in range(2):
        landing.file.with_name(f"{number}.csv").write_text(f"{HEADER}{number},1700000000\n")
    landing.load()
    loads = [load.load_id for load in registered_loads(landing.settings.lake)]
    assert compact_job(landing.settings, landing.sources).execute_in_process().success
    assert [load.load_id for load in registered_loads(landing.settings.lake)] == loads
    assert len(list(landing.settings.lake.glob("raw/*/*/*/_load.json"))) == 1
