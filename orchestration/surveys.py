"""The survey catalogue: surveys.csv, checked line by line before anything is judged against it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from orchestration.reference_lines import (
    day_faults,
    missing_faults,
    padded_faults,
    read_lines,
    reference_file,
    refuse,
    repeated_faults,
)
from orchestration.settings import Settings
from orchestration.strict import SurveyType

SURVEYS = (
    "source_system", "source_survey_id", "survey_id", "survey_name", "survey_type", "touchpoint", "starts_on",
    "ends_on",
)  # fmt: skip
SURVEY_TYPES = get_args(SurveyType)


def source_names(settings: Settings) -> list[str]:
    """The sources there are: what a line says of one that is switched off waits for it."""
    files = (file.stem for file in (settings.config_dir / "sources").glob("*.yml"))
    return sorted({*settings.variables["sources"], *files})


def source_faults(row: Mapping[str, str], sources: Sequence[str]) -> Iterator[str]:
    """Whether the source that a row names is one."""
    if row["source_system"] and row["source_system"] not in sources:
        yield f"source_system {row['source_system']!r} has no file in sources/; there are {', '.join(sources)}"


def read_surveys(settings: Settings) -> list[dict[str, str]]:
    """The lines of surveys.csv. Beside its own columns it has those that segments are `from: survey`, and no others.

    Raises:
        ConfigError: the file is missing or wrong; each line of the message names the file, the line and the fault.
    """
    path = reference_file(settings, "surveys.csv")
    added = (segment["column"] for segment in settings.variables["segments"] if segment.get("from") == "survey")
    rows, faults = read_lines(path, tuple(dict.fromkeys([*SURVEYS, *added])))
    sources = source_names(settings)
    types: dict[str, tuple[int, str]] = {}
    for line, row in rows:
        # The source's own key is written as it delivers it, be it with blanks.
        found = [
            *missing_faults(row, "source_system", "source_survey_id", "survey_id", "survey_name"),
            *source_faults(row, sources),
            *padded_faults(row, "survey_id", "touchpoint"),
            *day_faults(row, "starts_on", "ends_on"),
        ]
        if row["survey_type"] not in SURVEY_TYPES:
            found.append(f"survey_type {row['survey_type']!r} must be one of {', '.join(SURVEY_TYPES)}")
        first, survey_type = types.setdefault(row["survey_id"], (line, row["survey_type"]))
        if survey_type != row["survey_type"]:
            found.append(f"survey_id {row['survey_id']!r} is {survey_type} in line {first}; a survey is of one type")
        faults += [(line, fault) for fault in found]
    refuse(path, [*faults, *repeated_faults(rows, "source_survey_id", "source_system")])
    return [row for _, row in rows]
