"""The bundle in a real Superset (`make test-superset`): what each chart shows is what the published file says.

A Superset of its own environment, with its metadata in SQLite, is asked by a browser; the figures are those of the
answers of its chart data API.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, sync_playwright

from orchestration.settings import ROOT, Settings
from orchestration.superset import BUNDLE, write_bundle
from tests.conftest import Pipeline

BINARIES = os.environ.get("NPS_SUPERSET", "")
PASSWORD = secrets.token_hex(16)
PATIENCE = 180  # seconds: a first start fills the metadata database

pytestmark = pytest.mark.skipif(not BINARIES, reason="make test-superset runs it, in an environment of its own")

BY_MONTH = """
    from marts.nps_by_segment_period
    where survey_type = 'relationship' and period_grain = 'month' and segment = 'all'
"""
LAST_WINDOW = """
    from marts.nps_trailing_window
    where survey_type = 'relationship'
        and window_end = (select max(window_end) from marts.nps_trailing_window where survey_type = 'relationship')
"""
# What each chart has to show, with the filters that the dashboard opens with: survey type relationship, segment region.
EXPECTED = {
    "publication": """
        select published_at, built_at, publication_id, checks_passed, checks_warned from quality.publication
    """,
    "score": f"""
        select
            survey_type, window_start, window_end, nps, ci_low, ci_high, nps_change, is_significant, responses,
            response_rate, evidence
        {LAST_WINDOW} and segment = 'all'
    """,
    "nps_by_month": f"""
        select
            period_start, ci_high as "ci_high, relationship", ci_low as "ci_low, relationship",
            nps as "nps, relationship"
        {BY_MONTH}
    """,
    "categories_by_month": f"""
        select
            period_start, detractors as "detractors, relationship", passives as "passives, relationship",
            promoters as "promoters, relationship"
        {BY_MONTH}
    """,
    "response_rate_by_month": f"select period_start, response_rate as relationship {BY_MONTH}",
    "nps_by_segment": f"select segment_value, nps as relationship {LAST_WINDOW} and segment = 'region'",
    "segments": f"""
        select
            survey_type, segment, segment_value, nps, ci_low, ci_high, nps_change, is_significant, responses, evidence
        {LAST_WINDOW} and segment = 'region'
    """,
    "themes": """
        select theme, impact as relationship
        from marts.nps_theme_impact
        where survey_type = 'relationship' and period_grain = 'quarter' and theme_kind = 'theme' and category = 'all'
            and period_start = (
                select max(period_start) from marts.nps_theme_impact
                where survey_type = 'relationship' and period_grain = 'quarter' and is_complete_period
            )
    """,
    "cases": """
        pivot (select owner_id, state from marts.detractor_recovery where survey_type = 'relationship')
        on state in ('contacted', 'overdue', 'resolved') using nullif(count(*), 0)
    """,
    "touchpoints": """
        select
            survey_type, touchpoint, channel,
            100.0 * (count(*) filter (score >= 9) - count(*) filter (score <= 6)) / count(*) as nps,
            count(*) as responses
        from marts.fct_nps_responses
        where survey_type = 'relationship'
        group by all
    """,
    "comments": """
        select response_date, survey_type, touchpoint, score, category, comment
        from marts.fct_nps_responses
        where survey_type = 'relationship' and comment is not null
        order by response_date desc, response_id
        limit 200
    """,
}


@dataclass
class Dashboard:
    """The dashboard in a browser: what its charts were answered, by the name of their file."""

    page: Page
    address: str
    file: Path  # the published file it reads
    bundle: Path
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def note(self, answer: Response) -> None:
        if "/api/v1/chart/data" in answer.url:
            form = json.loads(answer.request.post_data or "{}")["form_data"]
            if "slice_id" in form:
                self.answers[str(form["slice_id"])] = {"status": answer.status, "body": answer.text()}

    def note_request(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.faults.append(request.url)

    def note_blocked(self, request: Request) -> None:
        if request.failure == "csp":  # it never left the browser
            self.faults.remove(request.url)

    def note_message(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "Content Security Policy" not in message.text:
            self.faults.append(message.text)

    def load(self) -> None:
        """Open the page and wait until every chart was answered."""
        self.answers.clear()
        self.page.goto("/superset/dashboard/nps/")
        until(lambda: len(self.answers) >= len(EXPECTED), self.page)

    def shown(self, chart: str) -> list[tuple[Any, ...]]:
        """The rows a chart got, with its columns by name."""
        name = yaml.safe_load((BUNDLE / "charts" / f"{chart}.yaml").read_text())["slice_name"]
        listed = self.page.request.get("/api/v1/chart/?q=(page_size:100)").json()["result"]
        (slice_id,) = [item["id"] for item in listed if item["slice_name"] == name]
        answer = self.answers[str(slice_id)]
        assert answer["status"] == 200, answer["body"]
        (result,) = json.loads(answer["body"])["result"]
        return rows(sorted(result["colnames"]), result["data"])

    def post(self, path: str, **arguments: Any) -> tuple[int, str]:
        """Call the API as the person at the browser; status and text of the answer."""
        token = self.page.request.get("/api/v1/security/csrf_token/").json()["result"]
        headers = {"X-CSRFToken": token, "Referer": self.page.url}
        answer = self.page.request.post(path, headers=headers, **arguments)
        return answer.status, answer.text()


def rows(columns: list[str], data: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Rows that can be compared: sorted, figures as numbers of six digits, the names of the columns first."""
    values = [tuple(comparable(row[column]) for column in columns) for row in data]
    return [tuple(columns), *sorted(values, key=repr)]


def comparable(value: Any) -> Any:
    """A figure with six digits, a time (milliseconds since 1970) with microseconds: more a float does not hold."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value
    return round(value * 1000) if value > 1e9 else round(float(value), 6)


def until(is_done: Callable[[], bool], page: Page | None = None) -> None:
    end = time.monotonic() + PATIENCE
    while not is_done():
        assert time.monotonic() < end, "it did not happen"
        page.wait_for_timeout(200) if page else time.sleep(0.5)


def published(file: Path, query: str) -> list[tuple[Any, ...]]:
    """What the published file says, as the API writes it: times as milliseconds."""
    with duckdb.connect(file, read_only=True) as connection:
        described = connection.execute(f"select column_name, column_type from (describe {query})").fetchall()
        listed = ", ".join(
            f'epoch_us("{name}") / 1000.0 as "{name}"'
            if data_type.startswith(("DATE", "TIMESTAMP"))
            else f'cast("{name}" as double) as "{name}"'
            if data_type.startswith("DECIMAL")
            else f'"{name}"'
            for name, data_type in described
        )
        cursor = connection.execute(f"select {listed} from ({query})")
        names = [column[0] for column in cursor.description or []]
        return rows(sorted(names), [dict(zip(names, row, strict=True)) for row in cursor.fetchall()])


@pytest.fixture(scope="module")
def served(sample: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A copy of the sample's published file, which the tests may replace."""
    settings = Settings(config_dir=ROOT, data_dir=tmp_path_factory.mktemp("data"))
    settings.serving.parent.mkdir()
    shutil.copy(sample.serving, settings.serving)
    return settings


@pytest.fixture(scope="module")
def superset(served: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a fresh Superset with the bundle imported."""
    home = tmp_path_factory.mktemp("superset")
    bundle = home / "nps.zip"
    write_bundle(served, bundle)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SUPERSET", "FLASK"))} | {
        "FLASK_APP": "superset",
        "SUPERSET_HOME": str(home),
        "SUPERSET_SECRET_KEY": secrets.token_hex(32),
        "SUPERSET_CONFIG_PATH": str(ROOT / "bi" / "superset_config.py"),
    }

    def command(*arguments: str) -> None:
        done = subprocess.run(
            [Path(BINARIES).resolve() / "superset", *arguments],
            env=environment,
            cwd=home,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    command("db", "upgrade")
    command("init")
    person = ["--username", "admin", "--firstname", "A", "--lastname", "B", "--email", "admin@example.org"]
    command("fab", "create-admin", *person, "--password", PASSWORD)
    command("import-dashboards", "--path", str(bundle), "--username", "admin")

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with (
        (home / "server.log").open("w") as log,
        subprocess.Popen(
            [Path(BINARIES).resolve() / "superset", "run", "-h", "127.0.0.1", "-p", str(port), "--with-threads"],
            env=environment,
            cwd=home,
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as server,
    ):
        try:
            until(lambda: answers(f"{address}/health"))
            yield address
        finally:
            server.terminate()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.URLError:
        return False


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert executable, "a Chromium is needed"
    flags = "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-component-update"
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path=executable, args=[f"--{flag}" for flag in (*flags.split(), "disable-sync")]
        ) as chromium,
    ):
        yield chromium


@pytest.fixture(scope="module")
def dashboard(browser: Browser, superset: str, served: Settings, tmp_path_factory: pytest.TempPathFactory) -> Dashboard:
    """The dashboard as it opens, in a window so high that every chart is in sight."""
    page = browser.new_page(base_url=superset, viewport={"width": 1500, "height": 2600})
    bundle = tmp_path_factory.mktemp("bundle") / "nps.zip"
    write_bundle(served, bundle)
    dashboard = Dashboard(page, superset, served.serving, bundle)
    page.on("response", dashboard.note)
    page.on("request", dashboard.note_request)
    page.on("requestfailed", dashboard.note_blocked)
    page.on("console", dashboard.note_message)
    page.goto("/login/")
    page.fill("#username", "admin")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/welcome/**", timeout=PATIENCE * 1000)
    dashboard.load()
    if picture := os.environ.get("NPS_SUPERSET_PICTURE"):
        page.wait_for_timeout(5000)
        page.screenshot(path=picture)
    return dashboard


def test_every_chart_is_compared() -> None:
    assert {path.stem for path in (BUNDLE / "charts").iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("chart", EXPECTED)
def test_a_chart_shows_what_the_published_file_says(dashboard: Dashboard, chart: str) -> None:
    shown = dashboard.shown(chart)
    assert len(shown) > 1
    assert shown == published(dashboard.file, EXPECTED[chart])


def test_no_request_leaves_the_machine_and_nothing_fails_in_the_browser(dashboard: Dashboard) -> None:
    assert dashboard.faults == []


@pytest.mark.parametrize(
    ("sql", "refusal"),
    [("select * from read_text('/etc/hostname')", "disabled"), ("drop table marts.nps_overall", "DML|not allowed")],
)
def test_who_writes_sql_reads_the_published_file_and_nothing_else(dashboard: Dashboard, sql: str, refusal: str) -> None:
    listed = dashboard.page.request.get("/api/v1/database/").json()["result"]
    query = {"database_id": listed[0]["id"], "runAsync": False}
    status, text = dashboard.post("/api/v1/sqllab/execute/", data=query | {"sql": "select 42 as answer"})
    assert (status, '"answer": 42' in text) == (200, True), text
    status, text = dashboard.post("/api/v1/sqllab/execute/", data=query | {"sql": sql})
    assert status >= 400
    assert re.search(refusal, text), text


def test_a_second_import_changes_what_is_there(dashboard: Dashboard) -> None:
    """`assets/import` overwrites datasets as well; the command and the page keep those that are there."""
    bundle = {"name": "nps.zip", "mimeType": "application/zip", "buffer": dashboard.bundle.read_bytes()}
    before = [item["id"] for item in dashboard.page.request.get("/api/v1/chart/?q=(page_size:100)").json()["result"]]
    status, text = dashboard.post("/api/v1/assets/import/", multipart={"bundle": bundle})
    assert status == 200, text
    after = [item["id"] for item in dashboard.page.request.get("/api/v1/chart/?q=(page_size:100)").json()["result"]]
    assert sorted(after) == sorted(before)
    dashboard.load()
    assert dashboard.shown("score") == published(dashboard.file, EXPECTED["score"])


def test_the_next_publication_is_shown_at_once(dashboard: Dashboard) -> None:
    following = dashboard.file.with_name("following.duckdb")
    shutil.copy(dashboard.file, following)
    with duckdb.connect(following) as connection:
        connection.execute("update marts.nps_trailing_window set nps = 12.3")
    before = dashboard.shown("score")
    following.replace(dashboard.file)
    dashboard.load()
    assert dashboard.shown("score") == published(dashboard.file, EXPECTED["score"]) != before
