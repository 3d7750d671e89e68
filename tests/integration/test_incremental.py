"""Whatever comes in whatever batches, the incremental models end where a build of everything at once ends."""

from __future__ import annotations

import csv
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations.validation import declare_results
from orchestration import loader, served_file
from orchestration.compact import compact
from orchestration.exclusions import COLUMNS
from orchestration.publish import Publication, publish, settle_log
from orchestration.settings import ROOT, Settings
from orchestration.sources import SEEDS_AND_MODELS, dbt_vars, load_sources
from tests import commands
from tests.conftest import SAMPLE

# More sequences than CI has time for: NPS_BATCH_SEEDS=1-50 pytest tests/integration/test_incremental.py
SEEDS = os.environ.get("NPS_BATCH_SEEDS", "1-1").split("-")
AS_OF = datetime(2025, 7, 1, 9)  # of the last batch; of each before it 40 days earlier
BATCHES = 5 if "NPS_BATCH_SEEDS" in os.environ else 3
# An export whose people are named by their key in the CRM, also by that of a merged contact, and so their accounts.
SHOP = """
source: shop
kind: file
answers:
  files: shop/*.csv
  key: id
  score: score
  submitted_at: {column: at, format: iso8601}
  survey: {value: shop}
  contact: contact
  account: account
  comment: comment
"""
# An export that names its people and accounts itself, with lists of how many were invited to a visit.
VISITS = """
source: visits
kind: file
answers:
  files: visits/answers*.csv
  key: id
  score: score
  submitted_at: {column: at, format: iso8601}
  survey: {value: visits}
  respondent: who
  email: mail
invitations:
  files: visits/invited*.csv
  key: visit
  survey: {value: visits}
  sent_at: {column: day, format: "%Y-%m-%d"}
  invited: people
  account: firm
"""
# In the first batch, and what the last one takes back: a year mistyped, a firm, a group, but no address.
VISITED = {
    "answers1.csv": ["id,score,at,who,mail", "1,9,2021-03-02T12:00:00,,", "2,10,2025-03-02T12:00:00,w,w@staff.example"],
    "invited1.csv": ["visit,day,people,firm", "v1,2025-03-01,5,acme", "v2,2025-03-01,3,typo", "v3,2025-03-01,4,acme"],
    "answers2.csv": ["id,score,at,who,mail", "1,9,2025-03-02T12:00:00,,", "3,1,2025-03-05T12:00:00,w,"],
    "invited2.csv": ["visit,day,people,firm", "v1,2025-03-01,0,acme", "v2,2025-03-01,3,acme"],
}
EXCLUSIONS = f"{','.join(COLUMNS)}\n"


class Builder:
    """Loads and builds what lies in landing/, step by step."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        declare_results(settings.check_results)
        settle_log(settings)

    def load(self, loaded_at: datetime | None = None) -> None:
        """Load what lies in landing/, now or as if it were then, as the pipeline does after its guard."""
        loader.load_all(load_sources(self.settings).tables, self.settings.landing, self.settings.lake, loaded_at)

    def dbt(self, *arguments: str, timeout: float | None = None) -> subprocess.CompletedProcess[str]:
        """Run a dbt command in the warehouse."""
        return commands.run(
            "dbt.cli.main",
            # Nobody reads what dbt would write beside the warehouse, and it takes seconds to write.
            [*arguments, *dbt_vars(load_sources(self.settings)), "--log-level-file", "none", "--no-write-json"],
            os.environ | self.settings.environment(),
            timeout,
        )

    def build(self, *only: str, killed_after: float | None = None) -> None:
        """Seeds and models, all or `only` some; or as many as are built before the process is killed."""
        try:
            done = self.dbt(*SEEDS_AND_MODELS, *only, timeout=killed_after)
        except subprocess.TimeoutExpired:
            return
        assert done.returncode == 0, done.stdout[-5000:]

    @contextmanager
    def another_warehouse(self) -> Iterator[Path]:
        """Nothing is built yet, for so long; the path of what is built meanwhile, once that is over.

        It takes the warehouse's place: for a file of another name, dbt would read the whole project anew.
        """
        place = self.settings.warehouse
        aside, another = place.with_name("aside.duckdb"), place.with_name("another.duckdb")
        place.rename(aside)
        yield another
        place.rename(another)
        aside.rename(place)


class Company(Builder):
    """The sample company whose files come in batches, some rows changed on the way."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        config = folder / "config"
        for name in ("sources", "seeds/reference"):
            shutil.copytree(ROOT / name, config / name)
        (config / "sources" / "shop.yml").write_text(SHOP, encoding="utf-8")
        (config / "sources" / "visits.yml").write_text(VISITS, encoding="utf-8")
        (config / "vars.yml").write_text("sources: [delighted, salesforce, shop, visits]\n", encoding="utf-8")
        with (config / "seeds" / "reference" / "surveys.csv").open("a", encoding="utf-8") as surveys:
            surveys.write("shop,shop,shop,Shop,episodic,,,\nvisits,visits,visits,Visits,episodic,,,\n")
        with (config / "seeds" / "reference" / "staff_domains.csv").open("a", encoding="utf-8") as domains:
            domains.write("staff.example,staff\n")
        super().__init__(Settings(config_dir=config, data_dir=folder / "data"))
        self.undelivered = sorted(SAMPLE.rglob("*.csv"))

    def deliver(self, share: float) -> None:
        """Some of the files not delivered yet, in no order of theirs; of every third account no history."""
        self.random.shuffle(self.undelivered)
        count = max(1, round(share * len(self.undelivered)))
        for file in self.undelivered[:count]:
            target = self.settings.landing / file.relative_to(SAMPLE)
            target.parent.mkdir(parents=True, exist_ok=True)
            if file.parent.name == "account_history":
                header, *lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
                kept = [line for line in lines if sum(map(ord, line.split(",")[0])) % 3]
                target.write_text(header + "".join(kept), encoding="utf-8")
            else:
                shutil.copy2(file, target)
        del self.undelivered[:count]

    def change(self, number: int) -> None:
        """In one table after the other, rows delivered again with a value of another row in some column.

        That edits answers and hands them to other people, gives people other addresses and contacts other accounts,
        moves times, repeats answers and takes back what a batch before had changed. Some invitations bounced, though
        they were answered, or will be. Some contacts and accounts are merged, or no longer, among so few that chains
        and circles come of it, and the shop's answers name some of these. Comments name people who were delivered, or
        will be.
        """
        keys: dict[str, list[str]] = {}
        names: list[str] = []
        for folder in sorted({file.parent for file in SAMPLE.rglob("*.csv")}):
            rows = [row for file in sorted(folder.glob("*.csv")) for row in csv.DictReader(file.open(newline=""))]
            target = self.settings.landing / folder.relative_to(SAMPLE)
            target.mkdir(parents=True, exist_ok=True)
            with (target / f"changed-{number}.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                for row in self.random.sample(rows, min(12, len(rows))):
                    column = self.random.choice(list(row))
                    writer.writerow(row | {column: self.random.choice(rows)[column]})
                if folder.name == "survey_requests":
                    for row in self.random.sample(rows, 60):
                        writer.writerow(row | {"delivered_at": "", "opened_at": "", "started_at": ""})
                names += [row["name"] for row in rows if folder.name in ("contact", "user")]
                if folder.name in ("contact", "account"):
                    keys[folder.name] = [row["id"] for row in rows[:30]]
                    for row in self.random.sample(rows[:30], 8):
                        writer.writerow(row | {"master_record_id": self.random.choice(keys[folder.name])})
                    for row in self.random.sample(rows[:30], 4):
                        writer.writerow(row)
        for name, content in VISITED.items():
            visits = self.settings.landing / "visits" / name
            visits.parent.mkdir(exist_ok=True)
            if number == BATCHES or "1" in name:
                visits.write_text("\n".join(content), encoding="utf-8")
        shop = self.settings.landing / "shop" / f"{number}.csv"
        shop.parent.mkdir(exist_ok=True)
        lines = ["id,score,at,contact,account,comment"]
        for day in range(1, 29):
            key, score = self.random.randrange(60), self.random.randrange(11)
            contact, account = self.random.choice(["", *keys["contact"]]), self.random.choice(["", *keys["account"]])
            comment = f"Ask {self.random.choice(names)}"
            lines.append(f"{key},{score},2024-0{number}-{day:02}T12:00:00,{contact},{account},{comment}")
        shop.write_text("\n".join(lines), encoding="utf-8")

    def exclude(self) -> None:
        """Other exclusions than before."""
        answers = sorted((SAMPLE / "delighted" / "survey_responses").glob("*.csv"))
        keys = [row["id"] for file in answers for row in csv.DictReader(file.open(newline=""))]
        with (SAMPLE / "salesforce" / "account" / "account.csv").open(newline="") as file:
            account = self.random.choice([row["id"] for row in csv.DictReader(file)])
        patterns = [
            "survey,relationship-.*",
            "comment,(?i).*e.*",
            f"account,.*{account[-1]}",
        ]
        rules = [f"delighted,{key},,,," for key in sorted(set(self.random.sample(keys, 8)))]
        for pattern in self.random.sample(patterns, 2):
            month = self.random.randint(1, 9)
            rules.append(f"{self.random.choice(['', 'delighted'])},,{pattern},2024-0{month}-05,2024-0{month}-25")
        lines = [f"{rule},{self.random.choice(['exclude', 'outside_control'])},why,who,2024-01-01\n" for rule in rules]
        reference = self.settings.config_dir / "seeds" / "reference" / "exclusions.csv"
        reference.write_text(EXCLUSIONS + "".join(lines), encoding="utf-8")

    def redefine(self) -> None:
        """Another rule in the configuration: the next build must be one in full."""
        with (self.settings.config_dir / "vars.yml").open("a", encoding="utf-8") as variables:
            variables.write("promoter_minimum: 10\n")
        self.settings = replace(self.settings)  # reads its files again

    def failed_tests(self, command: str, *tests: str) -> set[str]:
        """Those of some data tests that fail, by what dbt is told to do: build, or test."""
        only = ["--resource-type", "test"] if command == "build" else []
        done = self.dbt(command, *only, "--select", *tests)
        assert f"{len(tests)} of {len(tests)} START" in done.stdout, done.stdout[-5000:]
        return {name for name in tests if f"Failure in test {name} " in done.stdout}

    def publish(self, published_at: datetime | None = None) -> Publication:
        """Publish the warehouse; every table must have its rows."""
        time = published_at or datetime.now(UTC)
        publication = publish(self.settings, run_id="run", fingerprint=str(time), published_at=time)
        rows = published(self.settings.serving)
        assert {name: rows.pop(name) for name in list(rows) if name.startswith("quality.publi")}.keys() == {
            "quality.publication",
            "quality.published_tables",
        }
        assert rows == published(self.settings.warehouse)
        return publication


def published(warehouse: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of every table that would be published, but for those that tell of a run and its moment."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        names = connection.execute(
            """
            select table_schema || '.' || table_name from information_schema.tables
            where
                table_schema in ('marts', 'quality')
                and table_name not in ('quality_check_results', 'quality_freshness')
            """
        ).fetchall()
        return {name: connection.execute(f"select * from {name} order by all").fetchall() for (name,) in names}


@pytest.mark.parametrize("seed", range(int(SEEDS[0]), int(SEEDS[-1]) + 1))
def test_batches_end_where_a_full_build_ends(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    company = Company(tmp_path, seed)
    for batch in range(1, BATCHES + 1):
        company.deliver(1.0 if batch == BATCHES else 0.5)
        company.change(batch)
        if company.random.random() < 0.7:
            company.exclude()
        if batch == 2:
            company.redefine()
        company.load()
        company.settings.variables["as_of"] = f"{AS_OF - (BATCHES - batch) * timedelta(days=40)}"
        if batch > 1:  # which changes nothing of what was read, and of what is new
            assert list(compact(company.settings.lake, load_sources(company.settings).tables))
        if batch == 2:  # somewhere between its start and its end
            company.build(killed_after=company.random.uniform(4, 11))
        company.build()
        if batch < BATCHES:
            company.publish()
    with company.another_warehouse() as full:
        company.build()
    assert {"Ask ***"} == comments_of_the_shop(full)
    rows = assert_same(company.settings.warehouse, full)
    assert len(rows["marts.fct_nps_responses"]) > 2500
    with duckdb.connect(str(full), read_only=True) as connection:
        staff = "select count(*) from marts.response_eligibility where source_system = 'visits' and decision = 'staff'"
        assert connection.execute(staff).fetchall() == [(2,)]  # one row came without the address
        invited = "select count(*) from marts.fct_survey_invitations where source_system = 'visits'"
        assert connection.execute(invited).fetchall() == [(7,)]
        restated = (
            "select count(*) from marts.nps_restatements where period_grain = 'day' and year(period_start) = 2021"
        )
        assert connection.execute(restated).fetchall()[0][0] > 0
    assert "typo" not in {row[0] for row in rows["marts.dim_accounts"]}
    monkeypatch.setattr(served_file, "MAX_APPENDED", 100)  # these batches are large
    assert not company.publish().is_new_file
    with duckdb.connect(str(company.settings.warehouse), read_only=True) as connection:
        builds = connection.execute(
            "select is_full from builds.model_builds where model_name = 'fct_nps_responses' order by built_at"
        ).fetchall()
    assert [is_full for is_full, _ in groupby(is_full for (is_full,) in builds)] == [True, False]


def test_what_is_seen_after_a_history_continues_it(tmp_path: Path) -> None:
    """Until the history of the account comes again; what had been seen until then goes, and a full build agrees."""
    config = tmp_path / "config"
    for name in ("sources", "seeds/reference"):
        shutil.copytree(ROOT / name, config / name)
    (config / "vars.yml").write_text("sources: [salesforce]\n", encoding="utf-8")
    company = Builder(Settings(config_dir=config, data_dir=tmp_path / "data"))
    landing = company.settings.landing / "salesforce"
    shutil.copytree(SAMPLE / "salesforce", landing, ignore=shutil.ignore_patterns("account*"))
    with (SAMPLE / "salesforce" / "account_history" / "account_history.csv").open(newline="") as file:
        blank = dict.fromkeys(next(csv.reader(file)), "") | {"is_deleted": "false"}

    def deliver(table: str, number: int, rows: list[dict[str, str]]) -> None:
        target = landing / table / f"{number}.csv"
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(blank))
            writer.writeheader()
            writer.writerows(blank | row for row in rows)

    def span(account: str, owner: str, start: str, end: str = "") -> dict[str, str]:
        span = {"_fivetran_start": f"{start}T00:00:00Z", "_fivetran_active": str(not end).lower()}
        return {"id": account, "owner_id": owner, **span, "_fivetran_end": f"{end or '9999-12-31'}T00:00:00Z"}

    def spans() -> list[tuple[Any, ...]]:
        company.build("--select", "+int_account_history")
        with duckdb.connect(str(company.settings.warehouse), read_only=True) as connection:
            return connection.execute(
                """
                select account_id || ' ' || owner_id || if(is_deleted, ' deleted', ''), valid_from, valid_to
                from intermediate.int_account_history order by account_id, valid_from
                """
            ).fetchall()

    histories = {
        1: [span("a", "o1", "2024-01-01"), span("c", "o1", "2024-01-01")],
        3: [
            span("a", "o1", "2024-01-01", "2024-02-01"),
            span("a", "o2", "2024-02-01"),
            span("b", "o1", "2024-01-01"),
            span("c", "o1", "2024-01-01", "2024-02-01"),
        ],
    }
    seen = {1: "o1 o1 o1", 2: "o2 o2 o1", 3: "o1 o3 o1", 4: "o2 o2 o1"}
    expected = {
        1: ["a o1", "b o1", "c o1"],
        2: ["a o1", "a o2", "b o1", "b o2", "c o1"],
        3: ["a o1", "a o2", "b o1", "c o1", "c o1 deleted"],
        4: ["a o1", "a o2", "b o1", "b o2", "c o1", "c o1 deleted", "c o1"],
    }
    for number, owners in seen.items():
        rows = [{"id": account, "owner_id": owner} for account, owner in zip("abc", owners.split(), strict=True)]
        # Every day another file: what is delivered again as it was is no load.
        deliver("account", number, [*rows, {"id": f"day {number}", "owner_id": "o1"}])
        if number in histories:
            deliver("account_history", number, histories[number])
        company.load()
        found = [state for state, _, _ in spans() if not state.startswith("day")]
        assert found == expected[number], number
    with duckdb.connect(str(company.settings.warehouse), read_only=True) as connection:
        touched = """
            select distinct changed_value from builds.changes
            where
                model_name = 'int_account_history'
                and built_at = (select max(built_at) from builds.model_builds where not is_full)
            order by changed_value
        """
        # Not what was seen as the history has it.
        assert connection.execute(touched).fetchall() == [("b",), ("c",), ("day 4",)]
    continued = spans()
    with company.another_warehouse():
        assert spans() == continued


def test_data_tests_of_a_batch_look_at_what_it_touched(tmp_path: Path) -> None:
    """And at what batches before it touched that were not published; of a full build and by themselves, at all."""
    company = Company(tmp_path, seed=1)
    company.deliver(1.0)
    company.change(1)
    company.load()
    company.build()
    unique, complete = "unique_fct_nps_responses_response_id", "fct_nps_responses_is_complete"

    def spoil(row: str) -> None:
        with duckdb.connect(str(company.settings.warehouse)) as connection:
            for change in ("null as response_id", "'me@home.org' as comment"):
                connection.execute(
                    f"""
                    insert into marts.fct_nps_responses
                    select * replace ({change}) from marts.fct_nps_responses where {row}
                    """
                )

    def mend() -> None:
        with duckdb.connect(str(company.settings.warehouse)) as connection:
            connection.execute(
                "delete from marts.fct_nps_responses where comment = 'me@home.org' or response_id is null"
            )

    known = "response_id = (select min(response_id) from marts.fct_nps_responses)"
    spoil(known)
    assert company.failed_tests("build", unique, complete) == {unique, complete}  # nothing is published yet
    mend()
    company.publish()
    spoil(known)
    # A row without a key is looked at whenever it came.
    assert company.failed_tests("build", unique, complete) == {complete}
    assert company.failed_tests("test", unique, complete) == {unique, complete}
    mend()
    for number in (2, 3):  # the second batch touches other answers than the first, which was not published
        with duckdb.connect(str(company.settings.warehouse)) as connection:
            touched = connection.execute("select count(*) from builds.changes where model_name = 'fct_nps_responses'")
            assert (number > 2) == bool(touched.fetchall()[0][0])
        company.change(number)
        company.load()
        company.build("--select", "+fct_nps_responses")
        if number == 2:
            with duckdb.connect(str(company.settings.warehouse)) as connection:
                first = connection.execute(
                    """
                    select min(changed_value) from builds.changes
                    inner join marts.fct_nps_responses on changed_value = response_id
                    where model_name = 'fct_nps_responses' and column_name = 'response_id'
                    """
                ).fetchall()[0][0]
    spoil(f"response_id = '{first}'")
    assert company.failed_tests("build", unique, complete) == {unique, complete}
    assert company.failed_tests("build", "no_address_is_published") == {"no_address_is_published"}


def comments_of_the_shop(warehouse: Path) -> set[str]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        query = "select distinct comment from marts.fct_nps_responses where source_system = 'shop'"
        return {comment for (comment,) in connection.execute(query).fetchall()}


def assert_same(incremental: Path, full: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Table by table; the first rows that differ. Returns the rows."""
    found, wanted = published(incremental), published(full)
    for name, rows in wanted.items():
        if found[name] != rows:
            extra, missing = set(found[name]) - set(rows), set(rows) - set(found[name])
            pytest.fail(f"{name}: only incremental {list(extra)[:3]}, only full {list(missing)[:3]}")
    return wanted
