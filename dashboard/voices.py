"""Voices: what people write about, how that moves the score, and what they wrote."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from dashboard.charts import BLUE, CATEGORIES, GREY, RED, TOO_FEW, Chart, panel, room, whole_company
from dashboard.filters import ALL, ANSWERED_IN_DOMAIN, Filters
from dashboard.published import Published

COMMENTS_SHOWN = 200
RISING_SHOWN = 12


def show(published: Published, filters: Filters) -> None:
    """Draw the page."""
    left, right = st.columns(2)
    if filters.segment != ALL and not filters.is_of_owner:
        st.caption("Themes are told for all segments together; the comments below are those of the segment.")
    with left:
        if whole_company(filters, "Themes by impact"):
            panel(
                "Themes by impact",
                "Impact = NPS of all answers less NPS without those that name the theme: how many points it pulls the "
                "score up or down. An association, not a cause.",
                themes(published, filters),
                draw_impact,
            )
    with right:
        if whole_company(filters, "Rising themes"):
            panel(
                "Rising themes",
                "Change of the share of detractors' comments that name a theme, on the period before; real: more than "
                "chance (q, Benjamini-Hochberg).",
                rising(published, filters),
                draw_rising,
            )
    first, second = st.columns(2)
    category = first.selectbox("Category", [ALL, *CATEGORIES], key="category", bind="query-params")
    scored = second.select_slider("Scores", list(range(11)), (0, 10), key="scores")
    panel(
        "Comments",
        f"Comments of the period, the latest {COMMENTS_SHOWN} at most, with names and addresses hidden; segment and "
        "owner as they were when the answer was given.",
        comments(published, filters, category, scored),
    )


def themes(published: Published, filters: Filters) -> pd.DataFrame:
    """Themes of the period's comments by impact, which is empty where too few answers name them."""
    return published.rows(
        """
        select
            theme, feature, answers, share, evidence, nps, ci_low, ci_high,
            case when evidence <> 'insufficient' then impact end as impact,
            case when evidence <> 'insufficient' then impact_change end as impact_change,
            impact_q_value, is_impact_significant
        from marts.nps_theme_impact
        where
            survey_type = $survey_type and period_grain = $grain and period_start = $start
            and theme_kind in ('theme', 'unclassified') and category = 'all' and answers > 0
        order by impact nulls last, theme
        """,
        **filters.period,
    )


def rising(published: Published, filters: Filters) -> pd.DataFrame:
    """Themes that enough detractors name, and more than before; those of which it is no chance first."""
    return published.rows(
        f"""
        select theme, answers, previous_answers, share, previous_share, share_change, share_p_value, share_q_value,
            is_share_significant
        from marts.nps_theme_impact
        where
            survey_type = $survey_type and period_grain = $grain and period_start = $start
            and theme_kind = 'theme' and category = 'detractor' and share_change > 0
            and evidence <> 'insufficient'
        order by is_share_significant desc, share_change desc, theme
        limit {RISING_SHOWN}
        """,
        **filters.period,
    )


def comments(published: Published, filters: Filters, category: str, scored: tuple[int, int]) -> pd.DataFrame:
    """Comments of the view, the latest first."""
    return published.rows(
        f"""
        select response_date, score, category, comment, survey_id, touchpoint, account_id
        from marts.fct_nps_responses
        where
            survey_type = $survey_type and response_date between $start and $end
            and length(trim(comment)) > 0 and {filters.column} = $segment_value and {ANSWERED_IN_DOMAIN}
            and ($category = 'all' or category = $category) and score between $lowest and $highest
        order by submitted_at desc, response_id
        limit {COMMENTS_SHOWN}
        """,
        survey_type=filters.survey_type,
        start=filters.start,
        end=filters.end,
        segment_value=filters.cell["segment_value"],
        owner=filters.owner,
        category=category,
        lowest=scored[0],
        highest=scored[1],
    )


def draw_impact(rows: pd.DataFrame) -> Chart:
    """A bar per theme, to the left where it pulls the score down; words where too few answers name it."""
    drawn = rows.assign(
        shown=rows["impact"],
        says=[TOO_FEW if pd.isna(impact) else f"{impact:+.1f}".replace("-", "−") for impact in rows["impact"]],
        direction=["down" if impact < 0 else "up" for impact in rows["impact"]],
        label=rows["theme"] + " · " + rows["answers"].map("{:,}".format),
    )
    return _bars(drawn, "Points of NPS", "direction:N", ["down", "up"], [RED, BLUE])


def draw_rising(rows: pd.DataFrame) -> Chart:
    """A bar per theme, grey where its rise may be chance."""
    drawn = rows.assign(
        shown=100 * rows["share_change"],
        says=(100 * rows["share_change"]).map("{:+.1f}".format)
        + rows["is_share_significant"].map({True: " real", False: ""}),
        judged=rows["is_share_significant"].map({True: "more than chance", False: "may be chance"}),
        label=rows["theme"] + " · " + rows["answers"].map("{:,}".format),
    )
    return _bars(drawn, "Percentage points of share", "judged:N", ["may be chance", "more than chance"], [GREY, RED])


def _bars(rows: pd.DataFrame, title: str, color: str, domain: list[str], colors: list[str]) -> Chart:
    base = alt.Chart(rows, height=alt.Step(24)).encode(
        alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=220)),
        alt.X(
            "shown:Q",
            title=title,
            axis=alt.Axis(format=".1~f", tickCount=8),
            scale=room(rows["shown"].fillna(0.0), 0.2),
        ),
        tooltip=["label:N", "says:N"],
    )
    return alt.layer(
        base.mark_bar().encode(
            color=alt.Color(
                color, scale=alt.Scale(domain=domain, range=colors), legend=alt.Legend(title=None, orient="top")
            )
        ),
        base.mark_text(align="left", dx=4)
        .transform_calculate(end="max(0, isValid(datum.shown) ? datum.shown : 0)")
        .encode(alt.X("end:Q", title=title), text="says:N"),
    )
