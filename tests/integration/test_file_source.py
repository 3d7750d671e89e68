"""The generic file source: any export, any fault, end to end."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest

from tests.conftest import Pipeline, empty_reference, unit_tests_passed

SCORES = {
    "": "missing_score",
    "   ": "missing_score",
    "N/A": "not_integer",
    "ten": "not_integer",
    "8.9": "not_integer",
    "11": "out_of_range",
    "-1": "out_of_range",
    "0": "counted",
    "9.0": "counted",
    " 10 ": "counted",
    "6": "counted",
}

SOURCE = """
source: shop
kind: file
answers:
  files: answers.*
  key: Number
  score: Rating
  submitted_at: {column: When, format: iso8601, time_zone: Europe/Berlin}
  survey: {column: Form}
  respondent: Mail
  email: Mail
  name: Who
  account: Firm
  comment: Text
  segments: {shop: "What's the shop?"}
invitations:
  files: invited.csv
  key: Visit
  survey: {value: exit}
  sent_at: {column: Day, format: "%d.%m.%Y", time_zone: Europe/Berlin}
  invited: People
  account: Firm
follow_ups:
  files: called.csv
  answer: Answer
  email: Mail
  owner: Who
  first_contact_at: {column: Called, format: "%d.%m.%Y %H:%M", time_zone: Europe/Berlin}
  resolved_at: {column: Solved, format: "%d.%m.%Y %H:%M", time_zone: Europe/Berlin}
"""
# What somebody wrote down, and what becomes of it; the answers are the scores 0 and 6 of 1 March, noon in Berlin.
FOLLOW_UPS = {
    "shop:8,,Erika Muster,03.03.2025 09:00,04.03.2025 09:00": None,
    "shop:8,,Erika Muster,03.03.2025 10:00,03.03.2025 11:00": None,
    ",sixth@home.example,Erika Muster,03.03.2025 12:00,": None,
    "shop:8,,Erika Muster,,": None,
    "shop:999,,Erika Muster,03.03.2025 09:00,": "unknown_answer",
    "shop:8,,Erika Muster,soon,": "invalid_time",
    "shop:8,,Erika Muster,03.03.2052 09:00,": "invalid_time",
    "shop:8,,Erika Muster,01.03.2025 11:59,": "contact_before_answer",
    "shop:8,,Erika Muster,03.03.2025 09:00,03.03.2025 08:59": "resolved_before_contact",
    ",nobody@home.example,Erika Muster,03.03.2025 09:00,": "unknown_contact",
    ",,Erika Muster,03.03.2025 09:00,": "names_nobody",
}


@pytest.fixture
def shop(tmp_path: Path) -> Pipeline:
    """A configuration outside the repository: one mapped export, one survey, one segment."""
    config = tmp_path / "config"
    reference = empty_reference(config)
    (config / "sources").mkdir()
    (config / "sources" / "shop.yml").write_text(SOURCE)
    (config / "vars.yml").write_text(
        "sources: [shop]\nbusiness_time_zone: Europe/Berlin\nfiscal_year_start_month: 4\n"
        "segments:\n"
        "  - {name: shop, from: answer, column: shop, description: Which shop}\n"
        "  - {name: touchpoint, from: survey, column: touchpoint, description: What it asked about}\n"
        "  - {name: shop_touchpoint, combine: [shop, touchpoint], description: Both}\n"
    )
    (reference / "surveys.csv").write_text(
        "source_system,source_survey_id,survey_id,survey_name,survey_type,touchpoint,starts_on,ends_on\n"
        "shop,exit,exit,At the exit,transactional,visit,,\n"
    )
    (reference / "staff_domains.csv").write_text("domain,why\nshop.example,our own\n")
    (reference / "account_aliases.csv").write_text("source_system,account_alias,account_id\nshop,ACME Inc,acme\n")
    pipeline = Pipeline(tmp_path / "data", config)
    pipeline.landing.mkdir(parents=True)
    return pipeline


HEADER = ["Number", "Rating", "When", "Form", "Mail", "Firm", "Text", "What's the shop?", "Who"]


def answer(number: int, **values: str) -> dict[str, str]:
    row = dict(zip(HEADER, [str(number), "9", "2025-03-01 12:00:00", "exit", "", "acme", "", "north", ""], strict=True))
    return row | values


def write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    lines = [",".join(HEADER)]
    lines += [",".join('"' + row[name].replace('"', '""') + '"' for name in HEADER) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_each_fault_ends_in_its_decision_with_file_and_line(shop: Pipeline) -> None:
    assert_nothing_is_published_without_a_file(shop)
    rows = [answer(n, Rating=score) for n, score in enumerate(SCORES, start=1)]
    rows[-1]["Mail"] = "sixth@home.example"
    expected = dict(enumerate(SCORES.values(), start=1))
    special = [
        (answer(101, When="2199-01-01 00:00:00"), "invalid_time"),
        (answer(102, When="yesterday"), "invalid_time"),
        (answer(112, When="2025-03-01 12:00:00 PST"), "invalid_time"),
        (answer(103, Form="pilot"), "unknown_survey"),
        (answer(104, Mail="bob@shop.example"), "staff"),
        (answer(105, Text='two\nlines, a "quote" and an address: me@home.example'), "counted"),
        (answer(106, Firm="ACME Inc", When="2025-03-31 23:30:00"), "counted"),
        (
            answer(107, Who="Erika Muster", Mail="erika@home.example", Text="Erika, +49 30 1234567; ask José Wu"),
            "counted",
        ),
        (answer(108, Who="José Wu", Text="order 4500012345 of 2025-03-01: 9"), "counted"),
        (answer(109, Who="Erika Muster", Mail="erika@home.example", Rating="11", Text="José Wu"), "out_of_range"),
        (answer(110, Rating="Erika Muster"), "not_integer"),
        (answer(111, Who="Nora Quist", Mail="Nora@home.example", Text="Nora, +49 30 5160374"), "counted"),
    ]
    rows += [row for row, _ in special]
    expected |= {int(row["Number"]): decision for row, decision in special}
    rows += [answer(n) for n in range(200, 300)]  # enough sound rows that the guard lets the file pass
    expected |= dict.fromkeys(range(200, 300), "counted")
    path = shop.landing / "answers.csv"
    write_csv(path, rows)
    write_csv(shop.landing / "answers.empty.csv", [])
    ragged = "300,9,Erika Muster,erika@home.example,+49 30 1234567"
    path.write_text(
        path.read_text() + ragged + "\n" + '"301","9","2025-03-01 12:00:00","exit","","acme","","south",""\n'
    )
    expected[301] = "counted"
    (shop.landing / "called.csv").write_text("\n".join(["Answer,Mail,Who,Called,Solved", *FOLLOW_UPS]) + "\n")
    invited = ["v1,01.03.2025,300,acme", "v2,01.03.2025,0,acme", "v3,soon,5,acme", "v1,01.03.2025,400,acme"]
    (shop.landing / "invited.csv").write_text("\n".join(["Visit,Day,People,Firm", *invited]) + "\n")

    shop.succeed("run")

    decided = shop.query(
        "select source_response_id::int, decision, source_file, source_line from marts.response_eligibility"
    )
    assert {number: decision for number, decision, _, _ in decided} == expected
    lines = path.read_text().split("\n")
    for number, _, file, line in decided:
        assert file == "answers.csv"
        assert lines[line - 1].startswith(f'"{number}"'), (number, line)
    rejected = set(expected.values()) & {
        "not_integer",
        "out_of_range",
        "invalid_time",
        "unknown_survey",
    }
    of_answers = "where source_file like 'answers%'"
    quarantined = shop.query(f"select reason, source_line, raw_row from quality.quality_quarantine {of_answers}")
    assert {reason for reason, _, _ in quarantined if not reason.startswith("malformed")} == rejected
    (malformed,) = [row for row in quarantined if row[0].startswith("malformed")]
    assert lines[malformed[1] - 1] == ragged and malformed[2] is None
    shown = {json.loads(row)["Number"]: json.loads(row).keys() for _, _, row in quarantined if row}
    assert shown["109"] == {"Number", "Rating", "When", "Form", "Firm", "What's the shop?"}
    assert shop.query(
        "select delivered_rows, counted, malformed, difference from quality.quality_reconciliation order by all"
    ) == [(0, 0, 0, 0), (len(expected) + 1, list(expected.values()).count("counted"), 1, 0)]
    assert shop.query(
        "select delivered_rows, taken, invalid_time, empty_group, superseded, difference, invitations "
        "from quality.quality_invitation_reconciliation"
    ) == [(4, 1, 1, 1, 1, 0, 400)]

    # What was written down of follow-ups counts, or is rejected with its line and without whom it names.
    followed = "select reason, source_line, raw_row from quality.quality_quarantine where source_file = 'called.csv'"
    assert {line: reason for reason, line, _ in shop.query(followed)} == {
        line: reason for line, reason in enumerate(FOLLOW_UPS.values(), start=2) if reason
    }
    assert {key for _, _, row in shop.query(followed) for key in json.loads(row)} == {"Answer", "Called", "Solved"}
    assert shop.query(
        "select response_id, owner_id, first_contact_at::text, resolved_at::text, state "
        "from marts.detractor_recovery order by all"
    ) == [
        ("shop:11", "desk", "2025-03-03 11:00:00", None, "contacted"),
        ("shop:8", "desk", "2025-03-03 08:00:00", "2025-03-03 10:00:00", "resolved"),
    ]

    # Two segments together, and a fiscal year from April.
    pairs = shop.query("select segment_value, responses from marts.nps_overall where segment = 'shop_touchpoint'")
    assert dict(pairs) == {"north × visit": list(expected.values()).count("counted") - 1, "south × visit": 1}
    assert shop.query(
        "select date_day::text, quarter_start::text, year_start::text, year_end::text from marts.dim_dates "
        "where date_day in ('2025-03-31', '2025-04-01') order by all"
    ) == [
        ("2025-03-31", "2025-01-01", "2024-04-01", "2025-03-31"),
        ("2025-04-01", "2025-04-01", "2025-04-01", "2026-03-31"),
    ]

    # The group was asked as one: every counted answer of its account takes one of its places.
    counted = list(expected.values()).count("counted")
    assert shop.query("select invited, answered, responses from marts.nps_overall where segment = 'all'") == [
        (400, counted, counted)
    ]

    facts = {
        number: (score, category, comment, account, day.isoformat())
        for number, score, category, comment, account, day in shop.query(
            """
            select source_response_id::int, score, category, comment, account_id, response_date
            from marts.fct_nps_responses
            """
        )
    }
    numbers = {score: n for n, score in enumerate(SCORES, start=1)}
    assert facts[numbers["0"]][:2] == (0, "detractor")
    assert facts[numbers["6"]][:2] == (6, "detractor")
    assert facts[numbers["9.0"]][:2] == (9, "promoter")
    assert facts[numbers[" 10 "]][:2] == (10, "promoter")
    assert facts[105][2] == 'two\nlines, a "quote" and an address: ***'
    assert facts[106][3:] == ("acme", "2025-03-31")
    assert facts[107][2] == "***, ***; ask ***"
    assert facts[108][2] == "order 4500012345 of 2025-03-01: 9"
    named = re.compile("erika|muster|josé|@|1234567", re.IGNORECASE)
    assert [(place, text) for place, texts in shop.texts().items() for text in texts if named.search(text)] == []
    assert not re.search(rb"erika|muster|home[.]example|30 1234567", shop.serving.read_bytes(), re.IGNORECASE)
    # Those of the mapping; what else the models do is the same with every source.
    assert unit_tests_passed(shop, "path:models/staging") >= 2
    assert_a_person_can_be_forgotten(shop)


def assert_nothing_is_published_without_a_file(shop: Pipeline) -> None:
    done = shop("run")
    assert done.returncode == 1
    for word in ("answers.*", "landing"):
        assert word in done.stdout, done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert not shop.serving.exists()


def assert_a_person_can_be_forgotten(shop: Pipeline) -> None:
    """Of Nora Quist no file of the data folder knows anything any more, and every number is what it was."""
    words = ("nora quist", "nora@home.example", "5160374")
    naming = {path.relative_to(shop.data).parts[0] for path in files_naming(shop.data, words)}
    assert {"landing", "lake", "warehouse.duckdb"} <= naming
    numbers = "select * from marts.nps_overall order by all"
    hers = "select contact_id, score, comment from marts.fct_nps_responses where source_response_id = '111'"
    before, [(contact, score, comment)] = shop.query(numbers), shop.query(hers)
    assert comment == "***, ***"
    shop.succeed("forget", " nora@HOME.example")
    assert files_naming(shop.data, words) == []
    assert shop.query(numbers) == before
    [(token, same_score, nothing)] = shop.query(hers)
    assert token != contact and same_score == score and nothing is None
    done = shop("forget", "nora@home.example")
    assert done.returncode == 1 and "nobody in the lake" in done.stdout


def files_naming(folder: Path, words: Sequence[str]) -> list[Path]:
    """The files that hold one of the words, in lower case, in their bytes or in the values packed in them."""
    with duckdb.connect() as connection:
        return [path for path in sorted(folder.rglob("*")) if path.is_file() and is_naming(path, words, connection)]


def is_naming(path: Path, words: Sequence[str], connection: duckdb.DuckDBPyConnection) -> bool:
    held = path.read_bytes()
    if path.suffix == ".gz":
        held = gzip.decompress(held)
    held = held.lower()
    if any(word.encode(encoding) in held for word in words for encoding in ("utf-8", "utf-16-le")):
        return True
    tables = [f"read_parquet('{path}')"] if path.suffix == ".parquet" else []
    if path.suffix == ".duckdb":
        connection.execute(f"attach or replace '{path}' as searched (read_only)")
        tables = [
            f'searched."{schema}"."{table}"'
            for schema, table in connection.execute(
                "select schema_name, table_name from duckdb_tables() where database_name = 'searched'"
            ).fetchall()
        ]
    naming = " or ".join(f"contains(row_text, '{word}')" for word in words)
    return any(
        connection.execute(
            f"select count(*) from (select lower(held::varchar) as row_text from {table} as held) where {naming}"
        ).fetchall()
        != [(0,)]
        for table in tables
    )


def test_a_wrong_configuration_names_file_and_fault(shop: Pipeline) -> None:
    source = shop.config / "sources" / "shop.yml"
    source.write_text(SOURCE.replace("score: Rating", "scores: Rating"))
    done = shop("run")
    assert done.returncode == 1
    assert "shop.yml" in done.stdout
    assert "scores" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
