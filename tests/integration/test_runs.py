"""Runs repeated, interrupted, reordered and refused: the published content never depends on the way it came about."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import duckdb
import pytest
import yaml

from tests.conftest import ROOT, Pipeline, unit_tests_passed
from tests.receivers import webhook


@pytest.fixture
def copy_of_sample(sample: Pipeline, tmp_path: Path) -> Pipeline:
    """The sample company in a folder of its own, to do things to."""
    shutil.copytree(sample.data, tmp_path / "data", copy_function=shutil.copy2)
    return Pipeline(tmp_path / "data")


def test_unit_tests_pass_and_the_documentation_is_written(copy_of_sample: Pipeline) -> None:
    assert unit_tests_passed(copy_of_sample) >= 15
    # With the project parsed, dbt writes its documentation in seconds.
    printed = copy_of_sample.succeed("docs")
    site = copy_of_sample.data / "docs" / "site"
    assert str(site / "index.html") in printed
    assert "One row per survey type, period" in (site / "dbt.html").read_text(encoding="utf-8")
    assert 'href="dbt.html"' in (site / "index.html").read_text(encoding="utf-8")


def test_a_second_run_changes_nothing(copy_of_sample: Pipeline) -> None:
    before = copy_of_sample.serving.read_bytes()
    printed = copy_of_sample.succeed("demo")
    assert copy_of_sample.serving.read_bytes() == before
    assert "nothing new" in printed


REPAIRED = "8000002682"  # its score was delivered as "ten"
LIFTED = "8000001088"  # a line of exclusions.csv takes it out
MARKED = ["0015e000000000H", "2024-03-21"]  # an account, and a day it gave several answers on


def steward_acts(pipeline: Pipeline) -> None:
    """A row of the quarantine delivered again, repaired; a line of exclusions.csv taken away, and patterns added."""
    answers = pipeline.landing / "delighted" / "survey_responses"
    [(file, line)] = pipeline.query(
        "select source_file, source_line from quality.quality_quarantine where raw_row like ?", [f'%"{REPAIRED}"%']
    )
    lines = (pipeline.landing / file).read_text(encoding="utf-8").splitlines()
    (answers / "repaired.csv").write_text(f"{lines[0]}\n{lines[line - 1].replace(',ten,', ',10,')}\n", encoding="utf-8")
    exclusions = pipeline.config / "seeds" / "reference" / "exclusions.csv"
    kept = [line for line in exclusions.read_text(encoding="utf-8").splitlines() if LIFTED not in line]
    account, day = MARKED
    kept.append(
        f"delighted,,account,{account},{day},{day},outside_control,lift out of order,head of service,2024-04-02"
    )
    kept.append(",,comment,.*no customer writes this.*,,,exclude,mistyped,head of service,2024-04-02")
    exclusions.write_text("\n".join(kept) + "\n", encoding="utf-8")


def test_a_refused_file_keeps_the_published_one_and_a_repaired_one_moves_nothing_else(
    copy_of_sample: Pipeline, tmp_path: Path
) -> None:
    """A score column of words would pass unnoticed into quarantine row by row; the guard stops the file whole."""
    company = Pipeline(copy_of_sample.data, tmp_path / "config")
    for name in ("sources", "seeds/reference"):
        shutil.copytree(copy_of_sample.config / name, company.config / name)
    before = company.serving.read_bytes()
    answers = company.landing / "delighted" / "survey_responses"
    header = (answers / "2024-01.csv").read_text(encoding="utf-8").splitlines()[0]
    rows = [f'x{n},p{n},nps,very likely,,,1735689600,1735689600,"{{}}",[],[],' for n in range(20)]
    bad = answers / "2025-07.csv"
    bad.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    (answers / "2025-08.csv").write_text("id,score\n", encoding="utf-8")

    done = company("run")
    assert done.returncode == 1
    assert "2025-07.csv" in done.stdout
    assert "score" in done.stdout
    assert "2025-08.csv" in done.stdout
    assert "person" in done.stdout  # one of the columns the second file lacks
    assert "The published file is as it was" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr == ""  # what is said is not pushed off the screen
    assert company.serving.read_bytes() == before

    # Repaired, it is loaded; nothing of the refused try is left behind.
    bad.write_text("\n".join([header, *(row.replace("very likely", "9") for row in rows)]) + "\n", encoding="utf-8")
    (answers / "2025-08.csv").unlink()
    steward_acts(company)
    facts = "from marts.fct_nps_responses order by response_id"
    before_facts = {row[0]: row for row in company.query(facts)}
    outside = "select response_id from marts.fct_nps_responses where not is_controllable"
    outside_before = company.query(outside)
    assert len(outside_before) == 5
    company.succeed("run")
    loaded = company.query(
        """
        select delivered_rows, unknown_survey from quality.quality_reconciliation
        where source_file like '%2025-07.csv'
        """
    )
    assert loaded == [(20, 20)]

    # The steward's answers are counted, or marked; every other row is what it was.
    after_facts = {row[0]: row for row in company.query(facts)}
    assert after_facts.keys() - before_facts.keys() == {f"delighted:{LIFTED}", f"delighted:{REPAIRED}"}
    assert before_facts.keys() <= after_facts.keys()
    moved = {key for key, row in before_facts.items() if after_facts[key] != row}
    marked = company.query(
        "select response_id from marts.fct_nps_responses where account_id = ? and response_date = ?", MARKED
    )
    assert moved == {key for (key,) in marked}
    assert len(moved) == 3
    assert company.query(
        "select decision from marts.response_eligibility where source_response_id = ? order by all", [REPAIRED]
    ) == [("counted",), ("superseded",)]
    assert company.query("select * from quality.quality_quarantine where raw_row like ?", [f"%{REPAIRED}%"]) == []
    assert company.query(
        "select sum(responses - controllable_responses) from marts.nps_overall where segment = 'all'"
    ) == [(len(outside_before) + len(moved),)]

    # Each line shows what it does, and one that does nothing is told.
    assert company.query(
        """
        select field, pattern, reason, responses from quality.quality_exclusions
        where source_response_id is null order by field
        """
    ) == [("account", MARKED[0], "lift out of order", 3), ("comment", None, "mistyped", 0)]
    assert company.query(
        "select effect, sum(responses) from quality.quality_exclusions group by effect order by effect"
    ) == [("exclude", 1), ("outside_control", len(outside_before) + len(moved))]
    assert company.query(
        """
        select severity from quality.quality_check_results
        where expectation like 'exclusions_meet_answers%' and not is_success
        """
    ) == [("warn",)]


def test_dbt_reads_a_lake_that_older_code_filled(copy_of_sample: Pipeline) -> None:
    """What a newer version reads of a vendor is in no file of the lake, and no run has declared it yet."""
    for path in (copy_of_sample.data / "lake" / "raw" / "delighted" / "survey_responses").glob("*/data_0.parquet"):
        older = path.with_suffix(".older")
        rows = f"from read_parquet('{path}', hive_partitioning = false)"
        duckdb.execute(f"copy (select * exclude (_fivetran_deleted) {rows}) to '{older}' (format parquet)")
        older.replace(path)
    copy_of_sample.succeed("dbt", "run", "--select", "stg_delighted__survey_responses")


def test_a_wrong_threshold_is_refused_before_anything_runs(tmp_path: Path) -> None:
    for name in ("sources", "seeds/reference", "expectations"):
        shutil.copytree(ROOT / name, tmp_path / "config" / name)
    thresholds = tmp_path / "config" / "expectations" / "thresholds.yml"
    lines = thresholds.read_text(encoding="utf-8").splitlines()
    thresholds.write_text(
        "\n".join([*lines, "surveys:", "  post-suport:", "    tens_share: { max: 0.5 }"]), encoding="utf-8"
    )

    done = Pipeline(tmp_path / "data", tmp_path / "config")("run")
    assert done.returncode == 1
    assert f"thresholds.yml:{len(lines) + 2}: surveys.post-suport: no such survey" in done.stdout
    assert not list((tmp_path / "data").rglob("*.*"))


def test_a_figure_out_of_its_band_is_not_published_and_told(
    copy_of_sample: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The band is of a configuration that has the README's own segments as well: these are built."""
    config = tmp_path / "config"
    config.mkdir()
    shutil.copy2(copy_of_sample.config / "alerts.yml", config)
    for name in ("sources", "seeds/reference", "expectations"):
        shutil.copytree(copy_of_sample.config / name, config / name)
    thresholds = config / "expectations" / "thresholds.yml"
    text = thresholds.read_text(encoding="utf-8")
    thresholds.write_text(
        f"{text}surveys:\n  post-support:\n    response_rate: {{ min: 0.6, severity: block }}\n", encoding="utf-8"
    )
    variables = yaml.safe_load((ROOT / "dbt_project" / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    added = [yaml.safe_load(line)[0] for line in re.findall(r"- \{name: .*?, description: [^}]*\}", readme)]
    added = [segment for segment in added if segment.get("from") != "answer"]  # which somebody else's tool has
    assert {key for segment in added for key in segment} >= {"from", "combine"}
    (config / "vars.yml").write_text(yaml.safe_dump({"segments": [*variables["segments"], *added]}), encoding="utf-8")
    before = copy_of_sample.serving.read_bytes()

    with webhook() as (address, received):
        monkeypatch.setenv("NPS_ALERTS_STEWARDS", f"json://{address}")
        done = Pipeline(copy_of_sample.data, config)("run")
    assert done.returncode == 1
    assert re.search(r"post-support: response_rate is 2\d\.\d\d%", done.stdout)
    assert "must be 60.0% to 80.0%" in done.stdout
    assert [title for title, _ in received] == ["response rate: post-support: response_rate"]
    assert copy_of_sample.serving.read_bytes() == before
    assert "Traceback" not in done.stdout + done.stderr
    with duckdb.connect(copy_of_sample.warehouse, read_only=True) as connection:
        for segment in added:
            values = connection.execute(f"select distinct {segment['name']} from marts.fct_nps_responses").fetchall()
            assert len(values) > 5, segment
