"""A variable of dbt_project.yml that has parts, checked before anything runs."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestration.settings import DBT_PROJECT_DIR, ConfigError, Settings

SurveyType = Literal["relationship", "transactional", "episodic"]


class Strict(BaseModel):
    """A part of a variable: a key that is not declared is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


AnyStrict = TypeVar("AnyStrict", bound=Strict)


def checked_variable(settings: Settings, name: str, shape: type[AnyStrict]) -> AnyStrict:
    """The variable `name`, which must have this shape.

    Raises:
        ConfigError: it has another; each line of the message names the file, the key and the fault.
    """
    try:
        return shape.model_validate(settings.variables[name])
    except ValidationError as error:
        path = settings.config_dir / "vars.yml"
        place = path if path.exists() else DBT_PROJECT_DIR / "dbt_project.yml"
        raise ConfigError("\n".join(f"{place}: {_sentence(name, fault)}" for fault in error.errors())) from None


def _sentence(name: str, fault: Any) -> str:
    key = ".".join(str(part) for part in (name, *fault["loc"]))
    return f"{key}: {'unknown key' if fault['type'] == 'extra_forbidden' else fault['msg']}"
