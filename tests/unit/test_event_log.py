"""Dagster's events are where Dagster's own event log looks for them."""

from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage

from orchestration.event_log import EventLog
from orchestration.pipeline import configure_dagster
from orchestration.runs import open_instance
from orchestration.settings import ROOT, Settings


def test_the_default_log_reads_what_ours_wrote(tmp_path: Path) -> None:
    settings = Settings(config_dir=ROOT, data_dir=tmp_path)
    configure_dagster(settings)

    @dg.asset(check_specs=[dg.AssetCheckSpec("sound", asset="answers")])
    def answers() -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster reads the annotation
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name="sound", passed=False)])

    with open_instance(settings) as instance:
        assert isinstance(instance.event_log_storage, EventLog)
        runs = [dg.materialize([answers], instance=instance).run_id for _ in range(2)]
        written = {run: instance.all_logs(run) for run in runs}
    default = SqliteEventLogStorage(str(settings.dagster_home / "history" / "runs"))
    for run in runs:
        assert default.get_logs_for_run(run) == written[run]
        assert len(written[run]) > 10
    found = default.fetch_materializations(dg.AssetKey("answers"), limit=5).records
    assert [record.run_id for record in found] == runs[::-1]
    checks = default.get_asset_check_execution_history(dg.AssetCheckKey(dg.AssetKey("answers"), "sound"), limit=5)
    assert [record.run_id for record in checks] == runs[::-1]
