"""Models and macros as the SQL that dbt would run, without dbt: for tests that run one thousands of times."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import jinja2
import yaml

from tests.conftest import ROOT

FOLDER = ROOT / "dbt_project"
MACRO = re.compile(r"{%-? macro (\w+)\(.*?{%-? endmacro -?%}", re.DOTALL)


class _Return(Exception):
    """What a macro gives back that is no text."""


def _give_back(value: Any) -> None:
    raise _Return(value)


class _Project:
    """The macros, compiled once; what differs from call to call they look up."""

    def __init__(self) -> None:
        self.defaults: dict[str, Any] = yaml.safe_load((FOLDER / "dbt_project.yml").read_text())["vars"]
        self.variables: Mapping[str, Any] = {}
        self.overrides: Mapping[str, Any] = {}
        self.environment = jinja2.Environment(extensions=["jinja2.ext.do"])
        self.macros = {
            found[1]: self._callable(found[1], found[0])
            for file in sorted((FOLDER / "macros").glob("*.sql"))
            for found in MACRO.finditer(file.read_text())
        }
        self.environment.globals.update(self.macros)
        self.environment.globals.update(
            {
                "return": _give_back,
                "ref": lambda name: name,
                "var": lambda name: {**self.defaults, **self.variables}[name],
                "adapter": self,
                "config": lambda **_: "",
                "is_incremental": lambda: False,
                "exceptions": self,
            }
        )

    def dispatch(self, name: str, _: str) -> Callable[..., Any]:
        """DuckDB's form of a macro, as dbt's adapter finds it."""
        return self.macros.get(f"duckdb__{name}") or self.macros[f"default__{name}"]

    def raise_compiler_error(self, message: str) -> None:
        """What a macro refuses."""
        raise RuntimeError(message)

    def _callable(self, name: str, code: str) -> Callable[..., Any]:
        @cache  # compiled when it is first called: most are not
        def compiled() -> Callable[..., Any]:
            macro: Callable[..., Any] = getattr(self.environment.from_string(code).module, name)
            return macro

        def call(*arguments: Any, **named: Any) -> Any:
            if name in self.overrides:
                return self.overrides[name]
            try:
                return compiled()(*arguments, **named)
            except _Return as given:
                return given.args[0]

        return call


_project = cache(_Project)


@cache
def _model(path: str) -> jinja2.Template:
    return _project().environment.from_string((FOLDER / "models" / path).read_text())


def model_sql(path: str, variables: Mapping[str, Any], **overrides: Any) -> str:
    """The SQL of a model, by its path below models/, over tables named like what it refers to.

    `variables` are those in which the test differs from dbt_project.yml, `overrides` what a macro gives instead.
    """
    _project().variables, _project().overrides = variables, overrides
    return _model(path).render()


def template_sql(template: str, variables: Mapping[str, Any] | None = None, **overrides: Any) -> str:
    """The same of any text with macros in it."""
    _project().variables, _project().overrides = variables or {}, overrides
    return _project().environment.from_string(template).render()
