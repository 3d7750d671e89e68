"""Where things lie: every path and environment variable of the project, and nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
DBT_PROJECT_DIR = ROOT / "dbt_project"


# A moment of UTC as a name of files: names sort as the moments do.
STAMP = "%Y%m%dT%H%M%S%fZ"
# What is published of the warehouse.
PUBLISHED_SCHEMAS = ("marts", "quality")
# The targets of dbt_project/profiles.yml that a run builds with.
ENGINES = ("duckdb", "spark")
# A salt that can be guessed is none.
SHORTEST_SALT = 16


def _sql_time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"


def _duckdb_version() -> str:
    """The one that is installed; in Spark's environment, which has none, the one that belongs to it."""
    try:
        return version("duckdb")
    except PackageNotFoundError:
        pins = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
        return next(pin.removeprefix("duckdb==").strip() for pin in pins if pin.startswith("duckdb=="))


class ConfigError(Exception):
    """The configuration is wrong; the message names the file and what to change."""


def read_yaml(path: Path) -> dict[str, Any]:
    """Read one YAML mapping.

    Raises:
        ConfigError: the file is missing, is not YAML, is not a mapping, or has a key twice.
    """
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        # YAML lets the last of two equal keys win: who edits the first would wonder why nothing changes.
        if repeated := [f"{path}:{line}: {key}: written twice" for key, line in _repeated_keys(root, (), set())]:
            raise ConfigError("\n".join(repeated))
        content = loader.construct_document(root) if root else None
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (yaml.YAMLError, ValueError) as error:  # also a day that the calendar does not have
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected `name: value` lines, found {type(content).__name__}")
    return content


def _repeated_keys(node: yaml.Node | None, within: tuple[str, ...], seen: set[int]) -> Iterator[tuple[str, int]]:
    """Each key that its mapping has already, with its line; a node that an alias repeats is looked at once."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        keys = set()
        for key, value in node.value:
            place = (*within, str(key.value))
            if place in keys:
                yield ".".join(place), key.start_mark.line + 1
            keys.add(place)
            yield from _repeated_keys(value, place, seen)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _repeated_keys(item, (*within, str(number)), seen)


def _mirror(source: Path, target: Path) -> None:
    """Make the files of one folder those of another: what is gone there must not count here any longer.

    Each changes as a whole, and only where it differs: another dbt may be reading it.
    """
    names = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    for name in names:
        content, copy = (source / name).read_bytes(), target / name
        if not copy.exists() or copy.read_bytes() != content:
            copy.parent.mkdir(parents=True, exist_ok=True)
            draft = copy.with_name(f".{copy.name}.{os.getpid()}")
            draft.write_bytes(content)
            draft.replace(copy)
    for path in target.rglob("*"):
        # Hidden is the draft of another process.
        if path.is_file() and not path.name.startswith(".") and path.relative_to(target) not in names:
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Settings:
    """The two folders a run works with; everything else is derived from them.

    `config_dir` has the shape of this repository's root (sources/, seeds/reference/,
    expectations/thresholds.yml and, to override the variables of dbt_project.yml, vars.yml). With `as_known_at` (which
    carries its time zone), dbt builds what was known at that moment, into files of its own.
    """

    config_dir: Path
    data_dir: Path
    as_known_at: datetime | None = None

    @classmethod
    def from_env(cls) -> Settings:
        """Take NPS_CONFIG_DIR (default: the repository) and NPS_DATA_DIR (default: data/ in it)."""
        return cls(
            config_dir=Path(os.environ.get("NPS_CONFIG_DIR") or ROOT).resolve(),
            data_dir=Path(os.environ.get("NPS_DATA_DIR") or ROOT / "data").resolve(),
        )

    @property
    def landing(self) -> Path:
        """Files as the vendors delivered them; never changed."""
        return self.data_dir / "landing"

    @property
    def lake(self) -> Path:
        """The append-only log of loads, publications and check results: the only state that cannot be rebuilt."""
        return self.data_dir / "lake"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file dbt builds; a cache of the lake."""
        if self.as_known_at:
            return self.data_dir / "as_known" / f"{self.as_known_at.astimezone(UTC):{STAMP}}.duckdb"
        return self.data_dir / "warehouse.duckdb"

    @property
    def serving(self) -> Path:
        """The published file."""
        return self.data_dir / "serving" / "nps.duckdb"

    def published_file(self) -> Path:
        """The published file, for who needs one.

        Raises:
            ConfigError: nothing is published.
        """
        if not self.serving.exists():
            raise ConfigError(f"{self.serving}: nothing is published yet; run the pipeline first")
        return self.serving

    @property
    def previous_publications(self) -> Path:
        """The files published before, <publication id>.duckdb; `publications_kept` says how many."""
        return self.serving.parent / "previous"

    @property
    def exports(self) -> Path:
        """Files made for others."""
        return self.data_dir / "exports"

    @property
    def check_results(self) -> Path:
        """One Parquet file per run and suite: the history of quality_check_results."""
        return self.lake / "quality" / "check_results"

    @property
    def data_docs(self) -> Path:
        """The quality report as HTML."""
        return self.data_dir / "docs" / "quality"

    @property
    def site(self) -> Path:
        """The documentation as HTML."""
        return self.data_dir / "docs" / "site"

    @property
    def dbt_target(self) -> Path:
        """Where dbt writes its manifest, results and logs."""
        return self.data_dir / ("as_known/dbt" if self.as_known_at else "dbt")

    @property
    def engine(self) -> str:
        """The target of dbt that a run builds with: NPS_TARGET, else duckdb.

        Raises:
            ConfigError: there is no such target.
        """
        engine = os.environ.get("NPS_TARGET") or ENGINES[0]
        if engine not in ENGINES:
            raise ConfigError(f"NPS_TARGET: {engine!r}: choose one of {', '.join(ENGINES)}")
        return engine

    @property
    def spark(self) -> Path:
        """What a build on Spark works with; all of it is made anew."""
        return self.data_dir / "spark"

    @property
    def postgres(self) -> Path:
        """What dbt writes of a build on PostgreSQL: its manifest, results and logs."""
        return self.data_dir / "postgres"

    @property
    def spark_python(self) -> Path:
        """The Python of the environment that has Spark; NPS_SPARK names its folder of programs."""
        return Path(os.environ.get("NPS_SPARK") or ROOT / ".spark" / "bin").absolute() / "python"

    @property
    def spark_tables(self) -> Path:
        """The tables that Spark built, <schema>/<table>/*.parquet."""
        return self.spark / "tables"

    @property
    def extract_state(self) -> Path:
        """How far each vendor's API has been read; without it, everything is asked for again."""
        return self.data_dir / "extract"

    @property
    def dlt(self) -> Path:
        """Where dlt would write its working files."""
        return self.data_dir / "dlt"

    @property
    def dagster_home(self) -> Path:
        """Where Dagster keeps the history of runs."""
        return self.data_dir / "dagster"

    @property
    def thresholds(self) -> Path:
        """The one file a data steward edits; the repository's own where the configuration has none."""
        own = self.config_dir / "expectations" / "thresholds.yml"
        return own if own.exists() else ROOT / "expectations" / "thresholds.yml"

    @cached_property
    def overrides(self) -> dict[str, Any]:
        """What vars.yml of the configuration says; nothing without it."""
        path = self.config_dir / "vars.yml"
        return read_yaml(path) if path.exists() else {}

    @cached_property
    def variables(self) -> dict[str, Any]:
        """The dbt variables: those of dbt_project.yml, overridden by vars.yml, and as_of by NPS_AS_OF.

        Raises:
            ConfigError: one is unknown, or a plain one is wrong; those that have parts are checked where they are read.
        """
        from orchestration.variables import check_variables  # noqa: PLC0415  (their shapes are made of what is here)

        variables: dict[str, Any] = read_yaml(DBT_PROJECT_DIR / "dbt_project.yml")["vars"]
        override = self.config_dir / "vars.yml"
        if unknown := sorted(self.overrides.keys() - variables.keys()):
            raise ConfigError(
                f"{override}: unknown variable(s) {', '.join(unknown)}; dbt_project/dbt_project.yml lists them all"
            )
        variables = variables | self.overrides
        check_variables(variables, self.config_dir)
        if variables["as_known_at"]:
            raise ConfigError(f"{override}: as_known_at is not for the configuration; use make as-known AT=<moment>")
        if self.as_known_at:
            variables["as_known_at"] = _sql_time(self.as_known_at)
        if as_of := str(os.environ.get("NPS_AS_OF") or variables["as_of"]):
            try:
                moment = datetime.fromisoformat(as_of)
            except ValueError:
                raise ConfigError(f"as_of: {as_of!r}: give a day or time like 2025-07-01 09:00") from None
            variables["as_of"] = _sql_time(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        return variables

    @property
    def moment(self) -> datetime:
        """The moment as of which cases stand, in UTC without a zone: the variable as_of, else now."""
        as_of = self.variables["as_of"]
        return datetime.fromisoformat(as_of) if as_of else datetime.now(UTC).replace(tzinfo=None)

    @cached_property
    def contact_salt(self) -> str:
        """The secret that keys of persons are hashed with: NPS_CONTACT_SALT, else one made once for the data folder.

        Without it, whoever has a list of addresses finds their hashes. It is never logged and never published, and goes
        with the lake: with another salt every person has another key.

        Raises:
            ConfigError: NPS_CONTACT_SALT is too short.
        """
        if salt := os.environ.get("NPS_CONTACT_SALT"):
            if len(salt) < SHORTEST_SALT:
                raise ConfigError(f"NPS_CONTACT_SALT: give at least {SHORTEST_SALT} characters, or unset it")
            return salt
        file = self.data_dir / "contact_salt"
        if not file.exists():
            self.data_dir.mkdir(parents=True, exist_ok=True)
            draft = file.with_name(f".{file.name}.{os.getpid()}")
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_hex(32), encoding="ascii")
            with contextlib.suppress(FileExistsError):  # of two runs that start together, the first one's counts
                os.link(draft, file)
            draft.unlink()
        return file.read_text(encoding="ascii")

    def dbt_seed_path(self) -> str:
        """The reference CSVs as dbt may be told of them: relative to the dbt project.

        dbt writes each compiled seed to <target>/run/nps/<path of the seed>: an absolute path would make it
        overwrite the CSV itself. A configuration outside the repository is therefore copied into the project.
        """
        reference = self.config_dir / "seeds" / "reference"
        if not reference.is_dir():
            raise ConfigError(f"{reference}: no such folder; copy seeds/reference and edit it")
        if not reference.is_relative_to(ROOT):
            name = hashlib.sha256(str(self.config_dir).encode()).hexdigest()[:12]
            copy = DBT_PROJECT_DIR / ".reference" / name
            _mirror(reference, copy)
            reference = copy
        return os.path.relpath(reference, DBT_PROJECT_DIR)

    def definition(self) -> str:
        """Hash of all that turns loads into figures, but for the exclusions: those the models take in as they come.

        Incremental models are built in full when it has changed, and tested so. It is the same at every `as_known_at`
        and `as_of`.
        """
        files = [DBT_PROJECT_DIR / "dbt_project.yml"]
        folders = [DBT_PROJECT_DIR / name for name in ("models", "macros", "data_tests")]
        for folder in (*folders, self.config_dir / "sources"):
            files += sorted(path for path in folder.rglob("*") if path.suffix in {".sql", ".yml"})
        files += sorted((self.config_dir / "seeds" / "reference").glob("*.csv"))
        variables = self.variables | {"as_known_at": None, "as_of": None}
        digest = hashlib.sha256(json.dumps(variables, sort_keys=True, default=str).encode())
        digest.update(hashlib.sha256(self.contact_salt.encode()).digest())
        digest.update(_duckdb_version().encode())  # another one hashes otherwise, and rows are found by hashes of keys
        for file in files:
            if file.name != "exclusions.csv":
                digest.update(file.name.encode() + b"\0" + file.read_bytes())
        return digest.hexdigest()[:16]

    def environment(self) -> dict[str, str]:
        """The environment that dbt and Dagster processes need to find this run's files."""
        return {
            "NPS_CONFIG_DIR": str(self.config_dir),
            "NPS_DATA_DIR": str(self.data_dir),
            "NPS_LAKE": str(self.lake),
            "NPS_TARGET": self.engine,
            "NPS_DEFINITION": self.definition(),
            # dbt keeps variables of this name out of its logs and files, and out of everything but the profile.
            "DBT_ENV_SECRET_CONTACT_SALT": self.contact_salt,
            "NPS_WAREHOUSE": str(self.warehouse),
            "NPS_REFERENCE_DIR": self.dbt_seed_path(),
            # As dbt's variables they would have it parse the whole project again whenever the day moves on.
            "NPS_BUILD_AS_OF": self.variables["as_of"],
            "NPS_BUILD_AS_KNOWN_AT": self.variables["as_known_at"],
            "DBT_PROJECT_DIR": str(DBT_PROJECT_DIR),
            "DBT_PROFILES_DIR": str(DBT_PROJECT_DIR),
            "DBT_TARGET_PATH": str(self.dbt_target),
            "DBT_LOG_PATH": str(self.dbt_target / "logs"),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DAGSTER_HOME": str(self.dagster_home),
            "GX_ANALYTICS_ENABLED": "false",
        }
