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
from dashboard.filters import ALL, DOMAIN, IN_DOMAIN, Filters
from dashboard.published import Published

CASES_SHOWN = 500
OWNERS_SHOWN = 20
# The lengths of periods that recovery_performance has.
GRAINS = ("month", "quarter", "year")
WHEN = "Months, quarters and years only."
FIGURES = ["answered_again", "recovered", "recovery_rate", "ci_low", "ci_high"]


def show(published: Published, filters: Filters) -> None:
    """Draw the page. Cases that wait are those of now, whatever the period; segments are those of the answer."""
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
    is_told = is_told_by_mart(published, filters)
    performance = recovery(published, filters) if is_told else recovery_of_cases(published, filters)
    panel(
        "Time to contact",
        "Median of the hours from the answer to the first contact, day and night, of cases opened in the period; "
        f"of an owner, those of accounts that were their domain's then. {WHEN}",
        performance,
        lambda rows: draw_hours(with_period(rows, filters.grain)),
    )
    panel(
        "Contact and closure",
        "in_time_rate = contacted_in_time / judged, the cases whose due time is over; closure_rate = resolved / cases. "
        f"Shares of all cases, so without an interval. {WHEN}",
        performance,
    )
    panel(
        "Recovery",
        "Of the detractors of the period who answered again, those that are detractors no more: contacted beside not "
        + (
            "contacted, as shares with Wilson intervals."
            if is_told
            else "contacted. Counts alone: no table tells the share and its interval of a domain or a segment."
        )
        + f" An association: nobody drew lots whom to call. {WHEN}",
        groups(performance[performance["period_start"] == pd.Timestamp(filters.start)]),
        draw_recovery if is_told else None,
    )


def waiting(published: Published, filters: Filters) -> pd.DataFrame:
    """Open and overdue cases by owner."""
    return published.rows(
        f"""
        select owner_id, count(*) filter (state = 'overdue') as overdue, count(*) filter (state = 'open') as open
        from marts.detractor_recovery
        where
            survey_type = $survey_type and state in ('open', 'overdue') and {IN_DOMAIN} and {filters.answered_in_cell}
        group by owner_id
        order by overdue desc, open desc, owner_id
        limit {OWNERS_SHOWN}
        """,
        survey_type=filters.survey_type,
        owner=filters.owner,
        segment_value=filters.cell["segment_value"],
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
                and ($owner = 'all' or accounts.owner_id in {DOMAIN})
        )
        where
            survey_type = $survey_type and state in ('open', 'overdue') and {IN_DOMAIN} and {filters.answered_in_cell}
        order by due_at, response_id
        limit {CASES_SHOWN}
        """,
        survey_type=filters.survey_type,
        owner=filters.owner,
        segment_value=filters.cell["segment_value"],
    )


def is_told_by_mart(published: Published, filters: Filters) -> bool:
    """Whether recovery_performance has the view: all owners together, or one with nobody below, of all segments."""
    domain = published.rows(f"select count(*) as owners from {DOMAIN}", owner=filters.owner)
    return filters.grain not in GRAINS or (filters.cell["segment"] == ALL and int(domain["owners"][0]) < 2)


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


def recovery_of_cases(published: Published, filters: Filters) -> pd.DataFrame:
    """The same added up over the owners of a domain, or over the cases of a segment: what of it may be added up.

    Of owners together a median cannot be had from theirs, so all is counted from the cases, as the mart does.
    """
    grain = filters.grain
    return published.rows(
        f"""
        select
            {grain}_start as period_start,
            {grain}_end as period_end,
            count(*) as cases,
            count(first_contact_at) as contacted,
            count(*) filter (is_contacted_in_time) as contacted_in_time,
            count(*) filter (state = 'resolved') as resolved,
            count(*) filter (state = 'overdue') as overdue,
            contacted_in_time / nullif(count(is_contacted_in_time), 0) as in_time_rate,
            resolved / cases as closure_rate,
            median(epoch(first_contact_at - opened_at) / 3600) as median_hours_to_contact,
            count(is_recovered) filter (first_contact_at is not null) as contacted_answered_again,
            count(*) filter (is_recovered and first_contact_at is not null) as contacted_recovered,
            count(is_recovered) filter (first_contact_at is null) as uncontacted_answered_again,
            count(*) filter (is_recovered and first_contact_at is null) as uncontacted_recovered
        from marts.detractor_recovery
        inner join marts.dim_dates on opened_date = date_day
        where
            survey_type = $survey_type and {grain}_start <= $start
            and ($owner = 'all' or owner_when_opened_id in {DOMAIN}) and {filters.answered_in_cell}
        group by {grain}_start, {grain}_end
        order by period_start
        """,
        survey_type=filters.survey_type,
        start=filters.start,
        owner=filters.owner,
        segment_value=filters.cell["segment_value"],
    )


def groups(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per group of cases, contacted and not, with those of the figures that there are."""
    return pd.DataFrame(
        [
            {"group": name} | {figure: row[f"{key}_{figure}"] for figure in FIGURES if f"{key}_{figure}" in row}
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
