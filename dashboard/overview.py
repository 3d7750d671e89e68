"""Overview: how the score stands, where it comes from, and whether anything changed."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from dashboard.charts import (
    BLUE,
    CATEGORIES,
    GREY,
    POINTS_AXIS,
    RED,
    TOO_FEW,
    Chart,
    panel,
    score,
    share,
    trend,
    whole_company,
    with_labels,
)
from dashboard.filters import Filters
from dashboard.published import Published
from dashboard.scores import scores


def show(published: Published, filters: Filters) -> None:
    """Draw the page."""
    rows = scores(published, filters)
    cards(rows[rows["period_start"] == pd.Timestamp(filters.start)], filters)
    left, right = st.columns(2)
    with left:
        panel(
            "Score by period",
            "NPS = 100 × (promoters − detractors) / answers; the band is its interval (adjusted Wald), a cross a "
            f"period with {TOO_FEW}.",
            rows,
            lambda rows: trend(with_labels(rows, filters.grain), height=260),
        )
    with right:
        panel(
            "Answers by period",
            "Shares of promoters (9–10), passives (7–8) and detractors (0–6) in the answers of each period; pale and "
            f"with a cross, a period with {TOO_FEW}.",
            rows,
            lambda rows: bars(with_labels(rows, filters.grain)),
        )
    left, right = st.columns(2)
    with left:
        if whole_company(filters, "Trailing score"):
            panel(
                "Trailing score",
                "Of each day, NPS and interval of the answers of the trailing window that ends on it (90 days unless "
                "configured otherwise).",
                trailing(published, filters),
                draw_trailing,
            )
    with right:
        if whole_company(filters, "Control chart"):
            panel(
                "Control chart",
                "Monthly NPS; dashed: centre and limits (3 sigma, Laney) of a fixed baseline of the first months. A "
                "triangle outside them is a signal; what lies inside moves by chance.",
                control_chart(published, filters),
                draw_control_chart,
            )
    if whole_company(filters, "Benchmarks"):
        panel(
            "Benchmarks",
            "Our NPS less the benchmark's, with the interval of the gap; is_significant where q (Benjamini-Hochberg) "
            "says so.",
            benchmarks(published, filters),
        )
    if whole_company(filters, "Actions"):
        panel(
            "Actions",
            "What the customers of an action gained beyond all others, before and after it started (difference of "
            "differences). An association, not a cause.",
            actions(published, filters),
        )


def trailing(published: Published, filters: Filters) -> pd.DataFrame:
    """The trailing windows of the view that end no later than the period, of two years at most."""
    return published.rows(
        """
        select window_start, window_end, responses, promoters, passives, detractors, nps, ci_low, ci_high, evidence
        from marts.nps_trailing_window
        where
            survey_type = $survey_type and segment = $segment and segment_value = $segment_value
            and window_end <= $end and window_end > $end - interval 2 year
        order by window_end
        """,
        survey_type=filters.survey_type,
        end=filters.end,
        **filters.cell,
    )


def control_chart(published: Published, filters: Filters) -> pd.DataFrame:
    """Months of the view with their limits, up to the period."""
    return published.rows(
        """
        select * from marts.nps_control_chart
        where
            survey_type = $survey_type and segment = $segment and segment_value = $segment_value
            and period_start <= $end
        order by period_start
        """,
        survey_type=filters.survey_type,
        end=filters.end,
        **filters.cell,
    )


def benchmarks(published: Published, filters: Filters) -> pd.DataFrame:
    """Benchmarks of the period and survey type; of the segment value, where one was chosen."""
    return published.rows(
        """
        select
            benchmark_name, source, published_on, segment, segment_value, responses, nps, benchmark_nps, gap,
            gap_ci_low, gap_ci_high, q_value, is_significant
        from marts.nps_benchmark_gap
        where
            survey_type = $survey_type and period_grain = $grain and period_start = $start
            and ($segment = 'all' or (segment = $segment and segment_value = $segment_value))
        order by benchmark_name
        """,
        **filters.period,
        **filters.cell,
    )


def actions(published: Published, filters: Filters) -> pd.DataFrame:
    """Logged actions judged by this survey type, the latest first; of the segment value, where one was chosen."""
    return published.rows(
        """
        select
            action_name, starts_on, segment, segment_value, responsible, target_nps_before, target_nps_after,
            comparison_nps_before, comparison_nps_after, impact, impact_ci_low, impact_ci_high, q_value,
            is_significant, is_complete_window
        from marts.nps_action_impact
        where
            survey_type = $survey_type
            and ($segment = 'all' or (segment = $segment and segment_value = $segment_value))
        order by starts_on desc, action_name
        """,
        survey_type=filters.survey_type,
        **filters.cell,
    )


def cards(rows: pd.DataFrame, filters: Filters) -> None:
    """The figures of the chosen period; none where the cell has no row in it."""
    columns = st.columns(4)
    if rows.empty:
        st.info(f"Nobody of this view answered in the period: {TOO_FEW}.")
        return
    row = rows.iloc[0]
    has_score = not pd.isna(row["nps"])
    interval = f"{score(row['ci_low'])} to {score(row['ci_high'])}" if has_score else "score needs more answers"
    columns[0].metric("NPS", score(row["nps"]), border=True)
    columns[0].caption(f"Interval: {interval}" if has_score else interval)
    columns[1].metric("Answers", f"{row['responses']:,}", border=True)
    columns[1].caption(
        f"{row['promoters']:,} promoters, {row['passives']:,} passives, {row['detractors']:,} detractors"
    )
    columns[2].metric(
        "Response rate", "not by owner" if filters.is_of_owner else share(row["response_rate"]), border=True
    )
    columns[2].caption("Answered of the delivered invitations")
    change = row["nps_change"]
    columns[3].metric("Change", TOO_FEW if pd.isna(change) else f"{change:+.1f}".replace("-", "−"), border=True)
    columns[3].caption(judgement(row))


def judgement(row: pd.Series) -> str:
    """Whether the change on the period before is more than chance."""
    if pd.isna(row["nps_change"]):
        return "No score in this period or the one before"
    if pd.isna(row["p_value"]):
        return f"{TOO_FEW.capitalize()} to tell it from chance"
    return f"{'Real: more than chance' if row['is_significant'] else 'May be chance'} (q = {row['q_value']:.3f})"


def bars(rows: pd.DataFrame) -> Chart:
    """Stacked shares of the categories, detractors at the bottom, with their counts."""
    long = rows.melt(
        ["period", "period_start", "responses", "nps"],
        ["promoters", "passives", "detractors"],
        var_name="category",
        value_name="answers",
    )
    long["category"] = long["category"].str.removesuffix("s")
    order = list(CATEGORIES)
    long["order"] = long["category"].map({name: place for place, name in enumerate(reversed(order))})
    base = alt.Chart(long, height=260).encode(
        alt.X("period:O", sort=None, title=None, axis=alt.Axis(labelAngle=0, labelOverlap="greedy", labelSeparation=6)),
        alt.Y("answers:Q", stack="normalize", title="Share of answers", axis=alt.Axis(format="%")),
        order=alt.Order("order:Q"),
        tooltip=["period:O", "category:N", alt.Tooltip("answers:Q", format=",")],
    )
    # Without this the bar of a single answer is as full as any other: who sees no counts takes it for a majority.
    too_few = "!isValid(datum.nps)"
    layers: list[alt.Chart] = [
        base.mark_bar().encode(
            opacity=alt.condition(too_few, alt.value(0.3), alt.value(1)),
            color=alt.Color(
                "category:N",
                scale=alt.Scale(domain=order, range=list(CATEGORIES.values())),
                sort=order,
                legend=alt.Legend(title=None, orient="top"),
            ),
        ),
        base.mark_text(text="×", fontSize=16, baseline="bottom")
        .transform_filter(f"{too_few} && datum.category === 'detractor'")
        .encode(y=alt.value(0)),
    ]
    if long["period"].nunique() <= MAX_COUNTED:
        layers += [
            base.mark_text(baseline="middle", fontWeight="bold", color=color)
            .transform_filter(shown)
            .encode(
                alt.Y("answers:Q", stack="normalize", bandPosition=0.5),
                detail="category:N",
                text=alt.Text("answers:Q", format=","),
                opacity=alt.condition("datum.answers > 0.06 * datum.responses", alt.value(1), alt.value(0)),
            )
            for shown, color in (("isValid(datum.nps)", "white"), (too_few, alt.Undefined))
        ]
    return alt.layer(*layers)


# With more bars than this their counts would not fit into them.
MAX_COUNTED = 14


def draw_trailing(rows: pd.DataFrame) -> Chart:
    """A line with its band by day."""
    base = alt.Chart(rows, height=260).encode(alt.X("window_end:T", title=None))
    return alt.layer(
        base.mark_area(color=BLUE, opacity=0.25).encode(alt.Y("ci_low:Q", title="NPS"), alt.Y2("ci_high:Q")),
        base.mark_line(color=BLUE).encode(
            alt.Y("nps:Q", title="NPS", scale=alt.Scale(zero=False), axis=POINTS_AXIS),
            tooltip=[
                alt.Tooltip("window_end:T", title="Window ends"),
                alt.Tooltip("nps:Q", title="NPS", format="+.1f"),
                alt.Tooltip("responses:Q", title="Answers", format=","),
            ],
        ),
    )


def draw_control_chart(rows: pd.DataFrame) -> Chart:
    """Points with the limits of their month; signals are triangles with a word."""
    marked = rows.assign(signal=rows["is_signal"].map({True: "signal", False: "usual"}))
    base = alt.Chart(marked, height=260).encode(alt.X("period_start:T", title=None))
    y = alt.Y("nps:Q", title="NPS", scale=alt.Scale(zero=False), axis=POINTS_AXIS)
    limits = [
        base.mark_line(color=GREY, strokeDash=dash, interpolate="step").encode(alt.Y(f"{name}:Q", title="NPS"))
        for name, dash in (("limit_low", [6, 4]), ("limit_high", [6, 4]), ("center_line", [2, 2]))
    ]
    return alt.layer(
        *limits,
        base.mark_line(color=BLUE, opacity=0.5).encode(y),
        base.mark_point(filled=True, size=80, opacity=1).encode(
            y,
            alt.Shape(
                "signal:N",
                scale=alt.Scale(domain=["usual", "signal"], range=["circle", "triangle-up"]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            alt.Color("signal:N", scale=alt.Scale(domain=["usual", "signal"], range=[BLUE, RED])),
            tooltip=[
                alt.Tooltip("period_start:T", title="Month"),
                alt.Tooltip("nps:Q", format="+.1f", title="NPS"),
                alt.Tooltip("limit_low:Q", format="+.1f", title="Lower limit"),
                alt.Tooltip("limit_high:Q", format="+.1f", title="Upper limit"),
                alt.Tooltip("responses:Q", format=",", title="Answers"),
                alt.Tooltip("is_baseline:N", title="In the baseline"),
            ],
        ),
    )
