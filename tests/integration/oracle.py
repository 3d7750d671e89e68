"""The figures of the sample company in plain Python, from the raw files: no SQL, no code of the project.

Slow and obvious on purpose. The rules are those of DECISIONS.md, written a second time so that a mistake in the
models shows as a difference. Thresholds and segments are those of the repository's own configuration.
"""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from math import floor, sqrt
from pathlib import Path
from statistics import NormalDist
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
GRAINS = ("day", "week", "month", "quarter", "year")
ACCOUNT_SEGMENTS = {"region": "region__c", "industry": "industry", "plan": "plan__c", "tier": "tier__c"}
KNOWN_WHEN_ASKED = ("all", "region", "industry", "plan", "tier", "tenure_band", "touchpoint", "channel")
COUNTS = ("invited", "delivered", "answered", "responses", "promoters", "passives", "detractors")

Row = dict[str, str]
Cell = tuple[str, str, str]  # survey type, segment, value


@dataclass
class Figures:
    """What the warehouse must show."""

    decisions: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    # (survey type, grain, period start, segment, value) -> counts in the order of COUNTS
    periods: dict[tuple[str, str, date, str, str], list[int]] = field(default_factory=dict)


def read(folder: Path, name: str) -> Iterator[Row]:
    for path in sorted((folder / name).glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield {**row, "_file": path.name}


def moment(text: str | None) -> datetime | None:
    return datetime.fromtimestamp(int(text), UTC) if text else None


def iso(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def business_day(when: datetime) -> date:
    return when.astimezone(NEW_YORK).date()


def compute(raw: Path, reference: Path, loaded_at: datetime) -> Figures:
    """All figures of the sample company."""
    figures = Figures()
    surveys = {r["source_survey_id"]: r for r in csv.DictReader((reference / "surveys.csv").open())}
    staff = {r["domain"] for r in csv.DictReader((reference / "staff_domains.csv").open())}
    excluded = {
        r["source_response_id"]
        for r in csv.DictReader((reference / "exclusions.csv").open())
        if r["effect"] == "exclude"
    }
    people = {r["id"]: r["email"].strip().lower() for r in read(raw, "delighted/people")}
    crm: dict[str, Row] = {}
    for contact in sorted(read(raw, "salesforce/contact"), key=lambda r: (r["is_deleted"] == "true", r["id"])):
        crm.setdefault(contact["email"].strip().lower(), contact)
    masters = {r["id"]: r["master_record_id"] for r in read(raw, "salesforce/account") if r["master_record_id"]}
    history: dict[str, list[Row]] = defaultdict(list)
    for version in sorted(read(raw, "salesforce/account_history"), key=lambda r: r["_fivetran_start"]):
        history[version["id"]].append(version)
    requests = {r["id"]: r for r in read(raw, "delighted/survey_requests")}

    def account_on(person: str, when: datetime) -> Row | None:
        contact = crm.get(people.get(person, ""))
        account = contact["account_id"] if contact else ""
        while account in masters:
            account = masters[account]
        versions = history.get(account, [])
        if not versions:
            return None
        valid = [v for v in versions if iso(v["_fivetran_start"]) <= when]
        return valid[-1] if valid else versions[0]

    def segments(person: str, survey: Row, channel: str, language: str | None, when: datetime) -> dict[str, str]:
        account = account_on(person, when)
        values = {
            "all": "all",
            "touchpoint": survey["touchpoint"] or "unknown",
            "channel": channel or "unknown",
        }
        if language is not None:
            values["language"] = language or "unknown"
        for name, column in ACCOUNT_SEGMENTS.items():
            values[name] = (account[column].strip() if account else "") or "unknown"
        values["tenure_band"] = tenure(account["customer_since__c"] if account else "", business_day(when))
        return values

    # One pass for the versions of each answer: the content that stands, and how often it came.
    deliveries: dict[str, list[tuple[int, tuple[str, ...], Row]]] = defaultdict(list)
    for number, row in enumerate(read(raw, "delighted/survey_responses")):
        content = tuple(value for key, value in row.items() if key != "_file")
        deliveries[row["id"]].append((number, content, row))

    candidates: list[Row] = []
    for versions_of_answer in deliveries.values():
        standing = max(versions_of_answer, key=lambda v: (int(v[2]["updated_at"] or 0), v[0]))[1]
        seen: set[tuple[str, ...]] = set()
        for _, content, row in versions_of_answer:
            if content in seen:
                figures.decisions["duplicate"] += 1
            elif content != standing:
                figures.decisions["superseded"] += 1
            elif reason := rejected(row, people, staff, surveys, excluded, loaded_at):
                figures.decisions[reason] += 1
            else:
                candidates.append(row)
            seen.add(content)

    counted: list[Row] = []
    by_person: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in candidates:
        if row["person"]:
            known_contact = crm.get(people.get(row["person"], ""))
            key = known_contact["id"] if known_contact else people.get(row["person"]) or row["person"]
            by_person[(key, survey_of(row))].append(row)
        else:
            counted.append(row)
    for rows in by_person.values():
        rows.sort(key=lambda r: (int(r["created_at"]), r["id"]))
        for row, later in zip(rows, [*rows[1:], None], strict=True):
            if later and int(later["created_at"]) - int(row["created_at"]) <= 24 * 3600:
                figures.decisions["duplicate"] += 1
            else:
                counted.append(row)
    figures.decisions["counted"] = len(counted)

    days: dict[Cell, dict[date, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0] * len(COUNTS)))

    def add(survey: Row, values: dict[str, str], day: date, **counts: int) -> None:
        for segment, value in values.items():
            row = days[(survey["survey_type"], segment, value)][day]
            for name, count in counts.items():
                row[COUNTS.index(name)] += count

    answered_requests: set[str] = set()
    for row in counted:
        survey = surveys[survey_of(row)]
        asked = requests.get(row["survey_request"])
        when = moment(row["created_at"])
        assert when
        score = float(row["score"])
        language = json.loads(row["person_properties"]).get("language") or ""
        values = segments(row["person"], survey, asked["channel"] if asked else "", language, when)
        answered_requests.add(row["survey_request"])
        add(
            survey,
            values,
            business_day(when),
            responses=1,
            promoters=int(score >= 9),
            passives=int(7 <= score < 9),
            detractors=int(score < 7),
        )
    for request in requests.values():
        known = surveys.get(request["survey"])
        sent = moment(request["created_at"])
        if known is None or sent is None or people.get(request["person"], "").split("@")[-1] in staff:
            continue
        values = segments(request["person"], known, request["channel"], None, sent)
        is_delivered = bool(
            request["delivered_at"]
            or request["opened_at"]
            or request["started_at"]
            or request["id"] in answered_requests
        )
        add(
            known,
            values,
            business_day(sent),
            invited=1,
            delivered=int(is_delivered),
            answered=int(request["id"] in answered_requests),
        )

    fill_periods(figures, days)
    return figures


def survey_of(row: Row) -> str:
    survey: str = json.loads(row["person_properties"]).get("survey") or ""
    return survey


def rejected(
    row: Row,
    people: dict[str, str],
    staff: set[str],
    surveys: dict[str, Row],
    excluded: set[str],
    loaded_at: datetime,
) -> str | None:
    """The first rule that speaks against the row, or None."""
    score = row["score"].strip()
    when = moment(row["created_at"])
    if row["survey_type"] != "nps":
        return "not_nps"
    if re.search(r"(?<![a-z])test(?![a-z])", row["tags"].lower()):
        return "test"
    if people.get(row["person"], "").split("@")[-1] in staff:
        return "staff"
    if survey_of(row) not in surveys:
        return "unknown_survey"
    if not score:
        return "missing_score"
    if not re.fullmatch(r"[+-]?\d+(\.0*)?", score):
        return "not_integer"
    if not 0 <= float(score) <= 10:
        return "out_of_range"
    if when is None or when > loaded_at + timedelta(hours=24):
        return "invalid_time"
    if row["id"] in excluded:
        return "excluded_by_steward"
    return None


def tenure(since: str, day: date) -> str:
    if not since:
        return "unknown"
    born = date.fromisoformat(since)
    if born > day:
        return "unknown"
    years = day.year - born.year - ((day.month, day.day) < (born.month, min(born.day, 28 if born.month == 2 else 31)))
    if years < 1:
        return "under 1 year"
    return "1-2 years" if years < 3 else "3-4 years" if years < 5 else "5+ years"


def period_start(grain: str, day: date) -> date:
    match grain:
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return date(day.year, 3 * ((day.month - 1) // 3) + 1, 1)
        case "year":
            return date(day.year, 1, 1)
    return day


def fill_periods(figures: Figures, days: dict[Cell, dict[date, list[int]]]) -> None:
    """Sum days into periods; a cell has a row in every period between the first and last day of its type."""
    spans: dict[str, list[date]] = defaultdict(list)
    for (survey_type, _, _), counts in days.items():
        spans[survey_type] += counts
    for survey_type, dates in spans.items():
        span = [min(dates) + timedelta(days=n) for n in range((max(dates) - min(dates)).days + 1)]
        for grain in GRAINS:
            for start in {period_start(grain, day) for day in span}:
                for kind, segment, value in days:
                    if kind == survey_type:
                        figures.periods[(survey_type, grain, start, segment, value)] = [0] * len(COUNTS)
    for (survey_type, segment, value), counts in days.items():
        for day, row in counts.items():
            for grain in GRAINS:
                total = figures.periods[(survey_type, grain, period_start(grain, day), segment, value)]
                for place, count in enumerate(row):
                    total[place] += count


def measures(counts: list[int]) -> tuple[float | None, float | None, float | None, float | None]:
    """NPS, lower and upper bound (adjusted Wald), response rate; as the marts round them."""
    _, delivered, answered, n, promoters, _, detractors = counts
    rate = round_half_up(answered / delivered, 6) if delivered else None
    if n < 10:
        return None, None, None, rate
    z = NormalDist().inv_cdf(0.975)
    centre = (promoters - detractors) / (n + 3)
    error = sqrt(((promoters + detractors + 1.5) / (n + 3) - centre**2) / (n + 3))
    low, high = (max(-1.0, min(1.0, centre + side * z * error)) for side in (-1, 1))
    score = 100 * (promoters - detractors) / n
    return round_half_up(score, 4), round_half_up(100 * low, 4), round_half_up(100 * high, 4), rate


def round_half_up(number: float, digits: int) -> float:
    return floor(number * 10**digits + 0.500001) / 10**digits
