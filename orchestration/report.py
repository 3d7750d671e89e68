"""The report of one owner for a staff meeting: one page of HTML with the picture, the words and the unresolved cases.

Made from the published file, of the owner's domain alone; the page asks nothing of any network.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import jinja2

from orchestration.export import attach_published, draft_of, finish, note_domain
from orchestration.served_file import named_rows
from orchestration.settings import Settings
from orchestration.summary import points

TEMPLATE = Path(__file__).with_name("report.html.j2")
# What fits on one page, A4 or Letter.
TREND_PERIODS = 8
CASES = 5
THEMES = 5
SILENT_ACCOUNTS = 5
COMMENTS = {"detractor": 5, "passive": 1, "promoter": 2}
COMMENT_CHARACTERS = 150

Row = dict[str, Any]


@dataclass(frozen=True)
class Report:
    """What the page shows. Times are of the business time zone."""

    owner: Row  # owner_id, job_title, reports (people below), accounts, revenue
    published_at: datetime
    cards: list[Row]  # one per survey type of their accounts, and of what they handled: the last period with a score
    trend: list[Row]  # periods of the survey type with the most answers, oldest first
    comments: list[Row]
    cases: list[Row] | None  # None where the published file knows no cases
    unresolved_cases: int
    themes: list[Row]  # of the cases of the last year, the most frequent first
    silent: list[Row]
    silent_accounts: int
    silent_revenue: Decimal


def write_report(settings: Settings, owner_id: str, target: Path) -> None:
    """Write the page of an owner and of everybody who reports to them.

    Raises:
        ConfigError: nothing is published, or there is no such owner.
    """
    with duckdb.connect() as connection:
        attach_published(connection, settings)
        note_domain(connection, owner_id)
        report = read_report(connection, owner_id, ZoneInfo(settings.variables["business_time_zone"]))
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(points=points, money=money, excerpt=excerpt)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    target.parent.mkdir(parents=True, exist_ok=True)
    draft_of(target).write_text(template.render(report=report), encoding="utf-8")
    finish(target)


def read_report(connection: duckdb.DuckDBPyConnection, owner_id: str, zone: ZoneInfo) -> Report:
    """Ask the attached database `published` about the owners in the temporary table `domain`."""
    owner = named_rows(
        connection,
        """
        select
            $owner as owner_id,
            (select job_title from published.marts.dim_owners where owner_id = $owner) as job_title,
            (select count(*) - 1 from domain) as reports,
            count(*) as accounts,
            coalesce(sum(annual_revenue), 0) as revenue
        from published.marts.dim_accounts
        where owner_id in (from domain) and is_customer and not is_deleted
        """,
        owner=owner_id,
    )[0]
    scorecards = named_rows(
        connection,
        """
        select * from published.marts.nps_by_owner
        where owner_id = $owner and list_contains($scopes, scope) and segment = 'all'
        order by period_start
        """,
        owner=owner_id,
        scopes=["domain", "team"] if owner["reports"] else ["own", "handled"],
    )
    silent = named_rows(
        connection,
        """
        select
            any_value(account_name) as account_name,
            coalesce(any_value(annual_revenue), 0) as revenue,
            any_value(contacts) as contacts,
            max(contacts_asked) as asked
        from published.marts.nps_by_account
        where owner_id in (from domain) and is_customer
        group by account_id
        having sum(latest_responses) = 0
        order by revenue desc, account_id
        """,
    )
    has_cases = _has_cases(connection)
    cases = _unresolved_cases(connection) if has_cases else []
    for case in cases:
        case["due_at"] = case["due_at"].replace(tzinfo=ZoneInfo("UTC")).astimezone(zone)
    published_at = named_rows(connection, "select published_at from published.quality.publication")[0]["published_at"]
    return Report(
        owner=owner,
        published_at=published_at.replace(tzinfo=ZoneInfo("UTC")).astimezone(zone),
        cards=_cards(scorecards),
        trend=_trend(scorecards),
        comments=_comments(connection),
        cases=cases[:CASES] if has_cases else None,
        unresolved_cases=len(cases),
        themes=_themes(connection) if has_cases else [],
        silent=silent[:SILENT_ACCOUNTS],
        silent_accounts=len(silent),
        silent_revenue=sum((row["revenue"] for row in silent), Decimal(0)),
    )


def money(amount: Decimal) -> str:
    """An amount as people say it: 950, 12.3 k, 4.1 M."""
    for unit, size in (("bn", 1e9), ("M", 1e6), ("k", 1e3)):
        if amount >= size:
            return f"{float(amount) / size:,.1f} {unit}"
    return f"{amount:,.0f}"


def excerpt(comment: str) -> str:
    """The beginning of a comment, cut between words."""
    text = " ".join(comment.split())
    if len(text) <= COMMENT_CHARACTERS:
        return text
    return text[:COMMENT_CHARACTERS].rsplit(" ", 1)[0] + " …"


def period_name(grain: str, start: date, end: date) -> str:
    """Such as Apr–Jun 2025, or Jul 2024–Jun 2025 where the year of the business is not that of the calendar."""
    if start.year == end.year:
        return f"{start.year}" if grain == "year" else f"{start:%b}–{end:%b %Y}"
    return f"{start:%b %Y}–{end:%b %Y}"


def _cards(scorecards: list[Row]) -> list[Row]:
    """Of each survey type the last complete quarter, or the year so far where that quarter has too few answers."""
    cards = []
    for kind in dict.fromkeys(_kind(card) for card in _by_answers(scorecards)):
        own = [card for card in scorecards if _kind(card) == kind]
        quarters = [card for card in own if card["period_grain"] == "quarter" and card["is_complete_period"]][-1:]
        years = [card for card in own if card["period_grain"] == "year"][-1:]
        with_score = [card for card in (*quarters, *years) if card["nps"] is not None]
        cards.append(_named((with_score or quarters or years)[0]))
    return cards


def _trend(scorecards: list[Row]) -> list[Row]:
    kind = next((_kind(card) for card in _by_answers(scorecards)), None)
    quarters = [card for card in scorecards if _kind(card) == kind and card["period_grain"] == "quarter"]
    return [_named(card) for card in quarters[-TREND_PERIODS:]]


def _by_answers(scorecards: list[Row]) -> list[Row]:
    """The scorecards of years: of accounts before what was handled, of these the survey type with the most answers."""
    answers: dict[tuple[bool, str], int] = {}
    years = [card for card in scorecards if card["period_grain"] == "year"]
    for card in years:
        answers[_kind(card)] = answers.get(_kind(card), 0) + card["responses"]
    return sorted(years, key=lambda card: (_is_handled(card), -answers[_kind(card)], card["survey_type"]))


def _kind(card: Row) -> tuple[bool, str]:
    """What is told together: answers of accounts or about what was handled, of one survey type."""
    return _is_handled(card), card["survey_type"]


def _is_handled(card: Row) -> bool:
    return card["scope"] in ("handled", "team")


def _named(card: Row) -> Row:
    period = period_name(card["period_grain"], card["period_start"], card["period_end"])
    return card | {"period": period, "is_handled": _is_handled(card)}


def _comments(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """The latest comments, detractors first; an account that left the domain is named where they handled its ticket."""
    comments = []
    for category, count in COMMENTS.items():
        comments += named_rows(
            connection,
            """
            select
                responses.category, responses.score, responses.response_date, responses.comment,
                coalesce(accounts.account_name, 'an account that is no longer theirs') as account_name
            from published.marts.fct_nps_responses as responses
            left join published.marts.dim_accounts as accounts
                on
                    responses.account_id = accounts.account_id
                    and (accounts.owner_id in (from domain) or responses.handled_by in (from domain))
            where
                (responses.owner_id in (from domain) or responses.handled_by in (from domain))
                and responses.category = $category
                and length(trim(responses.comment)) > 0
            order by responses.submitted_at desc, responses.response_id
            limit $count
            """,
            category=category,
            count=count,
        )
    return comments


def _has_cases(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the publication knows cases; one made before there were any does not."""
    query = """
        select 1 from duckdb_tables()
        where database_name = 'published' and schema_name = 'marts' and table_name = 'detractor_recovery'
    """
    return bool(named_rows(connection, query))


def _themes(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """The themes of the cases of the last year, up to the latest one of anybody's, by number of cases."""
    return named_rows(
        connection,
        """
        with named as (
            select unnest(string_split(themes, ', ')) as theme
            from published.marts.detractor_recovery
            where
                owner_id in (from domain)
                and opened_date > (select max(opened_date) - 365 from published.marts.detractor_recovery)
        )
        select theme, count(*) as cases from named
        where theme <> 'unclassified'
        group by theme order by cases desc, theme limit $count
        """,
        count=THEMES,
    )


def _unresolved_cases(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """Cases that are not resolved, overdue ones first, of these the one that has been due longest."""
    return named_rows(
        connection,
        """
        select
            cases.state, cases.score, cases.due_at,
            coalesce(accounts.account_name, 'unknown account') as account_name
        from published.marts.detractor_recovery as cases
        left join published.marts.dim_accounts as accounts
            on cases.account_id = accounts.account_id and accounts.owner_id in (from domain)
        where cases.owner_id in (from domain) and cases.state <> 'resolved'
        order by
            case cases.state when 'overdue' then 0 when 'open' then 1 else 2 end, cases.due_at, cases.response_id
        """,
    )
