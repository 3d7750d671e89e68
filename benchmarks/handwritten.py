"""Runs handwritten.sql into a new database, alone in its process so that its memory can be measured.

Imports nothing of the project: what Dagster weighs is not the script's doing.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import duckdb
import yaml

HERE = Path(__file__).resolve().parent
PROFILES = HERE.parent / "dbt_project" / "profiles.yml"
REFERENCE = HERE.parent / "seeds" / "reference"


def main(lake: str, database: str) -> None:
    """Build the published tables, with the settings of the dbt profile; print the seconds of each statement."""
    settings = yaml.safe_load(PROFILES.read_text())["nps"]["outputs"]["duckdb"].get("settings", {})
    with duckdb.connect(database) as connection:
        for name, value in settings.items():
            if name != "variable contact_salt":  # a template there
                connection.execute(f"set {name} = '{value}'")
        connection.execute("set variable contact_salt = ?", [os.environ["DBT_ENV_SECRET_CONTACT_SALT"]])
        connection.execute("set variable lake = ?", [lake])
        connection.execute("set variable reference = ?", [str(REFERENCE)])
        for statement in connection.extract_statements((HERE / "handwritten.sql").read_text()):
            started = time.monotonic()
            connection.execute(statement)
            print(f"{time.monotonic() - started:8.2f} s  {first_line(statement.query)}")


def first_line(statement: str) -> str:
    """The first line of a statement that is no comment."""
    return next((line for line in statement.strip().splitlines() if line and not line.startswith("--")), "")


if __name__ == "__main__":
    main(*sys.argv[1:])
