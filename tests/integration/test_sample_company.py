"""The sample company end to end: the published figures against the raw files and the planted truths."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestration.__main__ import dev
from orchestration.settings import Settings
from tests.conftest import PLANTED_SECRET, ROOT, SAMPLE, Pipeline
from tests.integration import oracle

TRUTH: dict[str, Any] = json.loads((SAMPLE / "truth.json").read_text())
PUBLISHED = {
    "dim_account_history",
    "dim_accounts",
    "dim_contacts",
    "dim_dates",
    "dim_owners",
    "dim_surveys",
    "fct_nps_responses",
    "fct_survey_invitations",
    "nps_by_segment_period",
    "nps_overall",
    "nps_restatements",
    "nps_change_decomposition",
    "nps_trailing_window",
    "nps_weighted",
    "response_eligibility",
    "response_funnel",
    "response_representativeness",
    "publication",
    "quality_check_results",
    "quality_matching",
    "quality_quarantine",
    "quality_reconciliation",
}


@pytest.fixture(scope="module")
def figures() -> oracle.Figures:
    return oracle.compute(SAMPLE, ROOT / "seeds" / "reference", datetime.now(UTC))


def test_every_row_of_the_period_mart_equals_plain_python(sample: Pipeline, figures: oracle.Figures) -> None:
    rows = sample.query(
        """
        select survey_type, period_grain, period_start, segment, segment_value,
            invited, delivered, answered, responses, promoters, passives, detractors,
            nps, ci_low, ci_high, response_rate
        from marts.nps_by_segment_period
        """
    )
    assert {row[:5] for row in rows} == set(figures.periods)
    for row in rows:
        key, counts, scores = row[:5], list(row[5:12]), row[12:]
        expected_counts: list[int | None] = list(figures.periods[key])
        expected_scores = list(oracle.measures(figures.periods[key]))
        if key[3] not in oracle.KNOWN_WHEN_ASKED:
            expected_counts[:3] = [None] * 3
            expected_scores[3] = None
        assert counts == expected_counts, key
        assert [None if score is None else float(score) for score in scores] == pytest.approx(expected_scores), key


def test_decisions_are_those_of_plain_python_and_of_the_generator(sample: Pipeline, figures: oracle.Figures) -> None:
    decisions = dict(sample.query("select decision, count(*) from marts.response_eligibility group by all"))
    assert decisions == dict(figures.decisions)
    assert decisions == TRUTH["decisions"]


def test_every_raw_row_ends_in_one_decision_per_load(sample: Pipeline) -> None:
    reconciled = dict(
        sample.query("select source_file, delivered_rows from quality.quality_reconciliation where difference = 0")
    )
    delivered = {}
    for path in sorted((SAMPLE / "delighted" / "survey_responses").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            delivered[str(path.relative_to(SAMPLE))] = sum(1 for _ in csv.DictReader(file))
    assert reconciled == delivered
    assert sum(delivered.values()) == TRUTH["raw_answers"]


def test_counts_by_survey_type_are_the_planted_ones(sample: Pipeline) -> None:
    rows = sample.query(
        "select survey_type, promoters, passives, detractors from marts.nps_overall where segment = 'all'"
    )
    found = {kind: {"promoters": p, "passives": a, "detractors": d} for kind, p, a, d in rows}
    assert found == TRUTH["counted_by_survey_type"]


def test_the_planted_dip_is_found_and_no_other(sample: Pipeline) -> None:
    dip = TRUTH["dip"]
    scores = {
        (region, inside): (float(score), count)
        for region, inside, score, count in sample.query(
            """
            select region, response_date between ? and ?, avg(nps_contribution), count(*)
            from marts.fct_nps_responses group by all
            """,
            [dip["from"], dip["to"]],
        )
    }
    fall = {
        region: scores[(region, False)][0] - scores[(region, True)][0]
        for region in {region for region, _ in scores} - {"unknown"}
    }
    assert fall.pop(dip["value"]) > 30
    assert all(abs(change) < 20 for change in fall.values()), fall


def test_holiday_months_answer_less(sample: Pipeline) -> None:
    rates = dict(
        sample.query(
            """
            select month(period_start), sum(answered) / sum(delivered) from marts.nps_by_segment_period
            where segment = 'all' and period_grain = 'month' group by all
            """
        )
    )
    low = set(TRUTH["low_response_months"])
    assert max(rate for month, rate in rates.items() if month in low) < min(
        rate for month, rate in rates.items() if month not in low
    )


def test_facts_keep_owner_and_segments_as_of_the_answer(sample: Pipeline) -> None:
    changed = dict(
        sample.query(
            """
            select 'owner', count(distinct facts.account_id)
            from marts.fct_nps_responses as facts inner join marts.dim_accounts as accounts using (account_id)
            where facts.owner_id <> accounts.owner_id
            union all
            select 'segment', count(distinct facts.account_id)
            from marts.fct_nps_responses as facts inner join marts.dim_accounts as accounts using (account_id)
            where (facts.region, facts.plan, facts.tier) <> (accounts.region, accounts.plan, accounts.tier)
            """
        )
    )
    assert 0 < changed["owner"] <= TRUTH["accounts_with_owner_change"]
    assert 0 < changed["segment"] <= TRUTH["accounts_with_segment_change"]


def test_average_contribution_is_the_score_of_any_slice(sample: Pipeline) -> None:
    rows = sample.query(
        """
        with facts as (
            select survey_type, region, count(*) as responses, avg(nps_contribution) as nps
            from marts.fct_nps_responses group by all
        )
        select facts.nps, marts.nps, facts.responses, marts.responses
        from marts.nps_overall as marts
        left join facts on facts.survey_type = marts.survey_type and facts.region = marts.segment_value
        where marts.segment = 'region' and marts.nps is not null
        """
    )
    assert rows
    for from_facts, from_mart, facts, mart in rows:
        assert facts == mart
        assert float(from_mart) == pytest.approx(from_facts, abs=5e-5)


def test_published_file_holds_the_documented_tables_described(sample: Pipeline) -> None:
    tables = dict(sample.query("select table_name, comment from duckdb_tables()"))
    assert set(tables) == PUBLISHED
    assert all(tables.values()), "every table has a description"
    undescribed = sample.query(
        """
        select table_name, column_name from duckdb_columns()
        where not internal and comment is null and table_name <> 'publication'
        """
    )
    assert undescribed == []


def test_published_answers_lie_in_the_order_of_time(sample: Pipeline) -> None:
    """Then a question about some weeks reads their part of the file and no more."""
    dates = [date for (date,) in sample.query("select response_date from marts.fct_nps_responses")]
    assert len(dates) > 2500 and dates == sorted(dates)


def test_nothing_published_names_a_person_or_says_how_to_reach_one(sample: Pipeline) -> None:
    """Every name, address and telephone number of the raw files, in the texts of the file and in its bytes."""
    names, addresses, numbers = set(), set(), set()
    for path in SAMPLE.rglob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                addresses.add((row.get("email") or "").strip().lower())
                numbers.add((row.get("phone_number") or "").strip())
                if "email" in row:
                    names.add((row.get("name") or "").strip().lower())
    names, addresses, numbers = names - {""}, addresses - {""}, numbers - {""}
    assert len(names) > 1000 and len(addresses) > 1000 and len(numbers) > 50
    assert {len(name.split()) for name in names} == {2}
    leaks = []
    for place, texts in sample.texts().items():
        for text in texts:
            words = re.findall(r"\w+", text.lower())
            if "@" in text or any(" ".join(pair) in names for pair in pairwise(words)):
                leaks.append((place, text))
        together = " ".join(texts)
        leaks += [(place, number) for number in numbers if number in together]
    assert leaks == []
    content = sample.serving.read_bytes().lower()
    assert [secret for secret in names | addresses | numbers if secret.encode() in content] == []


def test_no_secret_is_kept_anywhere(sample: Pipeline) -> None:
    """Not in a log, not in compiled SQL, not in what Dagster or dbt keep, not in what was printed or published."""
    salt = (sample.data / "contact_salt").read_bytes()
    assert len(salt) == 64
    holders = {
        (path.name, secret)
        for path in sample.data.rglob("*")
        for secret in (salt, PLANTED_SECRET.encode())
        if path.is_file() and secret in path.read_bytes()
    }
    assert holders == {("contact_salt", salt)}


def test_nothing_phones_home(sample: Pipeline) -> None:
    """No Python process of a whole run opened a connection; the watch sees one that does."""
    assert not sample.connections.exists()
    watched = sample.data / "watched"
    call = "import socket\nsocket.socket(type=socket.SOCK_DGRAM).connect(('203.0.113.1', 9))"
    subprocess.run(
        [sys.executable, "-c", call],
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests" / "watch"), "NPS_CONNECTIONS": str(watched)},
        check=False,  # a machine without a network has no way there
    )
    assert "203.0.113.1" in watched.read_text()
    watched.unlink()


def test_dagster_listens_on_loopback_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[str] = []
    monkeypatch.setattr(os, "execv", lambda _, arguments: started.extend(arguments))
    monkeypatch.setattr(os, "chdir", lambda _: None)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    dev(Settings(ROOT, tmp_path))
    assert started[started.index("--host") + 1] == "127.0.0.1"
    written = yaml.safe_load((tmp_path / "dagster" / "dagster.yaml").read_text())
    assert written["telemetry"] == {"enabled": False}


def test_summary_reads_like_a_result(sample: Pipeline) -> None:
    printed = (sample.data / "demo.txt").read_text(encoding="utf-8")
    overall = sample.query(
        "select nps, responses from marts.nps_overall where segment = 'all' and survey_type = 'relationship'"
    )[0]
    assert f"{float(overall[0]):+.1f}" in printed
    assert f"{overall[1]:,}" in printed
    for words in (
        "response rate",
        "raw answers =",
        "quarantined because",
        "passed",
        "published file",
        "make dev",
    ):
        assert words in printed, words
    assert "Traceback" not in printed


def test_a_run_leaves_the_reference_files_alone(sample: Pipeline) -> None:
    """dbt overwrites its seeds when their path is absolute; Settings.dbt_seed_path sees that it never is."""
    assert sample.serving.exists()
    for path in (ROOT / "seeds" / "reference").glob("*.csv"):
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert "," in first, path


def test_checks_of_the_run_are_kept(sample: Pipeline) -> None:
    suites = dict(
        sample.query("select suite, count(*) from quality.quality_check_results where is_success group by all")
    )
    assert set(suites) == {"loads", "marts", "dbt"}
    assert suites["dbt"] > 70
    assert sample.query("select * from quality.quality_check_results where severity = 'block' and not is_success") == []
    report = (sample.data / "docs" / "quality" / "index.html").read_text()
    assert "http://" not in report
