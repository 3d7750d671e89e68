"""Who may be asked, against plain Python over the published invitations."""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import datetime, timedelta

from orchestration.settings import DBT_PROJECT_DIR, read_yaml
from tests.conftest import SAMPLE, Pipeline

RULES = read_yaml(DBT_PROJECT_DIR / "dbt_project.yml")["vars"]["contact_rules"]
DAYS = {kind: timedelta(days=days) for kind, days in RULES["days_between"].items()}
NOW = datetime(2025, 7, 1)
KINDS = ("relationship", "transactional", "episodic")
Asked = dict[str, list[tuple[datetime, str, str, bool | None]]]


def invitations(sample: Pipeline) -> Asked:
    """By person: time, id, survey type and judgement of what reached them, in order."""
    asked: Asked = defaultdict(list)
    for contact, *invitation in sample.query("""
        select contact_id, sent_at, invitation_id, survey_type, is_within_contact_rules
        from marts.fct_survey_invitations where delivered_at is not null and contact_id is not null order by 2, 3
    """):
        asked[contact].append(tuple(invitation))
    return asked


def test_each_invitation_is_judged_by_those_before_it(sample: Pipeline) -> None:
    opted_out = {
        contact for (contact,) in sample.query("select contact_id from marts.contact_fatigue where state = 'opted_out'")
    }
    judged = {True: 0, False: 0}
    for contact, sent in invitations(sample).items():
        for place, (at, _, kind, is_within) in enumerate(sent):
            before = sent[:place]
            expected = all(at - earlier >= DAYS["any"] for earlier, *_ in before) and all(
                at - earlier >= DAYS[kind] for earlier, _, of, _ in before if of == kind
            )
            # The day of an opt-out is not published; the sample's tool sends nothing after it.
            assert is_within is expected or contact in opted_out, (contact, at)
            judged[expected] += 1
    assert judged[True] > 10_000
    assert judged[False] > 100


def test_who_is_not_listed_may_be_asked_and_who_is_has_a_reason(sample: Pipeline) -> None:
    asked = invitations(sample)
    states = {
        (contact, kind): (state, allowed)
        for contact, kind, state, allowed in sample.query(
            "select contact_id, survey_type, state, is_allowed_now from marts.contact_fatigue"
        )
    }
    seen: dict[str | None, int] = defaultdict(int)
    people = """
        select contact_id, coalesce(is_customer and not accounts.is_deleted, true)
        from marts.dim_contacts as contacts left join marts.dim_accounts as accounts using (account_id)
        where not is_staff and not contacts.is_deleted
    """
    for contact, is_of_customer in sample.query(people):
        sent = asked[contact]
        for kind in KINDS:
            state, allowed = states.pop((contact, kind), (None, True))
            seen[state] += 1
            if state in ("opted_out", "account_held_back"):
                assert not allowed
                continue
            is_free = all(NOW - at >= DAYS["any"] for at, *_ in sent) and all(
                NOW - at >= DAYS[kind] for at, _, of, _ in sent if of == kind
            )
            recent = [within for at, _, of, within in sent if of == kind and NOW - at < timedelta(days=90)]
            last = max((at for at, _, of, _ in sent if of == kind), default=datetime.min)
            if False in recent:
                assert state == "asked_too_often"
            elif not is_free:
                assert state == "held_back"
            elif kind == "relationship" and datetime.min < last <= NOW - timedelta(days=365) and is_of_customer:
                assert state == "forgotten"
            else:
                assert state is None, (contact, kind, state)
            assert allowed is is_free or state == "asked_too_often"
    assert not states
    assert min(seen[state] for state in (None, "opted_out", "asked_too_often", "held_back")) > 5, seen


def test_references_are_asked_of_promoters_who_agreed_and_of_nobody_else(sample: Pipeline) -> None:
    """The consent of the raw file, the last answer, and the requests that the raw tasks hold."""
    agreed, requested = set(), set()
    with (SAMPLE / "salesforce" / "contact" / "contact.csv").open(encoding="utf-8", newline="") as file:
        agreed = {row["id"] for row in csv.DictReader(file) if row["reference_consent__c"] == "true"}
    with (SAMPLE / "salesforce" / "task" / "task.csv").open(encoding="utf-8", newline="") as file:
        requested = {
            row["who_id"]
            for row in csv.DictReader(file)
            if row["type"] == "Reference request" and row["created_date"] > "2024-07-01"
        }
    last = dict(
        sample.query("""
            select contact_id, arg_max(category, submitted_at) from marts.fct_nps_responses
            where contact_id is not null and submitted_at > timestamp '2025-07-01' - interval 180 day group by all
        """)
    )
    blocked = {
        contact
        for (contact,) in sample.query("""
            select contact_id from marts.contact_fatigue where not is_allowed_now group by all having count(*) = 3
        """)
    }
    left = {
        contact
        for (contact,) in sample.query("""
            select contact_id from marts.fct_nps_responses inner join marts.dim_accounts using (account_id)
            where not is_customer or is_deleted
        """)
    }
    expected = {contact for contact, category in last.items() if category == "promoter"} & agreed
    assert requested & expected, "somebody was asked already"
    found = {contact for (contact,) in sample.query("select contact_id from marts.promoter_advocacy")}
    assert found == expected - requested - blocked - left
    assert len(found) > 30
