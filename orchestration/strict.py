"""Configuration of a fixed shape, checked before anything runs: an unknown key is a fault."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestration.settings import DBT_PROJECT_DIR, ConfigError, Settings

SurveyType = Literal["relationship", "transactional", "episodic"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Text = Annotated[str, Field(min_length=1)]


class Strict(BaseModel):
    """A mapping in which an unknown key is an error, so that a typing mistake is not a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# What a place has beside keys: a mark that the key itself is at fault, and the shape that was tried.
TRIED = re.compile(r"\[key\]|str|constrained-str|(literal|list|dict|function-[a-z]+)\[.*\]")
Shape = TypeVar("Shape", bound=BaseModel)


def check_zone(zone: str) -> str:
    """The name of a time zone, as it is.

    Raises:
        ValueError: there is no such zone.
    """
    try:
        ZoneInfo(zone)
    except Exception:
        raise ValueError(f"{zone!r} is not a time zone; write one like Europe/Berlin or UTC") from None
    return zone


def fault_message(fault: Any) -> str:
    """What pydantic found wrong, in words that need no manual."""
    return "unknown key" if fault["type"] == "extra_forbidden" else str(fault["msg"]).removeprefix("Value error, ")


def key_of(place: Iterable[int | str]) -> str:
    """A place as the user wrote it, such as answers.key: pydantic adds which of several shapes it tried."""
    return ".".join(part for part in map(str, place) if not TRIED.fullmatch(part))


def faults_of(error: ValidationError, *within: str) -> dict[str, str]:
    """What pydantic found wrong by the key it is at; `within` is where the whole stands.

    What fits none of several shapes has a fault of each, and one sentence here.
    """
    faults: dict[str, str] = {}
    for fault in error.errors():
        key, message = key_of((*within, *fault["loc"])), fault_message(fault)
        faults[key] = f"{faults[key]} or {message.removeprefix('Input should be ')}" if key in faults else message
    return faults


def variables_file(config_dir: Path) -> Path:
    """Where the variables are looked for first: vars.yml of the configuration, if it has one."""
    path = config_dir / "vars.yml"
    return path if path.exists() else DBT_PROJECT_DIR / "dbt_project.yml"


def checked_variable(settings: Settings, name: str, shape: type[Shape]) -> Shape:
    """The variable `name` of dbt_project.yml, which must have this shape.

    Raises:
        ConfigError: it has another; each line of the message names the file, the key and the fault.
    """
    return checked(variables_file(settings.config_dir), settings.variables[name], shape, name)


def checked(path: Path, content: Any, shape: type[Shape], *within: str) -> Shape:
    """What a file says, at the key `within` or as a whole, which must have this shape.

    Raises:
        ConfigError: it has another; each line of the message names the file, the key and the fault.
    """
    try:
        return shape.model_validate(content)
    except ValidationError as error:
        faults = faults_of(error, *within)
        raise ConfigError("\n".join(f"{path}: {key or 'file'}: {fault}" for key, fault in faults.items())) from None
