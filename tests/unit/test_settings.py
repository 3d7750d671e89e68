"""The configuration that all parts share."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from orchestration import settings as configuration
from orchestration.settings import ROOT, ConfigError, Settings, read_yaml
from orchestration.sources import dbt_vars, load_sources
from tests.models import model_sql


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("2025-07-01", "2025-07-01 00:00:00.000000"),
        ("2025-07-01 09:30", "2025-07-01 09:30:00.000000"),
        ("2025-07-01T09:30:00+02:00", "2025-07-01 07:30:00.000000"),
    ],
)
def test_as_of_is_a_moment_in_utc_and_changes_no_definition(
    given: str, used: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings(ROOT, tmp_path)
    assert settings.variables["as_of"] == ""
    monkeypatch.setenv("NPS_AS_OF", given)
    later = Settings(ROOT, tmp_path)
    assert later.variables["as_of"] == used
    assert later.definition() == settings.definition()
    known = replace(settings, as_known_at=datetime(2025, 1, 1, tzinfo=UTC))
    assert known.definition() == settings.definition()
    # dbt would parse the whole project again for a variable that moves on.
    assert dbt_vars(load_sources(known)) == dbt_vars(load_sources(later)) == dbt_vars(load_sources(settings))
    assert later.environment()["NPS_BUILD_AS_OF"] == used
    assert known.environment()["NPS_BUILD_AS_KNOWN_AT"] == "2025-01-01 00:00:00.000000"


def test_another_duckdb_is_another_definition(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It hashes keys otherwise; Spark's environment has none, and builds by the same definition."""

    def not_installed(name: str) -> str:
        raise PackageNotFoundError(name)

    definition = Settings(ROOT, tmp_path).definition()
    monkeypatch.setattr(configuration, "version", lambda _: "2.0.99")
    assert Settings(ROOT, tmp_path).definition() != definition
    monkeypatch.setattr(configuration, "version", not_installed)
    assert Settings(ROOT, tmp_path).definition() == definition


def test_an_as_of_that_is_no_moment_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NPS_AS_OF", "yesterday")
    with pytest.raises(ConfigError, match="as_of: 'yesterday': give a day or time"):
        _ = Settings(ROOT, tmp_path).variables


def test_a_target_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NPS_TARGET", "sparks")
    with pytest.raises(ConfigError, match="NPS_TARGET: 'sparks': choose one of duckdb, spark"):
        Settings(ROOT, tmp_path).environment()


def test_a_reference_file_that_is_gone_counts_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """dbt reads a copy of a configuration outside the repository; what did not change is not touched meanwhile."""
    monkeypatch.setattr(configuration, "DBT_PROJECT_DIR", tmp_path / "project")
    reference = tmp_path / "seeds" / "reference"
    reference.mkdir(parents=True)
    for name in ("kept", "edited", "gone"):
        (reference / f"{name}.csv").write_text(f"{name}\n")
    settings = Settings(tmp_path, tmp_path / "data")
    copy = tmp_path / "project" / settings.dbt_seed_path()
    kept = (copy / "kept.csv").stat()
    (reference / "gone.csv").unlink()
    (reference / "edited.csv").write_text("again\n")
    assert settings.dbt_seed_path() == os.path.relpath(copy, tmp_path / "project")
    assert {file.name: file.read_text() for file in copy.iterdir()} == {"kept.csv": "kept\n", "edited.csv": "again\n"}
    assert ((copy / "kept.csv").stat().st_ino, (copy / "kept.csv").stat().st_mtime_ns) == (
        kept.st_ino,
        kept.st_mtime_ns,
    )


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("a: 1\nb: 2\na: 3\n", "vars.yml:3: a: written twice"),
        ("a:\n  b: {c: 1}\n  b: {c: 2}\n", "vars.yml:3: a.b: written twice"),
        ("a:\n  - {b: 1}\n  - b: 1\n    b: 2\n", "vars.yml:4: a.1.b: written twice"),
        ("a: 2025-02-30\n", "vars.yml: not valid YAML: day is out of range"),
    ],
)
def test_a_key_is_written_once(content: str, fault: str, tmp_path: Path) -> None:
    """Of every YAML file that is read; an alias repeats nothing."""
    file = tmp_path / "vars.yml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=fault):
        read_yaml(file)
    file.write_text("a: &a {b: 1}\nc: *a\nd: {<<: *a, b: 2}\n")
    assert read_yaml(file) == {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 2}}


@pytest.mark.parametrize(
    ("model", "entity", "table"),
    [
        ("quality_reconciliation", "answers", "answer_table"),
        ("quality_invitation_reconciliation", "invitations", "invitation_table"),
    ],
)
def test_a_tool_says_which_raw_table_its_rows_are(model: str, entity: str, table: str) -> None:
    """Otherwise the reconciliation would miss its loads, and a test would say that something does not add up."""
    with pytest.raises(RuntimeError, match=f"tools.*retently has {entity}, but no {table}"):
        model_sql(f"quality/{model}.sql", {}, tools={"retently": {entity: ["feedback"]}})


@pytest.mark.parametrize(
    ("time_format", "fault"),
    [
        ("%d.%m.%Y %H:%M %Z", "%Z cannot be read; there are %Y, .* a zone goes into `time_zone:`, an offset is %z"),
        ("%-d.%m.%Y %%", "%-, %% cannot be read"),
        ("%d.%m.%Y %", "% cannot be read"),
        ("ISO8601", "'ISO8601' is no format; write iso8601, epoch_seconds"),
    ],
)
def test_a_time_format_that_some_engine_cannot_read_is_refused(tmp_path: Path, time_format: str, fault: str) -> None:
    (tmp_path / "seeds").symlink_to(ROOT / "seeds")
    (tmp_path / "vars.yml").write_text("sources: [shop]\n")
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "shop.yml").write_text(
        "source: shop\nkind: file\nanswers:\n  {files: a.csv, key: row, score: Score, survey: {value: exit}, "
        f'submitted_at: {{column: At, format: "{time_format}"}}}}\n'
    )
    with pytest.raises(ConfigError, match=rf"shop.yml: answers.submitted_at.format: {fault}"):
        load_sources(Settings(tmp_path, tmp_path / "data"))


@pytest.mark.parametrize(
    ("written", "instead", "fault"),
    [
        ("kind: file", "kind: flie", "kind: 'flie' must be file or vendor"),
        ("key: Number", "key: {a: b}", "answers.key: Input should be 'row' or a valid string or a valid list"),
        (
            "key: Number",
            "key: []",
            "answers.key: Input should be 'row' or a valid string or List",
        ),
        ("segments: {shop: Shop}", "segments: {Our shop: Shop}", "answers.segments.Our shop: String should match"),
        ("files: a.csv", "files: ../../*.csv", "answers.files: '../../*.csv' must be a path below landing/"),
        ("files: a.csv", "files: /etc/*.csv", "answers.files: '/etc/*.csv' must be a path below landing/"),
        ("files: a.csv", "files: ''", "answers.files: '' must be a path below landing/"),
    ],
)
def test_a_wrong_source_is_refused_with_its_key(written: str, instead: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "vars.yml").write_text("sources: [shop]\n")
    (tmp_path / "sources").mkdir()
    source = (
        "source: shop\nkind: file\nanswers:\n  files: a.csv\n  key: Number\n  score: Score\n  survey: {value: exit}\n"
        "  submitted_at: {column: At}\n  segments: {shop: Shop}\n"
    )
    assert written in source
    (tmp_path / "sources" / "shop.yml").write_text(source.replace(written, instead))
    with pytest.raises(ConfigError) as refused:
        load_sources(Settings(tmp_path, tmp_path / "data"))
    assert str(refused.value).startswith(f"{tmp_path}/sources/shop.yml: {fault}")
    assert "\n" not in str(refused.value)
