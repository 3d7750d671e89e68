"""Publishing: by difference or anew, the file is what the warehouse holds, and it says what it was made from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from orchestration import served_file
from orchestration.publish import Publication, publish
from orchestration.settings import ROOT, Settings
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
    assert comments == (7,)


def test_the_file_says_what_it_was_made_from(settings: Settings) -> None:
    with duckdb.connect(settings.serving, read_only=True) as connection:
        row = connection.execute(
            """
            select run_id, publication_id, published_at, built_at, inputs_fingerprint, checks_passed, checks_warned
            from quality.publication
            """
        ).fetchall()
        undescribed = connection.execute(
            "select column_name from duckdb_columns() where table_name like 'publi%' and comment is null"
        ).fetchall()
    moment = START + timedelta(hours=1)
    assert row == [("run", f"{moment:%Y%m%dT%H%M%S%fZ}", moment, START, "0", 1, 1)]
    assert undescribed == []


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


def test_a_later_publication_than_the_file_is_no_base(settings: Settings) -> None:
    """The published file is an earlier one, put back by hand: what the log says last is not what it shows."""
    earlier = settings.serving.read_bytes()
    build(settings, 1)
    published(settings, 1)
    settings.serving.write_bytes(earlier)
    build(settings, 2)
    assert published(settings, 2).is_new_file


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
