"""The plain variables of dbt_project.yml: those that have no module of their own, checked whenever they are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from orchestration.reference_lines import day
from orchestration.strict import Name, Strict, SurveyType, Text, check_zone, checked, variables_file

Whole = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Between = Annotated[float, Field(gt=0, lt=1)]
# What a run fills: whatever stood there would be lost.
Filled = Annotated[dict[str, Any], Field(max_length=0)]
Wave = Literal["survey", "month", "quarter", "year"]
# Of the large tables those that no page, report or export of this project reads.
Dispensable = Literal["fct_survey_invitations", "dim_account_history"]


def _check_day(text: Any) -> Any:
    if not isinstance(text, str) or day(text) is None:
        raise ValueError(f'{str(text)!r} is no day; write one like "2000-01-01", in quotes')
    return text


class _Strict(Strict):
    """Converted types are errors too: `"9"` is no number, and dbt would write it into the SQL as it is."""

    model_config = ConfigDict(strict=True)


class Evidence(_Strict):
    """How many answers it takes to show an interval, a direction, a figure to report."""

    interval: Positive
    directional: Positive
    reportable: Positive

    @model_validator(mode="after")
    def _rise(self) -> Self:
        if not self.interval <= self.directional <= self.reportable:
            raise ValueError("interval, directional and reportable must not fall in this order")
        return self


class Windows(_Strict):
    """What the guards compare."""

    days: Positive
    history: Positive
    settle_days: Whole
    weeks: Positive


class Variables(_Strict):
    """Each with what it may be; what it means stands beside it in dbt_project.yml."""

    sources: Annotated[list[Name], Field(min_length=1)]
    extract_cron: Text  # what Dagster takes for one, it says itself (jobs.extract_schedule)
    file_sources: Filled
    raw_tables: Filled
    segments_as_of: Literal["answer", "now"]
    revenue_column: dict[str, Text]
    customer_types: Annotated[list[Text], Field(min_length=1)]
    scorecard_segments: list[Text]
    account_window_days: Positive
    waves: Annotated[dict[SurveyType, Wave], Field(min_length=1)]
    value_window_days: Positive
    passive_minimum: Annotated[int, Field(ge=0, le=10)]
    promoter_minimum: Annotated[int, Field(ge=0, le=10)]
    repeat_window_hours: Whole
    future_tolerance_hours: Whole
    earliest_submitted_at: Annotated[str, BeforeValidator(_check_day)]
    opt_out_window_days: Whole
    business_time_zone: Annotated[str, AfterValidator(check_zone)]
    fiscal_year_start_month: Annotated[int, Field(ge=1, le=12)]
    confidence_level: Between
    evidence_minimum: Evidence
    false_discovery_rate: Between
    trailing_window_days: Positive
    control_baseline_months: Positive
    action_window_days: Positive
    negation_reach: Whole
    publications_kept: Whole
    unpublished: list[Dispensable]
    guard_windows: Windows
    reading_seconds: Annotated[float, Field(ge=0)]
    straight_line_ratings: Annotated[int, Field(ge=2)]  # one rating is always a straight line
    verbatim_characters: Whole
    expected_every_hours: Filled
    forgotten_answers: Literal["unlinked", "removed"]
    outside_minimum_answers: Positive

    @field_validator("sources")
    @classmethod
    def _are_named_once(cls, names: list[str]) -> list[str]:
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(repeated)}: stands there twice")
        return names

    @field_validator("promoter_minimum")
    @classmethod
    def _is_no_passive(cls, minimum: int, others: ValidationInfo) -> int:
        if minimum < others.data.get("passive_minimum", 0):
            raise ValueError(f"{minimum} is below passive_minimum, {others.data['passive_minimum']}")
        return minimum


def check_variables(variables: Mapping[str, Any], config_dir: Path) -> None:
    """Check the plain variables.

    Raises:
        ConfigError: one of them is wrong; each line of the message names the file, the key and the fault.
    """
    plain = {name: variables[name] for name in Variables.model_fields}
    checked(variables_file(config_dir), plain, Variables)
