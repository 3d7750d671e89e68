"""The variables of dbt_project.yml: none is read unchecked, and a wrong one is refused with its key."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from orchestration.jobs import extract_schedule
from orchestration.reference import check_reference
from orchestration.settings import DBT_PROJECT_DIR, ROOT, ConfigError, Settings, read_yaml
from orchestration.sources import load_sources
from orchestration.variables import Variables


def settings_with(folder: Path, variables: str) -> Settings:
    for name in ("sources", "seeds", "expectations"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "vars.yml").write_text(f"{variables}\n", encoding="utf-8")
    return Settings(config_dir=folder, data_dir=folder / "data")


@pytest.mark.parametrize("name", read_yaml(DBT_PROJECT_DIR / "dbt_project.yml")["vars"])
def test_no_variable_may_be_anything(name: str, tmp_path: Path) -> None:
    """Also one that is added tomorrow."""
    settings = settings_with(tmp_path, yaml.safe_dump({name: {"nonsense": ["nonsense"]}}))
    with pytest.raises(ConfigError, match=name):
        load_sources(settings)
        check_reference(settings)


@pytest.mark.parametrize(
    ("variables", "fault"),
    [
        ("promoter_minimum: 6", "promoter_minimum: 6 is below passive_minimum, 7"),
        ("promoter_minimum: nine", "promoter_minimum: Input should be a valid integer"),
        ('promoter_minimum: "9"', "promoter_minimum: Input should be a valid integer"),
        ("promoter_minimum: 11", "promoter_minimum: Input should be less than or equal to 10"),
        ("passive_minimum: 11", "passive_minimum: Input should be less than or equal to 10"),
        ("repeat_window_hours: -5", "repeat_window_hours: Input should be greater than or equal to 0"),
        ("customer_types: Customer", "customer_types: Input should be a valid list"),
        ("segments_as_of: today", "segments_as_of: Input should be 'answer' or 'now'"),
        ("forgotten_answers: delete", "forgotten_answers: Input should be 'unlinked' or 'removed'"),
        ("fiscal_year_start_month: 13", "fiscal_year_start_month: Input should be less than or equal to 12"),
        ("outside_minimum_answers: -1", "outside_minimum_answers: Input should be greater than or equal to 1"),
        ("business_time_zone: America/NewYork", "business_time_zone: 'America/NewYork' is not a time"),
        ("business_time_zone: ''", "business_time_zone: '' is not a time zone"),
        ("confidence_level: 95", "confidence_level: Input should be less than 1"),
        ('confidence_level: "0,95"', "confidence_level: Input should be a valid number"),
        ("evidence_minimum: {interval: 10, directional: 30}", "evidence_minimum.reportable: Field required"),
        (
            "evidence_minimum: {interval: 30, directional: 10, reportable: 99}",
            "evidence_minimum: interval",
        ),
        ("false_discovery_rate: 5", "false_discovery_rate: Input should be less than 1"),
        ("earliest_submitted_at: 01.01.2000", "earliest_submitted_at: '01.01.2000' is no day"),
        ("earliest_submitted_at: 2000-01-01", "earliest_submitted_at: '2000-01-01' is no day; write one"),
        ("publications_kept: -1", "publications_kept: Input should be greater than or equal to 0"),
        (
            "unpublished: [fct_nps_responses]",
            "unpublished.0: Input should be 'fct_survey_invitations' or 'dim_account_history'",
        ),
        ("guard_windows: {days: 28}", "guard_windows.history: Field required"),
        ("future_tolerance_hours: null", "future_tolerance_hours: Input should be a valid integer"),
        ("value_window_days: -1", "value_window_days: Input should be greater than or equal to 1"),
        ("trailing_window_days: 0", "trailing_window_days: Input should be greater than or equal to 1"),
        ("waves: {}", "waves: Dictionary should have at least 1 item"),
        ("waves: {relationship: weekly}", "waves.relationship: Input should be 'survey', 'month', 'quarter' or 'year'"),
        ("waves: monthly", "waves: Input should be a valid dictionary"),
        ("scorecard_segments: null", "scorecard_segments: Input should be a valid list"),
        ("raw_tables: {a.b: {}}", "raw_tables: Dictionary should have at most 0 items"),
        ("sources: []", "sources: List should have at least 1 item"),
        ("sources: null", "sources: Input should be a valid list"),
        ("sources: delighted", "sources: Input should be a valid list"),
        ("sources: [delighted, delighted]", "sources: delighted: stands there twice"),
    ],
)
def test_a_wrong_variable_is_refused_with_file_and_key(variables: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        _ = settings_with(tmp_path, variables).variables
    assert f"{tmp_path}/vars.yml: {fault}" in str(refused.value)


def test_a_schedule_is_what_dagster_takes_for_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"vars.yml: extract_cron: 'every day' is no schedule; write one like"):
        extract_schedule(settings_with(tmp_path, "extract_cron: every day"))


def test_unusual_variables_are_taken(tmp_path: Path) -> None:
    variables = (
        "promoter_minimum: 10\npassive_minimum: 0\nreading_seconds: 0.5\npublications_kept: 0\n"
        "evidence_minimum: {interval: 1, directional: 1, reportable: 1}\nscorecard_segments: []\nrevenue_column: {}"
    )
    taken = settings_with(tmp_path, variables).variables
    assert Variables.model_validate({name: taken[name] for name in Variables.model_fields}).reading_seconds == 0.5
