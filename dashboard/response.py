"""Response: what becomes of invitations, who answers them, and who is asked too often."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts import (
    BLUE,
    GREY,
    SHARE_AXIS,
    WITHIN_PANEL,
    Chart,
    amounts,
    of_all_segments,
    panel,
    period_axis,
    room,
    share,
    whole_company,
    with_period,
)
from dashboard.filters import Filters, by_account
from dashboard.published import Published
from dashboard.segments import shown_segment

STEPS = ["invited", "delivered", "opened", "started", "answered"]
# And of what step each rate tells, in the order they are drawn.
RATES = {
    "delivery_rate": "delivered",
    "open_rate": "opened",
    "start_rate": "started",
    "response_rate": "answered",
    "completion_rate": "started",
}


def show(published: Published, filters: Filters) -> None:
    """Draw the page."""
    if whole_company(filters, "Funnel"):
        rows = funnel(published, filters)
        of_period = rows[rows["period_start"] == pd.Timestamp(filters.start)]
        left_out = [step for step in STEPS if any(is_untracked(of_period, step))]
        panel(
            "Funnel",
            "Invitations sent in the period, and how far each came; the share is of those invited."
            + (f" Not tracked: {', '.join(left_out)}." if left_out else ""),
            of_period,
            draw_funnel,
        )
        panel(
            "Rates",
            "Delivered / invited; opened, started and answered / delivered; answered / started (completion). The CSV "
            "has the response rates of AAPOR as well.",
            rows,
            lambda rows: draw_rates(with_period(rows, filters.grain)),
        )
        segment = shown_segment(published, filters)
        found = representativeness(published, filters, segment)
        panel(
            f"Who answers, by {segment}",
            "Answered / invited of each value; the rule is that of all. "
            + (says(found) if not found.empty else "Months, quarters and years only."),
            found,
            draw_propensity,
        )
    if by_account(published, filters).cell != filters.cell:
        of_all_segments(filters, ["Contact fatigue"])
    panel(
        "Contact fatigue",
        "People by state: opted out, asked too often within the contact rules, held back until a day, or forgotten. "
        "Of an owner or a segment, people of the accounts that are theirs today.",
        fatigue(published, filters),
        draw_fatigue,
    )


def funnel(published: Published, filters: Filters) -> pd.DataFrame:
    """The mart response_funnel for the cell of the view, in the periods with invitations up to the chosen one."""
    return published.rows(
        """
        select * from (
            select * from marts.response_funnel
            where
                survey_type = $survey_type and period_grain = $grain and period_start <= $start
                and segment = $segment and segment_value = $segment_value and invited > 0
            order by period_start desc
            limit 60
        ) order by period_start
        """,
        **filters.period,
        **filters.cell,
    )


def representativeness(published: Published, filters: Filters, segment: str) -> pd.DataFrame:
    """How readily each value of the segment answered."""
    return published.rows(
        """
        select segment, segment_value, invited, answered, response_propensity, relative_propensity, r_indicator,
            chi_square, degrees_of_freedom, p_value
        from marts.response_representativeness
        where survey_type = $survey_type and period_grain = $grain and period_start = $start and segment = $segment
        order by response_propensity desc, segment_value
        """,
        **filters.period,
        segment=segment,
    )


def fatigue(published: Published, filters: Filters) -> pd.DataFrame:
    """How many people are in each state."""
    filters = by_account(published, filters)
    return published.rows(
        f"""
        select state, count(*) as people, count(distinct account_id) as accounts
        from marts.contact_fatigue
        where
            survey_type = $survey_type and {filters.account_in_cell}
            and (
                $owner = 'all'
                or account_id in (
                    select account_id from marts.dim_accounts where owner_id in (
                        select owner_id from marts.dim_owner_hierarchy where manager_id = $owner
                    )
                )
            )
        group by state
        order by people desc, state
        """,
        survey_type=filters.survey_type,
        owner=filters.owner,
        segment_value=filters.cell["segment_value"],
    )


def is_untracked(rows: pd.DataFrame, step: str) -> pd.Series:
    """In which rows nobody came to a step and somebody beyond it: the tools that were used do not tell of it."""
    beyond = STEPS[STEPS.index(step) + 1 :]
    return (rows[step] == 0) & (rows[beyond] > 0).any(axis="columns")


def says(rows: pd.DataFrame) -> str:
    """The R-indicator and the test in a sentence."""
    row = rows.iloc[0]
    if pd.isna(row["r_indicator"]):
        return "Too few invitations for an R-indicator."
    test = "" if pd.isna(row["p_value"]) else f"; p of equal readiness {row['p_value']:.3f} (chi-square)"
    return f"R-indicator {row['r_indicator']:.3f}, 1 where all answer alike{test}."


def draw_funnel(rows: pd.DataFrame) -> Chart:
    """A bar per step that is tracked, with its count and share in words."""
    row = rows.iloc[0]
    tracked = [step for step in STEPS if not is_untracked(rows, step).iloc[0]]
    steps = pd.DataFrame({"step": tracked, "count": [row[step] for step in tracked]})
    steps["says"] = [
        f"{count:,.0f} ({share(count / row['invited'])})" if row["invited"] else f"{count:,.0f}"
        for count in steps["count"]
    ]
    base = alt.Chart(steps, height=alt.Step(34)).encode(
        amounts("count", "Invitations", scale=room(steps["count"], 0.15)),
        alt.Y("step:N", sort=STEPS, title=None),
        tooltip=["step:N", "says:N"],
    )
    return alt.layer(base.mark_bar(color=BLUE), base.mark_text(align="left", dx=6).encode(text="says:N"))


def draw_rates(rows: pd.DataFrame) -> Chart:
    """One small line per rate; none where its step is not tracked."""
    known = rows.assign(**{rate: rows[rate].mask(is_untracked(rows, step)) for rate, step in RATES.items()})
    long = known.melt(["period"], [*RATES], var_name="rate", value_name="share").dropna(subset="share")
    base = alt.Chart(long, height=110, width=240).encode(
        period_axis(**WITHIN_PANEL),
        alt.Y("share:Q", title=None, axis=alt.Axis(format="%", tickCount=4), scale=alt.Scale(zero=False)),
        tooltip=["period:O", "rate:N", alt.Tooltip("share:Q", format=".1%")],
    )
    return (
        alt.LayerChart(layer=[base.mark_line(color=BLUE), base.mark_point(color=BLUE, filled=True, opacity=1)])
        .facet(alt.Facet("rate:N", sort=[*RATES], title=None), columns=3)
        .resolve_scale(y="independent")
    )


def draw_propensity(rows: pd.DataFrame) -> Chart:
    """A dot per value, and a rule at the rate of all, which crosses no words: they stand beside the chart."""
    said = rows.assign(
        label=[
            f"{row.segment_value} · {row.invited:,} invited · {share(row.response_propensity)}"
            for row in rows.itertuples()
        ],
        everybody=rows["answered"].sum() / rows["invited"].sum(),
    )
    chart = alt.Chart(said, height=alt.Step(28))
    base = chart.encode(alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=340)), tooltip=["label:N"])
    x = alt.X("response_propensity:Q", title="Answered / invited", axis=SHARE_AXIS, scale=alt.Scale(zero=False))
    return alt.layer(
        chart.mark_rule(color=GREY, strokeDash=[4, 4]).encode(alt.X("everybody:Q", title="Answered / invited")),
        base.mark_point(color=BLUE, filled=True, size=90, opacity=1).encode(x),
    )


def draw_fatigue(rows: pd.DataFrame) -> Chart:
    """A bar per state with its count."""
    base = alt.Chart(rows, height=alt.Step(28)).encode(
        amounts("people", "People", scale=room(rows["people"])),
        alt.Y("state:N", sort=None, title=None),
        tooltip=["state:N", alt.Tooltip("people:Q", format=","), alt.Tooltip("accounts:Q", format=",")],
    )
    return alt.layer(
        base.mark_bar(color=BLUE),
        base.mark_text(align="left", dx=6).encode(text=alt.Text("people:Q", format=",")),
    )
