"""The closed loop of the sample company: who was called back, when, by whom, and what came of it, as it was planted."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from statsmodels.stats.proportion import confint_proportions_2indep

from tests.conftest import SAMPLE, Pipeline

CALLS: dict[str, dict[str, int]] = json.loads((SAMPLE / "truth.json").read_text())["calls_by_owner"]
DILIGENT, IDLE = "0055e0000000000", "0055e0000000001"
AS_OF = datetime(2025, 7, 1)


def test_cases_of_each_owner_are_those_that_were_planted(sample: Pipeline) -> None:
    found = {
        owner: {"detractors": cases, "called": called, "solved": solved}
        for owner, cases, called, solved in sample.query(
            """
            select owner_when_opened_id, count(*), count(first_contact_at), count(resolved_at)
            from marts.detractor_recovery where owner_when_opened_id <> 'desk' group by all
            """
        )
    }
    assert found.keys() == CALLS.keys()
    for owner, counts in CALLS.items():
        assert found[owner]["detractors"] == counts["detractors"]
        # A call about a later answer is one about an earlier answer of the same person as well.
        for count in ("called", "solved"):
            assert 0 <= found[owner][count] - counts[count] <= 2, (owner, count)
    assert found[DILIGENT]["called"] == found[DILIGENT]["detractors"] > 0
    assert found[IDLE]["called"] == 0 < found[IDLE]["detractors"]


def test_times_and_states_are_those_of_plain_python(sample: Pipeline) -> None:
    """In contact since the first call with the person in 90 days after the answer, resolved since one was completed."""
    calls = defaultdict(list)
    with (SAMPLE / "salesforce" / "task" / "task.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["type"] == "Call":
                times = (row["created_date"], row["completed_date_time"] or "9999-12-31")
                begun, done = (datetime.fromisoformat(time).replace(tzinfo=None) for time in times)
                calls[row["who_id"]].append((begun, done, row["owner_id"]))
    cases = sample.query(
        """
        select contact_id, opened_at, due_at, first_contact_at, resolved_at, contacted_by, state, is_contacted_in_time
        from marts.detractor_recovery
        """
    )
    assert len(cases) > 400
    assert {state for *_, state, _ in cases} == {"open", "overdue", "contacted", "resolved"}
    for contact, opened, due, *found in cases:
        own = [call for call in calls[contact] if opened <= call[0] < opened + timedelta(days=90)]
        first = min(own)[0] if own else None
        solved = min((done for _, done, _ in own if done <= AS_OF), default=None)
        by = min(owner for begun, _, owner in own if begun == first) if own else None
        state = "resolved" if solved else "contacted" if own else "overdue" if due < AS_OF else "open"
        in_time = first <= due if first else False if due < AS_OF else None
        assert found == [first, solved, by, state, in_time], contact


def test_next_answers_are_those_of_plain_python(sample: Pipeline) -> None:
    answers = defaultdict(list)
    for contact, kind, at, response, score in sample.query(
        "select contact_id, survey_type, submitted_at, response_id, score from marts.fct_nps_responses"
    ):
        answers[contact, kind].append((at, response, score))
    cases = sample.query(
        """
        select
            contact_id, survey_type, coalesce(first_contact_at, opened_at), next_answered_at, next_score, is_recovered
        from marts.detractor_recovery
        """
    )
    assert sum(score is not None for *_, score, _ in cases) > 100
    for contact, kind, since, *found in cases:
        later = sorted(answer for answer in answers[contact, kind] if contact and answer[0] > since)
        expected = [later[0][0], later[0][2], later[0][2] >= 7] if later else [None, None, None]
        assert found == expected, contact


def test_who_was_called_recovers_more_often_by_the_interval_of_all(sample: Pipeline) -> None:
    """In each year and kind of survey with enough evidence, and beyond chance over all of them."""
    rows = sample.query(
        """
        select contacted_recovered, contacted_answered_again, uncontacted_recovered, uncontacted_answered_again,
            recovery_difference, difference_ci_low, difference_ci_high, evidence
        from marts.recovery_performance where owner_id = 'all' and period_grain = 'year'
        """
    )
    judged = [row for row in rows if row[-1] != "insufficient"]
    assert len(judged) >= 3
    for *counts, difference, low, high, _ in judged:
        assert difference > 0
        expected = confint_proportions_2indep(*counts, method="newcomb", compare="diff")
        assert (float(low), float(high)) == tuple(round(float(bound), 6) for bound in expected)
    assert all(row[4] is None for row in rows if row[-1] == "insufficient")
    total: list[int] = [sum(column) for column in zip(*(row[:4] for row in rows), strict=True)]
    assert confint_proportions_2indep(*total, method="newcomb", compare="diff")[0] > 0


def test_each_case_has_somebody_to_act_and_somebody_above(sample: Pipeline) -> None:
    managers: dict[str, Any] = dict(sample.query("select owner_id, manager_id from marts.dim_owners where is_active"))
    owners = dict(sample.query("select account_id, owner_id from marts.dim_accounts"))
    for account, owner, rule, manager in sample.query(
        "select account_id, owner_id, owner_rule, manager_id from marts.detractor_recovery"
    ):
        if rule == "desk":
            assert owners.get(account) is None and (owner, manager) == ("desk", "desk")
        else:
            assert owner in managers and (rule == "owner") == (owner == owners[account])
            assert manager == (managers[owner] or "desk")
