"""What a page is about: kind of survey, period, segment and owner, chosen in the sidebar and kept in the address."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import streamlit as st

from dashboard.published import Published
from orchestration.report import period_name

ALL = "all"
LATEST = "latest"
GRAINS = ["year", "quarter", "month", "week", "day"]

# Whoever owns the account in question, or handled what an answer is about, must report to the owner who was chosen, at
# any distance.
DOMAIN = "(select owner_id from marts.dim_owner_hierarchy where manager_id = $owner)"
IN_DOMAIN = f"($owner = 'all' or owner_id in {DOMAIN})"
ANSWERED_IN_DOMAIN = f"({IN_DOMAIN} or handled_by in {DOMAIN})"


@dataclass(frozen=True)
class Filters:
    """The choices. `segment` without a `value` (all) is the whole; pages that compare its values take it as well."""

    survey_type: str
    grain: str
    start: date
    end: date
    segment: str
    value: str
    owner: str

    @property
    def cell(self) -> dict[str, str]:
        """The cell of the period marts: parameters segment and segment_value."""
        whole = ALL in (self.segment, self.value)
        return {"segment": ALL if whole else self.segment, "segment_value": ALL if whole else self.value}

    @property
    def column(self) -> str:
        """What has the segment_value of the cell in each row of the facts, as SQL.

        Names of segments are columns there; the one in the address was checked against those that exist.
        """
        return "'all'" if self.cell["segment"] == ALL else f'"{self.segment}"'

    @property
    def answered_in_cell(self) -> str:
        """A condition on what has a response_id: the answer is of the segment_value."""
        return f"""(
            $segment_value = 'all'
            or response_id in (select response_id from marts.fct_nps_responses where {self.column} = $segment_value)
        )"""

    @property
    def account_in_cell(self) -> str:
        """A condition on what has an account_id: the account is of the segment_value today; see `by_account`."""
        return f"""(
            $segment_value = 'all'
            or account_id in (select account_id from marts.dim_accounts where {self.column} = $segment_value)
            or (account_id is null and $segment_value = 'unknown')
        )"""

    @property
    def period(self) -> dict[str, Any]:
        """Parameters survey_type, grain and start of the chosen period."""
        return {"survey_type": self.survey_type, "grain": self.grain, "start": self.start}

    @property
    def is_of_owner(self) -> bool:
        """Only the domain of one owner may be shown."""
        return self.owner != ALL


def by_account(published: Published, filters: Filters) -> Filters:
    """The filters of a figure of accounts: for all segments together where the segment is none of accounts."""
    is_of_accounts = filters.segment in published.rows("select * from marts.dim_accounts limit 0")
    return filters if is_of_accounts else replace(filters, segment=ALL, value=ALL)


def choose(published: Published) -> Filters:
    """Draw the filters; each stands in the address as soon as it is not the default."""
    with st.sidebar:
        survey_type = st.selectbox("Survey type", survey_types(published), key="type", bind="query-params")
        owner = st.selectbox(
            "Owner",
            [ALL, *owners(published)],
            key="owner",
            bind="query-params",
            help="The owner's domain: their accounts, and those of everybody who reports to them. "
            "Of an agent or a team, what they handled.",
        )
        # Whose accounts never answered may have cases or silent customers all the same: the periods are everybody's.
        grains = available_grains(published, survey_type, owner)
        scored = owner if grains else ALL
        grains = grains or available_grains(published, survey_type, ALL)
        grain = st.selectbox(
            "Period grain",
            grains,
            index=grains.index("quarter") if "quarter" in grains else 0,
            key="grain",
            bind="query-params",
        )
        periods = available_periods(published, survey_type, grain, scored)
        chosen = st.selectbox(
            "Period",
            [LATEST, *periods],
            key="period",
            bind="query-params",
            help="latest: the last complete period with enough answers for a score.",
        )
        segment = st.selectbox(
            "Segment", [ALL, *segments(published, survey_type, owner)], key="segment", bind="query-params"
        )
        value = ALL
        if segment != ALL:
            value = st.selectbox(
                "Value",
                [ALL, *segment_values(published, survey_type, segment, owner)],
                key="value",
                bind="query-params",
            )
    start, end, _ = periods[chosen if chosen != LATEST else latest(periods)]
    return Filters(survey_type, grain, start, end, segment, value, owner)


def source(owner: str) -> str:
    """The mart that has the scores of a view, with the condition that leaves only what the owner may see."""
    if owner == ALL:
        return "marts.nps_by_segment_period where $owner = 'all'"
    # Who has nobody below has a scorecard of their own accounts alone, who owns none one of what they handled.
    scopes = "list_position(['domain', 'own', 'team', 'handled'], scope)"
    scope = f"select arg_min(scope, {scopes}) from marts.nps_by_owner where owner_id = $owner"
    return f"marts.nps_by_owner where owner_id = $owner and scope = ({scope})"


def survey_types(published: Published) -> list[str]:
    """Kinds of surveys that have answers, the one with the most first."""
    rows = published.rows(
        "select survey_type from marts.nps_overall where segment = 'all' order by responses desc, survey_type"
    )
    return list(rows["survey_type"])


def owners(published: Published) -> list[str]:
    """Everybody who owns accounts or handles tickets, or is above somebody who does."""
    rows = published.rows(
        "select distinct manager_id from marts.dim_owner_hierarchy where manager_id is not null order by all"
    )
    return list(rows["manager_id"])


def available_grains(published: Published, survey_type: str, owner: str) -> list[str]:
    """Lengths of periods that the marts have, longest first."""
    rows = published.rows(
        f"select distinct period_grain from {source(owner)} and survey_type = $survey_type and segment = 'all'",
        survey_type=survey_type,
        owner=owner,
    )
    return [grain for grain in GRAINS if grain in set(rows["period_grain"])]


def available_periods(
    published: Published, survey_type: str, grain: str, owner: str
) -> dict[str, tuple[date, date, bool]]:
    """Periods by their first day, latest first: first and last day, and whether it is complete and has a score."""
    rows = published.rows(
        f"""
        select period_start, period_end, is_complete_period and nps is not null as is_usable
        from {source(owner)} and survey_type = $survey_type and period_grain = $grain and segment = 'all'
        order by period_start desc
        """,
        survey_type=survey_type,
        grain=grain,
        owner=owner,
    )
    return {
        f"{row.period_start:%Y-%m-%d}": (row.period_start.date(), row.period_end.date(), row.is_usable)
        for row in rows.itertuples()
    }


def latest(periods: dict[str, tuple[date, date, bool]]) -> str:
    """The last complete period with a score; where there is none, the last."""
    usable = [name for name, (_, _, is_usable) in periods.items() if is_usable]
    return (usable or list(periods))[0]


def segments(published: Published, survey_type: str, owner: str) -> list[str]:
    """Segments with two values at least that the scores are told by; of an owner, only those of the scorecards."""
    rows = published.rows(
        f"""
        select segment from {source(owner)} and survey_type = $survey_type and segment <> 'all' and responses > 0
        group by segment having count(distinct segment_value) > 1 order by segment
        """,
        survey_type=survey_type,
        owner=owner,
    )
    return list(rows["segment"])


def segment_values(published: Published, survey_type: str, segment: str, owner: str) -> list[str]:
    """The values of a segment, the one with the most answers first."""
    rows = published.rows(
        f"""
        select segment_value from {source(owner)}
            and survey_type = $survey_type and segment = $segment and period_grain = 'year'
        group by segment_value order by sum(responses) desc, segment_value
        """,
        survey_type=survey_type,
        segment=segment,
        owner=owner,
    )
    return list(rows["segment_value"])


def period_label(grain: str, start: date, end: date) -> str:
    """A period as people say it: 2025, Apr–Jun 2025, Jun 2025, 2025-06-30 (a day, or the first of a week)."""
    if grain in ("year", "quarter"):
        return period_name(grain, start, end)
    return f"{start:%b %Y}" if grain == "month" else f"{start:%Y-%m-%d}"
