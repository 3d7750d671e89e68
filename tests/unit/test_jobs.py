"""The sensor: a run for complete new files, and none for those still being written; and compaction as a job."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from orchestration import jobs, loader
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
        self.instance = dg.DagsterInstance.ephemeral()
        self.file = self.settings.landing / "delighted" / "bounces" / "2024-01.csv"
        self.file.parent.mkdir(parents=True)

    def look(self) -> dg.RunRequest | dg.SkipReason:
        """One tick."""
        context = dg.build_sensor_context(cursor=self.cursor, instance=self.instance)
        answer = self.sensor(context)
        self.cursor = context.cursor
        assert isinstance(answer, dg.RunRequest | dg.SkipReason)
        return answer

    def start(self, *, is_refused: bool) -> None:
        """A run as the sensor wants it now, which fails: by a check, or by a fault of the machine."""
        wanted = self.look()
        assert isinstance(wanted, dg.RunRequest)

        @dg.asset(check_specs=[dg.AssetCheckSpec("sound", asset="answers", blocking=True)])
        def answers() -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster reads the annotation
            if not is_refused:
                raise OSError("no space left on device")
            return dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name="sound", passed=False)])

        @dg.asset(deps=[answers])
        def published() -> None: ...

        job = dg.Definitions([answers, published], jobs=[dg.define_asset_job("pipeline")]).resolve_job_def("pipeline")
        assert not job.execute_in_process(instance=self.instance, tags=wanted.tags, raise_on_error=False).success

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
    """Dagster starts one run per key; the file stays, and with it the key, and the run that a check refused."""
    landing.file.write_text("no,such,columns\n")
    landing.look()
    answers = [landing.look(), landing.look()]
    keys = {answer.run_key for answer in answers if isinstance(answer, dg.RunRequest)}
    assert len(keys) == 1 and len(answers) == 2
    landing.start(is_refused=True)
    assert "not tried again" in skipped(landing.look())


def test_a_fault_that_may_pass_is_tried_again_some_times(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    landing.file.write_text(HEADER + "1,1700000000\n")
    landing.look()
    landing.start(is_refused=False)
    assert "10 minutes after it" in skipped(landing.look())
    monkeypatch.setattr(jobs, "PAUSE", timedelta())
    for _ in range(jobs.MOST_TRIES - 1):
        landing.start(is_refused=False)
    assert "not tried again" in skipped(landing.look())


def test_what_a_run_loaded_and_did_not_publish_is_tried_again(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "PAUSE", timedelta())
    landing.file.write_text(HEADER + "1,1700000000\n")
    landing.look()
    landing.start(is_refused=False)
    landing.load()
    landing.start(is_refused=True)  # wanted, though no file waits
    assert "no new file" in skipped(landing.look())


def test_who_works_with_the_lake_is_waited_for(landing: Landing) -> None:
    landing.file.write_text(HEADER + "1,1700000000\n")
    landing.look()
    with loader.lake_lock(landing.settings.lake):
        assert "another run" in skipped(landing.look())
    assert isinstance(landing.look(), dg.RunRequest)


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
