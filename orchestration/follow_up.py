"""How the closed loop is configured: the variable `follow_up` and holidays.csv, checked before anything runs."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from orchestration.reference_lines import day_faults, missing_faults, read_lines, reference_file, refuse
from orchestration.settings import ConfigError, Settings
from orchestration.strict import Strict, SurveyType, check_zone, checked_variable, variables_file

HOLIDAYS = ("calendar", "holiday_on", "holiday")
# A deadline is a matter of days: the calendars of working hours reach as far as the longest one.
Hours = Annotated[float, Field(gt=0, le=2000)]
Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]


class Calendar(Strict):
    """Working hours: local times of a time zone, on days of the week from 1 (Monday) to 7."""

    time_zone: Annotated[str, AfterValidator(check_zone)]
    opens: Clock
    closes: Clock
    days: Annotated[list[Annotated[int, Field(ge=1, le=7)]], Field(min_length=1)]

    @model_validator(mode="after")
    def _hours_at_least(self) -> Calendar:
        opens, closes = (int(clock[:2]) * 60 + int(clock[3:]) for clock in (self.opens, self.closes))
        if closes - opens < 60:
            raise ValueError("it must close an hour or more after it opens, on the same day")
        return self


class Calendars(Strict):
    """The calendars by the values of a segment; `default` for the rest."""

    segment: str | None = None
    default: Calendar
    values: dict[str, Calendar] = Field(default_factory=dict)


class Deadlines(Strict):
    """The working hours allowed, by the values of a segment; `default` for the rest."""

    segment: str | None = None
    default: Hours
    values: dict[str, Hours] = Field(default_factory=dict)


class FollowUp(Strict):
    """The whole variable."""

    survey_types: list[SurveyType]
    years: Annotated[int, Field(gt=0)]
    hours: Deadlines
    calendars: Calendars
    activity_types: list[str]
    activity_days: Annotated[int, Field(gt=0)]
    desk: Annotated[str, Field(min_length=1)]


def check_follow_up(settings: Settings) -> None:
    """Check the variable and every line of holidays.csv.

    Raises:
        ConfigError: one of them is wrong, or the file is missing; each line of the message names file and fault.
    """
    follow_up = checked_variable(settings, "follow_up", FollowUp)
    segments = [segment["name"] for segment in settings.variables["segments"]]
    # Who has other segments and says nothing of follow_up has the defaults of both its parts.
    if "follow_up" in settings.overrides or "segments" not in settings.overrides:
        for part, segment in (("hours", follow_up.hours.segment), ("calendars", follow_up.calendars.segment)):
            if segment is not None and segment not in segments:
                raise ConfigError(
                    f"{variables_file(settings.config_dir)}: follow_up.{part}.segment: {segment!r} is no segment; "
                    f"there are {', '.join(segments) or 'none'}"
                )
    names = ["default", *follow_up.calendars.values]
    path = reference_file(settings, "holidays.csv")
    rows, faults = read_lines(path, HOLIDAYS)
    for line, row in rows:
        found = [*missing_faults(row, "holiday_on"), *day_faults(row, "holiday_on")]
        if row["calendar"] and row["calendar"] not in names:
            found.append(f"calendar {row['calendar']!r} must be one of {', '.join(names)}, or empty for all of them")
        faults += [(line, fault) for fault in found]
    refuse(path, faults)
