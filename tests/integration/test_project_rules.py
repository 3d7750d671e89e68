"""The rules of CONTRIBUTING.md over the dbt manifest: names, layers, contracts, descriptions, keys, portability."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.served_file import KEYED
from tests.conftest import ROOT, Pipeline
from tests.models import template_sql

MODELS = ROOT / "dbt_project" / "models"
Nodes = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def manifest(sample: Pipeline) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((sample.data / "dbt" / "manifest.json").read_text())
    return content


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> Nodes:
    return {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}


def layer(node: dict[str, Any]) -> str:
    return str(node["fqn"][1])


def test_names_follow_the_layer(models: Nodes) -> None:
    patterns = {
        "staging": r"stg_[a-z]+__[a-z_]+",
        "intermediate": r"int_[a-z_]+",
        "marts": r"(fct|dim|nps|response|customer|detractor|recovery|promoter|contact|metrics)_[a-z_]+",
        "quality": r"quality_[a-z_]+",
    }
    assert [name for name, node in models.items() if not re.fullmatch(patterns[layer(node)], name)] == []
    for name, node in models.items():
        if layer(node) == "staging":
            assert node["fqn"][2] == name.removeprefix("stg_").split("__")[0], f"{name} lies in another source's folder"


def test_a_source_that_is_off_has_no_models(models: Nodes, manifest: dict[str, Any]) -> None:
    staged = {node["fqn"][2] for node in models.values() if layer(node) == "staging"}
    assert staged == {"delighted", "salesforce", "lake"}
    assert {source["source_name"] for source in manifest["sources"].values()} == staged


def test_every_source_has_its_file_and_its_folder() -> None:
    folders = {path.name for path in (MODELS / "staging").iterdir()} - {"files", "lake"}
    assert folders == {path.stem for path in (ROOT / "sources").glob("*.yml")}
    for folder in folders:
        for path in (MODELS / "staging" / folder).glob("*.sql"):
            assert path.read_text().startswith("-- Grain: "), f"{path.name}: the first line is not its grain"
            assert f"'{folder}' in var('sources')" in path.with_suffix(".yml").read_text(), f"{path.name}: always on"


def test_layers_only_look_down(models: Nodes, manifest: dict[str, Any]) -> None:
    """Sources are read by staging alone (and by quality, which shows raw rows); staging by no mart but the register."""
    allowed = {
        "staging": {"source"},
        "intermediate": {"seed", "staging", "intermediate", "marts"},
        "marts": {"seed", "intermediate", "marts"},
        "quality": {"source", "seed", "staging", "intermediate", "marts", "quality"},
    }
    exceptions = {
        # The log of what was published, as it was written.
        ("nps_restatements", "stg_lake__published_changes"),
        ("nps_restatements", "stg_lake__published_numbers"),
        ("dim_owners", "stg_salesforce__users"),  # nothing lies between: owners need no matching
    }
    wrong = []
    for name, node in models.items():
        for parent_id in node["depends_on"]["nodes"]:
            kind, _, parent = parent_id.split(".", 2)
            above = layer(models[parent]) if kind == "model" else kind
            if above not in allowed[layer(node)] and (name, parent) not in exceptions:
                wrong.append((name, parent))
    assert wrong == []


def test_each_model_says_its_grain_first_and_has_its_own_yml(models: Nodes) -> None:
    for name, node in models.items():
        path = ROOT / "dbt_project" / node["original_file_path"]
        assert path.read_text().startswith("-- Grain: "), f"{name}: the first line is not its grain"
        assert path.with_suffix(".yml").exists(), f"{name}: no yml beside it"
        assert re.match(r"(One|.*\bone) row per ", node["description"]), f"{name}: what is one row?"


def test_published_models_keep_their_contract(models: Nodes) -> None:
    for name, node in models.items():
        if layer(node) in ("marts", "quality"):
            assert node["config"]["contract"]["enforced"], name
            assert node["config"]["group"], name
            assert node["config"]["meta"].get("example"), f"{name}: no example of a query"
            for column in node["columns"].values():
                assert column["data_type"], f"{name}.{column['name']} has no type"
                assert column["description"], f"{name}.{column['name']} has no description"


def test_descriptions_are_not_cut_at_a_comma() -> None:
    """`{description: Of these, delivered}` is YAML for a description `Of these` and a key `delivered` of no value."""
    for path in MODELS.rglob("*.yml"):
        for line in path.read_text().splitlines():
            found = re.search(
                r"""\{name: .*description: (?!["'])([^,}]*), (?!data_tests:|config:|constraints:)""", line
            )
            assert not found, f"{path.name}: quote the description that begins {found and found[1]!r}"


def test_published_and_intermediate_models_have_a_tested_key(models: Nodes, manifest: dict[str, Any]) -> None:
    keyed = {
        node["attached_node"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        and (node.get("test_metadata") or {}).get("name") in ("unique", "unique_combination")
    }
    # Rows of these have no key: a check may judge one table twice, a line may be rejected for two reasons.
    keyless = {"quality_check_results", "quality_quarantine"}
    assert {
        name for name, node in models.items() if layer(node) != "staging" and node["unique_id"] not in keyed
    } == keyless


def test_rules_and_windows_have_a_unit_test(models: Nodes, manifest: dict[str, Any]) -> None:
    tested = {unit_test["model"] for unit_test in manifest["unit_tests"].values()}
    judging = {
        name
        for name, node in models.items()
        if layer(node) != "staging" and re.search(r"\bcase\b|\bover \(|nps_measures", node["raw_code"])
    }
    assert judging - tested == set()


def test_what_is_published_by_difference_is_written_down(models: Nodes) -> None:
    for name, table in KEYED.items():
        for model in table.tracked_by:
            assert table.key in models[model]["config"]["meta"]["tracked"], (
                f"{name}: {model} does not track {table.key}"
            )
        if table.day:
            assert table.day in models[table.tracked_by[0]]["config"]["meta"]["differences"], name


@pytest.mark.parametrize(
    "address", ["me@home.example", "x/?e=me%40home.example", "me&#64;home.example", "me＠home．example"]
)
def test_an_address_is_found_in_every_text_that_is_published(models: Nodes, address: str) -> None:
    published = [node for node in models.values() if layer(node) in ("marts", "quality")]
    path = ROOT / "dbt_project" / "data_tests" / "no_address_is_published.sql"
    query = template_sql(path.read_text(), published_models=published)
    expected = {}
    with duckdb.connect() as connection:
        for node in published:
            texts = [name for name, column in node["columns"].items() if column["data_type"] == "string"]
            addresses = [f"'{address}' as \"{name}\"" for name in texts]
            connection.execute(f"create table {node['name']} as select {', '.join(['null as nothing', *addresses])}")
            expected[node["name"]] = texts
        found = {table: columns.split() for table, columns in connection.execute(query).fetchall()}
        for table in expected:
            connection.execute(f"delete from {table}")
        assert connection.execute(query).fetchall() == []
    assert found == {table: columns for table, columns in expected.items() if columns}
    assert {"handled_by", "ticket_id"} <= set(found["fct_nps_responses"]) and "detail" in found["quality_figures"]


@pytest.mark.parametrize("path", sorted(MODELS.rglob("*.sql")), ids=lambda path: path.stem)
def test_models_are_portable(path: Path) -> None:
    code = re.sub(r"--.*", "", path.read_text())
    for word in ("::", r"\bqualify\b", r"\* exclude", r"\bround\(", r"\bstrptime\b", r"\bepoch\b", r"\bilike\b"):
        assert not re.search(word, code), f"{word} is of one engine"


def test_definitions_and_windows_stand_once() -> None:
    """No threshold of the score or of the evidence is written into a model."""
    for path in MODELS.rglob("*.sql"):
        code = re.sub(r"--.*", "", path.read_text())
        assert not re.search(r"score\w*\s*(>=|>|<|<=)\s*[1-9]", code), path.name
        assert not re.search(r"responses\s*(>=|>|<|<=)\s*[1-9]", code), path.name
