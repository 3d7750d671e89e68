"""Every model, as compiled for DuckDB, can be written for Spark, Snowflake, BigQuery and PostgreSQL."""

from __future__ import annotations

import re

import pytest
import sqlglot

from tests.conftest import Pipeline

DIALECTS = ("spark", "snowflake", "bigquery", "postgres")
# What macros/engine.sql writes for DuckDB and will write otherwise for another engine.
JSON_PATHS = "Unsupported JSONPathPart type JSONPathWildcard"  # json_texts_at
OF_ENGINE_MACROS = {
    "snowflake": (JSON_PATHS,),
    "postgres": (JSON_PATHS,),
    "bigquery": (
        JSON_PATHS,
        "Argument 'modifiers' is not supported for expression 'RegexpReplace'",  # replace_matches
        "'NULLS LAST' translation not supported",  # the default order, which sqlglot makes explicit
    ),
}


def compiled_models(pipeline: Pipeline) -> dict[str, str]:
    """Every model as dbt compiled it in a run."""
    folder = pipeline.data / "dbt" / "compiled" / "nps" / "models"
    return {path.stem: path.read_text() for path in sorted(folder.rglob("*.sql")) if ".yml" not in str(path)}


def untranslatable(models: dict[str, str], dialect: str) -> dict[str, str]:
    """The models that cannot be written for another engine, with the fault."""
    faults = {}
    for name, sql in models.items():
        # Where the lake lies is a matter of the source, not of the model.
        code = re.sub(r"read_(parquet|json)\('[^()]*?\)", "lake_table", sql)
        try:
            written = sqlglot.transpile(code, read="duckdb", write=dialect, unsupported_level=sqlglot.ErrorLevel.RAISE)[
                0
            ]
        except sqlglot.errors.UnsupportedError as error:
            if not any(known in str(error) for known in OF_ENGINE_MACROS.get(dialect, ())):
                faults[name] = str(error)
            continue
        sqlglot.parse_one(written, read=dialect)
    return faults


@pytest.fixture(scope="module")
def compiled(sample: Pipeline) -> dict[str, str]:
    models = compiled_models(sample)
    assert len(models) > 35
    return models


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_model_compiles(compiled: dict[str, str], dialect: str) -> None:
    assert untranslatable(compiled, dialect) == {}
