"""How comments are classified: themes.csv and negations.csv, checked line by line before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import duckdb

from orchestration.reference_lines import missing_faults, read_lines, reference_file, refuse
from orchestration.settings import Settings

THEMES = ("theme", "feature", "language", "pattern", "unless_negated")
NEGATIONS = ("language", "position", "pattern")
POSITIONS = ("before", "after", "stop")
# What nps_theme_impact calls answers that have no theme, or no comment.
RESERVED = ("unclassified", "uncommented")


def check_themes(settings: Settings) -> None:
    """Check every line of themes.csv and negations.csv.

    Raises:
        ConfigError: a file is missing or wrong; each line of the message names the file, the line and the fault.
    """
    with duckdb.connect() as engine:
        path = reference_file(settings, "themes.csv")
        rows, faults = read_lines(path, THEMES)
        features: dict[str, tuple[int, str]] = {}
        for line, row in rows:
            found = [*_theme_faults(row), *_pattern_faults(row, engine)]
            first, feature = features.setdefault(row["theme"], (line, row["feature"]))
            if feature != row["feature"]:
                found.append(f"theme {row['theme']!r} is of feature {feature!r} in line {first}; a theme is of one")
            faults += [(line, fault) for fault in found]
        refuse(path, faults)

        path = reference_file(settings, "negations.csv")
        rows, faults = read_lines(path, NEGATIONS)
        for line, row in rows:
            faults += [(line, fault) for fault in _pattern_faults(row, engine)]
            if row["position"] not in POSITIONS:
                faults.append((line, f"position {row['position']!r} must be one of {', '.join(POSITIONS)}"))
        refuse(path, faults)


def _theme_faults(row: Mapping[str, str]) -> Iterator[str]:
    theme = row["theme"]
    yield from missing_faults(row, "theme")
    for name in ("theme", "feature"):
        if row[name] != row[name].strip() or set("|,") & set(row[name]):
            yield f"{name} {row[name]!r} must not begin or end with a blank, nor have a | or a comma"
    if theme in RESERVED:
        yield f"{theme} is what answers without a theme are called; choose another name"
    if row["unless_negated"] not in ("", "true"):
        yield f"unless_negated {row['unless_negated']!r} must be true or empty"


def _pattern_faults(row: Mapping[str, str], engine: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """The engine that will match the pattern says whether it is one."""
    if not re.fullmatch("[a-z]{2,3}|", row["language"]):
        yield f"language {row['language']!r} must be a code like en, or empty for any"
    pattern = row["pattern"]
    yield from missing_faults(row, "pattern")
    try:
        found = engine.execute("select regexp_full_match('', $pattern)", {"pattern": pattern}).fetchone()
    except duckdb.Error as error:
        yield f"pattern {pattern!r} is no regular expression: {str(error).splitlines()[0]}"
    else:
        if pattern and found and found[0]:
            yield f"pattern {pattern!r} matches the empty text, and so every comment"
    if re.search(r"\[[^\]]*\\w", pattern):
        yield f"pattern {pattern!r}: write \\w, a letter of any language, outside of brackets"
