"""The files of seeds/reference: every fault is refused with its line."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path

import pytest

from orchestration.follow_up import HOLIDAYS, check_follow_up
from orchestration.handled_by import check_handled_by
from orchestration.reference import (
    ACTIONS,
    ALIASES,
    BENCHMARKS,
    DOMAINS,
    check_actions,
    check_aliases,
    check_benchmarks,
    check_reference,
    check_scorecards,
    staff_domains,
)
from orchestration.reference_lines import read_lines
from orchestration.settings import ROOT, ConfigError, Settings
from orchestration.surveys import SURVEYS, read_surveys


def settings_with(folder: Path, name: str, *lines: str) -> Settings:
    reference = folder / "seeds" / "reference"
    reference.mkdir(parents=True)
    (reference / name).write_text("\n".join(lines) + "\n")
    return Settings(config_dir=folder, data_dir=folder / "data")


def test_shipped_files_are_valid() -> None:
    check_reference(Settings(config_dir=ROOT, data_dir=ROOT / "data"))
    check_reference(Settings(config_dir=ROOT / "examples" / "carpentries", data_dir=ROOT / "data"))


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"actions\.csv: no such file; copy the one in seeds/reference"):
        check_actions(Settings(config_dir=tmp_path, data_dir=tmp_path))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("a,A,2025-02-30,,all,all,,", "starts_on '2025-02-30' is no day"),
        ("a,A,,,all,all,,", "starts_on is missing"),
        ("a,A,2025-03-01,visits,all,all,,", "survey_type 'visits' must be one of relationship, transactional"),
        ("a,A,2025-03-01,,country,all,,", "segment 'country' must be one of all, region"),
        ("a,A,2025-03-01,,region,all,,", "write a value of the segment, and all with all"),
        ("a,A,2025-03-01,,all,EMEA,,", "write a value of the segment, and all with all"),
        ("a,A,2025-03-01,,region,,,", "write a value of the segment, and all with all"),
        ("known,A,2025-03-01,,all,all,,", "action_id 'known' is that of line 2"),
        ("a,A,2025-03-01,,all,all,", "7 fields where the header has 8"),
    ],
)
def test_a_wrong_action_is_refused_with_its_line(line: str, fault: str, tmp_path: Path) -> None:
    known = 'known,Known,2025-03-01,episodic,region,EMEA,who,"two\nlines"'
    settings = settings_with(tmp_path, "actions.csv", ",".join(ACTIONS), known, line)
    with pytest.raises(ConfigError, match=r"actions\.csv:4: ") as refused:
        check_actions(settings)
    assert str(refused.value).count("\n") == 0
    assert fault in str(refused.value)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("shop,b,b,B,episodic,,,", "source_system 'shop' has no file in sources/; there are closed, delighted, sales"),
        (",b,b,B,episodic,,,", "source_system is missing"),
        ("delighted,,b,B,episodic,,,", "source_survey_id is missing"),
        ("delighted,b,,B,episodic,,,", "survey_id is missing"),
        ("delighted,b,b,,episodic,,,", "survey_name is missing"),
        ("delighted,b, b,B,episodic,,,", "survey_id ' b' must not begin or end with a blank"),
        ("delighted,b,b,B,Episodic,,,", "survey_type 'Episodic' must be one of relationship, transactional, episodic"),
        ("delighted,b,known,B,episodic,,,", "survey_id 'known' is relationship in line 2; a survey is of one type"),
        ("delighted,k,b,B,episodic,,,", "source_survey_id 'k' of source_system 'delighted' is that of line 2"),
        ("delighted,b,b,B,episodic,,01.03.2025,", "starts_on '01.03.2025' is no day"),
        ("delighted,b,b,B,episodic,,2025-03-02,2025-03-01", "starts_on 2025-03-02 is after ends_on 2025-03-01"),
        ("delighted,b,b,B,episodic,", "6 fields where the header has 8"),
    ],
)
def test_a_wrong_survey_is_refused_with_its_line(line: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "closed.yml").touch()  # switched off: its survey waits
    known = ("delighted,k,known,Known,relationship,,,", "closed,k,known,Known,relationship,,2025-03-01,2025-03-01")
    settings = settings_with(tmp_path, "surveys.csv", ",".join(SURVEYS), *known, line)
    with pytest.raises(ConfigError, match=r"surveys\.csv:4: ") as refused:
        read_surveys(settings)
    assert str(refused.value).count("\n") == 0
    assert fault in str(refused.value)


def test_surveys_have_the_columns_of_segments_and_no_others(tmp_path: Path) -> None:
    lines = [f"{','.join(SURVEYS)},kind", "delighted,k,known,Known,relationship,,,,visit"]
    settings = settings_with(tmp_path, "surveys.csv", *lines)
    with pytest.raises(ConfigError, match=r"surveys\.csv:1: the columns must be source_system,.*,ends_on$"):
        read_surveys(settings)
    (tmp_path / "vars.yml").write_text("segments: [{name: kind_of_visit, from: survey, column: kind}]\n")
    assert read_surveys(Settings(tmp_path, tmp_path))[0]["kind"] == "visit"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (",who", "domain is missing"),
        ("ann@ours.example,who", "domain 'ann@ours.example' must be one like example.com, without @ and blanks"),
        ("a b.example,who", "domain 'a b.example' must be one like example.com"),
        (" a.example,who", "domain ' a.example' must be one like example.com"),
        ("Ours.Example,who", "domain 'ours.example' is that of line 2"),
        ("a.example", "1 fields where the header has 2"),
    ],
)
def test_a_wrong_domain_is_refused_with_its_line(line: str, fault: str, tmp_path: Path) -> None:
    settings = settings_with(tmp_path, "staff_domains.csv", ",".join(DOMAINS), "ours.example,our own", line)
    with pytest.raises(ConfigError, match=r"staff_domains\.csv:3: ") as refused:
        staff_domains(settings)
    assert fault in str(refused.value)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("shop,b,B", "source_system 'shop' has no file in sources/; there are delighted, salesforce"),
        (",b,B", "source_system is missing"),
        ("delighted,,B", "account_alias is missing"),
        ("delighted,b,", "account_id is missing"),
        ("delighted,b,B ", "account_id 'B ' must not begin or end with a blank"),
        ("delighted,a,B", "account_alias 'a' of source_system 'delighted' is that of line 2"),
        ("delighted,b", "2 fields where the header has 3"),
    ],
)
def test_a_wrong_alias_is_refused_with_its_line(line: str, fault: str, tmp_path: Path) -> None:
    settings = settings_with(tmp_path, "account_aliases.csv", ",".join(ALIASES), "delighted,a,A", line)
    with pytest.raises(ConfigError, match=r"account_aliases\.csv:3: ") as refused:
        check_aliases(settings)
    assert fault in str(refused.value)


@pytest.mark.parametrize(
    ("encoding", "separator", "fault"),
    [
        ("latin-1", ",", "it is not UTF-8; save it as CSV UTF-8 with commas"),
        ("utf-16", ",", "it is not UTF-8; save it as CSV UTF-8 with commas"),
        ("utf-16-le", ",", "it is not UTF-8; save it as CSV UTF-8 with commas"),
        ("utf-8", ";", "its columns are not separated by commas; save it as CSV UTF-8 with commas"),
        ("utf-8-sig", "\t", "its columns are not separated by commas; save it as CSV UTF-8 with commas"),
    ],
)
def test_what_a_spreadsheet_saves_otherwise_is_refused_with_the_remedy(
    encoding: str, separator: str, fault: str, tmp_path: Path
) -> None:
    file = tmp_path / "staff_domains.csv"
    file.write_bytes("domain,why\nours.example,D\u00e9j\u00e0\n".replace(",", separator).encode(encoding))
    with pytest.raises(ConfigError) as refused:
        read_lines(file, DOMAINS)
    assert str(refused.value) == f"{file}: {fault}"


@pytest.mark.parametrize("file", [file.name for file in sorted((ROOT / "seeds" / "reference").glob("*.csv"))])
def test_every_file_is_read_so(file: str, tmp_path: Path) -> None:
    reference = tmp_path / "seeds" / "reference"
    shutil.copytree(ROOT / "seeds" / "reference", reference)
    (reference / file).write_bytes((reference / file).read_bytes() + b"D\xe9j\xe0\n")
    with pytest.raises(ConfigError, match=f"{file}: it is not UTF-8"):
        check_reference(Settings(tmp_path, tmp_path))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"surveys\.csv:1: the columns must be source_system,"):
        read_surveys(settings_with(tmp_path, "surveys.csv"))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("b,B,episodic,all,all,101,,,,s,2025-01-01", "nps '101' must be a number from -100 to 100"),
        ("b,B,episodic,all,all,nan,,,,s,2025-01-01", "nps 'nan' must be a number from -100 to 100"),
        ("b,B,episodic,all,all,,,,,s,2025-01-01", "nps is missing"),
        ("b,B,,all,all,1,,,,s,2025-01-01", "survey_type '' must be one of relationship"),
        ("b,B,episodic,all,all,1,0,,,s,2025-01-01", "responses '0' must be a whole number above 0"),
        ("b,B,episodic,all,all,1,9.5,,,s,2025-01-01", "responses '9.5' must be a whole number above 0"),
        ("b,B,episodic,all,all,1,,2025-02-01,2025-01-31,s,2025-01-01", "starts_on 2025-02-01 is after ends_on"),
        ("b,B,episodic,all,all,1,,,,,2025-01-01", "source is missing"),
    ],
)
def test_a_wrong_benchmark_is_refused_with_its_line(line: str, fault: str, tmp_path: Path) -> None:
    settings = settings_with(tmp_path, "benchmarks.csv", ",".join(BENCHMARKS), line)
    with pytest.raises(ConfigError, match=r"benchmarks\.csv:2: ") as refused:
        check_benchmarks(settings)
    assert fault in str(refused.value)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("EMEA,2025-02-30,x", "holiday_on '2025-02-30' is no day"),
        ("EMEA,,x", "holiday_on is missing"),
        ("Mars,2025-12-25,x", "calendar 'Mars' must be one of default, EMEA, APAC, or empty for all of them"),
    ],
)
def test_a_wrong_holiday_is_refused_with_its_line(line: str, fault: str, tmp_path: Path) -> None:
    settings = settings_with(tmp_path, "holidays.csv", ",".join(HOLIDAYS), ",2025-12-25,Christmas Day", line)
    with pytest.raises(ConfigError, match=r"holidays\.csv:3: ") as refused:
        check_follow_up(settings)
    assert fault in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("Europe/London", "Europe/Lundun", "calendars.values.EMEA.time_zone: 'Europe/Lundun' is not"),
        ('"17:00"', '"25:00"', "calendars.default.closes: String should match"),
        ('"17:00"', '"09:30"', "calendars.default: it must close an hour or more after it opens"),
        ("days: [1, 2, 3, 4, 5]", "days: [0]", "calendars.default.days.0: Input should be greater than"),
        ("{A: 8, B: 16}", "{A: 0}", "hours.values.A: Input should be greater than 0"),
        ("segment: tier", "segment: tiers", "hours.segment: 'tiers' is no segment; there are region, industry"),
        ("segment: region", "segment: land", "calendars.segment: 'land' is no segment; there are region"),
        ("default: 24", "defaults: 24", "hours.default: Field required"),
        ("default: 24", "default: 24, typo: 1", "hours.typo: unknown key"),
        ("transactional, episodic]", "visits]", "survey_types.1: Input should be 'relationship'"),
    ],
)
def test_a_wrong_follow_up_is_refused(old: str, new: str, fault: str, tmp_path: Path) -> None:
    project = (ROOT / "dbt_project" / "dbt_project.yml").read_text()
    begins = project.index("  follow_up:")
    variable = project[begins : project.index("\n\n", begins)]
    settings = settings_with(tmp_path, "holidays.csv", ",".join(HOLIDAYS))
    (tmp_path / "vars.yml").write_text(textwrap.dedent(variable.replace(old, new)))
    with pytest.raises(ConfigError) as refused:
        check_follow_up(settings)
    assert f"{tmp_path}/vars.yml: follow_up.{fault}" in str(refused.value)


def test_scorecards_name_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "vars.yml").write_text("scorecard_segments: [team]\n")
    with pytest.raises(ConfigError, match="scorecard_segments: team must be among the segments: region"):
        check_scorecards(Settings(tmp_path, tmp_path))


@pytest.mark.parametrize(
    ("variable", "fault"),
    [
        ("{agents: agent}", "agents: unknown key"),
        ("{ticket: [a, b]}", "ticket: Input should be a valid string"),
        ("{touchpoints: {invoice: ''}}", "touchpoints.invoice: String should have at least 1 character"),
    ],
)
def test_a_wrong_handled_by_is_refused(variable: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "vars.yml").write_text(f"handled_by: {variable}\n")
    with pytest.raises(ConfigError) as refused:
        check_handled_by(Settings(config_dir=tmp_path, data_dir=tmp_path))
    assert f"{tmp_path}/vars.yml: handled_by.{fault}" in str(refused.value)
