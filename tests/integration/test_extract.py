"""Extraction over real HTTP: what lies in landing/ after pages, faults, edits and kills, and what is loaded of it."""

from __future__ import annotations

import base64
import copy
import csv
import json
import logging
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import duckdb
import pytest
import yaml
from rich.console import Console

from orchestration import __main__ as commands
from orchestration import api, loader
from orchestration import extract as extraction
from orchestration.api import ExtractError
from orchestration.extract import Delivery
from orchestration.extractors import Extractor, load_extractors
from orchestration.register import Load
from orchestration.settings import ConfigError, Settings
from orchestration.sources import Table, load_sources
from tests.conftest import ROOT, SAMPLE
from tests.integration.test_incremental import Builder, assert_same
from tests.integration.vendor_apis import (
    KEY,
    Delighted,
    HubSpot,
    Qualtrics,
    Record,
    Reply,
    Request,
    Salesforce,
    Server,
    SurveyMonkey,
    Typeform,
    Vendor,
    Zendesk,
    epoch,
    serve,
)

DAY = 86_400
MAY = 1_746_057_600  # 2025-05-01T00:00:00Z


@dataclass
class House:
    """One source with its configuration, its server and its landing folder."""

    source: str
    settings: Settings
    server: Server
    environment: dict[str, str]

    @property
    def extractor(self) -> Extractor:
        return load_extractors(self.settings)[self.source]

    def extract(self) -> list[Delivery]:
        return list(extraction.extract(self.settings, self.extractor, self.environment))

    def succeed(self) -> dict[str, Delivery]:
        deliveries = {delivery.resource: delivery for delivery in self.extract()}
        assert [delivery.error for delivery in deliveries.values() if delivery.error] == []
        return deliveries

    def error(self, resource: str) -> str:
        """The error of one resource; nothing of it was delivered."""
        delivery = next(delivery for delivery in self.extract() if delivery.resource == resource)
        assert delivery.error is not None and delivery.files == ()
        assert KEY not in delivery.error
        return delivery.error

    def change(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the extractor's file."""
        path = self.settings.config_dir / "extractors" / f"{self.source}.yml"
        content = yaml.safe_load(path.read_text())
        change(content)
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    def table(self, name: str) -> Table:
        return next(table for table in load_sources(self.settings).tables if table.name == name)

    def files(self, table: str) -> list[Path]:
        """The files that the loader sees."""
        optional = replace(self.table(table), is_required=False)
        return loader.matching_files(optional, self.settings.landing, self.settings.lake)

    def records(self, table: str) -> list[Record]:
        """All landed records, in the order of the loader."""
        return [json.loads(line) for file in self.files(table) for line in file.read_text().splitlines()]

    def assert_loads(self) -> None:
        """Every extracted table has the columns that its source declares: the loader takes all files."""
        if (ROOT / "sources" / f"{self.source}.yml").exists():
            for folder in sorted((self.settings.landing / self.source).iterdir()):
                assert sum(load.rows for load in loads(self, folder.name)) == len(self.records(folder.name))

    def latest(self, table: str, key: str = "id") -> dict[Any, Record]:
        return {record[key]: record for record in self.records(table)}


@contextmanager
def vendor(source: str, answers: Vendor, root: Path, secrets: dict[str, str], path: str = "") -> Iterator[House]:
    """A source with the repository's own extractor, without its waiting times, against a local server."""
    config = root / "config"
    for folder in ("sources", "extractors"):
        (config / folder).mkdir(parents=True)
    content = yaml.safe_load((ROOT / "extractors" / f"{source}.yml").read_text())
    content["retry"] = content.get("retry", {}) | {"backoff_seconds": 0}
    content["requests_per_minute"] = 100_000
    (config / "extractors" / f"{source}.yml").write_text(yaml.safe_dump(content, sort_keys=False))
    (config / "sources" / f"{source}.yml").write_text(_source(source, content))
    (config / "vars.yml").write_text(f"sources: [{source}]\nsegments: []\n")
    with serve(answers) as server:
        yield House(
            source=source,
            settings=Settings(config_dir=config, data_dir=root / "data"),
            server=server,
            environment=secrets | {f"{source.upper()}_BASE_URL": server.url + path},
        )


def _source(source: str, extractor: dict[str, Any]) -> str:
    path = ROOT / "sources" / f"{source}.yml"
    if path.exists():
        return path.read_text()
    names = {resource.get("table", name) for name, resource in extractor["resources"].items()}
    tables = {name: {"files": f"{source}/{name}/*", "columns": ["id"]} for name in sorted(names)}
    return yaml.safe_dump({"source": source, "kind": "vendor", "tables": tables})


def answer(number: int, score: int | None = 9, **fields: Any) -> Record:
    created = MAY + number * 3600
    return {
        "id": str(number),
        "person": str(number % 7),
        "survey_type": "nps",
        "score": score,
        "comment": f"Answer {number}",
        "created_at": created,
        "updated_at": None,
        "person_properties": {"country": "USA", "tags": ["a", 1, 2.5, None]},
    } | fields


@pytest.fixture
def delighted(tmp_path: Path) -> Iterator[House]:
    answers = Delighted(
        answers=[answer(number) for number in range(1, 11)],
        people=[
            {"id": str(n), "name": f"P {n}", "email": f"p{n}@shop.example", "created_at": MAY + n} for n in range(1, 8)
        ],
        unsubscribes=[{"person_id": "3", "unsubscribed_at": MAY}],
    )
    with vendor("delighted", answers, tmp_path, {"DELIGHTED_API_KEY": KEY}, "/v1") as house:
        yield house


def data(house: House) -> Delighted:
    assert isinstance(house.server.vendor, Delighted)
    return house.server.vendor


# ------------------------------------------------------------------------------------------------ each vendor


def test_delighted(delighted: House) -> None:
    deliveries = delighted.succeed()
    assert delighted.records("survey_responses") == data(delighted).answers
    assert delighted.records("people") == data(delighted).people
    assert delighted.records("unsubscribes") == data(delighted).unsubscribes
    assert (deliveries["survey_responses"].records, deliveries["survey_responses"].unchanged) == (10, 0)
    # Without a new record there is no file at all: none for bounces now, none for any table the second time.
    assert deliveries["bounces"].files == () and delighted.files("bounces") == []
    first = len(delighted.server.requests)
    again = delighted.succeed()
    assert [delivery.files for delivery in again.values()] == [()] * 5
    assert again["people"].unchanged == 7
    since = {int(r.params["updated_since"]) for r in delighted.server.requests[first:] if "responses" in r.path}
    assert since == {MAY + 10 * 3600 - 3 * DAY}, "the newest answer less three days"
    assert not any("updated_since" in request.params for request in delighted.server.requests[:first])


def test_delighteds_own_figure_of_each_month(delighted: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the business time zone, from the first to the last second; a month is delivered again when it changed."""

    of_the_clock = extraction.complete_months
    moment = datetime(2025, 7, 1, 3, tzinfo=UTC)  # still June in New York
    monkeypatch.setattr(
        extraction, "complete_months", lambda count, now: of_the_clock(count, moment.astimezone(now.tzinfo))
    )
    may = {"since": epoch("2025-05-01T04:00:00"), "until": epoch("2025-06-01T03:59:59")}
    answers = data(delighted).answers
    answers[:] = [
        answer(1, 0, created_at=may["since"] - 1),
        answer(2, 9, created_at=may["since"]),
        answer(3, 7, created_at=may["until"]),
        answer(4, 0, created_at=may["until"] + 1),
    ]
    assert delighted.succeed()["metrics"].records == 13
    landed = {record["since"]: record for record in delighted.records("metrics")}
    assert min(landed) == epoch("2024-05-01T04:00:00") and max(landed) == may["since"]
    counts = ("promoter_count", "passive_count", "detractor_count", "response_count", "nps")
    assert [landed[may["since"]][name] for name in counts] == [1, 1, 0, 2, 50]
    assert landed[may["since"]]["until"] == may["until"]
    delighted.assert_loads()
    answers[1]["score"] = 3
    assert delighted.succeed()["metrics"].records == 1
    assert [delighted.records("metrics")[-1][name] for name in counts] == [0, 1, 1, 2, -50]


@pytest.fixture
def surveymonkey(tmp_path: Path) -> Iterator[House]:
    def response(survey: str, number: int) -> Record:
        day = f"2025-05-{number:02}T12:00:00+00:00"
        return {"id": f"{survey}-{number}", "survey_id": survey, "response_status": "completed"} | {
            "date_created": day,
            "date_modified": day,
            "pages": [{"questions": [{"answers": [{"choice_id": "7", "choice_metadata": {"weight": "100"}}]}]}],
        }

    answers = SurveyMonkey({"11": [response("11", n) for n in range(1, 6)], "22": [response("22", 1)], "33": []})
    with vendor("surveymonkey", answers, tmp_path, {"SURVEYMONKEY_ACCESS_TOKEN": KEY}, "/v3") as house:
        yield house


def test_surveymonkey(surveymonkey: House) -> None:
    house, answers = surveymonkey, surveymonkey.server.vendor
    assert isinstance(answers, SurveyMonkey)
    surveys = answers.surveys
    house.succeed()
    # Links that name the vendor's host are followed on ours: all requests came here.
    assert house.latest("responses") == {r["id"]: r for survey in surveys.values() for r in survey}
    assert set(house.latest("survey_details")) == {"11", "22", "33"}
    house.assert_loads()
    assert [r.path for r in house.server.requests].count("/v3/surveys") == 2, "the list is walked once a run"

    # Each survey has its own cursor: the old survey's answers are not asked for since the new one's.
    first = len(house.server.requests)
    house.succeed()
    since = {
        r.path.split("/")[3]: r.params.get("start_modified_at")
        for r in house.server.requests[first:]
        if "bulk" in r.path
    }
    assert since == {"11": "2025-05-02T12:00:00", "22": "2025-04-28T12:00:00", "33": None}

    # The minute's requests are used up: the vendor tells the seconds in a header of its own.
    house.server.before = once(
        len(house.server.requests) + 1, Reply({}, 429, {"X-Ratelimit-App-Global-Minute-Reset": "1"})
    )
    started = time.monotonic()
    house.succeed()
    assert time.monotonic() - started >= 1


@pytest.fixture
def typeform(tmp_path: Path) -> Iterator[House]:
    """Pages of four; r3 to r5 were sent in one second, at the edge of one."""

    def response(number: int) -> Record:
        moment = f"2025-05-01T12:00:{number:02}Z"
        answers = [{"field": {"id": "q", "type": "opinion_scale"}, "type": "number", "number": 9}]
        return {"response_id": f"r{number}", "landed_at": moment, "submitted_at": moment, "answers": answers}

    same = {"submitted_at": "2025-05-01T12:00:03Z"}
    forms = {"abc": [response(n) | (same if n in (4, 5) else {}) for n in range(1, 9)], "def": []}
    with vendor("typeform", Typeform(forms), tmp_path, {"TYPEFORM_TOKEN": KEY}) as house:
        house.change(_small_pages)
        yield house


def _small_pages(content: dict[str, Any]) -> None:
    content["resources"]["responses"]["params"]["page_size"] = 4
    content["resources"]["responses"]["last_page"]["shorter_than"] = 4


def test_typeform(typeform: House) -> None:
    answers = typeform.server.vendor
    assert isinstance(answers, Typeform)
    assert typeform.succeed()["responses"].records == 8
    expected = [record | {"form_id": "abc"} for record in answers.forms["abc"]]
    assert sorted(typeform.records("responses"), key=lambda r: r["response_id"]) == expected
    typeform.assert_loads()


@pytest.mark.parametrize("status", [403, 404])
def test_a_form_that_is_refused_leaves_the_others_alone(tmp_path: Path, status: int) -> None:
    """It is named; what had been delivered of it is not asked for again when it is back."""

    def response(number: int, **fields: Any) -> Record:
        moment = f"2025-05-{number:02}T12:00:00Z"
        return {"response_id": f"r{number}", "landed_at": moment, "submitted_at": moment} | fields

    forms = {"f1": [response(1)], "f2": [response(2)], "f3": [response(3)]}
    with vendor("typeform", Typeform(forms), tmp_path, {"TYPEFORM_TOKEN": KEY}) as house:
        house.succeed()
        for number, form in enumerate(forms.values(), start=4):
            form.append(response(number))
        house.server.before = always("/f2/", Reply({"code": "NO"}, status))
        (delivery,) = house.extract()
        assert delivery.records == 2 and delivery.files and delivery.is_refused
        assert re.search(f"typeform.responses: .*HTTP {status}: /forms/f2/responses says .*NO", delivery.error or "")
        assert "extractors/typeform.yml" not in (delivery.error or "")
        first = len(house.server.requests)
        house.server.before = lambda _: None
        house.succeed()
        assert len(house.records("responses")) == 6 + 1, "in the overlap, once more"
        assert "since" in {r.path: r.params for r in house.server.requests[first:]}["/forms/f2/responses"]
        # Where all are refused, it is not the forms.
        house.server.before = always("/responses", Reply({"code": "NO"}, status))
        assert ("give the key in TYPEFORM_TOKEN" if status == 403 else "correct the path") in house.error("responses")


def test_a_survey_that_is_refused_leaves_what_hangs_on_the_others(qualtrics: House) -> None:
    def refuse(request: Request) -> Reply | None:
        return Reply({}, 404) if request.params.get("surveyId") == "SV_2" else None

    qualtrics.server.before = refuse
    errors = {delivery.resource: delivery.error for delivery in qualtrics.extract() if delivery.error}
    assert len(qualtrics.records("distribution")) == 3 and len(qualtrics.records("distribution_contact")) == 3
    assert errors and all("HTTP 404: " in error for error in errors.values())
    assert {"distribution", "distribution_contact"} == set(errors)


def test_typeform_stops_when_a_second_fills_a_page(tmp_path: Path) -> None:
    """More answers in a second than fit a page cannot be paged by time: an error, not a loss."""
    moment = "2025-05-01T12:00:00Z"
    forms = {"abc": [{"response_id": str(n), "landed_at": moment, "submitted_at": moment} for n in range(5)]}
    with vendor("typeform", Typeform(forms), tmp_path, {"TYPEFORM_TOKEN": KEY}) as house:
        house.change(_small_pages)
        assert "leads back to a page" in house.error("responses")
        assert house.files("responses") == []


def test_typeform_stops_when_the_last_of_a_full_page_has_no_time(tmp_path: Path) -> None:
    """From there nobody can ask on, and what follows would be missing without a word."""
    moments = [*(f"2025-05-01T12:00:0{n}Z" for n in range(1, 4)), None]
    answers: list[Record] = [{"response_id": str(n), "submitted_at": moment} for n, moment in enumerate(moments)]
    page = Reply({"items": answers})
    with vendor("typeform", Typeform({"abc": []}), tmp_path, {"TYPEFORM_TOKEN": KEY}) as house:
        house.change(lambda c: c["resources"]["responses"]["last_page"].update(shorter_than=4))
        house.server.before = always("/responses", page)
        assert "has no value to ask on from" in house.error("responses")
        house.server.before = always("/responses", Reply({"items": answers[1:4]}))
        assert house.succeed()["responses"].records == 3, "a page that is not full is the last"


@pytest.fixture
def hubspot(tmp_path: Path) -> Iterator[House]:
    def entry(number: int, *, archived: bool = False, **properties: Any) -> Record:
        moment = "2025-05-01T12:00:00.000Z"
        stamps = {"createdAt": moment, "updatedAt": moment, "archived": archived}
        return {"id": str(number), "properties": properties, **stamps}

    objects = {
        "feedback_submissions": [entry(n, hs_survey_type="NPS", hs_value="9") for n in range(5)]
        + [entry(9, archived=True, hs_survey_type="NPS", hs_value="1")],
        "contacts": [entry(n, email=f"c{n}@shop.example", company=None, jobtitle="Buyer") for n in range(3)]
        + [entry(7, archived=True, email="gone@shop.example", company=None, jobtitle=None)],
        "companies": [entry(1, name="Shop", industry="RETAIL", annualrevenue="1", country="DE")],
        "owners": [
            {"id": "5", "email": "o@shop.example", "firstName": "O", "lastName": "W", "archived": False},
            {"id": "6", "email": "p@shop.example", "firstName": "P", "lastName": "W", "archived": True},
        ],
    }
    with vendor("hubspot", HubSpot(objects), tmp_path, {"HUBSPOT_ACCESS_TOKEN": KEY}) as house:
        yield house


def test_hubspot(hubspot: House) -> None:
    house, api_data = hubspot, hubspot.server.vendor
    assert isinstance(api_data, HubSpot)
    objects = api_data.objects
    house.succeed()
    assert house.records("feedback_submissions") == objects["feedback_submissions"]
    contacts = house.latest("contact")
    assert contacts["7"]["is_deleted"] is True and contacts["0"]["is_deleted"] is False
    assert contacts["1"]["property_email"] == "c1@shop.example"
    assert contacts["1"]["properties"] == objects["contacts"][1]["properties"], "the object itself stays"
    assert set(house.records("company")[0]) >= {"id", "is_deleted", "property_name", "property_country"}
    owners = [(owner["owner_id"], owner["first_name"], owner["archived"]) for owner in house.records("owner")]
    assert sorted(owners) == [("5", "O", False), ("6", "P", True)], "who left is told apart from who never was"
    # Everything is read every time, and only what changed is kept.
    objects["contacts"][1]["properties"]["jobtitle"] = "Chef"
    assert house.succeed()["contact"].records == 1
    objects["contacts"][1]["properties"]["jobtitle"] = "Buyer"
    assert house.succeed()["contact"].records == 1, "changed back is a change as well"
    assert house.latest("contact")["1"]["property_jobtitle"] == "Buyer"
    house.assert_loads()


@pytest.fixture
def zendesk(tmp_path: Path) -> Iterator[House]:
    def entry(number: int, **fields: Any) -> Record:
        return {"id": number, "updated_at": f"2025-05-{number:02}T12:00:00Z"} | fields

    answers = Zendesk(
        tickets=[
            entry(
                n,
                via={"channel": "email", "source": {}},
                status="open",
                priority=None,
                created_at="2025-05-01T00:00:00Z",
            )
            | {"requester_id": 1, "organization_id": 2, "assignee_id": 3}
            for n in range(1, 6)
        ],
        users=[entry(n, email=f"u{n}@shop.example", role="end-user", organization_id=2) for n in range(1, 5)],
        groups=[entry(n, name=f"Team {n}", deleted=False) for n in range(1, 4)],
        organizations=[entry(n, name=f"O {n}", external_id=None) for n in range(1, 4)],
    )
    secrets = {"ZENDESK_SUBDOMAIN": "shop", "ZENDESK_EMAIL": "agent@shop.example", "ZENDESK_API_TOKEN": KEY}
    with vendor("zendesk", answers, tmp_path, secrets, "/api/v2") as house:
        yield house


def test_zendesk(zendesk: House) -> None:
    house, api_data = zendesk, zendesk.server.vendor
    assert isinstance(api_data, Zendesk)
    house.succeed()
    assert house.records("ticket") == [ticket | {"via_channel": "email"} for ticket in api_data.tickets]
    assert house.records("user") == api_data.users
    assert house.records("group") == api_data.groups
    assert house.records("organization") == api_data.organizations
    assert "start_time" in house.server.requests[0].params, "the export demands it from the first request on"
    api_data.tickets[0].update(status="deleted", updated_at="2025-05-06T00:00:00Z")
    assert house.succeed()["ticket"].records == 1
    assert house.latest("ticket")[1]["status"] == "deleted"
    house.assert_loads()


@pytest.fixture
def salesforce(tmp_path: Path) -> Iterator[House]:
    def entry(number: int, **fields: Any) -> Record:
        stamp = f"2025-05-{number:02}T12:00:00.000+0000"
        return {"attributes": {"type": "Account"}, "Id": f"001{number}", "SystemModstamp": stamp} | fields

    account = dict.fromkeys(
        ("Name", "Industry", "NumberOfEmployees", "ParentId", "MasterRecordId", "Type", "BillingCountry")
    )
    contact = dict.fromkeys(("AccountId", "Email", "Title", "ReportsToId", "MasterRecordId"))
    case = {"AccountId": "0011", "ContactId": None}
    task = dict.fromkeys(("WhatId", "AccountId", "OwnerId", "Type", "IsDeleted", "CompletedDateTime", "ActivityDate"))
    answers = Salesforce(
        {
            "Account": [entry(n, AnnualRevenue=1.5e6, OwnerId="005", IsDeleted=False) | account for n in range(1, 6)],
            "Contact": [entry(1, HasOptedOutOfEmail=False, Language__c="de", IsDeleted=False) | contact],
            "User": [],
            "Case": [entry(1, Status="New", Reason=None, CreatedDate="2025-05-01", ClosedDate=None) | case],
            "Task": [entry(1, WhoId="0031", Status="Completed", IsClosed=True, CreatedDate="2025-05-01") | task],
            "Opportunity": [entry(1, AccountId="0011", Amount=10.0, CloseDate="2025-05-01", IsWon=True)],
        }
    )
    secrets = {"SALESFORCE_CLIENT_ID": "id", "SALESFORCE_CLIENT_SECRET": KEY}
    with vendor("salesforce", answers, tmp_path, secrets, "/services/data/v65.0") as house:
        house.environment["SALESFORCE_INSTANCE_URL"] = house.server.url
        yield house


def test_salesforce_renews_its_token(salesforce: House) -> None:
    house, api_data = salesforce, salesforce.server.vendor
    assert isinstance(api_data, Salesforce)

    def expire(request: Request) -> None:
        if request.number == 3:  # between the first and the second page
            api_data.tokens += 1

    house.server.before = expire
    house.succeed()
    accounts = house.records("account")
    assert [account["id"] for account in accounts] == ["0011", "0012", "0013", "0014", "0015"]
    assert {"attributes", "system_modstamp", "annual_revenue", "number_of_employees"} <= set(accounts[0])
    house.assert_loads()
    assert house.records("opportunity")[0]["is_won"] is True
    assert set(house.records("contact")[0]) >= {"has_opted_out_of_email", "language__c"}
    assert api_data.tokens == 3, "asked for, lost, and asked for again"
    house.server.before = lambda r: None if "token" in r.path else Reply({"sent": r.authorization}, 403)
    assert "Bearer ***" in house.error("account"), "a token that was obtained is a secret, too"
    house.server.before = lambda _: None
    house.server.before = always("token", Reply("<html>Sign in</html>"))
    assert "where the token is asked for gives no JSON" in house.error("account")
    house.server.before = lambda _: None
    house.environment["SALESFORCE_CLIENT_SECRET"] = "wrong"
    errors = [delivery.error or "" for delivery in house.extract()]
    assert len(errors) == 6 and all("/services/oauth2/token" in error for error in errors), errors


SURVEY = "/surveys/SV_1/export-responses"


def qualtrics_answer(number: int, score: int, **values: Any) -> Record:
    moment = f"2025-05-{number:02}T12:00:00Z"
    known = {"startDate": moment, "endDate": moment, "recordedDate": moment, "lastModifiedDate": moment, "status": 0}
    known |= {"finished": 1, "progress": 100, "_recordId": f"R_{number}", "distributionChannel": "email"}
    asked = {"QID1": score, "QID1_NPS_GROUP": 3, "QID2_TEXT": f"Answer {number}", "1_QID9": 5, "account_id": "001"}
    return {"responseId": f"R_{number}", "values": known | asked | values, "labels": {"finished": "True"}}


@pytest.fixture
def qualtrics(tmp_path: Path) -> Iterator[House]:
    question = {"QuestionID": "QID1", "QuestionType": "MC", "Selector": "NPS", "QuestionText": "?"}
    mailing = {"requestType": "Invite", "sendDate": "2025-05-01T00:00:00Z", "parentDistributionId": None}
    sent = {"status": "Success", "sentAt": "2025-05-01T00:00:00Z", "openedAt": None, "responseStartedAt": None}
    contact = {"firstName": "C", "email": "c@shop.example", "extRef": "003", "unsubscribed": False}
    opted_out = {"directoryUnsubscribed": True, "directoryUnsubscribeDate": "2025-05-02T00:00:00Z"}
    api_data = Qualtrics(
        surveys={"SV_1": [qualtrics_answer(number, 9) for number in range(1, 6)], "SV_2": []},
        lists={
            "survey-definitions/SV_1/questions": [question | {"DataExportTag": f"Q{n}"} for n in range(3)],
            "distributions/SV_1": [
                mailing | {"id": f"EMD_{n}", "surveyLink": {"surveyId": "SV_1"}} for n in range(1, 4)
            ],
            "distributions/EMD_2/history": [
                sent | {"distributionId": "EMD_2", "contactId": f"CID_{n}", "responseId": None} for n in range(3)
            ],
            "directories": [{"directoryId": "POOL_1"}],
            "directories/POOL_1/contacts": [contact | {"contactId": f"CID_{n}"} for n in range(5)],
            "directories/POOL_1/contacts/optedOutContacts": [contact | opted_out | {"contactId": "CID_4"}],
        },
    )
    secrets = {"QUALTRICS_DATA_CENTER": "iad1", "QUALTRICS_API_TOKEN": KEY}
    with vendor("qualtrics", api_data, tmp_path, secrets, "/API/v3") as house:
        yield house


def test_qualtrics(qualtrics: House) -> None:
    qualtrics.succeed()
    api_data = qualtrics.server.vendor
    assert isinstance(api_data, Qualtrics)
    answers = qualtrics.latest("survey_response")
    assert set(answers) == {f"R_{n}" for n in range(1, 6)}
    assert {"survey_id": "SV_1", "finished": 1, "distribution_channel": "email"}.items() <= answers["R_1"].items()
    assert "values" not in answers["R_1"]
    # Every value is in one table; what is derived from an answer is no answer to its question.
    given = [row for row in qualtrics.records("question_response") if row["response_id"] == "R_1"]
    assert {row["question_id"]: row["value"] for row in given} == {
        "QID1": 9,
        "QID1_NPS_GROUP": 3,
        "QID2": "Answer 1",
        "1_QID9": 5,
    }
    embedded = qualtrics.records("survey_embedded_data")[0]
    assert embedded == {"response_id": "R_1", "key": "account_id", "value": "001"}
    assert len(qualtrics.records("question")) == 3 and len(qualtrics.records("distribution_contact")) == 3
    assert {row["survey_link_survey_id"] for row in qualtrics.records("distribution")} == {"SV_1"}
    contacts = qualtrics.records("directory_contact")
    assert len(contacts) == 6 and contacts[-1]["directory_unsubscribe_date"] == "2025-05-02T00:00:00Z"
    qualtrics.assert_loads()

    # An answer is edited between two exports: it is there again, with its rows, and nothing else is.
    api_data.surveys["SV_1"][3]["values"].update(QID1=2, lastModifiedDate="2025-05-06T00:00:00Z")
    assert {name: delivery.records for name, delivery in qualtrics.succeed().items() if delivery.records} == {
        "survey_response": 1
    }
    assert api_data.exports[-2]["startDate"] == "2025-05-02T12:00:00Z", "the newest change less three days"
    rows = [row for row in qualtrics.records("question_response") if row["question_id"] == "QID1"]
    assert [row["value"] for row in rows if row["response_id"] == "R_4"] == [9, 2]
    assert qualtrics.succeed()["survey_response"].records == 0


@pytest.mark.parametrize(
    ("path", "method", "fault"),
    [
        (SURVEY, "POST", Reply({}, 429, {"Retry-After": "1"})),
        (f"{SURVEY}/ES_1", "GET", Reply({}, 500)),
        (f"{SURVEY}/ES_1-def/file", "GET", Reply(b"PK" * 99, cut=True)),
        (f"{SURVEY}/ES_1-def/file", "GET", Reply(b"PK" * 99, truncate=True)),
    ],
    ids=["429 to the order", "500 while it is made", "connection cut", "half a zip file"],
)
def test_an_export_bears_a_passing_fault(qualtrics: House, path: str, method: str, fault: Reply) -> None:
    faults = [fault]

    def pass_by(request: Request) -> Reply | None:
        is_there = request.method == method and request.path.endswith(path)
        return faults.pop() if faults and is_there else None

    qualtrics.server.before = pass_by
    qualtrics.succeed()
    assert not faults and len(qualtrics.records("survey_response")) == 5


@pytest.mark.parametrize(
    ("path", "fault", "message"),
    [
        (
            f"{SURVEY}/ES_1",
            Reply({"result": {"status": "failed"}, "meta": {"requestId": "r-9"}}),
            "could not be made.*gives an object with 'result', 'meta'",
        ),
        (SURVEY, Reply({"result": {}}), "could not be made"),
        (f"{SURVEY}/ES_1-def/file", Reply(b"PK" * 99), "not a whole zip file with JSON"),
        (f"{SURVEY}/ES_1", Reply({}, 401), "survey_response: HTTP 401 .*renew QUALTRICS_API_TOKEN"),
        (f"{SURVEY}/ES_1-def/file", Reply("", 302, {"Location": "http://files.example/1"}), "another host"),
    ],
    ids=["failed", "no job", "no zip file", "token expired on the way", "another host"],
)
def test_a_failed_export_leaves_nothing_and_is_named(qualtrics: House, path: str, fault: Reply, message: str) -> None:
    qualtrics.server.before = lambda request: fault if request.path.endswith(path) else None
    assert re.search(message, qualtrics.error("survey_response"))
    assert [qualtrics.files(table) for table in ("survey_response", "question_response")] == [[], []]
    assert len(qualtrics.records("directory_contact")) == 6, "the other tables are extracted all the same"
    qualtrics.server.before = lambda _: None
    qualtrics.succeed()
    assert len(qualtrics.records("survey_response")) == 5, "the cursor had not moved"


# ----------------------------------------------------------------------------------------------------- faults


def once(number: int, reply: Reply) -> Callable[[Request], Reply | None]:
    return lambda request: reply if request.number == number else None


@pytest.mark.parametrize(
    "fault",
    [
        Reply({"error": "busy"}, 500),
        Reply("<html>Bad Gateway</html>", 502),
        Reply([answer(number) for number in range(99)], cut=True),
        Reply([answer(number) for number in range(99)], truncate=True),
        Reply({"error": "slow down"}, 429),
    ],
    ids=["500", "502", "connection cut", "truncated JSON", "429 without a time"],
)
def test_a_passing_fault_is_borne(delighted: House, fault: Reply) -> None:
    delighted.server.before = once(3, fault)
    delighted.succeed()
    assert delighted.records("survey_responses") == data(delighted).answers
    assert delighted.server.requests[2].params == delighted.server.requests[3].params, "the same page again"


def test_retry_after_is_waited_for(delighted: House) -> None:
    delighted.server.before = once(2, Reply({"status": 429}, 429, {"Retry-After": "1"}))
    started = time.monotonic()
    delighted.succeed()
    assert time.monotonic() - started >= 1
    assert delighted.records("survey_responses") == data(delighted).answers


def always(path: str, reply: Reply, page: str | None = None) -> Callable[[Request], Reply | None]:
    def fault(request: Request) -> Reply | None:
        return reply if path in request.path and (page is None or request.params.get("page") == page) else None

    return fault


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Reply({}, 503), r"HTTP 503 from /v1/survey_responses.json\S* after 6 attempts"),
        (Reply([answer(1)], cut=True), "IncompleteRead"),
        (Reply([answer(1)], truncate=True), "not whole JSON"),
        (Reply({}, 403), "survey_responses: HTTP 403 .*give the key in DELIGHTED_API_KEY the right"),
        (Reply({}, 404), "survey_responses: HTTP 404 .*correct the path in extractors/delighted.yml"),
        (Reply({"message": f"Key {KEY} expired"}, 401), r"HTTP 401 .*renew DELIGHTED_API_KEY.*Key \*\*\* expired"),
        (
            Reply({"error": "maintenance"}),
            "the answer is no list: /v1/survey_responses.json gives an object with 'error'",
        ),
        (Reply(["x"]), "something else than records"),
        (Reply([answer(2, updated_at="soon")]), "delighted.survey_responses: .*'soon' is no time.*correct"),
    ],
    ids=["503", "cut", "truncated", "403", "404", "401", "200 with an error", "no records", "no time"],
)
def test_a_lasting_fault_leaves_nothing_and_is_named(delighted: House, fault: Reply, message: str) -> None:
    """Also when it begins on the third page; the other tables are extracted all the same."""
    delighted.server.before = always("survey_responses", fault, page="3")
    assert re.search(message, delighted.error("survey_responses"))
    assert delighted.files("survey_responses") == []
    assert [p.name for p in (delighted.settings.landing / "delighted" / "survey_responses").iterdir()] == []
    assert len(delighted.records("people")) == 7
    delighted.server.before = lambda _: None
    delighted.succeed()
    assert delighted.records("survey_responses") == data(delighted).answers, "the cursor had not moved"


def test_a_server_that_is_not_there_is_named(delighted: House) -> None:
    delighted.environment["DELIGHTED_BASE_URL"] = "http://127.0.0.1:1/"
    assert "port=1" in delighted.error("people")


def test_an_expired_key_is_asked_for_once(delighted: House) -> None:
    delighted.environment["DELIGHTED_API_KEY"] = "old"
    assert all("renew DELIGHTED_API_KEY" in str(delivery.error) for delivery in delighted.extract())
    assert len(delighted.server.requests) == 5, "one try for each table"


def test_a_cursor_that_does_not_move_is_an_error(tmp_path: Path) -> None:
    page = Reply({"results": [{"id": "1", "archived": False}], "paging": {"next": {"after": "1"}}})
    with vendor("hubspot", lambda _: page, tmp_path, {"HUBSPOT_ACCESS_TOKEN": KEY}) as house:
        assert "leads back to a page it already gave" in house.error("owner")
        house.change(lambda c: c["resources"]["owner"].update(paginator={"type": "page_number", "total_path": None}))
        assert "leads back to a page it already gave" in house.error("owner"), "the page number is not known there"
        missing = Reply({"status": "ok"})
        house.server.before = lambda _: missing
        assert "the answer has no 'results'" in house.error("owner")


def test_a_circle_of_pages_with_ever_new_cursors_is_an_error(tmp_path: Path) -> None:
    def circle(request: Request) -> Reply:
        owners = [{"id": str(request.number % 2 * 2 + n), "archived": False} for n in range(2)]
        if request.number == 4:  # in another order
            owners.reverse()
        after = {"after": f"c{request.number}"} if request.number < 30 else None
        return Reply({"results": owners, "paging": {"next": after}})

    with vendor("hubspot", circle, tmp_path, {"HUBSPOT_ACCESS_TOKEN": KEY}) as house:
        house.change(lambda c: c.update(resources={"owner": c["resources"]["owner"]}))
        assert "leads back to a page it already gave" in house.error("owner")
        assert len(house.server.requests) == 5


# ------------------------------------------------------------------------------ each vendor, fault and request


def in_haste(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """Without waiting for the disk, and what is the same each time is read once: most of an extraction here is that."""
    api.Api(house.extractor, house.settings, house.environment)  # nobody may import dlt before it
    from dlt.common import jsonpath  # noqa: PLC0415

    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(jsonpath, "compile_path", cache(jsonpath.compile_path))
    monkeypatch.setattr(Settings, "variables", house.settings.variables)
    monkeypatch.setattr(House, "extractor", house.extractor)
    monkeypatch.setattr(House, "table", {table.name: table for table in load_sources(house.settings).tables}.get)
    return house


@pytest.fixture(params=sorted(path.stem for path in (ROOT / "extractors").glob("*.yml")))
def each_vendor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> House:
    return in_haste(request.getfixturevalue(request.param), monkeypatch)


def anew(house: House, before: Callable[[Request], Reply | None] = lambda _: None) -> House:
    """The same vendor, of which nothing is known yet."""
    house.server.before = before
    house.server.requests.clear()
    folder = tempfile.mkdtemp(dir=house.settings.data_dir.parent)
    return replace(house, settings=replace(house.settings, data_dir=Path(folder)))


def landed(house: House) -> dict[str, list[str]]:
    """Of each table what the loader sees, whatever file it is in."""
    return {
        folder.name: sorted(json.dumps(record, sort_keys=True) for record in house.records(folder.name))
        for folder in (house.settings.landing / house.source).iterdir()
    }


def undisturbed(house: House) -> tuple[dict[str, list[str]], list[int]]:
    """What lands, and the first and the last of each kind of request: by path, but for numbers, and parameters."""
    house = anew(house)
    house.succeed()
    records = landed(house)
    assert all(len(set(rows)) == len(rows) for rows in records.values()) and any(records.values())
    kinds: dict[tuple[str, ...], list[int]] = {}
    for request in house.server.requests:
        kind = (request.method, re.sub(r"\d", "", request.path), *request.params)
        kinds.setdefault(kind, []).append(request.number)
    return records, sorted({number for found in kinds.values() for number in (found[0], found[-1])})


def test_a_fault_at_any_request_loses_and_doubles_nothing(each_vendor: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the vendor did is done, and its answer is lost."""
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=waits.append))
    told = {each_vendor.extractor.retry.wait_header or "Retry-After": "7"}
    faults: list[dict[str, Any]] = [
        {"status": 500},
        {"status": 429, "headers": told},
        {"cut": True},
        {"truncate": True},
    ]
    expected, numbers = undisturbed(each_vendor)

    def disturb(request: Request) -> Reply | None:
        return replace(each_vendor.server.vendor(request), **fault) if request.number == number else None

    for fault, number in product(faults, numbers):
        house = anew(each_vendor, disturb)
        house.succeed()
        assert landed(house) == expected, (fault, house.server.requests[number - 1])
        assert waits.pop() == (7 if "headers" in fault else 0) and not waits


def test_a_token_that_expires_before_any_request_is_renewed(salesforce: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It alone has tokens that expire on the way."""
    oauth = [path.stem for path in (ROOT / "extractors").glob("*.yml") if "type: oauth2" in path.read_text()]
    assert oauth == ["salesforce"]
    house = in_haste(salesforce, monkeypatch)
    api_data = house.server.vendor
    assert isinstance(api_data, Salesforce)
    expected, _ = undisturbed(house)
    total = len(house.server.requests)

    def expire(request: Request) -> None:
        api_data.tokens += request.number == number

    for number in range(1, total + 1):
        house = anew(salesforce, expire)
        house.succeed()
        assert landed(house) == expected
        assert len(house.server.requests) == total + (2 if number > 1 else 0), "refused, renewed and asked again"


def test_stopped_at_any_request_and_repeated_loses_and_doubles_nothing(
    each_vendor: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API does not come back in time; or it does not know the key any more, and each page was a part of its own."""
    keys = " and ".join(each_vendor.extractor.credentials())
    told = {500: "what was not whole is not kept, run it again", 401: f"renew {keys}"}
    expected, numbers = undisturbed(each_vendor)

    def stop(request: Request) -> Reply | None:
        return Reply({}, status) if request.number >= number else None

    for (status, pages), number in product([(500, 50), (401, 1)], numbers):
        monkeypatch.setattr(extraction, "_PAGES_OF_A_PART", pages)
        house = anew(each_vendor, stop)
        deliveries = house.extract()
        errors = [delivery.error for delivery in deliveries if delivery.error]
        assert errors and all(re.match(f"{house.source}\\..*{told[status]}", error) for error in errors), errors
        files = {str(path.relative_to(house.settings.landing)) for path in house.settings.landing.rglob("*.*")}
        assert not any("/." in file for file in files), "a draft"
        assert pages == 1 or files == {file for delivery in deliveries for file in delivery.files}
        house.server.before = lambda _: None
        house.succeed()
        assert landed(house) == expected, (status, house.server.requests[number - 1])


# ------------------------------------------------------------------------------- pages that move, and the overlap


# Of each vendor a table, where its records are at the vendor, and how one is changed. Typeform's answers cannot be, and
# Delighted's are below.
EDITS: dict[str, tuple[str, Callable[[Any], list[Record]], Callable[[Record, str], None]]] = {
    "surveymonkey": (
        "responses",
        lambda answers: answers.surveys["11"],
        lambda record, now: record.update(response_status="partial", date_modified=f"{now}+00:00"),
    ),
    "hubspot": (
        "feedback_submissions",
        lambda answers: answers.objects["feedback_submissions"],
        lambda record, now: record.update(properties={"hs_value": "0"}, updatedAt=f"{now}.000Z"),
    ),
    "zendesk": (
        "ticket",
        lambda answers: answers.tickets,
        lambda record, now: record.update(status="solved", updated_at=f"{now}Z"),
    ),
    "salesforce": (
        "account",
        lambda answers: answers.records["Account"],
        lambda record, now: record.update(Industry="Food", SystemModstamp=f"{now}.000+0000"),
    ),
    "qualtrics": (
        "survey_response",
        lambda answers: answers.surveys["SV_1"],
        lambda record, now: record["values"].update(status=1, lastModifiedDate=f"{now}Z"),
    ),
}


@pytest.mark.parametrize("source", EDITS)
def test_a_record_edited_at_any_request_arrives_in_its_last_version(
    source: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By each way of paging, and even without an overlap: with the next extraction at the latest, and no other is lost.

    SurveyMonkey's leaves page 2 for page 1, which has been read; Zendesk's comes once more at the end.
    """
    table, records, change = EDITS[source]
    original: House = request.getfixturevalue(source)

    def reduce(content: dict[str, Any]) -> None:
        found = content["resources"].items()
        found = {n: r for n, r in found if r.get("table", n) == table or not r.get("selected", True)}
        for resource in found.values():
            resource.get("incremental", {}).update(overlap_days=0)
        content["resources"] = found

    original.change(reduce)
    sound = in_haste(original, monkeypatch).server.vendor
    _, numbers = undisturbed(original)

    def edit(request: Request) -> None:
        if request.number == number:
            for place, ahead in ((0, 0), (3, 60)):  # the second by a clock that is ahead
                moment = datetime.now(UTC) + timedelta(seconds=ahead)
                change(records(original.server.vendor)[place], f"{moment:%Y-%m-%dT%H:%M:%S}")

    for number in numbers:
        original.server.vendor = copy.deepcopy(sound)
        house = anew(original, edit)
        house.succeed()
        house.succeed()
        whole = anew(original)
        whole.succeed()
        assert house.latest(table) == whole.latest(table), f"edited at request {number}"


def test_an_answer_edited_between_two_pages_arrives_in_its_last_version(delighted: House) -> None:
    """Even without an overlap: the cursor never passes the start of the extraction."""
    delighted.change(lambda c: c["resources"]["survey_responses"]["incremental"].update(overlap_days=0))
    early, late = data(delighted).answers[0], data(delighted).answers[8]

    def edit(request: Request) -> None:
        if request.params.get("page") == "2":
            early.update(score=1, updated_at=int(time.time()))
            late.update(score=2, updated_at=int(time.time()) + 60)  # by a clock that is ahead

    delighted.server.before = edit
    delighted.succeed()
    assert {a["id"] for a in delighted.records("survey_responses")} == {a["id"] for a in data(delighted).answers}
    delighted.server.before = lambda _: None
    delighted.succeed()
    assert delighted.latest("survey_responses") == {a["id"]: a for a in data(delighted).answers}


def test_repeated_and_reordered_pages(delighted: House) -> None:
    """An API that gives page 2 again as page 3, and its records in another order, doubles nothing."""

    def shuffle(request: Request) -> Reply | None:
        if "survey_responses" not in request.path:
            return None
        page = {3: 2}.get(int(request.params["page"]), int(request.params["page"]) - (int(request.params["page"]) > 3))
        return Reply(list(reversed(data(delighted).answers[(page - 1) * 3 : page * 3])))

    delighted.server.before = shuffle
    assert delighted.succeed()["survey_responses"].records == 10
    assert delighted.latest("survey_responses") == {a["id"]: a for a in data(delighted).answers}


def test_late_and_changed_answers_come_through_the_overlap(delighted: House) -> None:
    delighted.succeed()
    data(delighted).answers.append(answer(11))
    data(delighted).answers.append(answer(-40, comment="late, within three days"))
    data(delighted).answers[9].update(score=0)  # changed without a new time
    assert delighted.succeed()["survey_responses"].records == 3
    assert delighted.latest("survey_responses") == {a["id"]: a for a in data(delighted).answers}
    assert delighted.succeed()["survey_responses"].records == 0


def test_any_text_survives(delighted: House, tmp_path: Path) -> None:
    texts = ["a\nb", "c\u2028d\r\ne", "\x00", "\\u0000", "\\\x00", '🙂 é "quoted"', "\\", "\ud83d", "x" * 100_000, ""]
    data(delighted).answers[:] = [answer(number, comment=text) for number, text in enumerate(texts, start=1)]
    delighted.succeed()
    lines = delighted.files("survey_responses")[0].read_bytes().split(b"\n")
    landed = [re.sub("[\ud83d\x00]", "\ufffd", text) for text in texts]  # half a character is none, nor is a NUL
    assert [json.loads(line)["comment"] for line in lines[:-1]] == landed
    assert [(load.rows, load.malformed_rows) for load in loads(delighted, "survey_responses")] == [(len(texts), 0)]


# --------------------------------------------------------------------------------------------- kills and doubles


def loads(house: House, table: str) -> list[Load]:
    """Load the new files as the pipeline does; each load once."""
    described = replace(house.table(table), is_required=False)
    return loader.load_all([described], house.settings.landing, house.settings.lake)


def test_killed_between_the_file_and_the_state(each_vendor: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one list after the other: the same records are delivered once more, and loaded once."""
    expected, _ = undisturbed(each_vendor)
    house = anew(each_vendor)
    write = extraction._State.write

    def kill(state: extraction._State, at: str, progress: extraction.Progress) -> None:
        if at == name:
            raise KeyboardInterrupt
        write(state, at, progress)

    for name in house.extractor.resources:
        if not house.extractor.resources[name].selected:
            continue
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(extraction._State, "write", kill)
            house.extract()
    house.succeed()
    assert {table: 2 * len(rows) for table, rows in expected.items()} == {t: len(r) for t, r in landed(house).items()}
    assert {t: sum(load.rows for load in loads(house, t)) for t in expected} == {t: len(r) for t, r in expected.items()}


def test_a_draft_is_no_delivery(delighted: House) -> None:
    """While a file is written, and after a kill, the loader does not see it; the next extraction removes it."""
    folder = delighted.settings.landing / "delighted" / "survey_responses"
    folder.mkdir(parents=True)
    left_behind = folder / ".20250101T000000000000Z_survey_responses.jsonl.part"
    left_behind.write_text('{"id": "1", "per')

    def look(request: Request) -> None:
        if request.params.get("page") == "2" and "responses" in request.path:
            assert len(list(folder.iterdir())) == 1
            assert delighted.files("survey_responses") == []

    delighted.server.before = look
    delighted.succeed()
    assert not left_behind.exists()
    assert len(list(folder.iterdir())) == 1


def test_one_extraction_at_a_time(delighted: House) -> None:
    running = extraction.extract(delighted.settings, delighted.extractor, delighted.environment)
    assert next(running).error is None
    with pytest.raises(ExtractError, match="another process is extracting it"):
        delighted.extract()
    del running  # and its lock with it
    delighted.succeed()


def killed(house: House, home: Path, kill_at: int) -> bool:
    """Run `extract` in a process of its own, killed (SIGKILL) about that many requests later; whether it was."""
    home.mkdir(exist_ok=True)
    folders = {"NPS_DATA_DIR": str(house.settings.data_dir), "NPS_CONFIG_DIR": str(house.settings.config_dir)}
    first = len(house.server.requests)
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestration", "extract"],
        cwd=ROOT,
        env=os.environ | house.environment | folders | {"HOME": str(home)},
        stdout=subprocess.DEVNULL,
    )
    while process.poll() is None:
        if kill_at and len(house.server.requests) - first >= kill_at:
            time.sleep(random.random() / 50)
            process.send_signal(signal.SIGKILL)
            process.wait()
        time.sleep(0.001)
    assert kill_at or process.returncode == 0
    return process.returncode == -signal.SIGKILL


def test_killed_at_any_moment(delighted: House, tmp_path: Path) -> None:
    """SIGKILL at random requests, while answers come in and change: nothing is lost, and no half file is seen."""
    random.seed(7)
    api_data = data(delighted)
    api_data.answers[:] = [answer(number) for number in range(1, 61)]
    kills = 0
    for number in range(6):
        kills += killed(delighted, tmp_path / "home", random.randint(1, 26))
        assert all(json.loads(line) for file in delighted.files("survey_responses") for line in file.open())
        api_data.answers.append(answer(100 + number))
        api_data.answers[number].update(score=number, updated_at=int(time.time()))
    assert kills >= 4
    killed(delighted, tmp_path / "home", kill_at=0)
    assert delighted.latest("survey_responses") == {a["id"]: a for a in api_data.answers}
    assert delighted.latest("people") == {p["id"]: p for p in api_data.people}
    assert list((tmp_path / "home").iterdir()) == [], "dlt writes nothing into the home folder"


def test_an_export_killed_at_any_moment(qualtrics: House, tmp_path: Path) -> None:
    random.seed(11)
    api_data = qualtrics.server.vendor
    assert isinstance(api_data, Qualtrics)
    kills = 0
    for number in range(3):
        kills += killed(qualtrics, tmp_path / "home", random.randint(18, 30))
        api_data.surveys["SV_2"].append(qualtrics_answer(20 + number, number))
    assert kills >= 2
    qualtrics.succeed()
    answers = {a["responseId"]: a["values"]["QID1"] for survey in api_data.surveys.values() for a in survey}
    assert set(qualtrics.latest("survey_response")) == set(answers)
    scores = [row for row in qualtrics.records("question_response") if row["question_id"] == "QID1"]
    assert {row["response_id"]: row["value"] for row in scores} == answers


def test_a_long_read_goes_on_where_it_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts that were delivered are not read again, but for the overlap."""
    monkeypatch.setattr(extraction, "_PAGES_OF_A_PART", 3)
    tickets = [{"id": n, "updated_at": f"2025-{n:02}-01T12:00:00Z", "via": {"channel": "web"}} for n in range(1, 13)]
    zendesk = Zendesk(tickets=tickets, page_size=1)
    secrets = {"ZENDESK_SUBDOMAIN": "shop", "ZENDESK_EMAIL": "agent@shop.example", "ZENDESK_API_TOKEN": KEY}
    with vendor("zendesk", zendesk, tmp_path, secrets, "/api/v2") as house:
        house.change(lambda c: c.update(resources={"ticket": c["resources"]["ticket"]}))
        house.server.before = once(9, Reply({}, 403))
        assert house.extract()[0].is_refused
        assert [record["id"] for record in house.records("ticket")] == [1, 2, 3, 4, 5, 6], "two parts"
        house.server.before = lambda _: None
        first = len(house.server.requests)
        assert house.succeed()["ticket"].records == 6
        assert epoch("2025-05-28T12:00:00Z") <= int(house.server.requests[first].params["start_time"])
        assert [record["id"] for record in house.records("ticket")] == list(range(1, 13)), "nothing twice"
        assert house.succeed()["ticket"].records == 0


# ---------------------------------------------------------------------------------------------------- backfills


def test_a_backfill_asks_for_a_window_and_leaves_the_cursor(delighted: House) -> None:
    delighted.succeed()
    state = (delighted.settings.extract_state / "delighted.json").read_bytes()
    data(delighted).answers[2].update(score=0)  # corrected by the vendor without a new time
    data(delighted).answers.append(answer(-400, comment="imported by the vendor, long ago"))
    first = len(delighted.server.requests)
    at = [datetime.fromtimestamp(MAY + hours * 3600, UTC) for hours in (-1000, 5)]
    window = extraction.Window(*at)

    def backfill() -> dict[str, int]:
        found = extraction.extract(delighted.settings, delighted.extractor, delighted.environment, window)
        return {delivery.resource: delivery.records for delivery in found}

    assert backfill() == {"survey_responses": 5, "unsubscribes": 1, "bounces": 0}, "answers 1 to 4 and the one imported"
    asked = {
        (r.params["updated_since"], r.params["updated_until"])
        for r in delighted.server.requests[first:]
        if "responses" in r.path
    }
    assert asked == {(str(int(at[0].timestamp())), str(int(at[1].timestamp())))}
    assert (delighted.settings.extract_state / "delighted.json").read_bytes() == state
    assert delighted.latest("survey_responses") == {a["id"]: a for a in data(delighted).answers}
    assert [load.rows for load in loads(delighted, "survey_responses")] == [10, 5]
    backfill()  # again, as after a kill: the same file, which the loader knows
    assert loads(delighted, "survey_responses") == []
    # The extraction of every day goes on where it was: within its overlap, the corrected answer is news to it.
    data(delighted).answers.append(answer(11))
    assert delighted.succeed()["survey_responses"].records == 2


@pytest.mark.parametrize("seed", range(5))
def test_backfills_in_any_order_end_where_one_reading_ends(delighted: House, seed: int) -> None:
    """Windows that meet, some asked for twice, while an answer is corrected and so moves into a later one.

    What any loads leave in the models is what a full build leaves (test_incremental.py); here it is the loads.
    """
    order = random.Random(seed)
    edges = [datetime.fromtimestamp(MAY + hours * 3600, UTC) for hours in (0, 3, 6, 9, 24)]
    windows = [extraction.Window(*pair) for pair in pairwise(edges)]
    asked = order.sample(windows, len(windows)) + order.sample(windows, 2)
    corrected_before = order.randrange(len(asked) + 1)
    for number, window in enumerate([*asked, windows[-1]]):
        if number == corrected_before:
            data(delighted).answers[order.randrange(9)].update(score=0, updated_at=MAY + 20 * 3600)
        found = list(extraction.extract(delighted.settings, delighted.extractor, delighted.environment, window))
        assert [delivery.error for delivery in found if delivery.error] == []
    assert delighted.latest("survey_responses") == {answer["id"]: answer for answer in data(delighted).answers}
    rows = [load.rows for load in loads(delighted, "survey_responses")]
    assert sum(rows) >= 10
    # The first extraction of every day brings nothing that is not there already.
    delighted.succeed()
    assert delighted.latest("survey_responses") == {answer["id"]: answer for answer in data(delighted).answers}
    distinct = {json.dumps(record) for record in delighted.records("survey_responses")}
    assert len(distinct) in (10, 11), "each answer as it is, and the corrected one perhaps as it was"


def test_months_chosen_in_dagster_leave_the_marts_of_a_rebuild(
    delighted: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A year of the sample company by the API, the later half first, then the earlier, then a month once more."""
    import dagster as dg  # noqa: PLC0415

    from orchestration.landing import landing_assets  # noqa: PLC0415

    settings = delighted.settings
    shutil.copytree(ROOT / "seeds" / "reference", settings.config_dir / "seeds" / "reference")
    for table in ("people", "survey_requests"):  # which know no time of a change
        shutil.copytree(SAMPLE / "delighted" / table, settings.landing / "delighted" / table)
    exports = sorted((SAMPLE / "delighted" / "survey_responses").glob("2024-*.csv"))
    rows = [row for path in exports for row in csv.DictReader(path.open(encoding="utf-8", newline=""))]
    records = {row["id"]: _record(row) for row in rows if row["created_at"].isdigit()}
    data(delighted).page_size = 100
    data(delighted).answers[:] = records.values()
    for name, value in delighted.environment.items():
        monkeypatch.setenv(name, value)
    _, asset = landing_assets(settings, {"delighted": delighted.extractor})
    builder = Builder(settings)
    figures = ["--select", "+nps_by_segment_period"]  # the other marts follow from what these do
    for number, (first, last) in enumerate(
        [("2024-07-01", "2024-12-31"), ("2024-01-01", "2024-06-30"), ("2024-03-01", "2024-03-31")]
    ):
        if number == 2:
            for record in records.values():
                if record["created_at"] in range(epoch("2024-03-05T00:00:00Z"), epoch("2024-03-09T00:00:00Z")):
                    record |= {"score": 0, "updated_at": record["created_at"] + DAY}
        days = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        assert dg.materialize([asset], instance=dg.DagsterInstance.ephemeral(), tags=days).success
        builder.load()
        if number != 1:
            builder.build(*figures)
    with builder.another_warehouse() as rebuilt:
        builder.build(*figures)
    facts = assert_same(settings.warehouse, rebuilt)["marts.fct_nps_responses"]
    assert len(facts) > 1000
    with duckdb.connect(settings.warehouse, read_only=True) as connection:
        query = "select is_full from builds.model_builds where model_name = 'fct_nps_responses' order by built_at"
        assert connection.execute(query).fetchall() == [(True,), (False,)]
        corrected = "select min(score), max(score), count(*) from marts.fct_nps_responses where response_date"
        low, high, count = connection.execute(f"{corrected} between '2024-03-06' and '2024-03-07'").fetchall()[0]
        assert (low, high) == (0, 0) and count > 2


@pytest.mark.parametrize("source", ["zendesk", "salesforce"])
def test_an_api_that_knows_no_end_is_cut_at_it(source: str, tmp_path: Path) -> None:
    """These give everything since a time: what is later is left out here."""
    moments = [f"2025-05-{day:02}T12:00:00" for day in (1, 2, 3)]
    zendesk = Zendesk(tickets=[{"id": n, "updated_at": f"{moment}Z", "via": {}} for n, moment in enumerate(moments)])
    rows = [{"Id": str(n), "SystemModstamp": f"{moment}.000+0000"} for n, moment in enumerate(moments)]
    salesforce = Salesforce(dict.fromkeys(("Account", "Contact", "User", "Task", "Case", "Opportunity"), rows))
    secrets = {"ZENDESK_SUBDOMAIN": "shop", "ZENDESK_EMAIL": "agent@shop.example", "ZENDESK_API_TOKEN": KEY}
    secrets |= {"SALESFORCE_CLIENT_ID": "id", "SALESFORCE_CLIENT_SECRET": KEY}
    path, answers, table = {
        "zendesk": ("/api/v2", zendesk, "ticket"),
        "salesforce": ("/services/data/v65.0", salesforce, "account"),
    }[source]
    assert callable(answers)
    with vendor(source, answers, tmp_path, secrets, path) as house:
        house.environment["SALESFORCE_INSTANCE_URL"] = house.server.url
        window = extraction.Window(datetime(2025, 5, 2, tzinfo=UTC), datetime(2025, 5, 3, tzinfo=UTC))
        found = list(extraction.extract(house.settings, house.extractor, house.environment, window))
        assert [delivery.error for delivery in found if delivery.error] == []
        assert [str(record["id"]) for record in house.records(table)] == ["1"]


def test_a_source_that_knows_no_time_has_no_backfill(tmp_path: Path) -> None:
    with vendor("hubspot", HubSpot({}), tmp_path, {"HUBSPOT_ACCESS_TOKEN": KEY}) as house:
        window = extraction.Window(datetime(2025, 5, 2, tzinfo=UTC), datetime(2025, 5, 3, tzinfo=UTC))
        with pytest.raises(ConfigError, match="cannot be asked by time"):
            list(extraction.extract(house.settings, house.extractor, house.environment, window))


# ------------------------------------------------------------------------------------- from the API to the lake


def test_the_lake_is_the_same_from_api_and_export(delighted: House, tmp_path: Path) -> None:
    """The sample company's answers, as JSON from the API and as the CSV of the export: the same text in every cell."""
    exports = sorted((SAMPLE / "delighted" / "survey_responses").glob("*.csv"))[:6]
    rows = [row for path in exports for row in csv.DictReader(path.open(encoding="utf-8", newline=""))]

    data(delighted).page_size = 100
    api_rows = [_record(row) for row in rows]
    # The export repeats rows; an API has one record of each.
    data(delighted).answers[:] = [row for place, row in enumerate(api_rows) if row not in api_rows[:place]]
    delighted.succeed()
    assert [load.malformed_rows for load in loads(delighted, "survey_responses")] == [0]

    by_file = replace(delighted, settings=replace(delighted.settings, data_dir=tmp_path / "by_file"))
    folder = by_file.settings.landing / "delighted" / "survey_responses"
    folder.mkdir(parents=True)
    for path in exports:
        (folder / path.name).write_bytes(path.read_bytes())
    assert sum(load.rows for load in loads(by_file, "survey_responses")) == len(rows)

    def content(house: House) -> set[tuple[str | None, ...]]:
        glob = house.settings.lake / "raw" / "delighted" / "survey_responses" / "*" / "data_0.parquet"
        columns = ", ".join(f'"{column}"' for column in rows[0])
        with duckdb.connect() as connection:
            found = connection.execute(f"select {columns} from read_parquet('{glob}', union_by_name = true)").fetchall()
        return {tuple(_same_json(cell) for cell in row) for row in found}

    assert len(content(delighted)) > 20
    assert content(delighted) == content(by_file)


def _record(row: dict[str, str]) -> Record:
    """A row of the export, as the API gives it."""

    def value(column: str, text: str) -> Any:
        if column in ("person_properties", "tags", "notes"):
            return json.loads(text) if text else None
        is_number = column in ("score", "created_at", "updated_at") and re.fullmatch(r"-?\d+", text)
        return int(text) if is_number else text or None

    return {column: value(column, text) for column, text in row.items()}


def _same_json(cell: str | None) -> str | None:
    return json.dumps(json.loads(cell), sort_keys=True) if cell and cell[0] in "[{" else cell


# ------------------------------------------------------------------------------------------- configuration


def test_a_missing_secret_is_named(delighted: House) -> None:
    del delighted.environment["DELIGHTED_API_KEY"]
    with pytest.raises(ConfigError, match="set DELIGHTED_API_KEY in the environment"):
        delighted.extract()


@pytest.mark.parametrize("content", ["[]", '{"people": []}', '{"survey_responses": {"cursors": {"": "soon"}}}', "{"])
def test_a_broken_state_is_named_and_ends_no_other_source(
    delighted: House, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    state = delighted.settings.extract_state / "delighted.json"
    state.parent.mkdir(parents=True)
    state.write_text(content)
    with pytest.raises(ConfigError, match=r"delighted\.json: .*remove it"):
        delighted.extract()
    console = Console(record=True, width=400)
    other = delighted.extractor.model_copy(update={"source": "other"})
    known = {"delighted": delighted.extractor, "other": other}
    monkeypatch.setattr(commands, "load_extractors", lambda _: known)
    for name, value in delighted.environment.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(name.replace("DELIGHTED_BASE", "OTHER_BASE"), value)
    assert commands.extract(delighted.settings, [], (None, None), console) == 1
    told = console.export_text()
    assert "remove it" in told and "other.people" in told


def test_the_command_skips_or_refuses_without_credentials(tmp_path: Path) -> None:
    """Skipped and named by default; an error when the source is asked for by name."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("DELIGHTED", "SALESFORCE"))
    }

    def run(*sources: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "orchestration", "extract", *sources],
            cwd=ROOT,
            env=environment | {"NPS_DATA_DIR": str(tmp_path), "COLUMNS": "200"},
            text=True,
            capture_output=True,
            check=False,
        )
        return done.returncode, done.stdout

    code, output = run()
    assert code == 0 and "delighted  skipped: DELIGHTED_API_KEY not set" in output
    code, output = run("delighted")
    assert code == 1 and "set DELIGHTED_API_KEY in the environment" in output
    code, output = run("delightful")
    assert code == 1 and "delightful: not in `sources:`" in output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["auth"].update(password=KEY), "auth: .*password: a secret does not belong into a file"),
        (lambda c: c["auth"].update(type="magic"), "magic"),
        (lambda c: c.update(paginator={"type": "page_number", "pages": 3}), "pages"),
        (lambda c: c["resources"]["bounces"].pop("incremental"), "resources.bounces.*go together"),
        (lambda c: c["resources"].update(nps={"path": "metrics.json"}), "resources.nps writes .* no table of sources/"),
        (lambda c: c["resources"]["people"].update(path="{resources.x.id}/a"), "there is no resource x"),
        (lambda c: c.update(baseurl="x"), "baseurl: unknown key"),
        (lambda c: c.update(source="other"), "`source:` must be delighted"),
    ],
    ids=["secret", "auth", "paginator", "incremental", "no table", "no parent", "unknown key", "other source"],
)
def test_a_wrong_file_says_what_is_wrong(
    delighted: House, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    delighted.change(change)
    with pytest.raises(ConfigError, match=message) as error:
        delighted.extract()
    assert KEY not in str(error.value)


@pytest.mark.parametrize("path", sorted((ROOT / "extractors").glob("*.yml")), ids=lambda path: path.stem)
def test_an_extractor_writes_the_tables_of_its_source(path: Path, tmp_path: Path) -> None:
    if not (ROOT / "sources" / path.name).exists():
        pytest.skip("no source of this name yet")
    (tmp_path / "vars.yml").write_text(f"sources: [{path.stem}]\nsegments: []\n")
    (tmp_path / "sources").symlink_to(ROOT / "sources")
    settings = Settings(config_dir=tmp_path, data_dir=tmp_path / "data")
    extractor = load_extractors(settings)[path.stem]
    api.Api(extractor, settings, dict.fromkeys(extractor.variables({}), "x"))


def test_the_pace_is_kept(delighted: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six requests with two a minute: the third waits for the first to be a minute old, and so on."""
    delighted.change(lambda c: c.update(requests_per_minute=2, resources={"people": c["resources"]["people"]}))
    data(delighted).page_size = 2
    now = [0.0]
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("orchestration.api.time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    delighted.succeed()
    assert waits == [60, 0]


def test_an_error_shows_no_secret_and_no_person(delighted: House) -> None:
    """A gateway gives the request back, in one spelling or another; an answer holds persons."""
    mail = "ann@person.example"

    def echo(request: Request) -> Reply:
        key = base64.b64encode(KEY.encode()).decode()
        sent = [request.authorization, request.authorization.replace("/", "\\/"), quote(KEY), key, mail]
        return Reply("x" * 280 + f"{request.authorization} {sent}", 403)

    replies: list[Callable[[Request], Reply]] = [
        echo,
        lambda request: Reply(f"headers: {request.authorization}, key: {KEY}, of: {mail}", 400),
        lambda _: Reply({"error": "no", mail: {"email": mail}}),
        lambda _: Reply([mail]),
    ]
    packed = base64.b64encode(f"{KEY}:".encode()).decode()
    for reply in replies:
        delighted.server.before = reply
        error = delighted.error("people")
        assert not [word for word in (packed, packed[:9], KEY, "Geheim", "ann", "person.example") if word in error], (
            error
        )


def test_secrets_are_not_logged(delighted: House, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        delighted.succeed()
        delighted.environment["DELIGHTED_API_KEY"] = "wrong-key"
        delighted.extract()
    assert caplog.text == "" or not re.search(f"{re.escape(KEY)}|wrong-key", caplog.text)
    state = (delighted.settings.extract_state / "delighted.json").read_text()
    assert KEY not in state


# ------------------------------------------------------------------------------------------------ Dagster


def test_the_asset_extracts_or_is_skipped(delighted: House, monkeypatch: pytest.MonkeyPatch) -> None:
    import dagster as dg  # noqa: PLC0415

    from orchestration.landing import landing_assets  # noqa: PLC0415

    assets, _ = ([asset] for asset in landing_assets(delighted.settings, {"delighted": delighted.extractor}))
    instance = dg.DagsterInstance.ephemeral()
    monkeypatch.delenv("DELIGHTED_API_KEY", raising=False)
    skipped = dg.materialize(assets, instance=instance)
    assert skipped.success and skipped.get_asset_materialization_events() == []
    for name, value in delighted.environment.items():
        monkeypatch.setenv(name, value)
    done = dg.materialize(assets, instance=instance)
    (event,) = done.get_asset_materialization_events()
    assert event.materialization.metadata["dagster/row_count"].value == 18 + 13  # and the figures of 13 months


def test_the_days_chosen_in_dagster_are_one_window(delighted: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A range of days is one run that asks once, from midnight to midnight where the business is."""
    import dagster as dg  # noqa: PLC0415

    from orchestration.landing import backfill_key, landing_assets  # noqa: PLC0415

    for name, value in delighted.environment.items():
        monkeypatch.setenv(name, value)
    _, asset = landing_assets(delighted.settings, {"delighted": delighted.extractor})
    done = dg.materialize(
        [asset],
        instance=dg.DagsterInstance.ephemeral(),
        tags={
            "dagster/asset_partition_range_start": "2025-05-01",
            "dagster/asset_partition_range_end": "2025-05-31",
        },
    )
    assert done.success
    assert len(done.asset_materializations_for_node("backfill_delighted")) == 31
    assert {event.asset_key for event in done.asset_materializations_for_node("backfill_delighted")} == {
        backfill_key("delighted")
    }
    asked = {r.params["updated_since"] for r in delighted.server.requests if "responses" in r.path}
    assert asked == {str(epoch("2025-05-01T04:00:00Z"))}


def test_a_refused_key_is_not_tried_again(delighted: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy would wait two minutes for the next try: a key does not heal."""
    import dagster as dg  # noqa: PLC0415

    from orchestration.landing import landing_assets  # noqa: PLC0415

    for name, value in (delighted.environment | {"DELIGHTED_API_KEY": "old"}).items():
        monkeypatch.setenv(name, value)
    asset, _ = landing_assets(delighted.settings, {"delighted": delighted.extractor})
    done = dg.materialize([asset], instance=dg.DagsterInstance.ephemeral(), raise_on_error=False)
    assert not done.success and not done.retry_attempts_for_node("extract_delighted")
    failure = done.failure_data_for_node("extract_delighted")
    assert failure and failure.user_failure_data
    assert "renew DELIGHTED_API_KEY" in str(failure.user_failure_data.description)


def test_nothing_imports_dlt_before_it_extracts() -> None:
    """It takes most of a second, which `make demo` does not have to pay."""
    code = "import sys, orchestration.landing, orchestration.__main__; print('dlt' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, check=True)
    assert done.stdout.startswith("False")
