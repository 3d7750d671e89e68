"""What the guard accepts: thresholds.yml read and checked, every fault with its line. No data here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from orchestration.settings import ConfigError, read_yaml

Severity = Literal["block", "warn"]
Share = Annotated[float, Field(ge=0, le=1)]
Score = Annotated[float, Field(ge=-100, le=100)]
Text = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    """Unknown keys and converted types are errors: a typing mistake must not loosen a guard unseen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Rule(_Strict):
    """How much a failed check matters, and who acts on it (None: the owner of the file)."""

    severity: Severity
    owner: Text | None = None


class ActionRule(Rule):
    """A rule with the one sentence that tells its owner what to do."""

    action: Text


class MinShare(ActionRule):
    """At least this share of the rows."""

    min: Share


class MaxShare(ActionRule):
    """At most this share of the rows."""

    max: Share


class MinCount(ActionRule):
    """At least this many rows."""

    min: Annotated[int, Field(ge=0)]


class _Band(Rule):
    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        low, high = self.model_dump(include={"min", "max"}).values()
        if low > high:
            raise ValueError(f"min {low:g} is above max {high:g}")
        return self


class ShareBand(_Band):
    """Between two shares."""

    min: Share
    max: Share


class ScoreBand(_Band, ActionRule):
    """Between two scores on the scale of NPS."""

    min: Score
    max: Score


class ResponseRate(_Strict):
    """The expected response rate per survey type; a type without a band is not judged."""

    months: Annotated[int, Field(ge=1)]
    min_responses: Annotated[int, Field(ge=1)]
    owner: Text | None = None
    action: Text
    relationship: ShareBand | None = None
    transactional: ShareBand | None = None
    episodic: ShareBand | None = None

    @property
    def bands(self) -> dict[str, ShareBand]:
        """The bands that are set, by survey type."""
        survey_types = {
            "relationship": self.relationship,
            "transactional": self.transactional,
            "episodic": self.episodic,
        }
        return {survey_type: band for survey_type, band in survey_types.items() if band is not None}


class Loads(_Strict):
    """What a new file must satisfy before its rows become visible."""

    columns: ActionRule
    column_changes: ActionRule
    valid_score_share: MinShare
    time_share: MinShare
    malformed_share: MaxShare


class Marts(_Strict):
    """What the finished figures must satisfy before they are published."""

    integrity: Rule
    responses: MinCount
    nps: ScoreBand
    unmatched_share: MaxShare
    response_rate: ResponseRate


class Thresholds(_Strict):
    """The whole of thresholds.yml."""

    owner: Text
    loads: Loads
    marts: Marts


def read_thresholds(path: Path) -> Thresholds:
    """Read thresholds.yml.

    Raises:
        ConfigError: the file is missing or wrong; each line of the message names the file, the line,
            the key and the fault.
    """
    content = read_yaml(path)
    root: yaml.Node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)  # type: ignore[assignment]
    # YAML lets the last of two equal keys win: the steward would edit the one that does not count.
    if faults := [f"{path}:{line}: {key}: written twice" for key, line in _repeated_keys(root)]:
        raise ConfigError("\n".join(faults))
    try:
        return Thresholds.model_validate(content)
    except ValidationError as error:
        raise ConfigError(
            "\n".join(
                f"{path}:{_line(root, fault['loc'])}: {'.'.join(map(str, fault['loc']))}: {_message(fault)}"
                for fault in error.errors()
            )
        ) from None


def _message(fault: Any) -> str:
    if fault["type"] == "extra_forbidden":
        return "unknown key"
    if fault["type"] == "missing":
        return "missing"
    message = str(fault["msg"]).removeprefix("Value error, ")
    if isinstance(fault["input"], dict):
        return message
    return f"{message[0].lower()}{message[1:]}, not {fault['input']!r}"


def _line(node: yaml.Node, location: tuple[int | str, ...]) -> int:
    """The line of the key at `location`, or of its nearest parent that is written in the file."""
    line = node.start_mark.line + 1
    for part in location:
        entries = node.value if isinstance(node, yaml.MappingNode) else []
        entry = next(((key, value) for key, value in entries if key.value == str(part)), None)
        if entry is None:
            break
        line, node = entry[0].start_mark.line + 1, entry[1]
    return line


def _repeated_keys(node: yaml.Node, prefix: str = "") -> Iterator[tuple[str, int]]:
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        if name in seen:
            yield name, key.start_mark.line + 1
        seen.add(name)
        yield from _repeated_keys(value, f"{name}.")
