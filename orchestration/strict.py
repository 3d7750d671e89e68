"""Configuration of a fixed shape, checked before anything runs: an unknown key is a fault."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestration.settings import DBT_PROJECT_DIR, ConfigError, Settings

SurveyType = Literal["relationship", "transactional", "episodic"]


class Strict(BaseModel):
    """A mapping in which an unknown key is an error, so that a typing mistake is not a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Shape = TypeVar("Shape", bound=BaseModel)


def fault_message(fault: Any) -> str:
    """What pydantic found wrong, in words that need no manual."""
    return "unknown key" if fault["type"] == "extra_forbidden" else str(fault["msg"])


def checked_variable(settings: Settings, name: str, shape: type[Shape]) -> Shape:
    """The variable `name` of dbt_project.yml, which must have this shape.

    Raises:
        ConfigError: it has another; each line of the message names the file, the key and the fault.
    """
    try:
        return shape.model_validate(settings.variables[name])
    except ValidationError as error:
        path = settings.config_dir / "vars.yml"
        place = path if path.exists() else DBT_PROJECT_DIR / "dbt_project.yml"
        faults = [(".".join(map(str, (name, *fault["loc"]))), fault_message(fault)) for fault in error.errors()]
        raise ConfigError("\n".join(f"{place}: {key}: {message}" for key, message in faults)) from None
