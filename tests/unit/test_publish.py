"""Publishing: by difference or anew, the file is what the warehouse holds, and it says what it was made from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from orchestration import publish as publishing
from orchestration import served_file, transform
from orchestration.__main__ import main
from orchestration.loader import LakeBusy
from orchestration.publications import last_publication, settle
from orchestration.publish import Publication, publish, published_asset, published_fingerprint, roll_back, settle_log
from orchestration.quality import BuildStamp
from orchestration.settings import ROOT, ConfigError, Settings
from tests.warehouse import START, change, content, make_warehouse, note_build

NOW = START.replace(tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A warehouse of a few rows whose full build is published."""
    settings = Settings(config_dir=ROOT, data_dir=tmp_path)
    make_warehouse(settings)
    assert published(settings, 0).is_new_file
    return settings


def published(settings: Settings, day: int) -> Publication:
    """Publish on that day; the file must hold what the warehouse holds."""
    publication = publish(settings, run_id="run", fingerprint=str(day), published_at=NOW + timedelta(days=day, hours=1))
    assert content(settings.serving) == content(settings.warehouse)
    return publication


def build(settings: Settings, day: int, *, is_tracked: bool = True) -> None:
    change(settings, START + timedelta(days=day), day, is_tracked=is_tracked)


def test_batches_are_published_by_difference(settings: Settings) -> None:
    for day in (1, 2):  # two batches at once
        build(settings, day)
    assert not published(settings, 2).is_new_file
    build(settings, 3)
    publication = published(settings, 3)
    assert not publication.is_new_file
    assert publication.rows["marts.fct_nps_responses"] == 500
    assert not published(settings, 4).is_new_file  # the same build again
    with duckdb.connect(settings.serving, read_only=True) as connection:
        rows = connection.execute("from quality.published_tables where table_name like '%dim_contacts'").fetchall()
        comments = connection.execute("select count(*) from duckdb_tables() where comment like 'One row%'").fetchone()
    assert rows == [("marts.dim_contacts", 500, 12)]
    assert comments == (len(served_file.KEYED) + 2,)  # and the two tables of the publication itself


def test_what_is_not_to_be_published_stays_in_the_warehouse(settings: Settings) -> None:
    settings.variables["unpublished"] = ["fct_survey_invitations"]

    def publish_on(day: int) -> tuple[Publication, set[str]]:
        moment = NOW + timedelta(days=day, hours=1)
        publication = publish(settings, run_id="run", fingerprint=str(day), published_at=moment)
        named = "select schema_name || '.' || table_name from duckdb_tables()"
        tables = {name for (name,) in served_file.ask(settings.serving, named)}
        assert tables == publication.rows.keys() | {"quality.publication", "quality.published_tables"}
        return publication, tables

    for day, is_new_file in ((1, True), (2, False)):  # a file of other tables is made anew
        build(settings, day)
        publication, tables = publish_on(day)
        assert publication.is_new_file == is_new_file
        assert "marts.fct_survey_invitations" not in tables and "marts.fct_nps_responses" in tables
    settings.variables["unpublished"] = []
    publication, tables = publish_on(3)
    assert publication.is_new_file and "marts.fct_survey_invitations" in tables


def test_the_file_says_what_it_was_made_from(settings: Settings) -> None:
    with duckdb.connect(settings.serving, read_only=True) as connection:
        row = connection.execute(
            """
            select
                run_id, publication_id, published_at, built_at, as_of, inputs_fingerprint, checks_passed, checks_warned
            from quality.publication
            """
        ).fetchall()
        undescribed = connection.execute(
            "select column_name from duckdb_columns() where table_name like 'publi%' and comment is null"
        ).fetchall()
    moment = START + timedelta(hours=1)
    assert row == [("run", f"{moment:%Y%m%dT%H%M%S%fZ}", moment, START, START, "0", 1, 1)]
    assert undescribed == []


def test_time_alone_is_news_once_a_day(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The day is that of the business: in New York it ends at five in the morning."""
    for name in ("has_turned_late", "has_come_due"):
        monkeypatch.setattr(transform, name, lambda *_: False)
    stamp = BuildStamp(settings)
    stamp.built("0")
    stamp.approve()
    settings.variables["business_time_zone"] = "America/New_York"
    for hours, is_news in ((-20, True), (-1, False), (4, False), (6, True), (24 * 7, True)):
        settings.variables["as_of"] = f"{START + timedelta(hours=hours)}"
        assert transform.has_news(settings, "0") is is_news, hours
    settings.variables["as_of"] = f"{START}"
    assert transform.has_news(settings, "1")
    monkeypatch.setattr(transform, "has_come_due", lambda *_: True)
    assert transform.has_news(settings, "0")


def test_a_change_that_nobody_wrote_down_is_found(settings: Settings) -> None:
    build(settings, 1, is_tracked=False)
    assert published(settings, 1).is_new_file


@pytest.mark.parametrize("what", ["full build", "another warehouse", "storage", "no file", "broken file", "too much"])
def test_the_file_is_created_anew_where_changes_are_not_known(
    settings: Settings, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(settings, 1)
    match what:
        case "full build":
            with duckdb.connect(settings.warehouse) as warehouse:
                note_build(warehouse, START + timedelta(days=2), is_full=True)
        case "another warehouse":
            with duckdb.connect(settings.warehouse) as warehouse:
                warehouse.execute("delete from builds.model_builds where built_at = ?", [START])
        case "storage":
            monkeypatch.setattr(served_file, "STORAGE_VERSION", "v1.5.0")
        case "no file":
            settings.serving.unlink()
        case "broken file":
            settings.serving.write_bytes(b"broken")
        case "too much":
            monkeypatch.setattr(served_file, "MAX_APPENDED", 0.001)
    assert published(settings, 2).is_new_file


def damage(file: Path, block: int) -> None:
    """Flip 64 bytes of a block of 256 KB, behind the three headers of 4 KB."""
    content = bytearray(file.read_bytes())
    place = 3 * 4096 + block * 262144 + 1000
    content[place : place + 64] = bytes(byte ^ 255 for byte in content[place : place + 64])
    file.write_bytes(content)


def damage_rows(file: Path) -> None:
    """Damage the file where it still says what it is, but not what is in it."""
    whole = file.read_bytes()
    for block in range(len(whole) // 262144):
        damage(file, block)
        if published_fingerprint(file) is not None:
            try:
                content(file)
            except duckdb.Error:
                return
        file.write_bytes(whole)
    raise AssertionError("no block has rows alone")


def test_a_damaged_file_is_created_anew_and_no_base_of_the_next(settings: Settings) -> None:
    damage_rows(settings.serving)
    build(settings, 1)
    assert published(settings, 1).is_new_file
    build(settings, 2)
    assert not published(settings, 2).is_new_file


def test_a_table_of_which_much_changed_is_copied_whole(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with duckdb.connect(settings.warehouse) as warehouse:
        warehouse.execute("delete from marts.nps_by_account where account_id > '104'")
        note_build(warehouse, START + timedelta(days=1), is_full=True)
    assert published(settings, 1).rows["marts.nps_by_account"] == 8
    build(settings, 2)
    monkeypatch.setattr(served_file, "MAX_APPENDED", 0.1)
    assert not published(settings, 2).is_new_file
    appended = dict(served_file.ask(settings.serving, "select table_name, appended_rows from quality.published_tables"))
    assert {name for name in served_file.KEYED if not appended[name]} == {"marts.nps_by_account"}


def test_a_disk_that_is_full_leaves_the_file_as_it_was(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    before = settings.serving.read_bytes()
    build(settings, 1)

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr("orchestration.served_file.shutil.copyfile", full)
        published(settings, 1)
    assert settings.serving.read_bytes() == before
    assert not published(settings, 1).is_new_file


def test_the_moment_of_a_publication_is_utc(settings: Settings) -> None:
    build(settings, 1)
    publish(settings, run_id="run", fingerprint="x", published_at=datetime.fromisoformat("2025-01-02T12:00:00+02:00"))
    with duckdb.connect(settings.serving, read_only=True) as connection:
        assert connection.execute("select published_at from quality.publication").fetchall() == [
            (datetime(2025, 1, 2, 10),)
        ]


def entry(day: int) -> str:
    return f"{NOW + timedelta(days=day, hours=1):%Y%m%dT%H%M%S%fZ}"


def returns(settings: Settings) -> list[tuple[str, str]]:
    """Which publication was shown again, and which one was the latest then."""
    with duckdb.connect() as connection:
        return connection.execute(
            f"""
            select publication_id, latest_publication_id from '{settings.lake}/publications/*/return.parquet'
            order by published_at
            """
        ).fetchall()


def test_going_back_is_one_step_and_is_logged(settings: Settings) -> None:
    settings.variables["publications_kept"] = 2
    shown = {0: content(settings.serving)}
    for day in (1, 2, 3):
        build(settings, day)
        published(settings, day)
        shown[day] = content(settings.serving)
    assert [file.stem for file in sorted(settings.previous_publications.iterdir())] == [entry(1), entry(2)]

    assert roll_back(settings) == entry(2)
    assert content(settings.serving) == shown[2]
    assert roll_back(settings) == entry(1)
    assert content(settings.serving) == shown[1]
    with pytest.raises(ConfigError, match=f"shown is {entry(1)}, kept are {entry(2)}, {entry(3)}"):
        roll_back(settings)
    assert roll_back(settings, entry(3)) == entry(3)
    assert content(settings.serving) == shown[3]
    roll_back(settings, entry(2))
    settle_log(settings)
    assert returns(settings) == [(entry(day), entry(3)) for day in (2, 1, 3, 2)]

    # What was published stays in the log: the next entry follows the last one, and the file is no base for it.
    with duckdb.connect() as connection:
        last = last_publication(connection, settings.lake)
    assert last is not None
    assert last.publication_id == entry(3)
    build(settings, 4)
    assert published(settings, 4).is_new_file
    assert len(returns(settings)) == 4


@pytest.mark.parametrize("damaged", ["block", "cut", "other publication"])
def test_a_damaged_publication_is_not_shown_again(settings: Settings, damaged: str) -> None:
    build(settings, 1)
    published(settings, 1)
    shown, earlier = content(settings.serving), settings.previous_publications / f"{entry(0)}.duckdb"
    match damaged:
        case "block":
            damage_rows(earlier)
        case "cut":
            earlier.write_bytes(earlier.read_bytes()[:-300_000])
        case "other publication":
            earlier.unlink()
            earlier.hardlink_to(settings.serving)
    with pytest.raises(ConfigError, match=f"damaged, and not shown: .* Shown is still {entry(1)}; no other is kept"):
        roll_back(settings, entry(0))
    assert content(settings.serving) == shown
    assert returns(settings) == []


def test_the_command_goes_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NPS_DATA_DIR", str(settings.data_dir))
    assert main(["rollback"]) == 1
    assert "there is no earlier publication to show" in capsys.readouterr().out
    build(settings, 1)
    published(settings, 1)
    assert main(["rollback"]) == 0
    assert f"Shown again: {entry(0)}" in capsys.readouterr().out
    assert main(["rollback", entry(1)]) == 0
    assert published_fingerprint(settings.serving) == "1"


def test_a_return_that_was_killed_is_logged_by_the_next_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(settings, 1)
    published(settings, 1)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    # Before the file is replaced, and after; the log is settled before and after as well.
    for steps, is_back in (({"flush": iter([killed])}, False), ({"settle": iter([settle, killed])}, True)):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            for name, step in steps.items():
                patch.setattr(publishing, name, lambda *given, step=step: next(step)(*given))
            roll_back(settings)
        settle_log(settings)
        settle_log(settings)
        assert returns(settings) == ([(entry(0), entry(1))] if is_back else [])


def test_what_was_taken_back_is_not_published_again(settings: Settings) -> None:
    """The inputs of the publication that was taken back are refused, by name; others are published."""

    def materialize(fingerprint: str) -> str:
        stamp = BuildStamp(settings)
        stamp.built(fingerprint)
        stamp.approve()
        result = dg.materialize([published_asset(settings, [])], raise_on_error=False)
        return " ".join(str(event.step_failure_data.user_failure_data) for event in result.get_step_failure_events())

    build(settings, 1)
    assert materialize("bad") == ""
    bad = content(settings.serving)
    roll_back(settings)
    assert published_fingerprint(settings.serving) == "0"
    assert "make rollback TO=" in materialize("bad")
    assert content(settings.serving) != bad
    build(settings, 2)
    assert "was taken back" in materialize("bad")
    assert materialize("repaired") == ""
    assert content(settings.serving) == content(settings.warehouse)


def test_two_do_not_publish_at_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "PATIENCE_SECONDS", 0.2)
    with publishing._publishing(settings), pytest.raises(LakeBusy, match="another run"):
        published(settings, 1)
