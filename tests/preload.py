"""What tests.commands has ready in each process: the libraries, and what dbt makes of its own classes when first used.

Of this project nothing: its modules may read the environment, which is each command's own.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import dagster
import dagster_dbt
import dbt.adapters.duckdb
import great_expectations
from dbt.cli.main import dbtRunner

LIBRARIES = (dagster, dagster_dbt, dbt.adapters.duckdb, great_expectations)

with TemporaryDirectory() as folder:
    project = Path(folder)
    (project / "dbt_project.yml").write_text("{name: any, profile: any, flags: {send_anonymous_usage_stats: false}}")
    (project / "profiles.yml").write_text("any: {target: any, outputs: {any: {type: duckdb}}}")
    (project / "models").mkdir()
    (project / "models" / "any.sql").write_text("select 1 as one")
    places = ["--project-dir", folder, "--profiles-dir", folder, "--log-path", f"{folder}/logs"]
    for _ in range(2):  # the second time, dbt reads what it wrote
        dbtRunner().invoke(["--quiet", "parse", *places])
