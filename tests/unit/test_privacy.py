"""What is hidden in free text: real shapes of addresses and telephone numbers, and what only looks like one."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pytest

from orchestration.settings import ConfigError, Settings
from tests.conftest import ROOT
from tests.models import template_sql

NUMBERS = """
    +1 555 0101 0037|+1-555-123-4567|+1 (555) 123-4567|+1.555.123.4567|+15551234567|+49 30 123456|+49 (0)30 123456
    +49 171 1234567|+49-171-1234567|+4917112345678|(+49) 30 1234567|+44 20 7946 0958|+44 (0)20 7946 0958
    +33 1 23 45 67 89|+33 (0)6 12 34 56 78|+91 98765 43210|+55 11 91234-5678|+86 138 1234 5678|+81-90-1234-5678
    +61 2 9374 4000|+353 1 234 5678|+420 601 123 456|0049 30 1234567|00 33 1 23 45 67 89|0033 6 12 34 56 78
    (555) 123-4567|(555)123-4567|555-123-4567|555.123.4567|555 123 4567|1-800-555-0199|1 (800) 555-0199
    (11) 91234-5678|(55) 1234 5678|(030) 1234567|(020) 7946 0958|06 12 34 56 78|06.12.34.56.78|06-12-34-56-78
    030 1234567|030/1234567|030-1234567|0171 1234567|0171/1234567|0171-1234567|020 7946 0958|07700 900123
    +49 171\u2009123\u200945\u200967|+49\u00a0171&nbsp;1234567|+49%20171%201234567|%2B491711234567
    (555)\u2212123\u20124567|＋４９ １７１ １２３４５６７|+٤٩ ١٧١ ١٢٣٤٥٦٧|07700 900 123|01632 960 001
    090-1234-5678|030 / 12 34 56 78|0211 12 34 56|02 9374 4000|0761 123 45 67
"""
CALLED = """
    call me on 5551234567|call 555-1234|my phone number is 6912345678|Tel.: 12345678901|phone no. 612 345 678
    cellulare 3331234567|Telefone: 912345678|звоните 89161234567|Звоните по номеру 89161234567|电话13812345678|
    電話番号は 9012345678|هاتف ٠٥٠١٢٣٤٥٦٧|whatsapp 138 1234 5678|mobile 98765 43210|Handy 1711234567|phone: 12 34 56 78
"""
OTHERS = """
    2024-05-01|2024-05-01 10:30:00|2024-05-01T10:30:00+02:00|2024-05-01T10:30:00.123456Z|01/02/2024|1/2/24|01.02.2024
    01.02.2024 10:30|01-02-2024|20240501|05.01.20 10 Uhr|Q3 2024|2023-2024|2019/2020|10:30-11:45|10.30 - 11.45
    0900-1700|24/7|10/10|9/10|9 out of 10|0-10|10, 9, 8, 7|10 9 8 7 6 5 4|8.9|100 %|+5 points|+10|-10 to +10
    1,000,000|1.000.000,00|1 000 000|12 345 678|$1,234.56|€ 12.500,00|2 x 4 x 100|from 3 to 10
    v1.22.333|3.11.15|192.168.100.1|10.0.0.255|order 123-4567890-1234567|order #100023456|#555-123-4567
    PO 4500012345|INV-0012345|ORD-2024-00123|2024-000123|case 00123456|case 12345678|ticket 555123|SO-555-1234
    4500012345|0012345678|1Z999AA10123456784|978-3-16-148410-0|9783161484100|4111 1111 1111 1111|8000000002
    1688199510|1689012345678|550e8400-e29b-41d4-a716-446655440000|0015e0000000000|0035e000000000A|12345-6789|SW1A 1AA
    10115 Berlin|call on 2024-05-01|call on 01.02.2024 at 10:30|call back about order 4500012345
    called 3 times in 2024|phone 14|mobile version 12.4.1|waited 45 minutes on the phone|tel 10|cell B12
    follow @anna|5 @ 10|sold at a loss
"""
ADDRESSES = """
    me@x.example|a.b+c@d-e.example|jürgen@müller.example|ANNA_1%x@sub.domain.example|x (at) y.example|x[at]y.example
    x (AT) y.example|x [AT] y.example|x {at} y.example|x%40y.example|x%2540y.example|x&#64;y.example|x&#x40;y.example
    x&commat;y.example|x&amp;#64;y.example|x＠y.example|x\u200b@y.example
"""


def shapes(text: str) -> list[str]:
    return [shape.strip() for line in text.strip().splitlines() for shape in line.split("|")]


@pytest.fixture(scope="module")
def macros() -> Any:
    """The macros of identity.sql, with DuckDB's form of the two of engine.sql that they call."""
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    environment.globals.update(
        matches=lambda text, pattern: f"regexp_matches({text}, '{pattern}')",
        replace_matches=lambda text, pattern, new: f"regexp_replace({text}, '{pattern}', '{new}', 'g')",
    )
    source = (ROOT / "dbt_project" / "macros" / "identity.sql").read_text()
    return environment.from_string(source).module


def applied(expression: str, texts: list[str], plain: str = "text") -> list[str]:
    """What becomes of each text, of which the expression reads as `text` what `plain` makes of it."""
    query = f"select {expression} from (select {plain} as text from (select unnest(?::varchar[]) as text))"
    with duckdb.connect() as connection:
        rows = connection.execute(query, [texts]).fetchall()
    return [row[0] for row in rows]


@pytest.mark.parametrize("frame", ["{}", "ring {} please", "({})", "Tel: {}.", "is it\n{}, or not", '"{}"'])
def test_numbers_to_call_are_hidden(macros: Any, frame: str) -> None:
    texts = [frame.format(number) for number in shapes(NUMBERS)]
    hidden = applied(macros.without_contact_details("text"), texts, macros.plain_text("text"))
    assert [text for text, rest in zip(texts, hidden, strict=True) if re.search(r"\d", rest)] == []


def test_a_word_says_that_digits_are_a_number_to_call(macros: Any) -> None:
    hidden = applied(macros.without_contact_details("text"), shapes(CALLED), macros.plain_text("text"))
    assert [text for text in hidden if re.search(r"\d", text)] == []


@pytest.mark.parametrize("frame", ["{}", "on {} it failed", "({})", "{}."])
def test_dates_orders_and_scores_stay(macros: Any, frame: str) -> None:
    texts = [frame.format(other) for other in shapes(OTHERS)]
    assert applied(macros.without_contact_details("text"), texts, macros.plain_text("text")) == texts


@pytest.mark.parametrize("frame", ["{}", "write to {} now", "<{}>", "mail: {}.", '{{"mail":"{}"}}'])
def test_addresses_are_hidden_and_nothing_beside_them(macros: Any, frame: str) -> None:
    texts = [frame.format(address) for address in shapes(ADDRESSES)]
    assert set(applied(macros.without_contact_details("text"), texts, macros.plain_text("text"))) == {
        frame.format("***")
    }


def test_a_score_is_shown_and_what_slipped_into_its_column_is_not(macros: Any) -> None:
    scores = ["9", " 10 ", "8.9", "ten", "N/A", "-1", "", "9/10"]
    assert applied(macros.shown_score_text("text"), scores) == scores
    slipped = ["Abbott, Anna", "Anna\u00a0Abbott", "me%40x.example", "１５５５１２３４５６７"]
    slipped += ["Anna Abbott", "me@x.example", "15551234567", "José Ünal"]
    assert set(applied(macros.shown_score_text("text"), slipped)) == {"***"}


def test_the_salt_is_made_once_and_belongs_to_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NPS_CONTACT_SALT", raising=False)
    settings = Settings(ROOT, tmp_path / "data")
    assert settings.contact_salt == Settings(ROOT, tmp_path / "data").contact_salt
    assert settings.contact_salt != Settings(ROOT, tmp_path / "other").contact_salt
    file = tmp_path / "data" / "contact_salt"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_another_salt_is_another_definition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    definitions = set()
    for salt in ("a" * 16, "b" * 16):
        monkeypatch.setenv("NPS_CONTACT_SALT", salt)
        settings = Settings(ROOT, tmp_path)
        definitions.add(settings.definition())
        assert salt not in settings.definition()
    assert len(definitions) == 2
    assert not (tmp_path / "contact_salt").exists()
    monkeypatch.setenv("NPS_CONTACT_SALT", "short")
    with pytest.raises(ConfigError, match="at least 16 characters") as fault:
        Settings(ROOT, tmp_path).definition()
    assert "'short'" not in str(fault.value)


@pytest.mark.parametrize(
    ("attributes", "key"),
    [
        ('{"agent": "u7", "team": "Jane@ours.example"}', "u7"),
        ('{"agent": "Jane@ours.example", "team": "billing"}', "agent:"),
        ('{"agent": "Jane Doe"}', "agent:"),
        ('{"team": "Jane@ours.example"}', "team:"),
        ('{"team": "Billing and refunds"}', "Billing and refunds"),
        ("{}", None),
    ],
)
def test_who_handled_an_answer_is_no_address(attributes: str, key: str | None) -> None:
    query = template_sql("{{ named_handler('attributes') }}", {"handled_by": {"agent": "agent", "team": "team"}})
    with duckdb.connect() as connection:
        connection.execute("set variable contact_salt = 'salt'")
        ((found,),) = connection.execute(f"select {query} from (select ? as attributes)", [attributes]).fetchall()
    hashed = key and key.endswith(":")
    assert found and re.fullmatch(f"{key}[0-9a-f]{{16}}", found) if hashed else found == key
