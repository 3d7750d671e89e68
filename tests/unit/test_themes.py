"""themes.csv and negations.csv: what a user may write, and that every fault is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.settings import ConfigError, Settings
from orchestration.themes import NEGATIONS, THEMES, check_themes

SOUND_THEMES = [",".join(THEMES), 'price,,en,"price|cost\\w*",', "slowness,search,,slow,true"]
SOUND_NEGATIONS = [",".join(NEGATIONS), "en,before,not|never", "ja,after,ない", ",stop,but"]


def settings_with(folder: Path, themes: list[str], negations: list[str]) -> Settings:
    reference = folder / "seeds" / "reference"
    reference.mkdir(parents=True)
    (reference / "themes.csv").write_text("\n".join(themes) + "\n", encoding="utf-8")
    (reference / "negations.csv").write_text("\n".join(negations) + "\n", encoding="utf-8")
    return Settings(config_dir=folder, data_dir=folder / "data")


def test_sound_and_empty_files_are_taken(tmp_path: Path) -> None:
    check_themes(settings_with(tmp_path / "some", SOUND_THEMES, SOUND_NEGATIONS))
    check_themes(settings_with(tmp_path / "none", SOUND_THEMES[:1], SOUND_NEGATIONS[:1]))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (",,en,price,", "theme is missing"),
        ("price ,,en,price,", "theme 'price ' must not begin or end with a blank"),
        ("a|b,,en,price,", "theme 'a|b' must not"),
        ("unclassified,,en,price,", "unclassified is what answers without a theme are called"),
        ("support,,english,support,", "language 'english' must be a code like en"),
        ("support,,en-GB,support,", "language 'en-GB' must be a code like en"),
        ("support,,en,,", "pattern is missing"),
        ("support,,en,(support,", "pattern '(support' is no regular expression"),
        ("support,,en,(?!not )support,", "is no regular expression"),
        ("support,,en,support|,", "pattern 'support|' matches the empty text"),
        ("support,,en,.*,", "pattern '.*' matches the empty text"),
        (r"support,,en,[\w-]+,", "outside of brackets"),
        ("support,,en,support,yes", "unless_negated 'yes' must be true or empty"),
        ("slowness,reports,en,slow,", "theme 'slowness' is of feature 'search' in line 3"),
        ("support,,en,support", "4 fields where the header has 5"),
    ],
)
def test_a_wrong_theme_is_refused_with_its_line(line: str, fault: str, tmp_path: Path) -> None:
    settings = settings_with(tmp_path, [*SOUND_THEMES, line], SOUND_NEGATIONS)
    with pytest.raises(ConfigError, match=r"themes\.csv:4: ") as refused:
        check_themes(settings)
    assert str(refused.value).count("\n") == 0
    assert fault in str(refused.value)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("en,behind,not", "position 'behind' must be one of before, after, stop"),
        ("en,before,", "pattern is missing"),
        ("en,before,not(", "is no regular expression"),
        ("English,before,not", "language 'English' must be a code like en"),
    ],
)
def test_a_wrong_negation_is_refused_with_its_line(line: str, fault: str, tmp_path: Path) -> None:
    settings = settings_with(tmp_path, SOUND_THEMES, [*SOUND_NEGATIONS, line])
    with pytest.raises(ConfigError, match=r"negations\.csv:5: ") as refused:
        check_themes(settings)
    assert str(refused.value).count("\n") == 0
    assert fault in str(refused.value)
