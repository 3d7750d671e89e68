"""Models as the SQL that dbt would run, without dbt: for tests that run one thousands of times."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import jinja2
import yaml

from tests.conftest import ROOT

PROJECT = ROOT / "dbt_project"
MACRO = re.compile(r"{%-? macro (\w+)\(.*?{%-? endmacro -?%}", re.DOTALL)


class _Return(Exception):
    """What a macro gives back that is no text."""


def _give_back(value: Any) -> None:
    raise _Return(value)


class _Adapter:
    def __init__(self, macros: Mapping[str, Callable[..., Any]]) -> None:
        self.macros = macros

    def dispatch(self, name: str, _: str) -> Callable[..., Any]:
        return self.macros.get(f"duckdb__{name}") or self.macros[f"default__{name}"]


def model_sql(path: str, variables: Mapping[str, Any], **overrides: str) -> str:
    """The SQL of a model, by its path below models/, over tables named like what it refers to.

    `variables` are those in which the test differs from dbt_project.yml, `overrides` what a macro without arguments is.
    """
    all_variables = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"] | variables
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    macros: dict[str, Callable[..., Any]] = {}
    for file in sorted((PROJECT / "macros").glob("*.sql")):
        for found in MACRO.finditer(file.read_text()):
            macros[found[1]] = _callable(environment, found[1], found[0])
    environment.globals.update(macros)
    environment.globals.update({name: lambda text=text: text for name, text in overrides.items()})
    environment.globals.update({"return": _give_back, "var": all_variables.__getitem__, "ref": lambda name: name})
    environment.globals["adapter"] = _Adapter(macros)
    return environment.from_string((PROJECT / "models" / path).read_text()).render()


def _callable(environment: jinja2.Environment, name: str, code: str) -> Callable[..., Any]:
    template = environment.from_string(code)

    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return getattr(template.module, name)(*arguments, **named)
        except _Return as given:
            return given.args[0]

    return call
