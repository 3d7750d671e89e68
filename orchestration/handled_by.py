"""Who handled what an answer is about: the variable `handled_by`, checked."""

from __future__ import annotations

from pydantic import Field

from orchestration.settings import Settings
from orchestration.strict import Strict, Text, checked_variable


class HandledBy(Strict):
    """The whole variable: attributes of the answer by what they name, and the team of each touchpoint."""

    agent: Text | None = None
    ticket: Text | None = None
    team: Text | None = None
    touchpoints: dict[Text, Text] = Field(default_factory=dict)


def check_handled_by(settings: Settings) -> None:
    """Check the variable.

    Raises:
        ConfigError: it is wrong; the message names the file, the key and the fault.
    """
    checked_variable(settings, "handled_by", HandledBy)
