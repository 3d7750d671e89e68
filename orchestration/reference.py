"""The reference files that a user edits, checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestration.contact_rules import check_contact_rules
from orchestration.exclusions import check_exclusions
from orchestration.follow_up import check_follow_up
from orchestration.handled_by import check_handled_by
from orchestration.reference_lines import (
    day_faults,
    missing_faults,
    padded_faults,
    read_lines,
    reference_file,
    refuse,
    repeated_faults,
)
from orchestration.settings import ConfigError, Settings
from orchestration.surveys import SURVEY_TYPES, read_surveys, source_faults, source_names
from orchestration.themes import check_themes

DOMAINS = ("domain", "why")
ALIASES = ("source_system", "account_alias", "account_id")
ACTIONS = (
    "action_id", "action_name", "starts_on", "survey_type", "segment", "segment_value", "responsible", "description",
)  # fmt: skip
BENCHMARKS = (
    "benchmark_id", "benchmark_name", "survey_type", "segment", "segment_value", "nps", "responses", "starts_on",
    "ends_on", "source", "published_on",
)  # fmt: skip


def check_reference(settings: Settings) -> None:
    """Check every line of every file that has rules of its own, and the variables that have parts.

    Raises:
        ConfigError: a file is missing or wrong; each line of the message names the file, the line and the fault.
    """
    read_surveys(settings)
    staff_domains(settings)
    check_aliases(settings)
    check_exclusions(settings)
    check_actions(settings)
    check_benchmarks(settings)
    check_follow_up(settings)
    check_contact_rules(settings)
    check_handled_by(settings)
    check_scorecards(settings)
    check_themes(settings)


def staff_domains(settings: Settings) -> set[str]:
    """The domains of staff_domains.csv, in small letters as the models compare them.

    Raises:
        ConfigError: the file is missing or wrong; each line of the message names the file, the line and the fault.
    """
    path = reference_file(settings, "staff_domains.csv")
    rows, faults = read_lines(path, DOMAINS)
    rows = [(line, row | {"domain": row["domain"].lower()}) for line, row in rows]
    for line, row in rows:
        faults += [(line, fault) for fault in missing_faults(row, "domain")]
        if "@" in row["domain"] or len(row["domain"].split()) > 1 or row["domain"] != row["domain"].strip():
            faults.append((line, f"domain {row['domain']!r} must be one like example.com, without @ and blanks"))
    refuse(path, [*faults, *repeated_faults(rows, "domain")])
    return {row["domain"] for _, row in rows}


def check_aliases(settings: Settings) -> None:
    """Check every line of account_aliases.csv.

    Raises:
        ConfigError: the file is missing or wrong.
    """
    path = reference_file(settings, "account_aliases.csv")
    rows, faults = read_lines(path, ALIASES)
    sources = source_names(settings)
    for line, row in rows:
        # An alias is a spelling that a source delivers, be it with blanks.
        found = [*missing_faults(row, *ALIASES), *source_faults(row, sources), *padded_faults(row, "account_id")]
        faults += [(line, fault) for fault in found]
    refuse(path, [*faults, *repeated_faults(rows, "account_alias", "source_system")])


def check_scorecards(settings: Settings) -> None:
    """Check the variable scorecard_segments, which the marts make columns of.

    Raises:
        ConfigError: it names what is no segment.
    """
    # The last three are columns of the facts whatever the segments are.
    names = [*(segment["name"] for segment in settings.variables["segments"]), "touchpoint", "channel", "language"]
    if unknown := [name for name in settings.variables["scorecard_segments"] if name not in names]:
        raise ConfigError(f"scorecard_segments: {', '.join(unknown)} must be among the segments: {', '.join(names)}")


def check_actions(settings: Settings) -> None:
    """Check every line of actions.csv.

    Raises:
        ConfigError: the file is missing or wrong.
    """
    path = reference_file(settings, "actions.csv")
    rows, faults = read_lines(path, ACTIONS)
    for line, row in rows:
        found = [*missing_faults(row, "action_id", "action_name", "starts_on"), *day_faults(row, "starts_on")]
        if row["survey_type"] and row["survey_type"] not in SURVEY_TYPES:
            found.append(f"survey_type {row['survey_type']!r} must be one of {', '.join(SURVEY_TYPES)}, or empty")
        faults += [(line, fault) for fault in (*found, *_segment_faults(row, settings))]
    refuse(path, [*faults, *repeated_faults(rows, "action_id")])


def check_benchmarks(settings: Settings) -> None:
    """Check every line of benchmarks.csv.

    Raises:
        ConfigError: the file is missing or wrong.
    """
    path = reference_file(settings, "benchmarks.csv")
    rows, faults = read_lines(path, BENCHMARKS)
    for line, row in rows:
        found = [
            *missing_faults(row, "benchmark_id", "benchmark_name", "nps", "source", "published_on"),
            *day_faults(row, "starts_on", "ends_on", "published_on"),
        ]
        if row["survey_type"] not in SURVEY_TYPES:
            found.append(f"survey_type {row['survey_type']!r} must be one of {', '.join(SURVEY_TYPES)}")
        if row["nps"] and not _is_between(row["nps"], -100, 100):
            found.append(f"nps {row['nps']!r} must be a number from -100 to 100")
        if row["responses"] and not (row["responses"].isdecimal() and int(row["responses"]) > 0):
            found.append(f"responses {row['responses']!r} must be a whole number above 0, or empty")
        faults += [(line, fault) for fault in (*found, *_segment_faults(row, settings))]
    refuse(path, [*faults, *repeated_faults(rows, "benchmark_id")])


def _segment_faults(row: Mapping[str, str], settings: Settings) -> Iterator[str]:
    names = ["all", *(segment["name"] for segment in settings.variables["segments"])]
    if row["segment"] not in names:
        yield f"segment {row['segment']!r} must be one of {', '.join(names)}"
    elif (row["segment"] == "all") != (row["segment_value"] == "all") or not row["segment_value"]:
        yield "write a value of the segment, and all with all"


def _is_between(text: str, least: float, greatest: float) -> bool:
    try:
        return least <= float(text) <= greatest
    except ValueError:
        return False
