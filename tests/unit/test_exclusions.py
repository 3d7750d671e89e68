"""exclusions.csv: what a steward may write, and that every fault is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.exclusions import COLUMNS, check_exclusions
from orchestration.settings import ROOT, ConfigError, Settings

HEADER = ",".join(COLUMNS)
SURVEYS = (
    "source_system,source_survey_id,survey_id,survey_name,survey_type,touchpoint,starts_on,ends_on\n"
    "delighted,s1,spring-2025,Spring,relationship,,,\nshop,s2,visit,Visit,episodic,,,\n"
)


def settings_with(folder: Path, *lines: str) -> Settings:
    reference = folder / "seeds" / "reference"
    reference.mkdir(parents=True)
    (reference / "surveys.csv").write_text(SURVEYS)
    (reference / "exclusions.csv").write_text("\n".join(lines) + "\n")
    (folder / "vars.yml").write_text("sources: [delighted, shop]\n")
    return Settings(config_dir=folder, data_dir=folder / "data")


def test_shipped_files_are_valid() -> None:
    check_exclusions(Settings(config_dir=ROOT, data_dir=ROOT / "data"))
    check_exclusions(Settings(config_dir=ROOT / "examples" / "carpentries", data_dir=ROOT / "data"))


def test_keys_and_patterns_are_taken(tmp_path: Path) -> None:
    check_exclusions(
        settings_with(
            tmp_path,
            HEADER,
            'delighted,1,,,,,exclude,"two\nlines",who,2025-01-01',
            ",,survey,spring-.*,2025-03-01,2025-03-01,outside_control,why,who,2025-01-01",
            "shop,,account,(?i)acme|201,,2025-03-01,exclude,why,who,2025-01-01",
            ',,comment,".*power.*",2025-03-01,,outside_control,why,who,2025-01-01',
        )
    )


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (
            "gone,1,,,,,exclude,why,who,2025-01-01",
            "source_system 'gone' has no file in sources/; there are delighted, shop",
        ),
        ("shop, 1,,,,,exclude,why,who,2025-01-01", "source_response_id ' 1' must not begin or end with a blank"),
        (",1,,,,,exclude,why,who,2025-01-01", "a source_response_id needs its source_system"),
        ("shop,,,,,,exclude,why,who,2025-01-01", "write either source_response_id"),
        ("shop,1,survey,visit,,,exclude,why,who,2025-01-01", "write either source_response_id"),
        ("shop,1,,,2025-01-01,,exclude,why,who,2025-01-01", "leave field, starts_on and ends_on empty"),
        (",,channel,web,,,exclude,why,who,2025-01-01", "field 'channel' must be one of survey, account, comment"),
        (",,comment,(a,,,exclude,why,who,2025-01-01", "pattern '(a' is no regular expression"),
        (",,survey,autumn,,,exclude,why,who,2025-01-01", "pattern 'autumn' matches no survey_id of surveys.csv"),
        (",,survey,spring,,,exclude,why,who,2025-01-01", "pattern 'spring' matches no survey_id of surveys.csv"),
        ("shop,,survey,spring-2025,,,exclude,why,who,2025-01-01", "matches no survey_id"),
        (",,comment,a,01.03.2025,,exclude,why,who,2025-01-01", "starts_on '01.03.2025' is no day"),
        (",,comment,a,,2025-02-29,exclude,why,who,2025-01-01", "ends_on '2025-02-29' is no day"),
        (",,comment,a,2025-03-02,2025-03-01,exclude,why,who,2025-01-01", "2025-03-02 is after ends_on 2025-03-01"),
        (",,comment,a,,,delete,why,who,2025-01-01", "effect 'delete' must be one of exclude, outside_control"),
        (",,comment,a,,,exclude, ,who,2025-01-01", "reason is missing"),
        (",,comment,a,,,exclude,why,,2025-01-01", "approved_by is missing"),
        (",,comment,a,,,exclude,why,who,", "approved_on is missing"),
        (",,comment,a,,,exclude,why,who", "9 fields where the header has 10"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, fault: str) -> None:
    sound = 'delighted,1,,,,,exclude,"two\nlines",who,2025-01-01'
    with pytest.raises(ConfigError) as refusal:
        check_exclusions(settings_with(tmp_path, HEADER, sound, line, sound))
    message = str(refusal.value)
    assert message.startswith(f"{tmp_path}/seeds/reference/exclusions.csv:4: ")
    assert fault in message
    assert "\n" not in message


def test_another_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"exclusions.csv:1: the columns must be source_system,"):
        check_exclusions(settings_with(tmp_path, "source_system,source_response_id,effect,reason"))
