"""Quality: whether the figures can be trusted, by checks, rows rejected, counts that add up and figures restated.

About the data and not about anybody's customers, so that no filter but survey type applies to restatements.
"""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from dashboard.charts import BLUE, RED, Chart, amounts, panel, room, whole_company
from dashboard.filters import Filters
from dashboard.published import Published

RUNS_SHOWN = 10
ROWS_SHOWN = 200


def show(published: Published, filters: Filters) -> None:
    """Draw the page."""
    st.caption("Of all sources, whatever the filters; restatements are those of the survey type.")
    panel(
        "Checks of the last runs",
        f"Checks of the last {RUNS_SHOWN} runs (Great Expectations and dbt) by outcome; a failed check of severity "
        "block keeps a run from being published.",
        checks(published),
        draw_checks,
    )
    panel(
        "Failed checks",
        f"Of these runs, the checks that did not pass, the latest first; {ROWS_SHOWN} at most.",
        failed(published),
    )
    panel(
        "Quarantine by reason",
        "Rejected rows, each with one reason; marts never see them, and quality_quarantine has file and line.",
        quarantine(published),
        draw_quarantine,
    )
    panel(
        "Freshness",
        "Hours since the last load and the last answer of each source when the run ended, beside those that were "
        "agreed.",
        freshness(published),
    )
    panel(
        "Reconciliation",
        "Rows delivered = counted + each reason, added up over the loads of a source; difference must be 0.",
        reconciliation(published),
    )
    panel(
        "Exclusions",
        "Rules of exclusions.csv, with the answers that each takes out (exclude) or marks (outside_control); the "
        f"{ROWS_SHOWN} with most answers.",
        exclusions(published),
    )
    if whole_company(filters, "Restatements"):
        panel(
            "Restatements",
            "Published scores of the whole that are others now, and the points each cause moved them; the latest "
            f"{ROWS_SHOWN}.",
            restatements(published, filters),
        )


def checks(published: Published) -> pd.DataFrame:
    """Outcomes of the last runs: passed, warned (severity warn) and failed (severity block)."""
    return published.rows(f"""
        select
            run_id, min(checked_at) as checked_at,
            count(*) filter (is_success) as passed,
            count(*) filter (not is_success and severity = 'warn') as warned,
            count(*) filter (not is_success and severity <> 'warn') as failed
        from quality.quality_check_results
        group by run_id
        order by checked_at desc
        limit {RUNS_SHOWN}
    """)


def failed(published: Published) -> pd.DataFrame:
    """The checks of the last runs that did not pass, with who is to act and how."""
    return published.rows(f"""
        select checked_at, severity, suite, table_name, expectation, observed_value, threshold, owner, action
        from quality.quality_check_results
        where
            not is_success and run_id in (
                select run_id from quality.quality_check_results
                group by run_id order by min(checked_at) desc limit {RUNS_SHOWN}
            )
        order by checked_at desc, table_name
        limit {ROWS_SHOWN}
    """)


def quarantine(published: Published) -> pd.DataFrame:
    """Rejected rows by source and reason."""
    return published.rows("""
        select source_system, reason, count(*) as rejected, max(loaded_at) as last_loaded_at
        from quality.quality_quarantine
        group by source_system, reason
        order by rejected desc, reason
    """)


def freshness(published: Published) -> pd.DataFrame:
    """One row per source."""
    return published.rows("from quality.quality_freshness order by hours_late desc, source_system")


def reconciliation(published: Published) -> pd.DataFrame:
    """Where the rows of each source went; the counts of its loads, added up."""
    return published.rows("""
        select
            source_system, count(*) as loads,
            sum(columns(* exclude (source_system, load_id, source_file, loaded_at)))::bigint
        from quality.quality_reconciliation
        group by source_system
        order by source_system
    """)


def exclusions(published: Published) -> pd.DataFrame:
    """What each rule of exclusions.csv does to the figures."""
    return published.rows(f"""
        select
            reason, effect, responses, promoters, passives, detractors, last_submitted_at, approved_on, source_system,
            coalesce(source_response_id, field || ': ' || coalesce(pattern, 'not shown')) as which_answers,
            starts_on, ends_on
        from quality.quality_exclusions
        order by responses desc, approved_on desc, exclusion_id
        limit {ROWS_SHOWN}
    """)


def restatements(published: Published, filters: Filters) -> pd.DataFrame:
    """What moved published totals of the survey type, and why."""
    return published.rows(
        f"""
        select period_grain, period_start, published_at, cause, published_nps, current_nps, nps_effect,
            responses_change, published_responses, current_responses
        from marts.nps_restatements
        where survey_type = $survey_type and segment = 'all'
        order by published_at desc, period_start desc, period_grain, cause
        limit {ROWS_SHOWN}
        """,
        survey_type=filters.survey_type,
    )


def draw_checks(rows: pd.DataFrame) -> Chart:
    """A stacked bar per run."""
    outcomes = ["passed", "warned", "failed"]
    named = rows.assign(run=rows["checked_at"].dt.strftime("%Y-%m-%d %H:%M"))
    long = named.melt("run", outcomes, var_name="outcome", value_name="checks")
    return (
        alt.Chart(long, height=alt.Step(24))
        .mark_bar()
        .encode(
            amounts("checks", "Checks"),
            alt.Y("run:N", sort=None, title="Run (UTC)"),
            alt.Color(
                "outcome:N",
                sort=outcomes,
                scale=alt.Scale(domain=outcomes, range=[BLUE, "#E69F00", RED]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=["run:N", "outcome:N", "checks:Q"],
        )
    )


def draw_quarantine(rows: pd.DataFrame) -> Chart:
    """A bar per source and reason, with its count."""
    named = rows.assign(label=rows["source_system"] + ": " + rows["reason"])
    base = alt.Chart(named, height=alt.Step(26)).encode(
        amounts("rejected", "Rows", scale=room(rows["rejected"])),
        alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=260)),
        tooltip=["label:N", alt.Tooltip("rejected:Q", format=",")],
    )
    return alt.layer(
        base.mark_bar(color=BLUE),
        base.mark_text(align="left", dx=6).encode(text=alt.Text("rejected:Q", format=",")),
    )
