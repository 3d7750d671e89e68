"""The metrics layer: MetricFlow and the period mart, asked the same question, give the same numbers."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from dbt_metricflow.cli.cli_configuration import CLIConfiguration
from metricflow.engine.metricflow_engine import MetricFlowQueryRequest
from metricflow.validation.data_warehouse_model_validator import DataWarehouseModelValidator
from metricflow_semantic_interfaces.protocols.semantic_manifest import SemanticManifest
from metricflow_semantic_interfaces.validations.semantic_manifest_validator import SemanticManifestValidator

from orchestration.__main__ import main, without_tables
from orchestration.settings import DBT_PROJECT_DIR, read_yaml
from tests.conftest import ROOT, Pipeline

VARIABLES = read_yaml(DBT_PROJECT_DIR / "dbt_project.yml")["vars"]
SEGMENTS = ["all", *(segment["name"] for segment in VARIABLES["segments"])]
# The grain of the mart and MetricFlow's name for it; quarters and years of the calendar are the fiscal ones here.
GRAINS = [
    ("day", "day"),
    ("week", "week"),
    ("month", "month"),
    ("quarter", "fiscal_quarter"),
    ("year", "fiscal_year"),
    *([("quarter", "quarter"), ("year", "year")] if VARIABLES["fiscal_year_start_month"] == 1 else []),
]
METRICS = {
    "nps",
    "controllable_nps",
    "responses",
    "promoters",
    "passives",
    "detractors",
    "promoter_share",
    "detractor_share",
    "invitations",
    "delivered_invitations",
    "answered_invitations",
    "response_rate",
}
SAVED_QUERIES = {
    "nps_by_survey_type_and_month": ("month", ["nps", "promoter_share", "detractor_share", "responses"]),
    "response_rate_by_survey_type_and_quarter": (
        "quarter",
        ["invitations", "delivered_invitations", "response_rate"],
    ),
    "nps_and_response_rate_by_survey_type_and_quarter": ("quarter", ["nps", "responses", "response_rate"]),
}
# Measures by the count of macros/counts.sql that they are.
MEASURES = {
    "promoter_count": "promoters",
    "passive_count": "passives",
    "detractor_count": "detractors",
    "invitation_count": "invited",
    "delivered_count": "delivered",
    "answered_count": "answered",
}
# Of one row of the period mart, by the name of the metric.
MART = """
    select survey_type, period_start, segment_value,
        nps, controllable_nps, responses, promoters, passives, detractors,
        promoters / nullif(responses, 0) as promoter_share, detractors / nullif(responses, 0) as detractor_share,
        invited as invitations, delivered as delivered_invitations, answered as answered_invitations, response_rate
    from marts.nps_by_segment_period
    where period_grain = ? and segment = ?
"""
MART_COLUMNS = [
    "nps",
    "controllable_nps",
    "responses",
    "promoters",
    "passives",
    "detractors",
    "promoter_share",
    "detractor_share",
    "invitations",
    "delivered_invitations",
    "answered_invitations",
    "response_rate",
]
Key = tuple[str, date, str]
Figures = dict[Key, dict[str, Any]]


@pytest.fixture(scope="module")
def metricflow(sample: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CLIConfiguration]:
    """What the `mf` command works with, in this process and over a copy of the warehouse.

    `mf` knows no target folder but target/ of its project, so it gets a project of its own that holds nothing else.
    """
    project = tmp_path_factory.mktemp("metricflow")
    (project / "target").mkdir()
    (project / "dbt_project.yml").write_text("name: nps\nprofile: nps\n", encoding="utf-8")
    shutil.copy(sample.data / "dbt" / "semantic_manifest.json", project / "target")
    # Relations are named after the file, so the copy keeps its name.
    warehouse = shutil.copy(sample.warehouse, project / sample.warehouse.name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NPS_WAREHOUSE", str(warehouse))
        patch.setenv("DBT_ENV_SECRET_CONTACT_SALT", "the figures do not depend on it")
        patch.setenv("DBT_TARGET_PATH", str(project / "target"))
        patch.setenv("DBT_LOG_PATH", str(project / "logs"))
        patch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
        configuration = CLIConfiguration()
        configuration.setup(dbt_profiles_path=DBT_PROJECT_DIR, dbt_project_path=project, configure_file_logging=False)
        yield configuration
        configuration.dbt_artifacts.adapter.cleanup_connections()


@pytest.fixture(scope="module")
def manifest(sample: Pipeline) -> dict[str, Any]:
    return semantic_manifest(sample)


def semantic_manifest(pipeline: Pipeline) -> dict[str, Any]:
    """What dbt hands to MetricFlow."""
    content: dict[str, Any] = json.loads((pipeline.data / "dbt" / "semantic_manifest.json").read_text(encoding="utf-8"))
    return content


def ask(metricflow: CLIConfiguration, metrics: Sequence[str], grain: str, dimensions: Sequence[str]) -> Figures:
    """One query: metrics by survey type, period and at most one segment."""
    names = [f"metric_time__{grain}", *dimensions]
    result = metricflow.mf.query(MetricFlowQueryRequest.create(metric_names=metrics, group_by_names=names))
    return figures(result.result_df, *names)


def figures(table: Any, time: str, survey_type: str, segment: str | None = None) -> Figures:
    """The rows of a result by survey type, first day of the period and value of the segment."""
    found: Figures = {}
    for values in table.rows:
        row = dict(zip(table.column_names, values, strict=True))
        start = row.pop(time)
        key = (
            row.pop(survey_type),
            start.date() if isinstance(start, datetime) else start,
            row.pop(segment) if segment else "all",
        )
        assert key not in found
        found[key] = row
    return found


def of_mart(sample: Pipeline, grain: str, segment: str) -> Figures:
    return {row[:3]: dict(zip(MART_COLUMNS, row[3:], strict=True)) for row in sample.query(MART, [grain, segment])}


def dimensions_of(manifest: dict[str, Any], semantic_model: str) -> set[str]:
    found = next(model for model in manifest["semantic_models"] if model["name"] == semantic_model)
    return {dimension["name"] for dimension in found["dimensions"]}


def written_examples() -> list[str]:
    """The arguments of every `make mf ARGS="query ..."` that a person may copy."""
    written = [
        ROOT / "README.md",
        *(ROOT / "docs").glob("*.md"),
        *(DBT_PROJECT_DIR / "models" / "marts").glob("_*.yml"),
    ]
    written += [ROOT / "Makefile", ROOT / "orchestration" / "documentation.py"]
    texts = [path.read_text(encoding="utf-8") for path in written]
    return sorted({found for text in texts for found in re.findall(r'make mf ARGS="query ([^"]+)"', text)})


@pytest.mark.parametrize("arguments", written_examples())
def test_written_examples_run(metricflow: CLIConfiguration, arguments: str) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    for option in ("--metrics", "--group-by", "--order"):
        parser.add_argument(option, type=lambda names: names.split(","))
    asked = parser.parse_args(shlex.split(arguments))
    result = metricflow.mf.query(
        MetricFlowQueryRequest.create(
            metric_names=asked.metrics, group_by_names=asked.group_by, order_by_names=asked.order
        )
    )
    assert set(result.result_df.column_names) == {*asked.metrics, *asked.group_by}
    assert result.result_df.rows


@pytest.mark.parametrize("arguments", ["--metrics nps", "--metrics nps --group-by metric_time__quarter"])
def test_kinds_of_survey_are_not_pooled(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mf", "query", *arguments.split()]) == 1
    assert "are never pooled; add survey__survey_type to --group-by" in capsys.readouterr().out


def test_every_metric_is_in_the_semantic_manifest(manifest: dict[str, Any]) -> None:
    """dbt leaves out without a word what is written in a form it does not read."""
    assert {metric["name"] for metric in manifest["metrics"]} == METRICS
    assert {query["name"] for query in manifest["saved_queries"]} == set(SAVED_QUERIES)
    for metric in manifest["metrics"]:
        assert metric["label"], metric["name"]
        assert "always group or filter by survey_type" in metric["description"], metric["name"]


def test_metrics_of_a_table_that_is_not_published_are_not_known(manifest: dict[str, Any]) -> None:
    def names(semantics: dict[str, Any], kind: str) -> set[str]:
        return {entry["name"] for entry in semantics[kind]}

    known = without_tables(manifest, ["fct_survey_invitations", "dim_account_history"])
    gone = {"invitations", "delivered_invitations", "answered_invitations", "response_rate"}
    assert names(manifest, "metrics") - names(known, "metrics") == gone
    assert names(known, "saved_queries") == {"nps_by_survey_type_and_month"}
    assert without_tables(manifest, []) == manifest


def test_every_segment_is_a_dimension(manifest: dict[str, Any], sample: Pipeline) -> None:
    segments = set(SEGMENTS) - {"all"}
    known_when_asked = {
        segment
        for (segment,) in sample.query("select distinct segment from marts.nps_by_segment_period where invited >= 0")
    }
    assert segments <= dimensions_of(manifest, "responses")
    assert segments & known_when_asked == segments & dimensions_of(manifest, "invitations")
    assert {"survey_type", "category", "is_controllable"} <= dimensions_of(manifest, "responses")


def test_counts_are_those_of_the_marts(manifest: dict[str, Any]) -> None:
    """The sample has no invitation of every outcome, so equal figures alone do not prove equal conditions."""
    macros = (DBT_PROJECT_DIR / "macros" / "counts.sql").read_text(encoding="utf-8")
    conditions = dict(re.findall(r"""'(\w+)': "(.+)",""", macros))
    measures = {
        measure["name"]: measure["expr"] for model in manifest["semantic_models"] for measure in model["measures"]
    }
    for measure, count in MEASURES.items():
        assert measures.pop(measure) == f"case when {conditions[count]} then 1 else 0 end"
    assert measures == {"response_count": "1", "contribution_average": "nps_contribution"}


def test_a_segment_is_one_line_of_configuration(tmp_path: Path) -> None:
    """One known of those who answered is a dimension of the answers; one known when asked, of the invitations too."""
    config = tmp_path / "config"
    (config / "sources").mkdir(parents=True)
    (config / "sources" / "shop.yml").write_text(
        "source: shop\nkind: file\nanswers:\n  {files: answers.csv, key: Number, score: Rating, survey: {value: exit},"
        " submitted_at: {column: When, format: iso8601}}\n",
        encoding="utf-8",
    )
    shutil.copytree(ROOT / "seeds" / "reference", config / "seeds" / "reference")
    (config / "vars.yml").write_text(
        "sources: [shop]\nsegments:\n"
        "  - {name: touchpoint, from: survey, column: touchpoint}\n"
        "  - {name: shop, from: answer, column: shop}\n"
        "  - {name: city, from: answer, column: city, asked: true, description: 'City, as known'}\n"
        "  - {name: city_touchpoint, combine: [city, touchpoint]}\n"
        "  - {name: city_shop, combine: [city, shop]}\n",
        encoding="utf-8",
    )
    pipeline = Pipeline(tmp_path / "data", config)
    pipeline.succeed("dbt", "parse")
    parsed = semantic_manifest(pipeline)
    of_facts = {"survey_type", "touchpoint", "channel", "language", "response_date", "category", "is_controllable"}
    assert dimensions_of(parsed, "responses") == of_facts | {"shop", "city", "city_touchpoint", "city_shop"}
    of_facts = {"survey_type", "touchpoint", "channel", "sent_date", "outcome"}
    assert dimensions_of(parsed, "invitations") == of_facts | {"city", "city_touchpoint"}


def test_validation_is_clean(metricflow: CLIConfiguration) -> None:
    """All that `mf validate-configs` runs, warnings included."""
    manifest = metricflow.semantic_manifest
    warehouse = DataWarehouseModelValidator(sql_client=metricflow.sql_client)
    results = [
        SemanticManifestValidator[SemanticManifest]().validate_semantic_manifest(manifest),
        warehouse.validate_semantic_models(manifest),
        warehouse.validate_dimensions(manifest),
        warehouse.validate_entities(manifest),
        warehouse.validate_simple_metrics(manifest),
        warehouse.validate_metrics(manifest),
    ]
    assert [issue.as_readable_str() for result in results for issue in result.all_issues] == []


@pytest.mark.parametrize("segment", SEGMENTS)
@pytest.mark.parametrize(("grain", "name"), GRAINS)
def test_answers_equal_the_mart(
    metricflow: CLIConfiguration, sample: Pipeline, grain: str, name: str, segment: str
) -> None:
    counts = ["responses", "promoters", "passives", "detractors"]
    dimensions = ["response__survey_type", *([] if segment == "all" else [f"response__{segment}"])]
    mart = {key: row for key, row in of_mart(sample, grain, segment).items() if row["responses"]}
    asked = ask(metricflow, ["nps", "controllable_nps", "promoter_share", "detractor_share", *counts], name, dimensions)
    assert {key: [row[count] for count in counts] for key, row in asked.items()} == {
        key: [row[count] for count in counts] for key, row in mart.items()
    }
    for key, row in asked.items():
        expected = mart[key]
        assert float(row["promoter_share"]) == pytest.approx(expected["promoter_share"]), key
        assert float(row["detractor_share"]) == pytest.approx(expected["detractor_share"]), key
        for score in ("nps", "controllable_nps"):
            if expected[score] is not None:  # the mart shows no score of a small cell
                assert float(row[score]) == pytest.approx(float(expected[score]), abs=0.00005001), key
    # Days have too few answers; everything coarser must not pass for want of anything to compare.
    assert grain == "day" or any(row["nps"] is not None for row in mart.values())


@pytest.mark.parametrize("segment", SEGMENTS)
@pytest.mark.parametrize(("grain", "name"), GRAINS)
def test_invitations_equal_the_mart(
    metricflow: CLIConfiguration, manifest: dict[str, Any], sample: Pipeline, grain: str, name: str, segment: str
) -> None:
    counts = ["invitations", "delivered_invitations", "answered_invitations"]
    mart = {key: row for key, row in of_mart(sample, grain, segment).items() if row["invitations"]}
    if segment != "all" and segment not in dimensions_of(manifest, "invitations"):
        assert not mart
        return
    dimensions = ["invitation__survey_type", *([] if segment == "all" else [f"invitation__{segment}"])]
    rows = ask(metricflow, [*counts, "response_rate"], name, dimensions)
    asked = {key: row for key, row in rows.items() if row["invitations"]}  # 0 where all were ineligible
    assert mart
    assert {key: [row[count] for count in counts] for key, row in asked.items()} == {
        key: [row[count] for count in counts] for key, row in mart.items()
    }
    for key, row in asked.items():
        expected = mart[key]["response_rate"]
        assert (row["response_rate"] is None) == (expected is None), key
        if expected is not None:
            assert float(row["response_rate"]) == pytest.approx(float(expected), abs=0.0000005001), key


@pytest.mark.parametrize("query", sorted(SAVED_QUERIES))
def test_saved_query_equals_the_mart(metricflow: CLIConfiguration, sample: Pipeline, query: str) -> None:
    grain, metrics = SAVED_QUERIES[query]
    result = metricflow.mf.query(MetricFlowQueryRequest.create(saved_query_name=query)).result_df
    assert result is not None
    time = next(name for name in result.column_names if name.startswith("metric_time__"))
    survey_type = next(name for name in result.column_names if name.endswith("__survey_type"))
    assert set(result.column_names) == {time, survey_type, *metrics}
    asked = figures(result, time, survey_type)
    assert list(asked) == sorted(asked)
    mart = of_mart(sample, grain, "all")
    assert set(asked) == {key for key, row in mart.items() if any(row[metric] for metric in metrics)}
    for key, row in asked.items():
        for metric in metrics:
            expected = mart[key][metric]
            if metric == "nps" and expected is None:
                continue  # the mart shows no score of a small cell
            found = None if row[metric] is None else float(row[metric])
            assert (found or 0) == pytest.approx(float(expected or 0), abs=0.00005001), (key, metric)
