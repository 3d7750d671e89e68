"""What the guard accepts: thresholds.yml read and checked, every fault with its line. No data here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, Self, TypeVar, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from orchestration.settings import ConfigError, Settings, read_yaml
from orchestration.strict import Strict, Text, fault_message, key_of
from orchestration.surveys import read_surveys

Severity = Literal["block", "warn"]
Share = Annotated[float, Field(ge=0, le=1)]
Ratio = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Score = Annotated[float, Field(ge=-100, le=100)]
Number = TypeVar("Number")

Fault = tuple[tuple[int | str, ...], str]  # the place in the file, and what is wrong there


class _Strict(Strict):
    """Converted types are errors too: a typing mistake must not loosen a guard unseen."""

    model_config = ConfigDict(strict=True)


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

    min: Count


class ScoreBand(ActionRule):
    """Between two scores on the scale of NPS."""

    min: Score
    max: Score

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        return self


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


class Limits(_Strict, Generic[Number]):
    """What one survey, segment or source has otherwise than the rule of a figure says."""

    min: Number | None = None
    max: Number | None = None
    judged_from: Count | None = None
    severity: Severity | Literal["ignore"] | None = None
    owner: Text | None = None
    action: Text | None = None


class FigureRule(Limits[Number]):
    """What is accepted of a figure: between min and max (None: no such bound), where it rests on `judged_from`."""

    judged_from: Count = 0
    severity: Severity | Literal["ignore"]
    action: Text


@dataclass(frozen=True)
class Figure:
    """A figure of quality_figures or quality_freshness: what it is in words, the type of its bounds, what it is of."""

    meaning: str
    bound: Any
    scopes: tuple[str, ...]


FIGURES = {
    "answers": Figure("counted answers", Count, ("surveys", "segments")),
    "response_rate": Figure("answered of the delivered invitations", Share, ("surveys", "segments")),
    "response_rate_ratio": Figure("times the response rate before", Ratio, ("surveys", "segments")),
    "volume_ratio": Figure("times the answers of the same weekday before", Ratio, ("surveys", "segments")),
    "score_drift": Figure("shift of the scores against those before", Ratio, ("surveys", "segments")),
    "tens_share": Figure("answers that are a ten", Share, ("surveys",)),
    "busiest_hour": Figure("times the answers of a usual hour through the link", Ratio, ("surveys",)),
    "answers_per_person": Figure("answers of one person on one day", Count, ("surveys",)),
    "answers_per_address": Figure("answers from one network address on one day", Count, ("surveys",)),
    "straight_line_share": Figure("answers with one value in all their other ratings", Share, ("surveys",)),
    "owner_lead": Figure("points above the rest, as far as the answers prove", Score, ("surveys",)),
    "repeated_verbatim_share": Figure("comments that are one and the same text", Share, ("surveys",)),
    "fast_share": Figure("answers faster than a person can read", Share, ("surveys",)),
    "unmatched_share": Figure("answers that lead to no account", Share, ("surveys", "segments")),
    "quarantined_share": Figure("quarantined of the delivered answer rows", Share, ("sources",)),
    "unscored_share": Figure("delivered answer rows without a score, or of no NPS question", Share, ("sources",)),
    "load_age_hours": Figure("hours since the last load", Count, ("sources",)),
    "answer_age_hours": Figure("hours since the last counted answer", Count, ("sources",)),
}


def observed_in_words(name: str, value: float) -> str:
    """What was found of a figure or of a file, in the unit in which its bounds are told; of files all are shares."""
    if name not in FIGURES or FIGURES[name].bound is Share:
        return f"{value:.2%}"
    return f"{value:.4f}".rstrip("0").rstrip(".")


# Under a segment, the key that means each of its values.
EVERY_VALUE = "every_value"


def _figures(rule: Any, scope: str | None = None) -> type[BaseModel]:
    """A mapping from figures to their rule, all of them required, or to the exceptions of one scope."""
    fields: dict[str, Any] = {
        name: (rule[figure.bound], ...) if scope is None else (rule[figure.bound] | None, None)
        for name, figure in FIGURES.items()
        if scope is None or scope in figure.scopes
    }
    return create_model("Figures", __base__=_Strict, **fields)


if TYPE_CHECKING:  # what is made from FIGURES, a type checker cannot know
    Figures = BaseModel
    SurveyFigures = BaseModel
    SegmentFigures = BaseModel
    SourceFigures = BaseModel
else:
    Figures = _figures(FigureRule)
    SurveyFigures = _figures(Limits, "surveys")
    SegmentFigures = _figures(Limits, "segments")
    SourceFigures = _figures(Limits, "sources")


@dataclass(frozen=True)
class ScopedRule:
    """The rule of a figure where it applies: everywhere, or for one survey, source, segment or value of a segment.

    A rule of a segment that names no value is that of each value without a rule of its own; segments have no rule
    that applies everywhere.
    """

    figure: str
    rule: FigureRule[Any]
    scope: str | None = None  # surveys, segments or sources
    name: str | None = None
    value: str | None = None

    @property
    def label(self) -> str:
        """The figure and where it applies; no two rules have the same."""
        return ", ".join(part for part in (self.figure, self.scope, self.name, self.value) if part)

    @property
    def is_judged(self) -> bool:
        """Whether there is anything to hold the figure against."""
        return self.rule.severity != "ignore" and (self.rule.min, self.rule.max) != (None, None)

    @property
    def words(self) -> str:
        """What is accepted, as the end of a sentence that says what was found."""
        figure = FIGURES[self.figure]
        low, high = (
            None if bound is None else f"{bound:.1%}" if figure.bound is Share else f"{bound:g}"
            for bound in (self.rule.min, self.rule.max)
        )
        accepted = f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}"
        return f"must be {accepted} ({figure.meaning})"


class Thresholds(_Strict):
    """The whole of thresholds.yml."""

    owner: Text
    loads: Loads
    marts: Marts
    figures: Figures
    surveys: dict[str, SurveyFigures] = Field(default_factory=dict)
    segments: dict[str, dict[str, SegmentFigures]] = Field(default_factory=dict)
    sources: dict[str, SourceFigures] = Field(default_factory=dict)

    def rules(self) -> Iterator[ScopedRule]:
        """Every rule of a figure with its exceptions; an exception has what it does not say from what it excepts."""
        for figure in FIGURES:
            default = cast("FigureRule[Any]", getattr(self.figures, figure))
            yield ScopedRule(figure, default)
            for scope, excepted in (("surveys", self.surveys), ("sources", self.sources)):
                for name, figures in excepted.items():
                    if (limits := getattr(figures, figure, None)) is not None:
                        yield ScopedRule(figure, _excepted(default, limits), scope, name)
            for name, values in self.segments.items():
                every = getattr(values.get(EVERY_VALUE), figure, None)
                of_every = default if every is None else _excepted(default, every)
                for value, figures in values.items():
                    if value == EVERY_VALUE and every is not None:
                        yield ScopedRule(figure, of_every, "segments", name)
                    elif value != EVERY_VALUE and (limits := getattr(figures, figure, None)) is not None:
                        yield ScopedRule(figure, _excepted(of_every, limits), "segments", name, value)

    def expected_every_hours(self, sources: list[str]) -> dict[str, dict[str, int | None]]:
        """How often a load and an answer of each source are expected; None: at no time in particular."""
        rules = {(rule.figure, rule.name): rule.rule for rule in self.rules() if rule.scope in (None, "sources")}

        def every(figure: str, source: str) -> int | None:
            rule = rules.get((figure, source), rules[figure, None])
            return None if rule.severity == "ignore" else rule.max

        return {
            source: {"load": every("load_age_hours", source), "answer": every("answer_age_hours", source)}
            for source in sources
        }


def _excepted(rule: FigureRule[Any], limits: Limits[Any]) -> FigureRule[Any]:
    return rule.model_copy(update=limits.model_dump(exclude_none=True))


def read_thresholds(settings: Settings) -> Thresholds:
    """Read thresholds.yml, and hold it against the surveys, segments and sources of the configuration.

    Raises:
        ConfigError: the file, or surveys.csv, is missing or wrong; each line of the message names the file, the line,
            the key and the fault.
    """
    path = settings.thresholds
    content = read_yaml(path)
    root: yaml.Node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)  # type: ignore[assignment]
    faults: list[Fault]
    try:
        thresholds = Thresholds.model_validate(content)
        faults = [*_unknown_names(thresholds, settings), *_crossed_bounds(thresholds)]
    except ValidationError as error:
        faults = [(fault["loc"], _message(fault)) for fault in error.errors()]
    if faults:
        raise ConfigError(
            "\n".join(f"{path}:{_line(root, place)}: {key_of(place)}: {fault}" for place, fault in faults)
        )
    return thresholds


def _unknown_names(thresholds: Thresholds, settings: Settings) -> Iterator[Fault]:
    """Exceptions for what does not exist. Values of a segment are data: nobody knows them before a run."""
    # Nothing else here needs the catalogue, which an extraction does without.
    surveys = {row["survey_id"] for row in read_surveys(settings)} if thresholds.surveys else set()
    listed: Mapping[str, tuple[set[str], str]] = {
        "surveys": (surveys, "seeds/reference/surveys.csv"),
        "segments": ({segment["name"] for segment in settings.variables["segments"]}, "`segments:` of dbt_project.yml"),
        "sources": (set(settings.variables["sources"]), "`sources:` of dbt_project.yml"),
    }
    for scope, (known, place) in listed.items():
        for name in getattr(thresholds, scope):
            if name not in known:
                yield (scope, name), f"no such {scope[:-1]}; {place} lists {', '.join(sorted(known)) or 'none'}"


def _crossed_bounds(thresholds: Thresholds) -> Iterator[Fault]:
    """A bound of an exception may cross the other one, which the rule of the figure has."""
    for scoped in thresholds.rules():
        low, high = scoped.rule.min, scoped.rule.max
        if low is not None and high is not None and low > high:
            value = (scoped.value or EVERY_VALUE,) if scoped.scope == "segments" else ()
            place = (scoped.scope, scoped.name, *value) if scoped.scope and scoped.name else ("figures",)
            yield (*place, scoped.figure, "min"), f"min {low:g} is above max {high:g}"


def _message(fault: Any) -> str:
    if fault["type"] == "extra_forbidden":
        return fault_message(fault)
    if fault["type"] == "missing":
        return "missing"
    message = fault_message(fault)
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
