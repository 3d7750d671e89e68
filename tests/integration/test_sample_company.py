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
    "contact_fatigue",
    "customer_value_by_category",
    "detractor_recovery",
    "dim_account_history",
    "dim_accounts",
    "dim_contacts",
    "dim_dates",
    "dim_windows",
    "dim_owner_hierarchy",
    "dim_owners",
    "dim_surveys",
    "fct_nps_responses",
    "fct_survey_invitations",
    "metrics_catalog",
    "nps_action_impact",
    "promoter_advocacy",
    "nps_benchmark_gap",
    "nps_account_views",
    "nps_by_account",
    "nps_by_owner",
    "nps_by_segment_period",
    "nps_category_migration",
    "nps_overall",
    "nps_restatements",
    "nps_change_decomposition",
    "nps_control_chart",
    "nps_theme_impact",
    "nps_trailing_window",
    "nps_weighted",
    "recovery_performance",
    "response_eligibility",
    "response_funnel",
    "response_representativeness",
    "publication",
    "published_tables",
    "quality_check_results",
    "quality_exclusions",
    "quality_figures",
    "quality_freshness",
    "quality_invitation_reconciliation",
    "quality_matching",
    "quality_quarantine",
    "quality_reconciliation",
    "quality_vendor_comparison",
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


def test_every_raw_invitation_is_taken_per_load(sample: Pipeline) -> None:
    taken = sample.query(
        "select source_file, taken, invitations from quality.quality_invitation_reconciliation where difference = 0"
    )
    sent = {}
    for path in sorted((SAMPLE / "delighted" / "survey_requests").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            sent[str(path.relative_to(SAMPLE))] = sum(1 for _ in csv.DictReader(file))
    assert taken and {file: (rows, people) for file, rows, people in taken} == {
        file: (count, count) for file, count in sent.items()
    }


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
        where not internal and comment is null
        """
    )
    assert undescribed == []


def test_the_published_file_says_what_it_is_and_how_many_rows_it_has(sample: Pipeline) -> None:
    (publication,) = sample.query(
        "select published_at > built_at, code_version <> '', checks_passed > 0, checks_warned from quality.publication"
    )
    failed = sample.query("select count(*) from quality.quality_check_results where not is_success")
    assert publication == (True, True, True, *failed[0])
    counts = sample.query("select table_name, row_count from quality.published_tables")
    assert {name.split(".")[1] for name, _ in counts} == PUBLISHED - {"publication", "published_tables"}
    for name, rows in counts:
        assert sample.query(f"select count(*) from {name}") == [(rows,)]


def test_every_client_since_1_0_can_read_the_published_file(sample: Pipeline) -> None:
    """DuckDB says so; NPS_DUCKDB_CLIENTS names folders, each with an older one (pip install --target), to try it."""
    assert sample.query("select tags['storage_version'] from duckdb_databases() where not internal") == [("v1.0.0+",)]
    query = "select table_name, row_count from quality.published_tables where table_name = 'marts.fct_nps_responses'"
    count = "select 'marts.fct_nps_responses', count(*) from marts.fct_nps_responses where score between 0 and 10"
    for folder in filter(None, os.environ.get("NPS_DUCKDB_CLIENTS", "").split(os.pathsep)):
        code = "import duckdb, sys; print(duckdb.connect(sys.argv[1], read_only=True).execute(sys.argv[2]).fetchall())"
        command = [sys.executable, "-c", code, str(sample.serving), count]
        read = subprocess.run(command, env={"PYTHONPATH": folder}, capture_output=True, text=True, check=False)
        assert read.stdout.strip() == str(sample.query(query)), f"{folder}: {read.stderr}"


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
    # grep looks for thousands of texts at once.
    found = subprocess.run(
        ["grep", "--text", "--ignore-case", "--only-matching", "--fixed-strings", "--file=-", str(sample.serving)],
        input="\n".join(names | addresses | numbers).encode(),
        env=os.environ | {"LC_ALL": "C"},
        capture_output=True,
        check=False,
    )
    assert (found.returncode, found.stdout, found.stderr) == (1, b"", b"")


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


def test_the_logs_say_in_plain_text_what_dbt_did(sample: Pipeline) -> None:
    logs = [(sample.data / "dbt" / name).read_text(encoding="utf-8") for name in ("pipeline.log", "logs/dbt.log")]
    for log in logs:
        assert re.search(r"OK created sql incremental model marts\.fct_nps_responses", log)
        assert re.search(r"Done\. PASS=\d+ WARN=0 ERROR=0", log)
    assert "\x1b" not in logs[0]  # the other goes on with what dbt itself writes there when it is called


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
    assert sample.query("select * from quality.quality_check_results where not is_success") == []


def test_guards_judge_surveys_and_sources_and_find_nothing_where_nothing_was_planted(sample: Pipeline) -> None:
    judged = sample.query(
        """
        select column_name, coalesce(survey_id, source_system), owner, action
        from quality.quality_check_results
        where suite = 'marts' and item is not null
        """
    )
    assert {(figure, place) for figure, place, _, _ in judged} >= {
        ("answers", "post-support"),
        ("response_rate", "post-support"),
        ("response_rate", "relationship-2025"),
        ("owner_lead", "relationship-2024"),
        ("tens_share", "post-support"),
        ("fast_share", "post-support"),
        ("unmatched_share", "post-support"),
        ("quarantined_share", "delighted"),
        ("unscored_share", "delighted"),
        ("load_age_hours", "delighted"),
        ("load_age_hours", "salesforce"),
    }
    assert all(owner and action for _, _, owner, action in judged)


def test_figures_are_those_of_the_facts(sample: Pipeline) -> None:
    """Four weeks of one survey counted from the facts, up to the last day with an answer."""
    last_date, responses, tens, unmatched = sample.query(
        """
        with days as (select *, max(response_date) over () as last_date from marts.fct_nps_responses)
        select any_value(last_date), count(*), count(*) filter (score = 10), count(*) filter (account_id is null)
        from days
        where survey_id = 'post-support' and response_date > last_date - 28
        """
    )[0]
    rate = sample.query(
        """
        select count(*) filter (outcome = 'answered') / count(*) from marts.fct_survey_invitations
        where survey_id = 'post-support' and delivered_at is not null and outcome <> 'ineligible'
            and sent_date > $1::date - 42 and sent_date <= $1::date - 14
        """,
        [last_date],
    )[0][0]
    figures = dict(
        sample.query("select figure, observed::double from quality.quality_figures where item = 'post-support'")
    )
    assert figures["answers"] == responses > 0
    assert figures["tens_share"] == pytest.approx(tens / responses, abs=1e-6)
    assert figures["unmatched_share"] == pytest.approx(unmatched / responses, abs=1e-6)
    assert figures["response_rate"] == pytest.approx(rate, abs=1e-6)
