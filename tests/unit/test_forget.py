"""Forgetting over a small lake: what goes, what stays, and that a kill at any moment changes nothing of the end."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration import forget, loader
from orchestration.compact import compact
from orchestration.register import REGISTER_FILE, registered_loads
from orchestration.settings import ROOT, ConfigError, Settings
from orchestration.sources import Table, load_sources

PEOPLE = """id,name,email,phone_number,created_at,shoe_size
1000000001,Anna Abbott,Anna@Home.example,+1 555 0101 0037,1690000000,38
1000000002,Bob Brown,bob@home.example,,1690000000,44
1000000003,Bob Brown,bob@staff.example,,1690000000,44
1000000004,Anna,Abbott,anna@home.example,too,many,fields
1000000001,A. Abbott,,,1690000000,38,loves shoes
1000000005,Anna,Abbott,,1690000000,38,loves shoes
1000000006,Anna,Brown,,1690000000,38,10 shoes
"""
ANSWERS = """id,person,survey_type,score,comment,created_at,updated_at,person_properties,notes
81,1000000001,nps,9,Fine,1690000100,1690000100,"{""survey"": ""s"", ""nick"": ""Annie""}",[]
82,1000000002,nps,3,"Ask ANNA ABBOTT, anna@home.example",1690000100,1690000100,"{""survey"": ""s""}",[]
83,1000000001,nps,9,Fine,1690000100,1690000100,"{""survey"": ""s"", ""nick"": ""Annie""}",[]
84,,nps,7,,1690000100,1690000100,"{""survey"": ""s""}",[]
85,,nps,7,"x/?e=ANNA%40home.example, anna&#64;home.example, anna＠home.example, Anna Abbott",1690000100,1690000100,{},[]
"""
CONTACTS = """id,account_id,email,title,reports_to_id,has_opted_out_of_email,is_deleted,name
0035e000001,a1,anna@home.example,Head of Shoes,,false,false,Anna Abbott
0035e000002,a1,bob@home.example,Clerk,0035e000001,false,false,Bob Brown
"""
FILES = {
    "delighted/people/people.csv": PEOPLE,
    "delighted/survey_responses/a.csv": ANSWERS,
    "salesforce/contact/contact.csv": CONTACTS,
}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A lake of three files, and in landing/ one of them under a second name, too."""
    monkeypatch.delenv("NPS_CONTACT_SALT", raising=False)
    settings = Settings(ROOT, tmp_path / "data")
    for name, content in FILES.items():
        path = settings.landing / name
        path.parent.mkdir(parents=True)
        path.write_text(content)
    load(settings)
    (settings.landing / "delighted" / "survey_responses" / "b.csv").write_text(ANSWERS)
    return settings


def tables(settings: Settings) -> list[Table]:
    return [table for table in load_sources(settings).tables if table.name in ("people", "survey_responses", "contact")]


def load(settings: Settings) -> int:
    """Load what is new; how many files that were."""
    # The sample's segments are columns of contacts and are not delivered here.
    return len(loader.load_all(tables(settings), settings.landing, settings.lake, datetime(2025, 1, 1, tzinfo=UTC)))


def rows(settings: Settings, table: str, columns: str, file: str = loader.DATA_FILE) -> list[tuple[Any, ...]]:
    pattern = settings.lake / "raw" / table / "*" / file
    return duckdb.execute(
        f"select {columns} from read_parquet('{pattern}', union_by_name = true, hive_partitioning = false) "
        "order by _line"
    ).fetchall()


def lake_content(settings: Settings) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted(settings.lake.rglob("*")):
        if path.suffix == ".parquet":
            found[str(path.relative_to(settings.lake))] = duckdb.execute(f"from read_parquet('{path}')").fetchall()
        elif path.name == REGISTER_FILE:
            found[str(path.relative_to(settings.lake))] = path.read_text()
    return found


@pytest.mark.parametrize("person", ["anna@home.example", " ANNA@home.example", "1000000001", "0035e000001", "hashed"])
def test_a_person_goes_and_everything_else_stays(settings: Settings, person: str) -> None:
    if person == "hashed":
        salted = duckdb.execute("select sha256(? || ':anna@home.example')", [settings.contact_salt]).fetchall()[0][0]
        person = f"email:{salted[:16]}"
    registered = [replace(load, stored={}) for load in registered_loads(settings.lake)]
    lines = rows(settings, "delighted/survey_responses", "id, score, created_at, _line, _load_id, _row_ordinal")
    reason = rows(settings, "delighted/people", "reason", loader.MALFORMED_FILE)[0][0]
    plan = forget.make_plan(settings, tables(settings), person)
    forget.erase(settings, tables(settings), plan)

    assert [replace(load, stored={}) for load in registered_loads(settings.lake)] == registered
    loader.verify_loads(settings.lake)
    assert rows(settings, "delighted/survey_responses", "id, score, created_at, _line, _load_id, _row_ordinal") == lines
    answers = rows(settings, "delighted/survey_responses", "person, comment, person_properties, _row_hash")
    token = answers[0][0]
    assert token.startswith(forget.TOKEN)
    assert [row[0] for row in answers] == [token, "1000000002", token, None, None]
    assert [row[1] for row in answers] == [None, "Ask ***, ***", None, None, "x/?e=***, ***, ***, ***"]
    assert json.loads(answers[0][2]) == {"survey": "s", "nick": "Annie"}
    assert answers[0][3] != answers[2][3]

    people = rows(settings, "delighted/people", "id, name, email, phone_number, created_at, shoe_size")
    assert people[0][0] == token and people[0][1] is None and people[0][3:] == (None, "1690000000", None)
    assert people[1:] == [
        ("1000000002", "Bob Brown", "bob@home.example", None, "1690000000", "44"),
        ("1000000003", "Bob Brown", "bob@staff.example", None, "1690000000", "44"),
    ]
    # By an address, a key or a name in two fields; what stays is of another Anna.
    assert rows(settings, "delighted/people", "raw_row, _line, reason", loader.MALFORMED_FILE) == [
        ("***", 5, reason),
        ("***", 6, reason),
        ("***", 7, reason),
        ("1000000006,Anna,Brown,,1690000000,38,10 shoes", 8, reason),
    ]
    contacts = rows(settings, "salesforce/contact", "id, account_id, email, title, name, reports_to_id")
    assert contacts[0][1] == "a1" and contacts[0][2] == people[0][2] and contacts[0][3:5] == (None, None)
    assert contacts[1] == ("0035e000002", "a1", "bob@home.example", "Clerk", "Bob Brown", contacts[0][0])

    # What named the person is removed from landing/, under any name, and nothing is loaded a second time.
    assert [path for path in settings.landing.rglob("*") if path.is_file()] == []
    assert load(settings) == 0
    with duckdb.connect() as connection:
        searched = [path for path in settings.data_dir.rglob("*") if path.is_file()]
        assert [p.name for p in searched if forget.holds(connection, p, plan)] == ["forget.json"]


def test_a_person_goes_out_of_compacted_loads_too(settings: Settings) -> None:
    (settings.landing / "delighted" / "survey_responses" / "c.csv").write_bytes(ANSWERS.encode("utf-16"))
    assert load(settings) == 1
    registered = [replace(load, stored={}) for load in registered_loads(settings.lake)]
    lines = set(rows(settings, "delighted/survey_responses", "_load_id, _line, id, score"))
    assert list(compact(settings.lake, tables(settings))) == [("delighted.survey_responses", 2, 1)]
    plan = forget.make_plan(settings, tables(settings), "anna@home.example")
    forget.erase(settings, tables(settings), plan)

    assert [replace(load, stored={}) for load in registered_loads(settings.lake)] == registered
    loader.verify_loads(settings.lake)
    assert set(rows(settings, "delighted/survey_responses", "_load_id, _line, id, score")) == lines
    people = [person for (person,) in rows(settings, "delighted/survey_responses", "person") if person]
    assert len(people) == 6 and sum(person.startswith(forget.TOKEN) for person in people) == 4
    assert load(settings) == 0
    with duckdb.connect() as connection:
        searched = [path for path in settings.data_dir.rglob("*") if path.is_file()]
        assert [p.name for p in searched if forget.holds(connection, p, plan)] == ["forget.json"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.csv", ANSWERS.encode("utf-16")),
        ("a.csv", ANSWERS.splitlines()[0].encode() + b"\n" + ANSWERS.splitlines()[4].encode() + b"\n"),
        ("../../notes.txt", b"call Anna Abbott"),
    ],
    ids=["new", "a new version that does not name them", "read by no table"],
)
@pytest.mark.parametrize("is_planned", [False, True])
def test_what_is_not_loaded_is_not_lost(settings: Settings, name: str, content: bytes, *, is_planned: bool) -> None:
    """The rows of everybody else would be gone: nothing is done before the file is loaded, or removed."""
    if is_planned:  # and begun, perhaps: it lands between a kill and the repetition
        plan = forget.make_plan(settings, tables(settings), "anna@home.example")
    path = (settings.landing / "delighted" / "survey_responses" / name).resolve()
    path.write_bytes(content)
    before = lake_content(settings)
    with pytest.raises(ConfigError, match=rf"1 file\(s\) in landing/ are not loaded yet.*{path.name}$"):
        if is_planned:
            forget.erase(settings, tables(settings), plan)
        else:
            forget.make_plan(settings, tables(settings), "anna@home.example")
    assert path.read_bytes() == content and lake_content(settings) == before
    assert len([file for file in settings.landing.rglob("*") if file.is_file()]) == (4 if name == "a.csv" else 5)
    assert forget.plan_path(settings).exists() is is_planned
    if load(settings) == 0:
        path.unlink()
    rows_before = len(rows(settings, "delighted/survey_responses", "id"))
    forget.erase(settings, tables(settings), forget.make_plan(settings, tables(settings), "anna@home.example"))
    assert [file for file in settings.landing.rglob("*") if file.is_file()] == []
    assert len(rows(settings, "delighted/survey_responses", "id")) == rows_before


def test_a_name_that_others_bear_is_not_looked_for(settings: Settings) -> None:
    plan = forget.make_plan(settings, tables(settings), "bob@home.example")
    assert plan.names == []
    forget.erase(settings, tables(settings), plan)
    names = [row[0] for row in rows(settings, "delighted/people", "name")]
    assert names == ["Anna Abbott", None, "Bob Brown"]


def test_staff_stay_staff(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forget, "staff_domains", lambda _: {"staff.example"})
    plan = forget.make_plan(settings, tables(settings), "bob@staff.example")
    assert all(token.startswith(forget.TOKEN) for token in plan.addresses.values())
    assert [token.rpartition("@")[2] for token in plan.addresses.values()] == ["staff.example"]


def test_who_is_unknown_and_who_comes_second_is_told(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="nobody in the lake"):
        forget.make_plan(settings, tables(settings), "nobody@home.example")
    assert not forget.plan_path(settings).exists()
    plan = forget.make_plan(settings, tables(settings), "anna@home.example")
    assert forget.make_plan(settings, tables(settings), "anna@home.example") == plan
    with pytest.raises(ConfigError, match="another person") as told:
        forget.make_plan(settings, tables(settings), "bob@home.example")
    assert "anna" not in str(told.value)


@pytest.mark.parametrize("name", ["Anna Abbott", "Jörg Müller", "Иван Петров", "王 伟"])
def test_a_name_is_found_however_it_is_written_and_no_other_file(tmp_path: Path, name: str) -> None:
    plan = forget.Plan(person="", names=[name], keys={"crm": {"0035g00000ABCDEFGH": "token"}})
    path = tmp_path / "file"
    with duckdb.connect() as connection:
        for text in (name, name.upper(), name.lower(), json.dumps(name), "id,0035g00000ABCDEFGH"):
            for encoding in ("utf-8", "utf-16", "cp1252"):
                path.write_bytes(f"1,call from {text} today\n".encode(encoding, "replace"))
                is_told = text in path.read_text(encoding)
                assert forget.holds(connection, path, plan) == is_told, (text, encoding)
        path.write_text("id,comment\n5,All good here, or не так\n")
        assert not forget.holds(connection, path, plan)


def erase_until(settings: Settings, replacements: int) -> None:
    """Erase, and be killed when as many files have been replaced or removed."""
    plan = forget.make_plan(settings, tables(settings), "anna@home.example")
    done = 0

    def counted(method: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal done
            done += 1
            if done == replacements:
                os.kill(os.getpid(), signal.SIGKILL)
            return method(*arguments, **options)

        return call

    Path.replace = counted(Path.replace)  # type: ignore[method-assign]
    Path.unlink = counted(Path.unlink)  # type: ignore[method-assign]
    forget.erase(settings, tables(settings), plan)
    os._exit(0)


def test_a_kill_at_any_moment_changes_nothing_of_the_end(settings: Settings, tmp_path: Path) -> None:
    plan = forget.make_plan(settings, tables(settings), "anna@home.example")
    undisturbed = Settings(ROOT, tmp_path / "undisturbed")
    shutil.copytree(settings.data_dir, undisturbed.data_dir)
    forget.erase(undisturbed, tables(undisturbed), plan)
    context = multiprocessing.get_context("fork")
    kills = 0
    while True:
        child = context.Process(target=erase_until, args=(settings, kills % 7 + 1))
        child.start()
        child.join()
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
        kills += 1
        assert len(registered_loads(settings.lake)) == 3
    assert kills >= 5
    assert lake_content(settings) == lake_content(undisturbed)


def test_the_end_leaves_a_day_and_a_hash(settings: Settings) -> None:
    plan = forget.make_plan(settings, tables(settings), "anna@home.example")
    forget.erase(settings, tables(settings), plan)
    settings.serving.parent.mkdir()
    former = settings.serving.with_name("former.duckdb")
    for path, person in ((settings.serving, "nobody"), (former, "anna@home.example")):
        with duckdb.connect(path) as connection:
            connection.execute("create table t as select ? as person, range from range(1000)", [person])
    with duckdb.connect(settings.serving) as connection:  # a page that was freed still holds it
        connection.execute("create table gone as select 'anna@home.example' as person")
        connection.execute("checkpoint")
        connection.execute("drop table gone")
        connection.execute("comment on table t is 'kept'")
    other = settings.data_dir / "notes.txt"
    other.write_text("Anna@HOME.example")
    assert forget.finish(settings, plan) == [other]
    assert forget.plan_path(settings).exists()
    other.unlink()
    assert forget.finish(settings, plan) == []
    assert not former.exists() and not forget.plan_path(settings).exists()
    with duckdb.connect(settings.serving, read_only=True) as connection:
        assert connection.execute("select comment from duckdb_tables()").fetchall() == [("kept",)]
    (record,) = (settings.lake / "forgotten").iterdir()
    assert json.loads(record.read_text()).keys() == {"person", "forgotten_on"}
    assert "anna" not in record.read_text()
