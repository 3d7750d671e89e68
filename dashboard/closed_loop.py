"""Closed loop: which detractors wait for whom, how soon they are contacted, and whether they come back."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts import (
    BLUE,
    RED,
    SHARE_AXIS,
    TOO_FEW,
    Chart,
    amounts,
    dots,
    panel,
    period_axis,
    share,
    with_period,
)
from dashboard.filters import IN_DOMAIN, Filters
from dashboard.published import Published

CASES_SHOWN = 500
OWNERS_SHOWN = 20


def show(published: Published, filters: Filters) -> None:
    """Draw the page. Cases that wait are those of now, whatever the period."""
    panel(
        "Waiting cases by owner",
        "Cases without a contact, by who acts on them now: overdue ones are past their due time in working hours, "
        f"open ones are not. The {OWNERS_SHOWN} owners with the most.",
        waiting(published, filters),
        draw_waiting,
    )
    panel(
        "Waiting cases",
        f"Each detractor answer that nobody followed up yet, the longest due first; {CASES_SHOWN} at most. Times are "
        "UTC.",
        cases(published, filters),
    )
    performance = recovery(published, filters)
    panel(
        "Time to contact",
        "Median of the hours from the answer to the first contact, day and night, of cases opened in the period; "
        "of an owner, their own and not their domain's.",
        performance,
        lambda rows: draw_hours(with_period(rows, filters.grain)),
    )
    panel(
        "Contact and closure",
        "in_time_rate = contacted_in_time / judged, the cases whose due time is over; closure_rate = resolved / cases. "
        "Shares of all cases, so without an interval.",
        performance,
    )
    panel(
        "Recovery",
        "Of the detractors of the period who answered again, the share that are detractors no more: contacted beside "
        "not contacted, with Wilson intervals. An association: nobody drew lots whom to call.",
        groups(performance[performance["period_start"] == pd.Timestamp(filters.start)]),
        draw_recovery,
    )


def waiting(published: Published, filters: Filters) -> pd.DataFrame:
    """Open and overdue cases by owner."""
    return published.rows(
        f"""
        select owner_id, count(*) filter (state = 'overdue') as overdue, count(*) filter (state = 'open') as open
        from marts.detractor_recovery
        where survey_type = $survey_type and state in ('open', 'overdue') and {IN_DOMAIN}
        group by owner_id
        order by overdue desc, open desc, owner_id
        limit {OWNERS_SHOWN}
        """,
        survey_type=filters.survey_type,
        owner=filters.owner,
    )


def cases(published: Published, filters: Filters) -> pd.DataFrame:
    """The cases that wait, with the account where it is of the domain."""
    return published.rows(
        f"""
        select state, due_at, score, account_name, owner_id, themes, comment, opened_at, response_id
        from (
            select cases.*, accounts.account_name
            from marts.detractor_recovery as cases
            left join marts.dim_accounts as accounts
                on cases.account_id = accounts.account_id
                and (
                    $owner = 'all'
                    or accounts.owner_id in (
                        select owner_id from marts.dim_owner_hierarchy where manager_id = $owner
                    )
                )
        )
        where survey_type = $survey_type and state in ('open', 'overdue') and {IN_DOMAIN}
        order by due_at, response_id
        limit {CASES_SHOWN}
        """,
        survey_type=filters.survey_type,
        owner=filters.owner,
    )


def recovery(published: Published, filters: Filters) -> pd.DataFrame:
    """The mart recovery_performance in the periods up to the chosen one; of all owners together, or of one."""
    return published.rows(
        """
        select * exclude (survey_type, period_grain, owner_id) from marts.recovery_performance
        where
            survey_type = $survey_type and period_grain = $grain and period_start <= $start and owner_id = $owner
        order by period_start
        """,
        **filters.period,
        owner=filters.owner,
    )


def groups(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per group of cases, contacted and not."""
    return pd.DataFrame(
        [
            {
                "group": name,
                "answered_again": row[f"{key}_answered_again"],
                "recovered": row[f"{key}_recovered"],
                "recovery_rate": row[f"{key}_recovery_rate"],
                "ci_low": row[f"{key}_ci_low"],
                "ci_high": row[f"{key}_ci_high"],
            }
            for _, row in rows.iterrows()
            for key, name in (("contacted", "contacted"), ("uncontacted", "not contacted"))
        ]
    )


def draw_waiting(rows: pd.DataFrame) -> Chart:
    """Stacked bars, overdue first."""
    long = rows.melt("owner_id", ["overdue", "open"], var_name="state", value_name="cases")
    return (
        alt.Chart(long, height=alt.Step(22))
        .mark_bar()
        .encode(
            amounts("cases", "Cases"),
            alt.Y("owner_id:N", sort=None, title=None),
            alt.Color(
                "state:N",
                scale=alt.Scale(domain=["overdue", "open"], range=[RED, BLUE]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            order=alt.Order("state:N", sort="descending"),
            tooltip=["owner_id:N", "state:N", "cases:Q"],
        )
    )


def draw_hours(rows: pd.DataFrame) -> Chart:
    """A line with points by period."""
    base = alt.Chart(rows, height=240).encode(
        period_axis(),
        alt.Y("median_hours_to_contact:Q", title="Median hours"),
        tooltip=["period:O", "contacted:Q", alt.Tooltip("median_hours_to_contact:Q", format=",.1f")],
    )
    return alt.layer(base.mark_line(color=BLUE), base.mark_point(color=BLUE, filled=True, size=60, opacity=1))


def draw_recovery(rows: pd.DataFrame) -> Chart:
    """Two dots with their intervals, or the words where too few answered again."""
    said = rows.assign(
        label=rows["group"] + " · " + rows["answered_again"].map("{:,.0f}".format) + " answered again",
        says=[
            TOO_FEW if pd.isna(rate) else f"{share(rate)} ({share(low)} to {share(high)})"
            for rate, low, high in zip(rows["recovery_rate"], rows["ci_low"], rows["ci_high"], strict=True)
        ],
    )
    return dots(said, "label", "Recovered", "recovery_rate", "ci_low", "ci_high", axis=SHARE_AXIS)
