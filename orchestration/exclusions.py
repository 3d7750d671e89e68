"""What a steward excludes or marks: exclusions.csv, checked line by line before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import duckdb

from orchestration.reference_lines import day_faults, padded_faults, read_lines, reference_file, refuse
from orchestration.settings import Settings
from orchestration.surveys import read_surveys, source_faults, source_names

COLUMNS = (
    "source_system", "source_response_id", "field", "pattern", "starts_on", "ends_on", "effect", "reason",
    "approved_by", "approved_on",
)  # fmt: skip
FIELDS = ("survey", "account", "comment")
EFFECTS = ("exclude", "outside_control")


def check_exclusions(settings: Settings) -> None:
    """Check every line of exclusions.csv.

    Raises:
        ConfigError: the file is missing or wrong; each line of the message names the file, the line and the fault.
    """
    path = reference_file(settings, "exclusions.csv")
    catalogue = [(row["source_system"], row["survey_id"]) for row in read_surveys(settings)]
    rows, faults = read_lines(path, COLUMNS)
    sources = source_names(settings)
    with duckdb.connect() as engine:
        for line, rule in rows:
            faults += [(line, fault) for fault in _rule_faults(rule, sources, catalogue, engine)]
    refuse(path, faults)


def _rule_faults(
    rule: Mapping[str, str],
    sources: Sequence[str],
    surveys: Sequence[tuple[str, str]],
    engine: duckdb.DuckDBPyConnection,
) -> Iterator[str]:
    source, key, pattern = rule["source_system"], rule["source_response_id"], rule["pattern"]
    yield from source_faults(rule, sources)
    if bool(key) == bool(pattern):
        yield "write either source_response_id (one answer) or field and pattern (all that match)"
    elif key:
        if not source:
            yield "a source_response_id needs its source_system"
        if rule["field"] or rule["starts_on"] or rule["ends_on"]:
            yield "source_response_id names one answer; leave field, starts_on and ends_on empty"
    elif rule["field"] not in FIELDS:
        yield f"field {rule['field']!r} must be one of {', '.join(FIELDS)}"
    else:
        yield from _pattern_faults(rule["field"], pattern, [s for of, s in surveys if source in ("", of)], engine)
    yield from padded_faults(rule, "source_response_id")
    yield from day_faults(rule, "starts_on", "ends_on", "approved_on")
    if rule["effect"] not in EFFECTS:
        yield f"effect {rule['effect']!r} must be one of {', '.join(EFFECTS)}"
    for name in ("reason", "approved_by", "approved_on"):
        if not rule[name].strip():
            yield f"{name} is missing"


def _pattern_faults(
    field: str, pattern: str, surveys: Sequence[str], engine: duckdb.DuckDBPyConnection
) -> Iterator[str]:
    """The engine that will match the pattern says whether it is one."""
    try:
        query = "select count(*) filter (regexp_full_match(survey, $pattern, 's')) from unnest($surveys) as _(survey)"
        # One text at least, or the pattern would not be looked at.
        found = engine.execute(query, {"pattern": pattern, "surveys": [*surveys, ""]}).fetchone()
    except duckdb.Error as error:
        yield f"pattern {pattern!r} is no regular expression: {str(error).splitlines()[0]}"
    else:
        if field == "survey" and not (found and found[0]):
            yield f"pattern {pattern!r} matches no survey_id of surveys.csv"
