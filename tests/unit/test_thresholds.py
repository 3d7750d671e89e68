"""thresholds.yml: what is read, and that every fault is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.thresholds import read_thresholds
from orchestration.settings import ROOT, ConfigError

SHIPPED = ROOT / "expectations" / "thresholds.yml"


def test_shipped_file_is_valid() -> None:
    thresholds = read_thresholds(SHIPPED)

    assert thresholds.loads.valid_score_share.min == 0.9
    assert thresholds.marts.integrity.severity == "block"
    assert set(thresholds.marts.response_rate.bands) == {"relationship", "transactional", "episodic"}


def test_a_survey_type_without_a_band_is_not_judged(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.yml"
    path.write_text(SHIPPED.read_text().replace("    episodic: {", "    # episodic: {"))

    assert set(read_thresholds(path).marts.response_rate.bands) == {"relationship", "transactional"}


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
        ("    episodic: {", "    quarterly: {", "marts.response_rate.quarterly", "unknown key"),
        (
            "min: 0.03, max: 0.80",
            "min: 0.9, max: 0.8",
            "marts.response_rate.relationship",
            "min 0.9 is above",
        ),
        ("    min: -100", "    min: -101", "marts.nps.min", "greater than or equal to -100, not -101"),
        ("    max: 100", "    max: -100.5", "marts.nps.max", "not -100.5"),
        ("max: 0.80, severity: warn }", "max: 0.80, severity: stop }", "relationship.severity", "not 'stop'"),
        ("    months: 12", "    months: 0", "marts.response_rate.months", "not 0"),
        ("owner: data steward", "owner: ''", "owner", "at least 1 character"),
        ("    max: 0.05", "    max: 0.05\n    max: 0.5", "loads.malformed_share.max", "written twice"),
    ],
)
def test_a_fault_is_refused_with_file_line_and_key(
    tmp_path: Path, written: str, instead: str, key: str, fault: str
) -> None:
    content = SHIPPED.read_text()
    assert written in content
    path = tmp_path / "thresholds.yml"
    path.write_text(content.replace(written, instead, 1))
    # The last line of the replacement: in the repeated key it is the second that is at fault.
    line = content[: content.index(written)].count("\n") + 1 + instead.count("\n")

    with pytest.raises(ConfigError) as refusal:
        read_thresholds(path)

    faults = [text for text in str(refusal.value).splitlines() if key in text]
    assert any(text.startswith(f"{path}:{line}: ") and fault in text for text in faults), refusal.value


def test_a_missing_key_is_refused_at_the_line_of_its_parent(tmp_path: Path) -> None:
    content = SHIPPED.read_text()
    path = tmp_path / "thresholds.yml"
    path.write_text(content.replace("    min: 0.90\n", "", 1))
    line = content[: content.index("  valid_score_share:")].count("\n") + 1

    with pytest.raises(ConfigError, match=rf":{line}: loads\.valid_score_share\.min: missing"):
        read_thresholds(path)


@pytest.mark.parametrize("content", ["owner: [", "- owner", ""])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "thresholds.yml"
    path.write_text(content)

    with pytest.raises(ConfigError, match=r"thresholds\.yml"):
        read_thresholds(path)
