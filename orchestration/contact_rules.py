"""Whom we may ask, and which promoters for a reference: the variables `contact_rules` and `advocacy`, checked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestration.settings import Settings
from orchestration.strict import Strict, SurveyType, checked_variable

Days = Annotated[int, Field(ge=0)]
DaysBack = Annotated[int, Field(gt=0)]


class AccountRule(Strict):
    """So many invitations to people of one account in so many days."""

    invitations: Annotated[int, Field(gt=0)]
    days: DaysBack


class ContactRules(Strict):
    """The variable `contact_rules`; a survey type without days may ask the day after."""

    days_between: dict[Literal["any"] | SurveyType, Days]
    account: AccountRule
    forgotten_days: dict[SurveyType, DaysBack]


class Advocacy(Strict):
    """The variable `advocacy`."""

    consent: dict[str, str]
    activity_types: list[str]
    answer_days: DaysBack
    days_between: Days


def check_contact_rules(settings: Settings) -> None:
    """Check both variables.

    Raises:
        ConfigError: one of them is wrong; the message names the file, the key and the fault.
    """
    checked_variable(settings, "contact_rules", ContactRules)
    checked_variable(settings, "advocacy", Advocacy)
