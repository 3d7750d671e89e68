"""The dashboard on the sample company: it shows what the marts say, to an owner their domain, and asks no network."""

from __future__ import annotations

import csv
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import accounts, closed_loop, overview, quality, response, segments, voices
from dashboard.app import PAGES
from dashboard.charts import NOBODY_ELSE, TOO_FEW, as_csv, readable, with_labels, with_score_text
from dashboard.filters import Filters, latest
from dashboard.published import Published
from dashboard.scores import scores, scores_by_value
from tests.conftest import ROOT, Pipeline

# A manager, with people who report to them.
MANAGER = "0055e000000000L"
QUARTER = Filters("relationship", "quarter", date(2025, 4, 1), date(2025, 6, 30), "all", "all", "all")


@pytest.fixture
def published(sample: Pipeline) -> Iterator[Published]:
    with Published(sample.serving) as opened:
        yield opened


def page(data: Path, monkeypatch: pytest.MonkeyPatch, name: str, **filters: str) -> AppTest:
    monkeypatch.setenv("NPS_DATA_DIR", str(data))
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60)
    for key, value in {"page": name, **filters}.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception, app.exception
    return app


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


@pytest.mark.parametrize("name", PAGES)
def test_every_figure_has_its_chart_or_rows_how_it_is_made_and_a_csv(
    sample: Pipeline, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    app = page(sample.data, monkeypatch, name, segment="region")
    assert not app.error
    titles = [heading.value for heading in app.subheader]
    offered = {button.proto.label.removeprefix("CSV: ") for button in app.get("download_button")}
    nothing = sum(box.value.startswith("Nothing in this view") for box in app.info)
    assert len(titles) == len(offered) + nothing and offered <= set(titles)
    charts = app.get("vega_lite_chart")
    assert len(charts) + len(app.dataframe) == len(offered) > 0
    assert all(chart.proto.alt for chart in charts)
    assert len(app.caption) > len(offered)  # one line each on how it is computed, and the publication
    assert [line.value for line in app.markdown] == ([] if name == "Quality" else ["**Apr–Jun 2025**"])


def test_the_headline_is_the_mart_s(sample: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    [(nps, responses, rate, change)] = sample.query("""
        select nps, responses, response_rate, nps_change from marts.nps_by_segment_period
        where
            survey_type = 'transactional' and period_grain = 'quarter' and period_start = '2025-01-01'
            and segment = 'region' and segment_value = 'EMEA'
    """)
    app = page(
        sample.data,
        monkeypatch,
        "Overview",
        type="transactional",
        period="2025-01-01",
        segment="region",
        value="EMEA",
    )
    assert metrics(app) == {
        "NPS": f"{nps:.1f}",
        "Answers": f"{responses}",
        "Response rate": f"{100 * rate:.1f} %",
        "Change": f"{change:+.1f}".replace("-", "−"),
    }


def test_a_small_cell_has_words_and_no_number(sample: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    app = page(sample.data, monkeypatch, "Overview", type="episodic", grain="month", period="2024-12-01")
    found = metrics(app)
    assert found["NPS"] == found["Change"] == TOO_FEW and found["Answers"] == "1"
    with Published(sample.serving) as published:
        small = replace(QUARTER, survey_type="episodic", grain="month", start=date(2024, 12, 1), end=date(2024, 12, 31))
        assert segments.decomposition(published, small, "industry").empty


def test_who_sends_nonsense_gets_the_defaults(sample: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    app = page(
        sample.data, monkeypatch, "Overview", type="robots", period="1999-01-01", segment="drop table", owner="x"
    )
    assert {box.key: box.value for box in app.selectbox} == {
        "type": "relationship",
        "owner": "all",
        "grain": "quarter",
        "period": "latest",
        "segment": "all",
    }


def test_the_latest_period_is_complete_and_has_a_score() -> None:
    day = date(2025, 1, 1)
    periods = {"2025-03": (day, day, False), "2025-02": (day, day, True), "2025-01": (day, day, True)}
    assert latest(periods) == "2025-02"
    assert latest({"2025-03": (day, day, False), "2025-02": (day, day, False)}) == "2025-03"


def same(rows: pd.DataFrame, sample: Pipeline, query: str) -> None:
    """The rows are what a query by hand gives."""
    with duckdb.connect(sample.serving, read_only=True) as connection:
        expected = connection.execute(query).df()
    pd.testing.assert_frame_equal(rows[list(expected)].reset_index(drop=True), expected, check_dtype=False)


def test_queries_say_what_the_marts_say(sample: Pipeline, published: Published) -> None:
    cell = "survey_type = 'relationship' and segment = 'all'"
    quarter = "survey_type = 'relationship' and period_grain = 'quarter' and period_start = '2025-04-01'"
    same(
        scores(published, QUARTER),
        sample,
        f"""
        select period_start, responses, nps, ci_low, ci_high, response_rate from marts.nps_by_segment_period
        where {cell} and period_grain = 'quarter' order by period_start
        """,
    )
    same(
        overview.control_chart(published, QUARTER),
        sample,
        f"select period_start, nps, limit_low from marts.nps_control_chart where {cell} order by period_start",
    )
    same(
        overview.trailing(published, QUARTER).tail(1),
        sample,
        f"select nps, responses from marts.nps_trailing_window where {cell} order by window_end desc limit 1",
    )
    same(
        voices.themes(published, QUARTER).sort_values("theme"),
        sample,
        f"""
        select theme, answers, case when answers >= 10 then impact end as impact from marts.nps_theme_impact
        where {quarter} and category = 'all' and answers > 0 and theme_kind in ('theme', 'unclassified') order by theme
        """,
    )
    same(
        response.funnel(published, QUARTER).tail(1),
        sample,
        f"select invited, answered, aapor_rr1 from marts.response_funnel where {quarter} and segment = 'all'",
    )
    same(
        quality.reconciliation(published),
        sample,
        """
        select source_system, cast(sum(delivered_rows) as bigint) as delivered_rows, cast(sum(test) as bigint) as test
        from quality.quality_reconciliation group by source_system order by source_system
        """,
    )
    same(
        quality.exclusions(published),
        sample,
        """
        select reason, source_response_id as which_answers, responses, detractors from quality.quality_exclusions
        order by responses desc, approved_on desc, exclusion_id
        """,
    )
    assert quality.checks(published)[["passed", "warned", "failed"]].to_numpy().sum() == sum(
        row[0] for row in sample.query("select count(*) from quality.quality_check_results")
    )


def test_ranking_waterfall_and_ladder(published: Published) -> None:
    rows = scores_by_value(published, QUARTER, "region")
    ranked = segments.ranked(rows[rows["period_start"] == pd.Timestamp(QUARTER.start)])
    assert list(ranked["is_ranked"]) == [True, True, True, False]  # 16 answers of unknown regions prove too little
    assert ranked["nps"].iloc[:3].is_monotonic_decreasing

    parts = segments.decomposition(published, QUARTER, "industry")
    steps = segments.steps(parts)
    assert "the others" in set(steps["step"])
    effects = steps[steps["kind"] != "score"]
    assert (effects["high"] - effects["low"]).sum() == pytest.approx(parts["total_change"].iloc[0], abs=1e-3)
    assert effects["high"].iloc[-1] == pytest.approx(steps["high"].iloc[-1], abs=1e-3)

    pairs = accounts.waves(published, QUARTER)
    assert next(iter(pairs)) == "relationship-2024 → relationship-2025"
    ladder = accounts.ladder(published, QUARTER, pairs["relationship-2024 → relationship-2025"])
    assert ladder.set_index(["from_category", "to_category"])["contacts"]["detractor", "promoter"] > 0


def test_an_owner_sees_their_domain_and_nothing_else(
    sample: Pipeline, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = {
        row[0] for row in sample.query("select owner_id from marts.dim_owner_hierarchy where manager_id = ?", [MANAGER])
    }
    everybody = {row[0] for row in sample.query("select owner_id from marts.dim_owners")}
    assert 1 < len(domain) < len(everybody)
    theirs = replace(QUARTER, owner=MANAGER)

    [(nps, responses)] = sample.query(
        """
        select nps, responses from marts.nps_by_owner
        where
            owner_id = ? and scope = 'domain' and segment = 'all' and survey_type = 'relationship'
            and period_grain = 'quarter' and period_start = '2025-04-01'
        """,
        [MANAGER],
    )
    last = scores(published, theirs).iloc[-1]
    assert (round(last["nps"], 4), last["responses"]) == (float(nps), responses)

    found = voices.comments(published, theirs, "all", (0, 10))
    expected = sample.query(
        """
        select count(*) from marts.fct_nps_responses
        where
            survey_type = 'relationship' and response_date between '2025-04-01' and '2025-06-30'
            and length(trim(comment)) > 0 and list_contains(?, owner_id)
        """,
        [sorted(domain)],
    )
    assert 0 < len(found) == expected[0][0] < len(voices.comments(published, QUARTER, "all", (0, 10)))
    assert set(closed_loop.cases(published, theirs)["owner_id"]) <= domain
    assert set(closed_loop.waiting(published, theirs)["owner_id"]) <= domain
    assert set(accounts.silent(published, theirs)["owner_id"]) <= domain
    assert response.fatigue(published, theirs)["people"].sum() < response.fatigue(published, QUARTER)["people"].sum()

    for name in ("Overview", "Voices", "Closed loop", "Accounts"):  # the pages with figures of customers
        app = page(sample.data, monkeypatch, name, owner=MANAGER)
        shown = {text for table in app.dataframe for text in table.value.astype(str).to_numpy().ravel()}
        assert not shown & (everybody - domain), name
        if name == "Overview":
            assert metrics(app)["Response rate"] == "not by owner"
            assert sum("by owner" in box.value for box in app.info) == 4


def test_who_has_nobody_below_sees_their_cases_and_so_does_the_desk(
    sample: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The desk has cases and no scorecard; an owner without reports has one of their own accounts alone."""
    alone = sample.query(
        """
        select owner_id from marts.detractor_recovery
        where survey_type = 'relationship' and state in ('open', 'overdue') and owner_id in (
            select manager_id from marts.dim_owner_hierarchy group by manager_id having count(*) = 1
        )
        group by owner_id order by owner_id = 'desk' desc, count(*) desc limit 2
        """
    )
    assert alone[0] == ("desk",) and len(alone) == 2
    for (owner,) in alone:
        app = page(sample.data, monkeypatch, "Closed loop", owner=owner, survey_type="relationship")
        assert not app.warning
        owned = [table.value["owner_id"] for table in app.dataframe if "owner_id" in table.value]
        assert owned and all(set(owners) == {owner} for owners in owned)
    overview = page(sample.data, monkeypatch, "Overview", owner=alone[1][0], survey_type="relationship")
    assert metrics(overview)["Answers"]


def test_recovery_of_a_domain_adds_up_its_owners(
    sample: Pipeline, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted from the cases, it is the mart's for everybody, and for a manager the sum of those who report to them."""
    year = replace(QUARTER, grain="year", start=date(2024, 1, 1))
    for filters in (QUARTER, year, replace(QUARTER, survey_type="transactional", grain="month")):
        counted = closed_loop.recovery_of_cases(published, filters)
        told = closed_loop.recovery(published, filters)[list(counted)]
        assert len(counted) > 1 and closed_loop.is_told_by_mart(published, filters)
        pd.testing.assert_frame_equal(told, counted, check_dtype=False, atol=1e-6)

    same(
        closed_loop.recovery_of_cases(published, replace(year, owner=MANAGER)),
        sample,
        f"""
        select period_start, cast(sum(cases) as bigint) as cases, cast(sum(contacted) as bigint) as contacted,
            sum(resolved) / sum(cases) as closure_rate,
            cast(sum(uncontacted_answered_again) as bigint) as uncontacted_answered_again
        from marts.recovery_performance
        where
            survey_type = 'relationship' and period_grain = 'year' and period_start <= '2024-01-01'
            and owner_id in (select owner_id from marts.dim_owner_hierarchy where manager_id = '{MANAGER}')
        group by period_start order by period_start
        """,
    )
    app = page(sample.data, monkeypatch, "Closed loop", owner=MANAGER, grain="year", period="2024-01-01")
    assert not app.info and any("no table tells the share" in line.value for line in app.caption)
    assert list(app.dataframe[-1].value) == ["group", "answered_again", "recovered"]


def test_a_segment_filters_what_has_it_and_the_rest_says_so(
    sample: Pipeline, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    emea = replace(QUARTER, segment="region", value="EMEA")
    region = "select response_id from marts.fct_nps_responses where region = 'EMEA'"
    [(waiting, cases, silent, people)] = sample.query(f"""
        select
            count(*) filter (state in ('open', 'overdue')), count(*),
            (
                select count(*) from marts.nps_by_account
                where survey_type = 'relationship' and region = 'EMEA' and is_customer and latest_responses = 0
            ),
            (
                select count(*) from marts.contact_fatigue inner join marts.dim_accounts using (account_id)
                where survey_type = 'relationship' and region = 'EMEA'
            )
        from marts.detractor_recovery where survey_type = 'relationship' and response_id in ({region})
    """)
    assert 0 < len(closed_loop.cases(published, emea)) == waiting < len(closed_loop.cases(published, QUARTER))
    assert closed_loop.waiting(published, emea)[["overdue", "open"]].to_numpy().sum() == waiting
    assert closed_loop.recovery_of_cases(published, emea)["cases"].sum() == cases
    assert 0 < len(accounts.silent(published, emea)) == silent
    assert response.fatigue(published, emea)["people"].sum() == people
    by_region = [
        response.fatigue(published, replace(emea, value=value))["people"].sum()
        for (value,) in sample.query("select region from marts.dim_accounts union select 'unknown'")
    ]
    assert sum(by_region) == response.fatigue(published, QUARTER)["people"].sum()

    # Years as a customer are a segment of answers, and none of an account.
    banded = {"segment": "tenure_band", "value": "5+ years"}
    for name, filters, said in (
        ("Accounts", {"segment": "region", "value": "EMEA"}, "For all segments together: Ladder, Value by category."),
        ("Accounts", banded, "For all segments together: Ladder, Value by category, Silent customers."),
        ("Response", banded, "For all segments together: Contact fatigue."),
    ):
        app = page(sample.data, monkeypatch, name, **filters)
        assert [line.value for line in app.caption if line.value.startswith("For all segments")] == [said]


def test_a_type_without_waves_has_the_value_of_its_categories(
    sample: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    [counted] = sample.query("""
        select views.responses, scores.responses
        from marts.nps_account_views as views
        inner join marts.nps_by_segment_period as scores
            using (survey_type, period_grain, period_start, segment, segment_value)
        where survey_type = 'transactional' and period_grain = 'quarter' and segment = 'all'
            and period_start = '2025-04-01'
    """)
    app = page(sample.data, monkeypatch, "Accounts", type="transactional")
    assert counted[0] < counted[1]
    assert app.caption[0].value.startswith("Answers that lead to an account ({} of {}), with".format(*counted))
    assert ["have no waves" in box.value for box in app.info] == [True]
    assert app.subheader[-1].value == "Value by category" and set(app.dataframe[-1].value["category"]) == {
        *("promoter", "passive", "detractor"),
    }


def test_a_period_without_invitations_has_no_funnel(sample: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    [(day,)] = sample.query("""
        select period_start from marts.response_funnel
        where survey_type = 'transactional' and period_grain = 'day' and segment = 'all' and invited = 0
        order by period_start desc limit 1
    """)
    app = page(sample.data, monkeypatch, "Response", type="transactional", grain="day", period=f"{day}")
    offered = {button.proto.label.removeprefix("CSV: ") for button in app.get("download_button")}
    assert "Funnel" not in offered and "Rates" in offered  # of the days before
    assert app.info[0].value.startswith("Nothing in this view")


def test_steps_that_the_tools_do_not_track_are_left_out(
    sample: Pipeline, published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = tmp_path / "serving" / "nps.duckdb"
    served.parent.mkdir()
    shutil.copy(sample.serving, served)
    with duckdb.connect(served) as connection:
        connection.execute("update marts.response_funnel set opened = 0, started = 0")
        connection.execute("update quality.publication set publication_id = 'untracked'")
    app = page(tmp_path, monkeypatch, "Response")
    assert app.caption[0].value.endswith("of those invited. Not tracked: opened, started.")
    assert "Not tracked" not in page(sample.data, monkeypatch, "Response").caption[0].value

    def drawn(rows: pd.DataFrame) -> tuple[set[str], set[str]]:
        funnel, rates = response.draw_funnel(rows).to_dict(), response.draw_rates(rows.assign(period="Q")).to_dict()
        return tuple(
            {row[key] for data in chart["datasets"].values() for row in data}
            for chart, key in ((funnel, "step"), (rates, "rate"))
        )  # type: ignore[return-value]

    rows = response.funnel(published, QUARTER)
    assert drawn(rows) == ({*response.STEPS}, {*response.RATES})
    untracked = ({"invited", "delivered", "answered"}, {"delivery_rate", "response_rate"})
    assert drawn(rows.assign(opened=0, started=0)) == untracked
    nothing = {"open_rate": None, "start_rate": None, "completion_rate": None}
    assert drawn(rows.assign(opened=0, started=0, **nothing)) == untracked
    # Nobody got further: that nobody opened is a figure.
    assert drawn(rows.assign(opened=0, started=0, answered=0))[0] == {*response.STEPS}


def test_no_text_of_a_csv_runs_as_a_formula() -> None:
    rows = pd.DataFrame(
        {"nps": [-1.5, None], "said": ["=1+1", "a=b"], "name": ["@x", None], "score": [-1, 2], "day": ["\tx", "-y"]}
    )
    assert list(csv.reader(as_csv(rows).splitlines())) == [
        ["nps", "said", "name", "score", "day"],
        ["-1.5", "'=1+1", "'@x", "-1", "'\tx"],
        ["", "a=b", "", "2", "'-y"],
    ]


def test_labels_of_a_panel_do_not_reach_into_the_next(published: Published) -> None:
    rows = with_labels(scores_by_value(published, QUARTER, "region"), "quarter")
    funnel = response.funnel(published, QUARTER).assign(period="Q")
    for chart in (segments.small_multiples(rows), response.draw_rates(funnel)):
        assert all(layer["encoding"]["x"]["axis"]["labelFlush"] for layer in chart.to_dict()["spec"]["layer"])


def test_the_rule_of_who_answers_crosses_no_words(published: Published) -> None:
    chart = response.draw_propensity(response.representativeness(published, QUARTER, "region")).to_dict()
    assert [layer["mark"]["type"] for layer in chart["layer"]] == ["rule", "point"]
    assert all("invited · " in row["label"] and "%" in row["label"] for row in chart["datasets"].popitem()[1])


def test_a_new_publication_shows_at_once(sample: Pipeline, tmp_path: Path) -> None:
    """Beside one that is still open, under the same name."""

    def write(file: Path, number: int) -> None:
        with duckdb.connect(file) as connection:
            connection.execute(f"""
                create schema quality;
                create table quality.publication as
                select '{number}' as publication_id, now()::timestamp as published_at;
            """)

    served = tmp_path / "nps.duckdb"
    write(served, 1)
    with Published(served) as first:
        write(tmp_path / "next", 2)
        (tmp_path / "next").replace(served)
        with Published(served) as second:
            asked = "select publication_id from quality.publication"
            ids = [opened.rows(asked)["publication_id"][0] for opened in (first, second, first)]
    assert ids == ["1", "2", "1"]


def test_a_file_of_an_earlier_version_says_so(
    sample: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = tmp_path / "serving" / "nps.duckdb"
    served.parent.mkdir()
    shutil.copy(sample.serving, served)
    with duckdb.connect(served) as connection:
        connection.execute("drop table marts.nps_control_chart")
        connection.execute("update quality.publication set publication_id = 'earlier'")
    app = page(tmp_path, monkeypatch, "Overview")
    assert ["nps_control_chart" in box.value for box in app.error] == [True]


def test_a_score_without_an_interval_stands_alone() -> None:
    rows = pd.DataFrame({"nps": [None, 0.0, 7.5], "ci_low": [None, None, -2.0], "ci_high": [None, None, 17.0]})
    assert list(with_score_text(rows)["says"]) == [TOO_FEW, "0.0", "7.5 (−2.0 to 17.0)"]


def test_charts_have_no_colour_alone() -> None:
    """Words, order or shapes say what the colours do: in the chart with the most of them, the counts and the legend."""
    specification = bars(periods=2)
    marks = {layer["mark"]["type"]: layer["encoding"] for layer in specification["layer"]}
    assert marks.keys() == {"bar", "text"} and "legend" in marks["bar"]["color"]


def test_bars_of_few_answers_are_pale_and_have_a_cross() -> None:
    """Also where so many bars stand beside each other that there is no room for counts."""
    for periods in (2, 60):
        bar, cross, *counts = bars(periods)["layer"]
        few = bar["encoding"]["opacity"]["condition"]
        assert (few["test"], few["value"]) == ("!isValid(datum.nps)", 0.3)
        assert cross["mark"]["text"] == "×" and cross["transform"][0]["filter"].startswith(few["test"])
        assert bool(counts) == (periods == 2)


def bars(periods: int) -> dict[str, Any]:
    rows = pd.DataFrame(
        {"period": [f"{number}" for number in range(periods)], "period_start": range(periods), "responses": 3}
        | {"nps": float("nan"), "promoters": 1, "passives": 1, "detractors": 1}
    )
    specification: dict[str, Any] = overview.bars(rows).to_dict()
    return specification


def test_an_action_for_everybody_has_nobody_to_compare_with(published: Published) -> None:
    found = readable(overview.actions(published, replace(QUARTER, survey_type="transactional"))).set_index("segment")
    assert {*found.loc["all", ["comparison_nps_before", "comparison_nps_after"]]} == {NOBODY_ELSE}
    assert NOBODY_ELSE not in {*found.drop("all")["comparison_nps_before"], found.loc["all", "target_nps_before"]}


def test_a_browser_shows_every_page_and_asks_nobody(sample: Pipeline, tmp_path: Path) -> None:
    """In Chromium: no error in the console, no request beyond this machine, and filters that stay in the address."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import expect, sync_playwright  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    connections = tmp_path / "connections"
    environment = os.environ | {
        "NPS_DATA_DIR": str(sample.data),
        "NPS_DASHBOARD_PORT": str(port),
        "PYTHONPATH": str(ROOT / "tests" / "watch"),
        "NPS_CONNECTIONS": str(connections),
    }
    address = f"http://127.0.0.1:{port}/"
    errors: list[str] = []
    asked: list[str] = []
    with (
        subprocess.Popen([sys.executable, "-m", "orchestration", "dashboard"], cwd=ROOT, env=environment) as server,
        sync_playwright() as playwright,
    ):
        try:
            chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            tab = chromium.new_page(viewport={"width": 1440, "height": 1000}, color_scheme="dark")
            tab.set_default_timeout(60_000)
            expect.set_options(timeout=60_000)
            tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
            tab.on("pageerror", lambda error: errors.append(str(error)))
            tab.on("request", lambda request: asked.append(request.url))
            for _ in range(300):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                tab.wait_for_timeout(200)
            tab.goto(f"{address}?type=transactional")
            for name in PAGES:
                tab.get_by_role("radiogroup", name="Page").get_by_text(name, exact=True).click()
                expect(tab.get_by_role("heading", name=name, level=1)).to_be_visible()
                # While a page is drawn, the foot of the one before it may still stand: one of them is the page at rest.
                expect(tab.get_by_text("Publication 2")).to_have_count(1)
                if name != "Closed loop":
                    expect(tab.locator("[role=graphics-document], [role=img][aria-label]").first).to_be_visible()
                assert "type=transactional" in tab.url
            assert "page=Quality" in tab.url
            chromium.close()
        finally:
            server.terminate()
    assert errors == []
    assert [url for url in asked if not url.startswith((address, f"ws://127.0.0.1:{port}/", "data:", "blob:"))] == []
    assert not connections.exists(), connections.read_text()
