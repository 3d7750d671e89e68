"""Alerts over real HTTP and SMTP: each cause once, to whom it concerns, and no secret in sight."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from expectations.validation import CheckResult, write_results
from orchestration.alerts import read_configuration, send_alerts
from orchestration.runs import open_instance
from orchestration.settings import ROOT, ConfigError, Settings
from tests.receivers import mail_server, webhook

ALERTS = """
dagster: https://dagster.example
targets:
  stewards: {url: "${TEST_STEWARDS}", events: [failed_check, stale_source, response_rate]}
  business: {url: "${TEST_BUSINESS}", events: [nps_drop]}
  owners: {url: "${TEST_OWNERS}", events: [new_case, overdue_case], delivery: digest}
  platform: {url: "${TEST_PLATFORM}", events: [failed_run]}
  desk: {url: "${TEST_DESK}", events: [overdue_case]}
"""
START = datetime(2025, 7, 1, tzinfo=UTC)
PASSED = CheckResult(
    run_id="r1",
    checked_at=START,
    suite="marts",
    table_name="marts.fct_nps_responses",
    item=None,
    column_name="score",
    expectation="expect_column_values_to_be_in_set",
    severity="block",
    is_success=True,
    observed_value="8.5",
    unexpected_count=0,
    unexpected_percent=None,
    threshold="every score is a whole number",
    owner="data engineering",
    action="Correct it.",
)
CHECKS = {
    "blocking": replace(PASSED, is_success=False),
    "unreadable": replace(
        PASSED,
        table_name="shop.answers",
        item="shop/a.csv",
        column_name=None,
        expectation="file_is_readable",
        is_success=False,
        observed_value="shop/a.csv: missing column(s) score",
        threshold="every new file can be read whole",
    ),
    "reported": replace(PASSED, column_name="malformed_share", severity="warn", is_success=False),
    "late": replace(PASSED, column_name="load_age_hours", item="delighted", severity="warn", is_success=False),
    "rate": replace(PASSED, column_name="response_rate", item="episodic", severity="warn", is_success=False),
}
COLUMNS = """survey_type, period_grain, period_start, period_end, segment, segment_value, is_complete_period, nps,
    ci_low, ci_high, responses, previous_nps, nps_change, q_value, is_significant"""


@dataclass
class Company:
    """What runs leave behind, without the runs."""

    settings: Settings
    runs: int = 0

    def run(self, *failed: str) -> list[str]:
        """A run whose guard found these checks failed; then the alerts."""
        self.runs += 1
        checks = [CHECKS[name] for name in failed] or [PASSED]
        moment = START + timedelta(hours=self.runs)
        results = [replace(check, run_id=f"r{self.runs}", checked_at=moment) for check in checks]
        write_results(results, self.settings.check_results)
        return send_alerts(self.settings)

    def publish(self, *months: tuple[str, float, bool, bool]) -> None:
        """Months of two segments: start, change, significant, complete; the total moves, and of region Mars alone."""
        self.settings.serving.parent.mkdir(parents=True, exist_ok=True)
        self.settings.serving.unlink(missing_ok=True)
        with duckdb.connect(self.settings.serving) as connection:
            connection.execute("create schema marts")
            rows = [
                f"('episodic', 'month', date '{start}', date '{start}' + 27, '{segment}', '{value}', {complete}, "
                f"10.0 + {change}, -5.0, 25.0, 1200, 10.0, {change}, 0.0123, {significant and value != 'Venus'})"
                for start, change, significant, complete in months
                for segment, value in (("all", "all"), ("region", "Mars"), ("region", "Venus"))
            ]
            connection.execute(
                f"create table marts.nps_by_segment_period as from (values {', '.join(rows)}) as months ({COLUMNS})"
            )

    def cases(self, *cases: tuple[str, str, str, str]) -> None:
        """Cases beside what is published: key, owner, state and day of the answer; `boss` stands above all."""
        with duckdb.connect(self.settings.serving) as connection:
            connection.execute(
                """
                create or replace table marts.detractor_recovery (
                    response_id text, owner_id text, state text, opened_at timestamp, manager_id text, account_id text,
                    contact_id text, survey_type text, score int, due_at timestamp, comment text
                );
                create or replace table marts.dim_accounts as select 'a' as account_id, 'Acme' as account_name
                """
            )
            connection.executemany(
                """
                insert into marts.detractor_recovery
                select
                    $1, $2, $3, $4, 'boss', 'a', '003c', 'episodic', 2,
                    if($4 < '2025-06-01', '2025-05-31 23:59:59', '2025-06-30 17:00:00'), 'too slow'
                """,
                cases,
            )


@pytest.fixture
def company(tmp_path: Path) -> Company:
    (tmp_path / "alerts.yml").write_text(ALERTS)
    return Company(Settings(config_dir=tmp_path, data_dir=tmp_path / "data"))


def test_each_cause_is_told_once_to_whom_it_concerns(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    with webhook() as (web, posted), mail_server() as (post, mailed):
        monkeypatch.setenv("TEST_BUSINESS", f"json://{web}/hook")
        monkeypatch.setenv("TEST_STEWARDS", f"mailto://{post}?from=nps@here.example&to=steward@here.example")
        company.publish(
            ("2025-05-01", -9.0, True, True), ("2025-06-01", -20.5, True, True), ("2025-07-01", -50, True, False)
        )
        assert company.run("blocking", "reported", "late", "rate") == []

        titles = [title for title, _ in mailed]
        assert sorted(titles) == [
            "failed check: marts.fct_nps_responses: score",
            "response rate: episodic: response_rate",
            "stale source: delighted: load_age_hours",
        ]
        [body] = [body for title, body in mailed if title.startswith("failed check")]
        for words in ("score is 8.5, but every score is a whole number", "Correct it. (data engineering)"):
            assert words in body
        assert "https://dagster.example/runs/r1" in body
        # Of the last complete month alone, the total before its parts; Venus did not drop significantly.
        assert [title for title, _ in posted] == [
            "NPS drop: episodic surveys: -20.5 points",
            "NPS drop: episodic surveys, region = Mars: -20.5 points",
        ]
        assert (
            "NPS -10.5 (-5.0 to +25.0) from 1,200 answers of 2025-06-01 to 2025-06-28, +10.0 in the month"
            in posted[0][1]
        )
        assert "https://dagster.example/assets/marts/nps_by_segment_period" in posted[0][1]

        # The same again is no news; what was well in between is.
        company.run("blocking", "late", "rate")
        assert len(mailed) == 3 and len(posted) == 2
        company.run("late")
        company.run("late", "blocking")
        assert [title for title, _ in mailed[3:]] == ["failed check: marts.fct_nps_responses: score"]

        # The fault of a file is a sentence of its own.
        company.run("late", "unreadable")
        assert mailed[4][0] == "failed check: shop/a.csv: file_is_readable"
        said = " ".join(mailed[4][1].split())
        assert said.startswith("shop/a.csv: missing column(s) score. Correct it. (data engineering) https"), said

        # The next month is another cause, a rise is none.
        company.publish(
            ("2025-06-01", -20.5, True, True), ("2025-07-01", 30, True, True), ("2025-08-01", -1, False, True)
        )
        company.run("late")
        company.publish(("2025-08-01", -1, False, True), ("2025-09-01", -7.5, True, True))
        company.run("late")
        assert [title for title, _ in posted[2:]] == [
            "NPS drop: episodic surveys: -7.5 points",
            "NPS drop: episodic surveys, region = Mars: -7.5 points",
        ]


def test_a_run_that_failed_by_a_fault_is_told(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, until one succeeded; what a check refused is told as that, and a damaged published file hinders nobody."""

    def end(fault: OSError | None) -> None:
        @dg.asset(check_specs=[dg.AssetCheckSpec("sound", asset="loaded", blocking=True)])
        def loaded() -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster reads the annotation
            if fault:
                raise fault
            return dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name="sound", passed=is_sound)])

        @dg.asset(deps=[loaded])
        def built() -> None: ...

        job = dg.Definitions([loaded, built], jobs=[dg.define_asset_job("pipeline")]).resolve_job_def("pipeline")
        with open_instance(company.settings) as instance:
            job.execute_in_process(instance=instance, raise_on_error=False)
        assert send_alerts(company.settings) == []

    company.settings.dagster_home.mkdir(parents=True)
    company.settings.serving.parent.mkdir()
    company.settings.serving.write_bytes(b"damaged")
    with webhook() as (web, posted):
        monkeypatch.setenv("TEST_PLATFORM", f"json://{web}/hook")
        full = OSError("no space left on device")
        end(full)
        end(full)
        assert [title for title, _ in posted] == ["failed run: pipeline"]
        assert "the disk is full, or fails: make room and run again" in posted[0][1]
        assert "https://dagster.example/runs/" in posted[0][1]
        is_sound = False
        end(None)
        assert len(posted) == 1
        is_sound = True
        end(None)
        end(full)
        assert len(posted) == 2


def test_a_case_is_told_once_to_who_acts_and_once_to_whom_it_escalates(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPS_AS_OF", "2025-07-01")
    company.publish(("2025-06-01", 1, False, True))
    with webhook() as (web, posted), mail_server() as (post, mailed):
        monkeypatch.setenv("TEST_OWNERS", f"mailto://{post}?from=nps@here.example&to={{owner_id}}@here.example")
        monkeypatch.setenv("TEST_DESK", f"json://{web}/hook")
        company.cases(
            ("r1", "ann", "open", "2025-06-30 09:00"),
            ("r2", "ann", "open", "2025-06-30 10:00"),
            ("r3", "bob", "overdue", "2025-06-29 10:00"),
            ("r4", "bob", "contacted", "2025-06-29 10:00"),
            ("r5", "bob", "overdue", "2025-05-31 23:59"),  # older than 30 days
        )
        assert company.run() == []
        assert sorted(title for title, _ in mailed) == [
            "new case: 2",
            "new case: Acme: 2",
            "overdue case: Acme: 2, with bob",
        ]
        [digest] = [body for title, body in mailed if title == "new case: 2"]
        for words in ("(r1)", "(r2)", "Acme, contact 003c, gave a 2 (episodic) on 2025-06-30 09:00 UTC", "“too slow”"):
            assert words in digest
        assert [title for title, _ in posted] == ["overdue case: Acme: 2, with bob"]

        # The same again is no news; what turns overdue goes to the manager, what is handed over to who has it now.
        company.run()
        assert len(mailed) == 3 and len(posted) == 1
        company.cases(
            ("r1", "ann", "overdue", "2025-06-30 09:00"),
            ("r2", "bob", "open", "2025-06-30 10:00"),
            ("r3", "bob", "resolved", "2025-06-29 10:00"),
        )
        company.run()
        assert sorted(title for title, _ in mailed[3:]) == ["new case: Acme: 2", "overdue case: Acme: 2, with ann"]
        assert "(r2)" in next(body for title, body in mailed[3:] if title.startswith("new"))
        assert len(posted) == 2
    told = "".join(path.read_text() for path in (company.settings.data_dir / "alerts").rglob("*.txt"))
    assert "r1" in told and "003c" not in told and "slow" not in told


def test_each_owner_has_a_target_and_one_that_is_down_leaves_the_others_theirs(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPS_AS_OF", "2025-07-01")
    company.publish(("2025-06-01", 1, False, True))
    owners = ["ann", "bob/../x", "cho", "d@evil.example,x"]  # what may not stand in a URL is for the desk
    company.cases(*((f"r{n}", owner, "open", "2025-06-30 09:00") for n, owner in enumerate(owners)))
    with webhook() as (web, posted):
        monkeypatch.setenv("TEST_OWNERS", f"json://{web}/{{owner_id}}")
        paths = [f"json://{web}/ann", f"json://{web}/desk", f"json://{web}/cho"]
        import apprise  # noqa: PLC0415

        add = apprise.Apprise.add
        asked: list[str] = []

        def down_for_ann(messenger: apprise.Apprise, url: str) -> bool:
            asked.append(url)
            return bool(add(messenger, "json://127.0.0.1:1/" if url == paths[0] else url))

        monkeypatch.setattr(apprise.Apprise, "add", down_for_ann)
        assert company.run() == ["alerts: owners did not take a message; 1 will be tried again by the next run"]
        assert asked == paths
        assert len(posted) == 2
        monkeypatch.setattr(apprise.Apprise, "add", add)
        assert company.run() == []
        assert len(posted) == 3


def test_what_customers_write_is_text_and_nothing_else(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPS_AS_OF", "2025-07-01")
    company.publish(("2025-06-01", 1, False, True))
    company.cases(("r1", "ann", "open", "2025-06-30 09:00"))
    with duckdb.connect(company.settings.serving) as connection:
        connection.execute("update marts.detractor_recovery set comment = '<img src=http://evil.example/x.png>'")
    with mail_server("html") as (post, mailed):
        monkeypatch.setenv("TEST_OWNERS", f"mailto://{post}?from=nps@here.example&to=ann@here.example&format=html")
        assert company.run() == []
    assert len(mailed) == 1
    assert "<img" not in mailed[0][1]
    assert "&lt;img&nbsp;src=http://evil.example/x.png&gt;" in mailed[0][1]


def test_no_redirect_is_followed(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever answered it would be sent the message and the headers with the target's secrets."""
    with webhook() as (elsewhere, stolen), webhook(307, {"Location": f"http://{elsewhere}/"}) as (web, _):
        monkeypatch.setenv("TEST_STEWARDS", f"json://{web}/hook?+X-Token=secret")
        assert company.run("blocking") == [
            "alerts: stewards did not take a message; 1 will be tried again by the next run"
        ]
    assert stolen == []


def test_a_target_that_is_down_is_reported_and_tried_again(
    company: Company, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with webhook(status=500) as (web, _):
        monkeypatch.setenv("TEST_STEWARDS", f"json://user:secret-word@{web}/secret-path")
        reported = company.run("blocking", "late")
    assert reported == ["alerts: stewards did not take a message; 2 will be tried again by the next run"]
    assert company.run("blocking", "late") == reported  # nobody listens there any more
    monkeypatch.setenv("TEST_STEWARDS", "no-such-service://secret-path")
    [reported_as_well] = company.run("blocking", "late")
    assert reported_as_well == "alerts: TEST_STEWARDS holds no URL that apprise knows; 2 message(s) wait for stewards"
    with webhook() as (web, posted):
        monkeypatch.setenv("TEST_STEWARDS", f"json://user:secret-word@{web}/secret-path")
        assert company.run("blocking", "late") == []
    assert len(posted) == 2
    told = "".join(path.read_text() for path in (company.settings.data_dir / "alerts").rglob("*.txt"))
    for secret in ("secret-word", "secret-path"):
        assert secret not in caplog.text + told


def test_killed_after_a_message_it_is_told_once_more_and_then_never(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    with webhook() as (web, posted):
        monkeypatch.setenv("TEST_STEWARDS", f"json://{web}")

        def killed(path: Path) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("orchestration.alerts.flush", killed)
            company.run("blocking")
        assert len(posted) == 1
        assert send_alerts(company.settings) == send_alerts(company.settings) == []
        assert len(posted) == 2


def test_nothing_happens_where_no_target_is_set(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    assert company.run("blocking") == []
    assert not (company.settings.data_dir / "alerts").exists()
    (company.settings.config_dir / "alerts.yml").unlink()
    assert company.run("blocking") == []


def test_shipped_file_is_valid_and_off() -> None:
    assert set(read_configuration(Settings(config_dir=ROOT, data_dir=ROOT / "data")).targets) == {
        "stewards",
        "business",
        "owners",
    }


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("targets: {a: {url: 'json://secret', events: [nps_drop]}}", "targets.a.url: write ${NAME}"),
        ("targets: {a: {url: '${A}', events: [holiday]}}", "targets.a.events.0: Input should be 'failed_check'"),
        ("targets: {a: {url: '${A}', events: []}}", "targets.a.events: List should have at least 1 item"),
        ("target: {}", "target: unknown key"),
        ("nps_drop_period: fortnight", "nps_drop_period: Input should be 'day'"),
    ],
)
def test_a_wrong_file_is_refused_without_its_secrets(company: Company, written: str, fault: str) -> None:
    (company.settings.config_dir / "alerts.yml").write_text(written)
    with pytest.raises(ConfigError) as refusal:
        send_alerts(company.settings)
    assert f"alerts.yml: {fault}" in str(refusal.value)
    assert "secret" not in str(refusal.value)
