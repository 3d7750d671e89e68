"""`make docs`: every link leads somewhere, every published thing is on a page, and no page asks a network."""

from __future__ import annotations

import functools
import html
import http.server
import json
import re
import shutil
import subprocess
import threading
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from orchestration.documentation import anchor, prose, read_statistics, write_site
from orchestration.settings import Settings
from tests.conftest import ROOT, Pipeline

# Types a word as a reader does, waits for the index, and shows what came and what was loaded for it.
ASK = """
<script>
addEventListener("load", () => {
  const input = document.getElementById("search");
  input.focus();
  input.value = "WORDS";
  setTimeout(() => {
    const links = [...document.querySelectorAll("#found a")].map((link) => link.getAttribute("href"));
    const asked = performance.getEntriesByType("resource").map((entry) => entry.name);
    document.body.innerText = JSON.stringify({ links, asked });
  }, 500);
});
</script>
"""


class Reader(HTMLParser):
    """What a page leads to, what it loads, and the names of its places."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.names: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.names.add(found.get("id") or "")
        if tag == "a":
            self.links.append(found["href"] or "")
        elif place := found.get("src") or found.get("href"):
            self.loaded.append(place)


@pytest.fixture(scope="module")
def site(sample: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_site(Settings(config_dir=ROOT, data_dir=sample.data), tmp_path_factory.mktemp("docs") / "site").parent


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Reader]:
    return {page.name: Reader(page) for page in site.glob("*.html") if page.name != "dbt.html"}  # that is dbt's own


def test_every_link_leads_to_a_place(site: Path, pages: dict[str, Reader]) -> None:
    lost = []
    for name, page in pages.items():
        for link in page.links:
            target, _, place = link.partition("#")
            if target.startswith(("http://", "https://")):
                continue
            found = (site / target).exists() if target else True
            if not found or (place and place not in pages[target or name].names):
                lost.append((name, link))
        for place in page.loaded:
            assert (site / place).exists(), f"{name} loads {place}"
    assert lost == []


def test_every_published_table_and_every_how_to_has_a_page(pages: dict[str, Reader], sample: Pipeline) -> None:
    for table, column in sample.query(
        "select schema_name || '.' || table_name, column_name from duckdb_columns() where not internal"
    ):
        assert column in pages[f"table-{table}.html"].names, f"{table}.{column}"
    for path in (ROOT / "docs").glob("*.md"):
        assert f"{path.stem}.html" in pages["index.html"].links
    assert {"decisions.html", "statistics.html", "quality/index.html"} <= set(pages["index.html"].links)


def test_every_formula_has_a_place_with_its_source(sample: Pipeline, pages: dict[str, Reader]) -> None:
    used = {name for (name,) in sample.query("select distinct statistic from marts.metrics_catalog")} - {None}
    assert used <= pages["statistics.html"].names
    head, macros = read_statistics(
        "{#- Of all. -#}\n\n{#- One\n  line. A (1999). -#}\n{% macro one(a, b) -%}x{%- endmacro %}"
    )
    assert (head, macros) == ("Of all.", [{"name": "one", "arguments": "a, b", "comment": "One line. A (1999)."}])


def test_descriptions_are_shown_as_they_are_meant() -> None:
    assert prose("a < b; `all` for the total") == "a &lt; b; <code>all</code> for the total"


def test_headings_are_named_as_on_github() -> None:
    assert anchor("Change a threshold, exclude an answer") == "change-a-threshold-exclude-an-answer"
    assert anchor("1. Is it more than chance?") == "1-is-it-more-than-chance"


def test_a_browser_searches_in_a_file_and_asks_nobody(site: Path, tmp_path: Path) -> None:
    """What a page loads is only told of pages that a server gave."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    page = site / "tried.html"
    content = (site / "index.html").read_text(encoding="utf-8")
    page.write_text(content.replace("</body>", ASK.replace("WORDS", "newcombe") + "</body>"), encoding="utf-8")
    handler = functools.partial(QuietServer, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        from_file, from_server = (shown(browser, url, tmp_path) for url in (page.as_uri(), address + page.name))
        server.shutdown()
    page.unlink()
    assert from_file["links"] == from_server["links"]
    assert "statistics.html#newcombe_bound" in from_file["links"]
    assert "table-marts.recovery_performance.html#difference_ci_low" in from_file["links"]
    assert address + "search.js" in from_server["asked"]
    assert [url for url in from_server["asked"] if not url.startswith(address)] == []


class QuietServer(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *_: object) -> None:
        pass


def shown(browser: str, url: str, profile: Path) -> dict[str, list[str]]:
    """What ASK shows on a page."""
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=5000",
    ]
    done = subprocess.run(
        [browser, *options, "--dump-dom", url], capture_output=True, text=True, timeout=120, check=True
    )
    found: dict[str, list[str]] = json.loads(
        html.unescape(re.sub(r"<[^>]*>", "", done.stdout[done.stdout.index("<body") :]))
    )
    return found


def test_why_did_nps_drop_finds_the_planted_dip(sample: Pipeline) -> None:
    text = (ROOT / "docs" / "why-did-nps-drop.md").read_text(encoding="utf-8")
    queries = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    trend, who, effects, themes, cases = (rows_of(sample, query) for query in queries)
    [quarter] = [row for row in trend if row["period_start"] == date(2024, 7, 1)]
    assert quarter["nps_change"] < -15 and f"p {quarter['p_value']:.2f}" in text
    assert (who[0]["segment"], who[0]["segment_value"]) == ("region", "EMEA")
    assert f"from {who[0]['previous_nps']:.0f} to {who[0]['nps']:.0f}" in text
    assert effects[0]["segment_value"] == "EMEA" and effects[0]["rate_effect"] < -10
    assert abs(effects[0]["mix_effect"]) < 1
    assert [row["theme"] for row in themes] == ["billing migration"]
    assert cases[0]["region"] == "EMEA" and cases[0]["waiting"] > 0
    assert [row["naming_it"] for row in cases[1:]] == [0] * (len(cases) - 1)


def rows_of(sample: Pipeline, query: str) -> list[dict[str, Any]]:
    """The rows of a query by the names of its columns."""
    names = [column[0] for column in sample.query(f"describe {query}")]
    return [dict(zip(names, row, strict=True)) for row in sample.query(query)]
