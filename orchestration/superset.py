"""The import bundle for Apache Superset: the YAML of bi/superset/ with the columns that the published file has.

Columns, types and descriptions stand in the contracts of the marts and nowhere else; what a dataset's file lists of a
column (a label, a calculated column) stays as it is.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import duckdb
import yaml

from orchestration.export import draft_of, finish
from orchestration.settings import ROOT, ConfigError, Settings, read_yaml

BUNDLE = ROOT / "bi" / "superset"


def write_bundle(settings: Settings, target: Path, served_at: str | None = None) -> None:
    """Write the bundle as a zip file that Superset imports.

    Args:
        settings: where the published file lies; its columns are what the datasets get.
        target: the zip file.
        served_at: the path of the published file where Superset runs, when it is another one there.

    Raises:
        ConfigError: nothing is published, or a dataset asks for what the published file does not have.
    """
    served = settings.published_file()
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        duckdb.connect(served, read_only=True) as published,
        zipfile.ZipFile(draft_of(target), "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for path in sorted(BUNDLE.rglob("*.yaml")):
            content = read_yaml(path)
            if "sqlalchemy_uri" in content:
                content["sqlalchemy_uri"] = f"duckdb:///{served_at or served}"
            if "columns" in content:
                content["columns"] = _columns(published, content, path)
            text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
            # Superset expects a folder around it all. Without the time of now, the same bundle is the same file.
            archive.writestr(zipfile.ZipInfo(f"nps/{path.relative_to(BUNDLE).as_posix()}"), text)
    finish(target)


def _columns(published: duckdb.DuckDBPyConnection, dataset: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    """The columns of a dataset, which is a table or a query, in their order."""
    query = dataset.get("sql") or f"from {dataset['schema']}.{dataset['table_name']}"
    try:
        types = published.execute(f"select column_name, column_type from (describe {query})").fetchall()
        tables = [name.replace('"', "") for name in published.get_table_names(query, qualified=True)]
    except duckdb.Error as error:
        raise ConfigError(f"{path}: {error}") from None
    comments = dict(
        published.execute(
            "select column_name, comment from duckdb_columns() where schema_name || '.' || table_name in $tables",
            {"tables": tables},
        ).fetchall()
    )
    listed = {column["column_name"]: column for column in dataset["columns"]}
    columns = [
        {
            "column_name": name,
            "type": data_type,
            "is_dttm": data_type.startswith(("DATE", "TIMESTAMP")),
            "groupby": True,
            "filterable": True,
            "description": comments.get(name),
        }
        | listed.pop(name, {})
        for name, data_type in types
    ]
    return columns + list(listed.values())
