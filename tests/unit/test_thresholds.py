"""thresholds.yml: what is read, and that every fault is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.thresholds import Thresholds, read_thresholds
from orchestration.settings import ROOT, ConfigError, Settings

SHIPPED = ROOT / "expectations" / "thresholds.yml"
SHIPPED_TEXT, _, _EXAMPLES = SHIPPED.read_text().partition("# surveys:\n")
# The file with its examples of exceptions switched on.
WITH_EXAMPLES = SHIPPED_TEXT + "surveys:\n" + "\n".join(line.removeprefix("# ") for line in _EXAMPLES.splitlines())


def read(folder: Path, content: str) -> Thresholds:
    """Read a file beside the reference data of the repository."""
    (folder / "expectations").mkdir()
    (folder / "expectations" / "thresholds.yml").write_text(content)
    (folder / "seeds").mkdir()
    (folder / "seeds" / "reference").symlink_to(ROOT / "seeds" / "reference")
    return read_thresholds(Settings(config_dir=folder, data_dir=folder / "data"))


def test_shipped_file_is_valid(tmp_path: Path) -> None:
    thresholds = read(tmp_path, SHIPPED.read_text())

    assert thresholds.loads.valid_score_share.min == 0.9
    assert thresholds.marts.integrity.severity == "block"
    # Everything applies everywhere: the surveys of another configuration are not known here.
    assert {scoped.scope for scoped in thresholds.rules()} == {None}


def test_exceptions_say_only_what_differs(tmp_path: Path) -> None:
    thresholds = read(tmp_path, WITH_EXAMPLES)
    rules = {(scoped.figure, scoped.name, scoped.value): scoped for scoped in thresholds.rules()}
    default = rules["response_rate", None, None].rule

    survey = rules["response_rate", "post-support", None].rule
    assert (survey.min, survey.max, survey.owner) == (0.15, default.max, "head of support")
    assert (survey.judged_from, survey.severity, survey.action) == (default.judged_from, "warn", default.action)
    assert not rules["tens_share", "post-support", None].is_judged
    assert rules["response_rate", "region", None].rule == default
    assert rules["answers", "region", None].rule.min == 30
    assert ("answers", "region", "APAC") not in rules, "a value without its own rule falls under every_value"
    assert rules["response_rate", "region", "APAC"].rule.severity == "block"
    assert not rules["answer_age_hours", None, None].is_judged
    assert rules["answer_age_hours", "delighted", None].is_judged
    assert thresholds.expected_every_hours(["delighted", "salesforce"]) == {
        "delighted": {"load": 48, "answer": 96},
        "salesforce": {"load": 192, "answer": None},
    }


@pytest.mark.parametrize(
    ("written", "instead", "key", "fault"),
    [
        ("    min: 0.90", "    min: 1.2", "loads.valid_score_share.min", "less than or equal to 1, not 1.2"),
        (
            "    max: 0.05",
            "    max: -0.1",
            "loads.malformed_share.max",
            "greater than or equal to 0, not -0.1",
        ),
        ("    min: 0.90", "    min: '0.9'", "loads.valid_score_share.min", "valid number, not '0.9'"),
        ("    min: 0.90", "    min: .nan", "loads.valid_score_share.min", "not nan"),
        ("    min: 0.90", "    minimum: 0.90", "loads.valid_score_share.minimum", "unknown key"),
        ("  time_share:", "  times:", "loads.times", "unknown key"),
        ("  tens_share:", "  nines_share:", "figures.nines_share", "unknown key"),
        ("    max: 0.90", "    maximum: 0.90", "figures.tens_share.maximum", "unknown key"),
        ("    min: 0.02", "    min: 1.02", "figures.response_rate.min", "less than or equal to 1, not 1.02"),
        ("    min: 0.4", "    min: -0.4", "figures.response_rate_ratio.min", "not -0.4"),
        ("    max: 20", "    max: 120", "figures.owner_lead.max", "less than or equal to 100, not 120"),
        ("    max: 48", "    max: 48.5", "figures.load_age_hours.max", "not 48.5"),
        ("    judged_from: 100", "    judged_from: -1", "judged_from", "not -1"),
        ("    min: 0.02", "    min: 0.9", "figures.response_rate.min", "min 0.9 is above max 0.8"),
        ("    min: -100", "    min: -101", "marts.nps.min", "greater than or equal to -100, not -101"),
        ("    max: 100", "    max: -100.5", "marts.nps.max", "not -100.5"),
        ("owner: data steward", "owner: ''", "owner", "at least 1 character"),
        ("    max: 0.05", "    max: 0.05\n    max: 0.5", "loads.malformed_share.max", "written twice"),
        (
            "  post-support:",
            "  post-suport:",
            "surveys.post-suport",
            "no such survey; seeds/reference/surveys.csv lists",
        ),
        (
            "  region:",
            "  regions:",
            "segments.regions",
            "no such segment; `segments:` of dbt_project.yml lists channel,",
        ),
        (
            "  delighted:",
            "  delight:",
            "sources.delight",
            "no such source; `sources:` of dbt_project.yml lists delighted",
        ),
        ("{ min: 0.15,", "{ min: 1.15,", "surveys.post-support.response_rate.min", "less than or equal to 1, not 1.15"),
        ("{ min: 0.15,", "{ min: 0.85,", "surveys.post-support.response_rate.min", "min 0.85 is above max 0.8"),
        ("{ min: 0.10,", "{ min: 0.85,", "segments.region.APAC.response_rate.min", "min 0.85 is above max 0.8"),
        ("    tens_share: {", "    load_age_hours: {", "surveys.post-support.load_age_hours", "unknown key"),
        ("severity: ignore", "severity: stop", "surveys.post-support.tens_share.severity", "not 'stop'"),
    ],
)
def test_a_fault_is_refused_with_file_line_and_key(
    tmp_path: Path, written: str, instead: str, key: str, fault: str
) -> None:
    content = WITH_EXAMPLES
    assert written in content
    # The last line of the replacement: in the repeated key it is the second that is at fault.
    line = content[: content.index(written)].count("\n") + 1 + instead.count("\n")

    with pytest.raises(ConfigError) as refusal:
        read(tmp_path, content.replace(written, instead, 1))

    path = tmp_path / "expectations" / "thresholds.yml"
    faults = [text for text in str(refusal.value).splitlines() if key in text]
    assert any(text.startswith(f"{path}:{line}: ") and fault in text for text in faults), refusal.value


def test_a_missing_key_is_refused_at_the_line_of_its_parent(tmp_path: Path) -> None:
    content = SHIPPED.read_text()
    line = content[: content.index("  valid_score_share:")].count("\n") + 1

    with pytest.raises(ConfigError, match=rf":{line}: loads\.valid_score_share\.min: missing"):
        read(tmp_path, content.replace("    min: 0.90\n", "", 1))


@pytest.mark.parametrize("content", ["owner: [", "- owner", ""])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigError, match=r"thresholds\.yml"):
        read(tmp_path, content)


def test_surveys_are_checked_before_they_are_known(tmp_path: Path) -> None:
    """Otherwise a header that a spreadsheet spoiled would be told as a survey that does not exist."""
    reference = tmp_path / "seeds" / "reference"
    reference.mkdir(parents=True)
    (reference / "surveys.csv").write_text("source_system;survey_id\n")
    (tmp_path / "expectations").mkdir()
    (tmp_path / "expectations" / "thresholds.yml").write_text(WITH_EXAMPLES)
    with pytest.raises(ConfigError, match=r"surveys\.csv: its columns are not separated by commas"):
        read_thresholds(Settings(config_dir=tmp_path, data_dir=tmp_path / "data"))
