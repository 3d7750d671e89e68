"""Accounts, owners, the ladder and the owner's page of the sample company, against its facts and what was planted."""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import jinja2
import pytest

from orchestration.report import write_report
from orchestration.settings import ConfigError, Settings
from tests.conftest import ROOT, SAMPLE, Pipeline

TRUTH: dict[str, Any] = json.loads((SAMPLE / "truth.json").read_text())
HEAD = "0055e000000000O"
MANAGER = "0055e000000000K"
SUPPORT = "0055e000000000P"
AGENTS = {agent: Counter(counts) for agent, counts in TRUTH["counted_by_agent"].items()}
WORSE = min(AGENTS)


def test_the_three_scores_are_those_of_plain_python(sample: Pipeline) -> None:
    """From the facts and the history of the accounts, for a year whose segments and customers changed in it."""
    states = {
        account: (revenue, is_customer)
        for account, revenue, is_customer in sample.query(
            """
            select account_id, annual_revenue::double, is_customer from marts.dim_account_history
            where valid_from <= timestamp '2025-01-01' and valid_to > timestamp '2025-01-01'
            """
        )
    }
    customers = {account: revenue for account, (revenue, is_customer) in states.items() if is_customer}
    answers: dict[str, list[int]] = defaultdict(list)
    for account, contribution in sample.query(
        """
        select account_id, nps_contribution / 100 from marts.fct_nps_responses
        where survey_type = 'relationship' and year(response_date) = 2024 and account_id is not null
        """
    ):
        answers[account].append(contribution)
    n = sum(len(scores) for scores in answers.values())
    theta = {account: sum(scores) / len(scores) for account, scores in answers.items()}
    mean = sum(sum(scores) for scores in answers.values()) / n
    spread = sum((sum(scores) - len(scores) * mean) ** 2 for scores in answers.values())
    weights = {account: customers[account] for account in answers if account in customers}
    by_revenue = sum(weights[account] * theta[account] for account in weights) / sum(weights.values())
    (row,) = sample.query(
        """
        select responses, accounts_answered, nps, cluster_error, account_equal_nps, revenue_weighted_nps, revenue,
            revenue_answered
        from marts.nps_account_views
        where survey_type = 'relationship' and period_grain = 'year' and period_start = '2024-01-01' and segment = 'all'
        """
    )
    assert row[:2] == (n, len(answers))
    assert [float(value) for value in row[2:]] == pytest.approx(
        [
            100 * mean,
            100 * math.sqrt(len(answers) / (len(answers) - 1) * spread) / n,
            100 * sum(theta.values()) / len(theta),
            100 * by_revenue,
            sum(customers.values()),
            sum(customers[account] for account in answers if account in customers),
        ],
        abs=1e-4,
    )


def test_accounts_hold_the_last_answers_of_their_people(sample: Pipeline) -> None:
    rows = sample.query(
        """
        select survey_type, account_id, latest_promoters, latest_passives, latest_detractors, trailing_responses
        from marts.nps_by_account where latest_responses > 0
        """
    )
    latest: dict[tuple[str, str, str], str] = {}
    trailing: dict[tuple[str, str], int] = defaultdict(int)
    for kind, account, person, category, is_trailing in sample.query(
        """
        select survey_type, account_id, coalesce(contact_id, response_id), category,
            response_date > date '2025-06-30' - 90
        from marts.fct_nps_responses
        where account_id is not null and response_date > date '2025-06-30' - 365
        order by submitted_at
        """
    ):
        latest[kind, account, person] = category
        trailing[kind, account] += is_trailing
    expected: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (kind, account, _), category in latest.items():
        expected[kind, account][category] += 1
    assert len(rows) == len(expected) > 300
    for kind, account, promoters, passives, detractors, count in rows:
        found = expected[kind, account]
        assert (promoters, passives, detractors) == (found["promoter"], found["passive"], found["detractor"])
        assert count == trailing[kind, account]


def test_silent_revenue_is_that_of_customers_nobody_heard_of(sample: Pipeline) -> None:
    lost = sum(TRUTH["lost_accounts_by_last_category"].values())
    customers, silent = sample.query(
        "select count(distinct account_id), count(*) filter (contacts_answered = 0 and contacts_asked > 0) "
        "from marts.nps_by_account where is_customer"
    )[0]
    assert customers == TRUTH["accounts"] - lost and silent > 0
    assert sample.query("select count(*) from marts.dim_accounts where not is_customer") == [(lost,)]


def test_a_managers_domain_has_the_answers_of_all_below(sample: Pipeline) -> None:
    domain = dict(
        sample.query(
            """
            select owner_id, sum(responses) from marts.nps_by_owner
            where scope = 'domain' and segment = 'all' and period_grain = 'year' group by all
            """
        )
    )
    managers = dict(sample.query("select owner_id, manager_id from marts.dim_owners"))
    owned = dict(
        sample.query("select owner_id, count(*) from marts.fct_nps_responses where owner_id is not null group by all")
    )
    expected: dict[str, int] = defaultdict(int)
    for owner, count in owned.items():
        above: str | None = owner
        while above:
            expected[above] += count
            above = managers[above]
    assert domain == {owner: expected[owner] for owner in set(managers.values()) - {None} if expected[owner]}
    assert domain[HEAD] == sum(owned.values()) > 2500


def test_the_agent_who_is_worse_is_found_and_no_other(sample: Pipeline) -> None:
    """Each agent has the answers that were planted; of one alone the interval does not reach the score of all."""
    cards = sample.query(
        """
        select owner_id, period_start::text, scope, promoters, passives, detractors, nps from marts.nps_by_owner
        where scope in ('handled', 'team') and survey_type = 'transactional' and segment = 'touchpoint'
            and segment_value = 'support' and period_grain = 'year'
        """
    )
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for owner, _, scope, promoters, passives, detractors, _ in cards:
        counts = {"promoters": promoters, "passives": passives, "detractors": detractors}
        counted[owner if scope == "handled" else f"{scope} {owner}"].update(counts)
    whole = sum(AGENTS.values(), Counter())
    assert counted == AGENTS | {f"team {SUPPORT}": whole, f"team {HEAD}": whole}

    def interval(counts: Counter[str]) -> tuple[float, float, float]:
        n, promoters, detractors = counts.total(), counts["promoters"], counts["detractors"]
        score = (promoters - detractors) / n
        error = 1.96 * math.sqrt(((promoters + detractors) / n - score**2) / n)
        return score - error, score, score + error

    _, score, _ = interval(whole)
    bounds = {agent: interval(counts) for agent, counts in AGENTS.items()}
    assert [agent for agent, (low, _, high) in bounds.items() if high < score or low > score] == [WORSE]
    of_2024 = {owner: nps for owner, year, scope, *_, nps in cards if year == "2024-01-01" and scope == "handled"}
    assert min(of_2024, key=lambda agent: of_2024[agent]) == WORSE


def test_what_no_agent_handled_is_the_team_of_its_touchpoint(sample: Pipeline) -> None:
    handled = sample.query(
        """
        select touchpoint, if(handled_by like '0055e%', 'agent', handled_by), count(*) > 0
        from marts.fct_nps_responses
        where touchpoint <> 'unknown'
        group by all order by all
        """
    )
    assert handled == [
        ("invoice", "billing", True),
        ("onboarding", "onboarding", True),
        ("support", "agent", True),
    ]


def test_the_page_of_an_agent_shows_what_they_handled(sample: Pipeline, tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    write_report(Settings(ROOT, sample.data), WORSE, target)
    page = target.read_text(encoding="utf-8")
    assert "Support Agent" in page and "Transactional surveys on what they handled" in page
    assert set(re.findall("0055e[0-9A-Za-z]{10}", page)) == {WORSE}
    handled = {
        name
        for (name,) in sample.query(
            "select account_name from marts.fct_nps_responses inner join marts.dim_accounts using (account_id) "
            "where handled_by = ?",
            [WORSE],
        )
    }
    everybody = {name for (name,) in sample.query("select account_name from marts.dim_accounts")}
    named = {name for name in everybody if f"{name}, 20" in page}
    assert named and named <= handled


def test_sales_follow_the_answer_as_planted(sample: Pipeline) -> None:
    """After a detractor's answer sales are lost. They follow an account's last answer of any kind, and transactional
    ones come all the time: of these the planted rates are inside the intervals."""
    rates = {
        (kind, category): tuple(map(float, bounds))
        for kind, category, *bounds in sample.query(
            """
            select survey_type, category, win_rate_low, win_rate_high from marts.customer_value_by_category
            where win_rate is not null
            """
        )
    }
    planted = {
        category: counts["won"] / counts["closed"] for category, counts in TRUTH["sales_by_last_category"].items()
    }
    for kind in ("relationship", "transactional"):
        assert rates[kind, "detractor"][1] < rates[kind, "promoter"][0], kind
    for category in ("detractor", "passive", "promoter"):
        low, high = rates["transactional", category]
        assert low < planted[category] < high, category


def test_who_leaves_is_counted_among_who_answered(sample: Pipeline) -> None:
    """Retention from the facts: the last answer of an account and quarter, and the account's type 90 days later."""
    rows = sample.query(
        "select survey_type, category, accounts_observed, accounts_retained from marts.customer_value_by_category"
    )
    expected = sample.query(
        """
        with last_answers as (
            select
                survey_type, account_id, arg_max(category, submitted_at) as category,
                max(submitted_at) as answered_at
            from marts.fct_nps_responses
            where account_id is not null
            group by survey_type, account_id, date_trunc('quarter', response_date)
            having max(response_date) + 90 <= date '2025-06-30'
        )
        select survey_type, category, count(*), count(*) filter (exists (
            from marts.dim_account_history as later
            where later.account_id = last_answers.account_id and later.is_customer
                and answered_at + interval 90 day >= valid_from and answered_at + interval 90 day < valid_to
        ))
        from last_answers
        group by all
        """
    )
    assert set(rows) == set(expected)


def test_who_leaves_follows_the_answer_as_planted(sample: Pipeline) -> None:
    """Detractors leave, passives hardly more than promoters. An account is counted by its last answer of a kind and
    quarter, and leaves after its last of any kind; of those there are fewer where a kind is asked all the time."""
    retention = {
        (kind, category): tuple(map(float, bounds))
        for kind, category, *bounds in sample.query(
            """
            select survey_type, category, retention_rate_low, retention_rate, retention_rate_high
            from marts.customer_value_by_category where retention_rate is not null
            """
        )
    }
    low, _, high = retention["relationship", "promoter"]
    assert retention["relationship", "detractor"][2] < low < retention["relationship", "passive"][1] < high
    assert retention["transactional", "detractor"][1] < retention["transactional", "promoter"][0]


def test_the_ladder_counts_everybody_once(sample: Pipeline) -> None:
    """Who answered the relationship survey of a year is in its wave, in the category of the last answer."""
    arrived = dict(
        sample.query(
            """
            select to_wave || ' ' || to_category, sum(contacts) from marts.nps_category_migration
            where to_category not in ('silent', 'not_asked') group by all
            """
        )
    )
    expected = dict(
        sample.query(
            """
            with last_answers as (
                select survey_id, contact_id, arg_max(category, submitted_at) as category
                from marts.fct_nps_responses
                where survey_type = 'relationship' and contact_id is not null and survey_id <> 'relationship-2023'
                group by all
            )
            select survey_id || ' ' || category, count(*) from last_answers group by all
            """
        )
    )
    assert arrived == expected
    gained = sample.query(
        "select sum(contacts) from marts.nps_category_migration "
        "where from_category = 'passive' and to_category = 'promoter'"
    )
    assert gained[0][0] > 30


@pytest.mark.parametrize("owner", [MANAGER, "0055e0000000001"])
def test_the_page_of_an_owner_names_no_account_of_others(sample: Pipeline, tmp_path: Path, owner: str) -> None:
    target = tmp_path / "page.html"
    write_report(Settings(ROOT, sample.data), owner, target)
    page = target.read_text(encoding="utf-8")
    domain = "select owner_id from marts.dim_owner_hierarchy where manager_id = ?"
    own, others = (
        {
            name
            for (name,) in sample.query(
                f"select account_name from marts.dim_accounts where owner_id {condition} ({domain})", [owner]
            )
        }
        for condition in ("in", "not in")
    )
    assert len(own) > 5 and len(others) > 100
    assert [name for name in others - own if name in page] == []
    assert [name for name in own if name in page]
    assert set(re.findall("0055e[0-9A-Za-z]{10}", page)) == {owner}
    (published,) = sample.query(
        """
        select nps from marts.nps_by_owner
        where owner_id = ? and survey_type = 'relationship' and segment = 'all' and is_complete_period
            and period_grain = 'quarter' and scope = ?
        order by period_start desc limit 1
        """,
        [owner, "domain" if owner == MANAGER else "own"],
    )
    assert f"{published[0]:+.1f}".replace("-", "−") in page


def test_a_circle_of_managers_is_refused_by_name() -> None:
    """The data test as dbt renders it, with a hierarchy in which two stand above each other, and without."""
    code = (ROOT / "dbt_project" / "data_tests" / "owners_report_in_no_circle.sql").read_text()

    def check(*pairs: tuple[str, str, int]) -> None:
        with duckdb.connect() as connection:
            connection.execute("create table dim_owner_hierarchy (manager_id varchar, owner_id varchar, depth integer)")
            connection.executemany("insert into dim_owner_hierarchy values (?, ?, ?)", list(pairs))

            def run_query(query: str) -> SimpleNamespace:
                found = [row[0] for row in connection.execute(query).fetchall()]
                return SimpleNamespace(columns=[SimpleNamespace(values=lambda: found)])

            def refuse(message: str) -> None:
                raise ConfigError(message)

            jinja2.Environment().from_string(code).render(
                ref=str,
                execute=True,
                run_query=run_query,
                flags=SimpleNamespace(WHICH="build"),
                exceptions=SimpleNamespace(raise_compiler_error=refuse),
            )

    check(("a", "a", 0), ("b", "b", 0), ("b", "a", 1))
    with pytest.raises(ConfigError, match="in a circle: a, b; give one of them another manager"):
        check(("a", "a", 0), ("b", "b", 0), ("b", "a", 1), ("a", "b", 1), ("b", "c", 1))
