"""Published month after month: what moved since is explained by its cause, and each past month can be built again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration import loader, publish
from orchestration.__main__ import parse_moment
from tests.conftest import SAMPLE, Pipeline
from tests.integration.test_incremental import EXCLUSIONS, Company, published

# Answers of a survey of our own, whose cells hold nothing else: each on a day of March 2025.
DESK = """
source: desk
kind: file
answers:
  files: desk/*.csv
  key: Number
  score: Rating
  submitted_at: {column: When, format: iso8601}
  survey: {value: desk}
  respondent: Mail
  account: Firm
  withdrawn: {column: Gone, values: ["yes"]}
"""
VARIABLES = """
sources: [delighted, salesforce, desk]
segments:
  - {name: region, from: account, column: region__c, description: Sales region of the account}
  - {name: touchpoint, from: survey, column: touchpoint, description: What the survey asked about}
"""
HEADER = "Number,Rating,When,Mail,Firm,Gone\n"
MONTHS = {
    datetime(2025, 4, 2, 12, tzinfo=UTC): [
        "edited,10,2025-03-03T12:00,e@x.example,,",
        "withdrawn,9,2025-03-04T12:00,w@x.example,,",
        "excluded,9,2025-03-06T12:00,x@x.example,,",
        "remapped,9,2025-03-07T12:00,r@x.example,mars,",
        "replaced,10,2025-03-08T12:00,p@x.example,,",
        *(f"same{number},8,2025-03-20T12:00,{number}@x.example,," for number in range(10)),
    ],
    datetime(2025, 5, 2, 12, tzinfo=UTC): [
        "edited,3,2025-03-03T12:00,e@x.example,,",
        "withdrawn,9,2025-03-04T12:00,w@x.example,,yes",
        "late,2,2025-03-05T12:00,l@x.example,,",
    ],
    datetime(2025, 6, 2, 12, tzinfo=UTC): ["second,0,2025-03-08T14:00,p@x.example,,"],
}
FIRST, SECOND, THIRD = MONTHS


@pytest.fixture
def company(tmp_path: Path) -> Company:
    company = Company(tmp_path, seed=0)
    config = company.settings.config_dir
    (config / "vars.yml").write_text(VARIABLES)
    (config / "sources" / "desk.yml").write_text(DESK)
    reference = config / "seeds" / "reference"
    with (reference / "surveys.csv").open("a") as surveys:
        surveys.write("desk,desk,desk,At the desk,episodic,desk,,\n")
    (reference / "exclusions.csv").write_text(EXCLUSIONS)
    return company


def deliver(company: Company, month: datetime) -> None:
    """The sample's files of 2025 up to this month, what has no month, and the desk's answers; all loaded then."""
    for file in SAMPLE.rglob("*.csv"):
        if not file.stem.startswith("20") or f"{FIRST:%Y}" <= file.stem < f"{month:%Y-%m}":
            target = company.settings.landing / file.relative_to(SAMPLE)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
    desk = company.settings.landing / "desk" / f"{month:%Y-%m}.csv"
    desk.parent.mkdir(exist_ok=True)
    desk.write_text(HEADER + "".join(f"{row}\n" for row in MONTHS[month]))
    history = company.settings.landing / "salesforce" / "account_history"
    regions = {FIRST: "Mars", THIRD: "Venus"}
    if month in regions:
        header = (history / "account_history.csv").read_text().splitlines()[0]
        names = header.split(",")
        values = {"id": "mars", "region__c": regions[month], "_fivetran_start": "2025-01-01T00:00:00Z"}
        values |= {"is_deleted": "false", "_fivetran_end": "9999-12-31T23:59:59Z", "_fivetran_active": "true"}
        row = ",".join(values.get(name, "") for name in names)
        (history / f"mars-{month:%Y-%m}.csv").write_text(f"{header}\n{row}\n")
    company.load(month - timedelta(minutes=1))  # one load after the other, and all of them by then


def build_and_publish(company: Company, month: datetime, monkeypatch: pytest.MonkeyPatch, *, killed_at: int) -> None:
    """As the pipeline does; the first attempt to publish is killed before (1) or after (2) the file is replaced."""
    publish.settle_log(company.settings)
    company.settings.variables["as_of"] = f"{month:%Y-%m-%d %H:%M:%S.%f}"  # what stood then is compared with later
    company.build()
    calls = iter(range(1, 3))

    def killed(path: Path) -> None:
        if next(calls) == killed_at:
            raise KeyboardInterrupt
        loader.flush(path)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("orchestration.publish.flush", killed)
        publish.publish(company.settings, run_id="killed", fingerprint=str(month), published_at=month)
    assert len(list((company.settings.lake / "publishing").iterdir())) == 1
    if killed_at == 1:
        company.publish(month)
    else:  # the next start makes it good; publishing once more logs nothing twice
        publish.settle_log(company.settings)
        before = log(company)
        publish.publish(company.settings, run_id="again", fingerprint=str(month), published_at=datetime.now(UTC))
        assert log(company) == before
    assert not list((company.settings.lake / "publishing").iterdir())


def log(company: Company) -> list[str]:
    """The publications; a return to an earlier one is an entry of another kind."""
    return sorted(file.parent.name for file in company.settings.lake.glob("publications/*/publication.parquet"))


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def test_each_month_is_explained_and_built_again(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = company.settings
    shown: dict[datetime, dict[str, list[tuple[Any, ...]]]] = {}
    numbers: dict[datetime, dict[tuple[Any, ...], tuple[int, ...]]] = {}
    for month, killed_at in ((FIRST, 1), (SECOND, 2), (THIRD, 1)):
        deliver(company, month)
        if month == THIRD:
            (settings.config_dir / "seeds" / "reference" / "exclusions.csv").write_text(
                EXCLUSIONS + "desk,excluded,,,,,exclude,why,who,2025-05-20\n"
            )
            settings.warehouse.unlink()  # the log is in the lake: a warehouse built anew explains the same
        build_and_publish(company, month, monkeypatch, killed_at=killed_at)
        shown[month] = published(settings.warehouse)
        numbers[month] = complete_numbers(settings.serving)
        if month == SECOND:  # what was taken back was seen, and is explained like the rest
            publish.roll_back(settings)
            assert complete_numbers(settings.serving) == numbers[FIRST]
    assert log(company) == ["20250402T120000000000Z", "20250502T120000000000Z", "20250602T120000000000Z", "declared"]

    with duckdb.connect(settings.serving, read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        planted = connection.execute("""
            select day(published_at), segment_value, day(period_start), cause, promoters_change, passives_change,
                detractors_change
            from marts.nps_restatements
            where period_grain = 'day' and segment_value in ('desk', 'Mars', 'Venus') and month(published_at) = 4
            order by all
        """).fetchall()
        restated = connection.execute("""
            select
                published_at, survey_type, period_grain, period_start, segment, segment_value,
                any_value(published_promoters), any_value(published_passives), any_value(published_detractors),
                any_value(published_promoters) + sum(promoters_change)::bigint,
                any_value(published_passives) + sum(passives_change)::bigint,
                any_value(published_detractors) + sum(detractors_change)::bigint
            from marts.nps_restatements group by 1, 2, 3, 4, 5, 6
        """).fetchall()
        effects = connection.execute("""
            select any_value(published_nps), any_value(current_nps), sum(nps_effect), list(cause order by cause)
            from marts.nps_restatements
            where segment_value = 'desk' and period_grain = 'month' and month(published_at) = 4
        """).fetchall()
    assert planted == [  # of Venus, nothing had been published
        (2, "Mars", 7, "account_remapped", -1, 0, 0),
        (2, "desk", 3, "edited", -1, 0, 1),
        (2, "desk", 4, "withdrawn", -1, 0, 0),
        (2, "desk", 5, "late_answer", 0, 0, 1),
        (2, "desk", 6, "newly_excluded", -1, 0, 0),
        (2, "desk", 8, "late_answer", 0, 0, 1),
        (2, "desk", 8, "replaced", -1, 0, 0),
    ]
    # 5 promoters of 15; then 1 promoter and 3 detractors of 14.
    assert effects[0][:2] == (Decimal("33.3333"), Decimal("-14.2857"))
    assert effects[0][2] == effects[0][1] - effects[0][0]
    assert effects[0][3] == ["edited", "late_answer", "newly_excluded", "replaced", "withdrawn"]

    # Every number that was published, by month, against what it is now: those that differ are listed, and no other.
    last: dict[tuple[Any, ...], tuple[int, ...]] = {}
    expected = {}
    for month in (FIRST, SECOND):
        for cell, counts in numbers[month].items():
            if last.get(cell) != counts and (now := numbers[THIRD].get(cell, (0, 0, 0))) != counts:
                expected[month.replace(tzinfo=None), *cell] = counts + now
        last |= numbers[month]
    assert {row[:6]: row[6:] for row in restated} == expected
    assert len(expected) > 50

    before = files(settings.lake) | files(settings.serving.parent) | {settings.warehouse: 0}
    for month in (FIRST, SECOND):
        Pipeline(settings.data_dir, settings.config_dir).succeed("as-known", month.isoformat())
        again = published(settings.data_dir / "as_known" / f"{month:%Y%m%dT%H%M%S%fZ}.duckdb")
        for name, rows in shown[month].items():
            assert again[name] == rows, name
    assert files(settings.lake) | files(settings.serving.parent) | {settings.warehouse: 0} == before


def complete_numbers(serving: Path) -> dict[tuple[Any, ...], tuple[int, ...]]:
    """The counts of every number that a publication shows of a complete period."""

    def rows() -> Iterator[tuple[Any, ...]]:
        with duckdb.connect(serving, read_only=True) as connection:
            yield from connection.execute("""
                select survey_type, period_grain, period_start, segment, segment_value, promoters, passives, detractors
                from marts.nps_by_segment_period where is_complete_period
            """).fetchall()

    return {row[:5]: row[5:] for row in rows()}


def test_a_day_means_its_end() -> None:
    assert parse_moment("2025-03-31", "America/New_York") == datetime(2025, 4, 1, 3, 59, 59, 999999, tzinfo=UTC)
    assert parse_moment("2025-03-31T12:00", "America/New_York") == datetime(2025, 3, 31, 12, tzinfo=UTC)
    assert parse_moment("2025-03-31T12:00+02:00", "UTC") == datetime(2025, 3, 31, 10, tzinfo=UTC)
