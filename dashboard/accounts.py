"""Accounts: whose voice the score is, what revenue is silent, and who climbs or falls from wave to wave."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from dashboard.charts import (
    BLUE,
    POINTS_AXIS,
    Chart,
    dots,
    money,
    of_all_segments,
    panel,
    period_axis,
    share,
    whole_company,
    with_period,
    with_score_text,
)
from dashboard.filters import IN_DOMAIN, Filters, by_account
from dashboard.published import Published
from dashboard.scores import scores

ACCOUNTS_SHOWN = 200
# From the top of the ladder to those it lost sight of.
RUNGS = ["promoter", "passive", "detractor", "silent", "not_asked", "new"]
VIEWS = {"": "every answer the same", "account_equal_": "every account the same", "revenue_weighted_": "by revenue"}


def show(published: Published, filters: Filters) -> None:
    """Draw the page."""
    untold = [] if filters.is_of_owner else ["Ladder", "Value by category"]
    if by_account(published, filters).cell != filters.cell:
        untold.append("Silent customers")
    of_all_segments(filters, untold)
    if whole_company(filters, "Three views of the score"):
        rows = views(published, filters)
        of_period, everybody = (
            of[of["period_start"] == pd.Timestamp(filters.start)] for of in (rows, scores(published, filters))
        )
        counted = "" if of_period.empty else f" ({of_period['responses'].sum():,} of {everybody['responses'].sum():,})"
        panel(
            "Three views of the score",
            f"Answers that lead to an account{counted}, with every answer counting the same (interval by the cluster "
            "error), every account, or every unit of revenue. Quarters and years only.",
            compared(of_period),
            draw_views,
        )
        panel(
            "Revenue that answered",
            "Yearly revenue of customers with an answer in the period / that of all customers. The rest is silent "
            "revenue.",
            rows,
            lambda rows: draw_coverage(with_period(rows, filters.grain)),
        )
    panel(
        "Silent customers",
        f"Customers of whom nobody's answer counts for the last year, by revenue; {ACCOUNTS_SHOWN} at most. As of the "
        "last data, whatever the period, and by the segments of today.",
        silent(published, filters),
    )
    if whole_company(filters, "Ladder"):
        draw_waves(published, filters)
    if whole_company(filters, "Value by category"):
        panel(
            "Value by category",
            "Revenue, retention and won sales of customers by what they answered last, with intervals. An association.",
            value_by_category(published, filters),
        )


def draw_waves(published: Published, filters: Filters) -> None:
    """The ladder of two waves, or that there are none."""
    pairs = waves(published, filters)
    if not pairs:
        st.subheader("Ladder")
        # No published table tells one from the other.
        st.info(
            "No two waves to compare: surveys of this type have no waves (variable waves), or there was one so far."
        )
        return
    pair = st.selectbox("Waves", pairs, key="waves", bind="query-params")
    panel(
        "Ladder",
        "People by category in one wave (rows) and in the next one (columns); those of a row add up to everybody who "
        "was there. silent: asked, no answer; new: not known before.",
        ladder(published, filters, pairs[pair]),
        draw_ladder,
    )


def views(published: Published, filters: Filters) -> pd.DataFrame:
    """The mart nps_account_views for the cell of the view, up to the period."""
    return published.rows(
        """
        select * from marts.nps_account_views
        where
            survey_type = $survey_type and period_grain = $grain and period_start <= $start
            and segment = $segment and segment_value = $segment_value
        order by period_start
        """,
        **filters.period,
        **filters.cell,
    )


def compared(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per way of counting."""
    return pd.DataFrame(
        [
            {"view": name, "nps": row[f"{key}nps"], "ci_low": row[f"{key}ci_low"], "ci_high": row[f"{key}ci_high"]}
            for _, row in rows.iterrows()
            for key, name in VIEWS.items()
        ]
    )


def silent(published: Published, filters: Filters) -> pd.DataFrame:
    """Customers without a standing answer to the survey type, those with the most revenue first."""
    filters = by_account(published, filters)
    return published.rows(
        f"""
        select
            account_name, annual_revenue, owner_id, contacts, contacts_asked, contacts_silent, account_id,
            account_window_start, last_day
        from marts.nps_by_account
        cross join marts.dim_windows
        where survey_type = $survey_type and is_customer and latest_responses = 0 and {IN_DOMAIN}
            and {filters.account_in_cell}
        order by annual_revenue desc nulls last, account_id
        limit {ACCOUNTS_SHOWN}
        """,
        survey_type=filters.survey_type,
        owner=filters.owner,
        segment_value=filters.cell["segment_value"],
    )


def waves(published: Published, filters: Filters) -> dict[str, int]:
    """Pairs of waves by their name, the latest first."""
    rows = published.rows(
        """
        select distinct
            from_wave || ' → ' || to_wave || case when is_complete then '' else ' (still running)' end as pair,
            wave_number
        from marts.nps_category_migration
        where survey_type = $survey_type order by wave_number desc
        """,
        survey_type=filters.survey_type,
    )
    return dict(zip(rows["pair"], rows["wave_number"], strict=True))


def ladder(published: Published, filters: Filters, wave_number: int) -> pd.DataFrame:
    """The ways between the categories of two waves."""
    return published.rows(
        """
        select from_wave, to_wave, from_category, to_category, contacts, accounts, revenue
        from marts.nps_category_migration
        where survey_type = $survey_type and wave_number = $wave_number
        order by from_category, to_category
        """,
        survey_type=filters.survey_type,
        wave_number=int(wave_number),
    )


def value_by_category(published: Published, filters: Filters) -> pd.DataFrame:
    """What customers of each category are worth."""
    return published.rows(
        """
        select category, accounts, revenue, average_revenue, average_revenue_low, average_revenue_high,
            retention_rate, retention_rate_low, retention_rate_high, win_rate, win_rate_low, win_rate_high
        from marts.customer_value_by_category
        where survey_type = $survey_type
        order by category desc
        """,
        survey_type=filters.survey_type,
    )


def draw_views(rows: pd.DataFrame) -> Chart:
    """Three dots with their intervals."""
    return dots(with_score_text(rows), "view", "NPS", "nps", "ci_low", "ci_high", axis=POINTS_AXIS)


def draw_coverage(rows: pd.DataFrame) -> Chart:
    """The covered share by period, with the revenue in words."""
    said = rows.assign(
        says=[share(value) for value in rows["revenue_coverage"]],
        silent=[money(value) for value in rows["revenue_silent"]],
    )
    base = alt.Chart(said, height=240).encode(
        period_axis(),
        alt.Y(
            "revenue_coverage:Q", title="Share of revenue", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])
        ),
        tooltip=["period:O", alt.Tooltip("says:N", title="Answered"), alt.Tooltip("silent:N", title="Silent revenue")],
    )
    return alt.layer(base.mark_bar(color=BLUE), base.mark_text(dy=-8).encode(text="says:N"))


def draw_ladder(rows: pd.DataFrame) -> Chart:
    """A grid of counts, darker where more people went."""
    order = [rung for rung in RUNGS if rung in {*rows["from_category"], *rows["to_category"]}]
    base = alt.Chart(rows, height=alt.Step(38)).encode(
        alt.X("to_category:N", sort=order, title="In the next wave", axis=alt.Axis(labelAngle=0, orient="top")),
        alt.Y("from_category:N", sort=order, title="In the first wave"),
        tooltip=["from_category:N", "to_category:N", alt.Tooltip("contacts:Q", format=","), "accounts:Q"],
    )
    return alt.layer(
        base.mark_rect().encode(
            alt.Color("contacts:Q", scale=alt.Scale(range=["#DCEBF5", BLUE], type="sqrt"), legend=None)
        ),
        base.mark_text(fontWeight="bold").encode(
            text=alt.Text("contacts:Q", format=","),
            color=alt.condition(
                f"datum.contacts > {float(rows['contacts'].max()) / 2}", alt.value("white"), alt.value("#222222")
            ),
        ),
    )
