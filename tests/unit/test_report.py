"""The owner's page: what it shows of a small published file, and that it shows nothing else and asks for nothing."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import pytest

from orchestration.report import excerpt, money, period_name, write_report
from orchestration.settings import ROOT, ConfigError, Settings


class Page(HTMLParser):
    """The texts of a page, and whatever a browser would fetch or run for it."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "line", "circle"):
            self.open.append(tag)
        if tag in ("script", "link", "img", "iframe", "object", "base"):
            self.fetched.append(tag)
        self.fetched += [f"{name}={value}" for name, value in attrs if name in ("src", "href", "action", "srcset")]

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("line", "circle"):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(" ".join(data.split()))


@pytest.fixture
def published(tmp_path: Path) -> Settings:
    """Manager m with r1; other stands beside them. Account a1 is theirs, a2 is silent, a9 is the other's."""
    settings = Settings(ROOT, tmp_path)
    settings.serving.parent.mkdir()
    with duckdb.connect(settings.serving) as connection:
        connection.execute("""
            create schema marts;
            create schema quality;
            create table quality.publication as select timestamp '2025-07-01 13:00:00' as published_at;
            create table marts.dim_owners as
            from (
                values ('m', 'Manager'), ('r1', 'Seller'), ('other', 'Seller'), ('new', null), ('agent', 'Agent')
            ) as t (owner_id, job_title);
            create table marts.dim_owner_hierarchy as
            from (
                values ('m', 'm'), ('r1', 'r1'), ('m', 'r1'), ('other', 'other'), ('new', 'new'), ('agent', 'agent')
            )
            as t (manager_id, owner_id);
            create table marts.dim_accounts as
            from (
                values
                ('a1', 'Acme', 'r1', 100::decimal(18, 2), true), ('a2', 'Bolt & Co', 'm', 2500000, true),
                ('a9', 'Secret', 'other', 7, true), ('p1', 'Prospect', 'm', 7, false)
            ) as t (account_id, account_name, owner_id, annual_revenue, is_customer);
            alter table marts.dim_accounts add column is_deleted boolean default false;
            create table marts.nps_by_account as
            select *, 3 as contacts
            from (
                values ('a1', 4, 2), ('a1', 0, 0), ('a2', 0, 2), ('a2', 0, 1), ('a9', 0, 9), ('p1', 0, 9)
            ) as t (account_id, latest_responses, contacts_asked)
            inner join marts.dim_accounts using (account_id);
            create table marts.fct_nps_responses as
            from (
                values
                ('1', 'a1', 'r1', 3, 'detractor', date '2025-06-01', 'early and bad'),
                ('2', 'a1', 'r1', 0, 'detractor', date '2025-06-09', 'late and <b>worse</b>'),
                ('3', 'a9', 'm', 10, 'promoter', date '2025-06-20', 'was theirs when they answered'),
                ('4', 'a1', 'other', 2, 'detractor', date '2025-06-21', 'not theirs when they answered'),
                ('5', 'a1', 'r1', 9, 'promoter', date '2025-06-22', '  ')
            ) as t (response_id, account_id, owner_id, score, category, response_date, comment);
            alter table marts.fct_nps_responses add column handled_by varchar;
            update marts.fct_nps_responses set handled_by = 'agent' where response_id = '4';
            alter table marts.fct_nps_responses add column submitted_at timestamp;
            update marts.fct_nps_responses set submitted_at = response_date;
            create table marts.nps_by_owner as
            from (
                values
                ('relationship', 'quarter', date '2025-04-01', date '2025-06-30', true, 'm', 'domain', 5, 15, 20, 40),
                ('relationship', 'quarter', date '2025-07-01', date '2025-09-30', false, 'm', 'domain', 1, 0, 0, 1),
                ('relationship', 'year', date '2025-01-01', date '2025-12-31', false, 'm', 'domain', 5, 15, 20, 40),
                ('episodic', 'quarter', date '2025-04-01', date '2025-06-30', true, 'm', 'domain', 1, 1, 1, 3),
                ('episodic', 'year', date '2025-01-01', date '2025-12-31', false, 'm', 'domain', 0, 0, 12, 12),
                ('relationship', 'quarter', date '2025-04-01', date '2025-06-30', true, 'm', 'own', 77, 0, 0, 77),
                ('relationship', 'quarter', date '2025-04-01', date '2025-06-30', true, 'other', 'own', 88, 0, 0, 88),
                ('relationship', 'quarter', date '2025-04-01', date '2025-06-30', true, 'r1', 'own', 0, 0, 11, 11),
                ('relationship', 'year', date '2025-01-01', date '2025-12-31', false, 'r1', 'own', 0, 0, 11, 11),
                ('episodic', 'quarter', date '2025-04-01', date '2025-06-30', true, 'agent', 'handled', 9, 2, 1, 12),
                ('episodic', 'year', date '2025-01-01', date '2025-12-31', false, 'agent', 'handled', 9, 2, 1, 12)
            ) as t (
                survey_type, period_grain, period_start, period_end, is_complete_period, owner_id, scope, detractors,
                passives, promoters, responses
            );
            alter table marts.nps_by_owner add column segment varchar default 'all';
            alter table marts.nps_by_owner add column nps decimal(9, 4);
            update marts.nps_by_owner set nps = 100 * (promoters - detractors) / responses where responses >= 10;
            alter table marts.nps_by_owner add column ci_low decimal(9, 4);
            alter table marts.nps_by_owner add column ci_high decimal(9, 4);
            update marts.nps_by_owner set ci_low = nps - 10, ci_high = least(100, nps + 10);
            alter table marts.nps_by_owner add column nps_change decimal(9, 4);
            alter table marts.nps_by_owner add column p_value decimal(18, 6);
            alter table marts.nps_by_owner add column is_significant boolean default false;
            update marts.nps_by_owner set nps_change = 5 where scope in ('domain', 'handled');
            update marts.nps_by_owner set p_value = 0.4 where scope = 'domain' and survey_type = 'relationship';
            update marts.nps_by_owner set p_value = 0.001, is_significant = true where survey_type = 'episodic';
            update marts.nps_by_owner set p_value = null, is_significant = false where scope = 'handled';
        """)
    return settings


def page(settings: Settings, owner_id: str) -> tuple[str, Page]:
    target = settings.exports / "page.html"
    write_report(settings, owner_id, target)
    content = target.read_text(encoding="utf-8")
    parsed = Page(content)
    assert parsed.open == [] and parsed.fetched == []
    assert "url(" not in content and "@import" not in content and "http" not in content
    assert [path.name for path in settings.exports.iterdir()] == ["page.html"]
    return content, parsed


def test_the_page_shows_the_domain_and_nothing_else(published: Settings) -> None:
    content, parsed = page(published, "m")
    text = " ".join(parsed.texts)
    assert "Manager, with the 1 who report to them · 2 customers · 2.5 M yearly revenue" in text
    for foreign in ("Secret", "other", "Prospect", "not theirs", "88", "77"):
        assert foreign not in text, foreign
    # The quarter with a score, and of the kind whose quarter has too few answers the year so far.
    assert "Relationship surveys, Apr–Jun 2025" in parsed.texts and "+37.5" in parsed.texts
    assert "Episodic surveys, 2025 so far" in parsed.texts and "+100.0" in parsed.texts
    assert 'aria-label="20 promoters, 15 passives, 5 detractors"' in content
    # The latest detractor first, markup as text; an account that left the domain is not named.
    assert text.index("late and <b>worse</b>") < text.index("early and bad") < text.index("was theirs when")
    assert "an account that is no longer theirs, 2025-06-20" in parsed.texts
    assert "Silent customers: 1, 2.5 M of revenue" in text
    row = parsed.texts.index("Bolt & Co")
    assert parsed.texts[row : row + 4] == ["Bolt & Co", "2.5 M", "2", "3"]
    assert "Unresolved cases" not in text


def test_who_has_nobody_below_sees_the_own_scorecard(published: Settings) -> None:
    _, parsed = page(published, "r1")
    assert "Seller · 1 customer · " in " ".join(parsed.texts)
    assert "+100.0" in parsed.texts and "+37.5" not in parsed.texts


def test_an_agent_sees_what_they_handled(published: Settings) -> None:
    _, parsed = page(published, "agent")
    text = " ".join(parsed.texts)
    assert "Episodic surveys on what they handled, Apr–Jun 2025" in parsed.texts and "−66.7" in parsed.texts
    assert "not theirs when they answered Acme, 2025-06-21" in text
    for absent in ("late and", "Secret", "Silent customers", "yearly revenue", "+100.0"):
        assert absent not in text, absent


def test_a_change_is_real_chance_or_proves_nothing(published: Settings) -> None:
    """No p where one of the two scores rests on little: that is no finding of chance."""
    manager, agent = (" ".join(page(published, owner)[1].texts) for owner in ("m", "agent"))
    assert "+5.0 on the period before, which may be chance." in manager  # relationship
    assert "+5.0 on the period before, more than chance." in manager  # episodic
    assert "+5.0 on the period before, too few answers to tell it from chance." in agent


def test_unresolved_cases_are_shown_where_there_are_any(published: Settings) -> None:
    with duckdb.connect(published.serving) as connection:
        connection.execute("""
            create table marts.detractor_recovery as
            from (
                values
                ('1', 'a1', 'r1', 'open', 3, timestamp '2025-07-03 20:00:00', 'price, speed', date '2025-07-01'),
                ('2', 'a1', 'r1', 'overdue', 0, timestamp '2025-06-12 20:00:00', 'speed', date '2025-06-11'),
                ('3', 'a9', 'other', 'open', 1, timestamp '2025-07-03 20:00:00', 'foreign', date '2025-07-01'),
                ('4', 'a1', 'm', 'resolved', 2, timestamp '2025-07-03 20:00:00', null, date '2025-07-01'),
                ('6', 'a1', 'm', 'contacted', 1, timestamp '2025-07-03 20:00:00', null, date '2025-07-01'),
                ('5', 'a1', 'm', 'resolved', 2, timestamp '2024-06-03 20:00:00', 'old', date '2024-06-01')
            ) as t (response_id, account_id, owner_id, state, score, due_at, themes, opened_date);
        """)
    _, parsed = page(published, "m")
    first = parsed.texts.index("Unresolved cases: 3") + 5
    assert parsed.texts[first : first + 12] == [
        *("Acme", "0", "overdue", "2025-06-12 16:00"),  # in the business time zone
        *("Acme", "3", "open", "2025-07-03 16:00"),
        *("Acme", "1", "contacted", "2025-07-03 16:00"),
    ]
    assert "What detractors of the last year write about: speed (2), price (1)." in parsed.texts
    assert any(text.endswith("published 2025-07-01 09:00 (America/New_York)") for text in parsed.texts)
    assert parsed.texts[-1].endswith("Times are those of America/New_York.")

    with duckdb.connect(published.serving) as connection:
        connection.execute("""
            insert into marts.detractor_recovery
            select
                day::text, 'a1', 'm', 'overdue', 1, timestamp '2025-06-01 20:00:00' + to_days(day), null,
                date '2025-06-01'
            from range(21, 25) as days (day)
        """)
    _, parsed = page(published, "m")
    first = parsed.texts.index("Unresolved cases: 5 of 7, longest overdue first") + 5
    assert [text[:10] for text in parsed.texts[first + 3 : first + 20 : 4]] == [
        *("2025-06-12", "2025-06-22", "2025-06-23", "2025-06-24", "2025-06-25"),
    ]


def test_an_owner_nobody_answered_has_a_page_and_an_unknown_one_none(published: Settings) -> None:
    _, parsed = page(published, "new")
    assert "Nobody answered yet for an account of this domain, or about what it handled." in parsed.texts
    assert "Somebody of every customer answered lately." in parsed.texts
    with pytest.raises(ConfigError, match="no such owner"):
        write_report(published, "nobody", published.exports / "x.html")


def test_amounts_comments_and_periods_are_written_as_people_do() -> None:
    assert [money(Decimal(amount)) for amount in (0, 950, 12_345, 4_100_000, 2 * 10**9)] == [
        *("0", "950", "12.3 k", "4.1 M", "2.0 bn"),
    ]
    assert excerpt("one\n two") == "one two"
    cut = excerpt("word " * 100)
    assert len(cut) <= 152 and cut.endswith("word …")
    day = datetime(2025, 1, 1).date()
    assert period_name("year", day, day.replace(month=12, day=31)) == "2025"
    assert period_name("year", day.replace(year=2024, month=7), day.replace(month=6, day=30)) == "Jul 2024–Jun 2025"
    assert period_name("quarter", day.replace(month=4), day.replace(month=6)) == "Apr–Jun 2025"
