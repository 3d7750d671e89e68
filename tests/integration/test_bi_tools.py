"""docs/bi-tools.md: what stands there runs and shows the next publication too; the Superset bundle fits the file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from orchestration.settings import ROOT, ConfigError, Settings
from orchestration.superset import BUNDLE, write_bundle
from tests.conftest import Pipeline

PAGE = (ROOT / "docs" / "bi-tools.md").read_text(encoding="utf-8")
SECTIONS = {title: text for title, _, text in (section.partition("\n") for section in PAGE.split("\n## ")[1:])}
RECIPES = {
    title: text.split("```python\n")[1].split("```")[0] for title, text in SECTIONS.items() if "```python\n" in text
}


@pytest.fixture
def served(sample: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sample's published file, where the page says it lies."""
    file = tmp_path / "data" / "serving" / "nps.duckdb"
    file.parent.mkdir(parents=True)
    shutil.copy(sample.serving, file)
    monkeypatch.chdir(tmp_path)
    return file


def plain(answer: Any) -> list[tuple[Any, ...]]:
    """The rows of a list, or of a frame of pandas or polars, with scores as floats."""
    if hasattr(answer, "itertuples"):
        answer = answer.astype(object).where(answer.notna(), None).itertuples(index=False)
    elif hasattr(answer, "rows"):
        answer = answer.rows()
    return sorted(tuple(float(value) if isinstance(value, Decimal) else value for value in row) for row in answer)


def regions(file: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute(f"attach '{file}' as published (read_only)")
        rows = connection.execute(
            "select survey_type, segment_value, nps from published.marts.nps_overall where segment = 'region'"
        ).fetchall()
    return plain(rows)


def test_the_page_has_a_recipe_for_each_tool() -> None:
    assert list(RECIPES) == ["Python", "pandas", "polars", "SQLAlchemy"]


@pytest.mark.parametrize("tool", RECIPES)
def test_a_recipe_shows_each_publication(served: Path, tool: str) -> None:
    names: dict[str, Any] = {}
    exec(RECIPES[tool], names)
    assert plain(names["regions"]) == regions(served) != []

    following = served.with_name("following.duckdb")
    shutil.copy(served, following)
    with duckdb.connect(following) as connection:
        connection.execute("update marts.nps_overall set nps = 12.5")
    following.replace(served)
    query = "select distinct nps from marts.nps_overall"
    assert plain(names["ask"](query)) == [(12.5,)]


def test_the_command_line_opens_the_file(served: Path) -> None:
    command = SECTIONS["DuckDB CLI"].split("```bash\n")[1].split("```")[0]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command.replace("duckdb ", "duckdb -csv ", 1),
        shell=True,
        env=os.environ | {"PATH": path},
        text=True,
        capture_output=True,
        check=True,
    )
    assert len(done.stdout.splitlines()) == len(regions(served)) + 1


@pytest.fixture(scope="module")
def bundle(sample: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The files of the bundle, by path without its outer folder."""
    target = tmp_path_factory.mktemp("bundle") / "superset.zip"
    write_bundle(Settings(config_dir=ROOT, data_dir=sample.data), target, "/srv/nps.duckdb")
    with zipfile.ZipFile(target) as archive:
        return {name.partition("/")[2]: yaml.safe_load(archive.read(name)) for name in archive.namelist()}


def test_the_bundle_holds_together(bundle: dict[str, dict[str, Any]]) -> None:
    """Whatever a chart, a filter or the dashboard refers to is there."""
    kinds = {
        kind: {p: c for p, c in bundle.items() if p.startswith(kind)} for kind in ("databases", "datasets", "charts")
    }
    (database,) = kinds["databases"].values()
    assert database["sqlalchemy_uri"] == "duckdb:////srv/nps.duckdb"
    datasets = {dataset["uuid"]: dataset for dataset in kinds["datasets"].values()}
    assert {dataset["database_uuid"] for dataset in datasets.values()} == {database["uuid"]}
    for path, chart in kinds["charts"].items():
        dataset, params = datasets[chart["dataset_uuid"]], chart["params"]
        columns = {column["column_name"] for column in dataset["columns"]}
        used = {*params.get("all_columns", []), *params.get("groupby", [])}
        used |= {params[key] for key in ("x_axis",) if key in params}
        used |= (
            {condition["subject"] for condition in params["adhoc_filters"]} if params.get("adhoc_filters") else set()
        )
        assert used <= columns, path
        assert set(params.get("metrics", [])) <= {metric["metric_name"] for metric in dataset["metrics"]}, path
        assert params["viz_type"] == chart["viz_type"], path

    dashboard = bundle["dashboards/nps.yaml"]
    places = {name: place for name, place in dashboard["position"].items() if name.startswith("CHART")}
    assert {place["meta"]["uuid"] for place in places.values()} == {chart["uuid"] for chart in kinds["charts"].values()}
    for native_filter in dashboard["metadata"]["native_filter_configuration"]:
        (target,) = native_filter["targets"]
        columns = {column["column_name"] for column in datasets[target["datasetUuid"]]["columns"]}
        assert target["column"]["name"] in columns
        numbers = {place["meta"]["chartId"] for place in places.values()}
        assert set(native_filter["scope"]["excluded"]) < numbers


def test_datasets_have_the_columns_of_the_published_file(bundle: dict[str, dict[str, Any]]) -> None:
    for path, dataset in bundle.items():
        if path.startswith("datasets"):
            assert dataset["columns"], path
            if dataset["schema"] == "marts":
                assert [column["column_name"] for column in dataset["columns"] if not column["description"]] == [], path
    (region,) = [
        column
        for column in bundle["datasets/nps/fct_nps_responses.yaml"]["columns"]
        if column["column_name"] == "region"
    ]
    assert region["type"] == "VARCHAR"


def test_a_metric_never_pools(sample: Pipeline, bundle: dict[str, dict[str, Any]]) -> None:
    """Over all rows of a mart at once, no figure is shown; over the rows of one survey type, that of the answers is."""
    for path in ("nps_by_segment_period", "nps_latest_window", "nps_latest_themes"):
        dataset = bundle[f"datasets/nps/{path}.yaml"]
        source = dataset.get("sql") or "from marts.nps_by_segment_period"
        for metric in dataset["metrics"]:
            assert sample.query(f"select {metric['expression']} from ({source})") == [(None,)], metric["metric_name"]
    (nps, _) = bundle["datasets/nps/fct_nps_responses.yaml"]["metrics"]
    assert sample.query(f"select {nps['expression']} from marts.fct_nps_responses") == [(None,)]
    query = f"select survey_type, round({nps['expression']}, 4) from marts.fct_nps_responses group by all order by all"
    overall = "select survey_type, nps from marts.nps_overall where segment = 'all' order by all"
    assert plain(sample.query(query)) == plain(sample.query(overall))


def test_a_bundle_needs_what_it_asks_for(sample: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="nothing is published yet"):
        write_bundle(Settings(config_dir=ROOT, data_dir=tmp_path), tmp_path / "superset.zip")
    edited = tmp_path / "edited"
    shutil.copytree(BUNDLE, edited)
    dataset = edited / "datasets" / "nps" / "publication.yaml"
    dataset.write_text(dataset.read_text().replace("table_name: publication", "table_name: publications"))
    monkeypatch.setattr("orchestration.superset.BUNDLE", edited)
    with pytest.raises(ConfigError, match=r"publication\.yaml: .*publications"):
        write_bundle(Settings(config_dir=ROOT, data_dir=sample.data), tmp_path / "superset.zip")
    assert not (tmp_path / "superset.zip").exists()


def test_a_calculated_column_stays(sample: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edited = tmp_path / "edited"
    shutil.copytree(BUNDLE, edited)
    dataset = edited / "datasets" / "nps" / "publication.yaml"
    own = [
        {"column_name": "day", "expression": "cast(published_at as date)"},
        {"column_name": "run_id", "verbose_name": "Run"},
    ]
    dataset.write_text(dataset.read_text().replace("columns: []", f"columns: {own}"))
    monkeypatch.setattr("orchestration.superset.BUNDLE", edited)
    write_bundle(Settings(config_dir=ROOT, data_dir=sample.data), tmp_path / "superset.zip")
    with zipfile.ZipFile(tmp_path / "superset.zip") as archive:
        columns = yaml.safe_load(archive.read("nps/datasets/nps/publication.yaml"))["columns"]
    assert columns[-1] == own[0]
    (run,) = [column for column in columns if column["column_name"] == "run_id"]
    assert (run["verbose_name"], run["type"]) == ("Run", "VARCHAR")
