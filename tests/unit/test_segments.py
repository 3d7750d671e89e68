"""Segments that make no sense are refused by name, before anything runs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from orchestration import loader
from orchestration.segments import COLUMNS_OF_FACTS, TAKEN, Segments, check_segment_columns
from orchestration.settings import ROOT, ConfigError, Settings
from orchestration.sources import load_sources
from orchestration.strict import checked_variable
from tests.conftest import SAMPLE, Pipeline

REGION = "{name: region, from: account, column: region__c}"


def settings_with(folder: Path, *segments: str) -> Settings:
    lines = "".join(f"  - {segment}\n" for segment in segments)
    (folder / "vars.yml").write_text(f"sources: [salesforce]\nsegments:\n{lines}", encoding="utf-8")
    if not (folder / "sources").exists():
        (folder / "sources").symlink_to(ROOT / "sources")
        (folder / "seeds").symlink_to(ROOT / "seeds")
    return Settings(config_dir=folder, data_dir=folder / "data")


def test_every_kind_is_taken(tmp_path: Path) -> None:
    settings = settings_with(
        tmp_path,
        REGION,
        "{name: channel, from: answer, column: channel, description: Channel}",
        "{name: tenure, from: account, column: {salesforce: since__c}, years: [1, 3, 5]}",
        "{name: city, from: answer, column: city, asked: true}",
        "{name: region_city, combine: [region, city]}",
    )
    assert len(checked_variable(settings, "segments", Segments).root) == 5


@pytest.mark.parametrize(
    ("segments", "fault"),
    [
        (["{name: region, from: acount, column: region__c}"], "segments.0.from: Input should be 'account', 'contact'"),
        (["{name: region, colunm: region__c, from: account}"], "segments.0.colunm: unknown key"),
        (["{name: region, column: region__c}"], "segments.0: write `from` and `column`, or `combine`"),
        (["{name: region, from: account, column: x, combine: [a, b]}"], "write `from` and `column`, or `combine`"),
        (["{name: Sales region, from: account, column: x}"], "segments.0.name: String should match pattern"),
        (
            ["{name: country, from: account, column: x}"],
            "the tables already have a column country; choose",
        ),
        (["{name: channel, from: account, column: x}"], "channel is always {from: answer, column: channel}"),
        (["{name: age, from: account, column: x, years: [3, 1]}"], "years [3, 1] must rise from 1 on"),
        (
            ["{name: kind, from: survey, column: {a: b}}"],
            "a segment of the survey is one column of surveys.csv",
        ),
        ([REGION, REGION], "region: stands there twice"),
        (
            [REGION, "{name: both, combine: [region, plann]}"],
            "both: combine: no segment plann; there are region",
        ),
        (
            [REGION, "{name: a, combine: [region, b]}", "{name: b, combine: [region, a]}"],
            "a: combine: no segment b; there are region",
        ),
    ],
)
def test_a_fault_is_named(tmp_path: Path, segments: list[str], fault: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_sources(settings_with(tmp_path, *segments))
    assert f"vars.yml: {fault}" in str(refused.value) or fault in str(refused.value)


def test_a_column_that_was_never_delivered_is_refused(tmp_path: Path) -> None:
    """Of files that are loaded: a new one without it is refused by its own check."""
    settings = settings_with(tmp_path, REGION)
    (table,) = (table for table in load_sources(settings).tables if table.name == "account")
    file = settings.landing / "salesforce" / "account" / "account.csv"
    file.parent.mkdir(parents=True)
    file.write_bytes((SAMPLE / "salesforce" / "account" / "account.csv").read_bytes())
    loader.prepare_lake([table], settings.lake)
    staged = loader.stage(table, file, settings.landing, settings.lake, datetime.now(UTC))
    assert staged
    loader.commit(staged)
    check_segment_columns(settings, load_sources(settings).tables)
    changed = settings_with(tmp_path, "{name: land, from: account, column: billing_contry}")
    with pytest.raises(ConfigError, match="no file of salesforce/account has a column billing_contry; there are"):
        check_segment_columns(changed, load_sources(changed).tables)


def test_no_name_is_that_of_another_column(sample: Pipeline) -> None:
    """What stands beside segments of accounts and contacts in any table, but for segments."""
    segments = {segment["name"] for segment in Settings(ROOT, sample.data).variables["segments"]}
    with duckdb.connect(sample.warehouse, read_only=True) as connection:
        columns = connection.execute(
            """
            select distinct column_name from information_schema.columns
            where
                table_name in (select table_name from information_schema.columns where column_name = 'region')
                or table_name in ('dim_contacts', 'int_contacts')
            """
        ).fetchall()
    beside = {name for (name,) in columns}
    assert len(beside) > 60
    # A segment `all` is there already, of which everybody is.
    assert (beside - segments - COLUMNS_OF_FACTS.keys()) | {"all"} == set(TAKEN.split())
