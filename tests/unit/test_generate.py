"""The sample company: the same every time, shaped like the sources, and true to what it says was planted."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from seeds.generate import SEEDS, generate, main

ROOT = SEEDS.parent
REFERENCE = SEEDS / "reference"

VERSION_COLUMNS = "(_fivetran_start, _fivetran_end, _fivetran_active)"

# The rules of response_eligibility once more, over nothing but the exported files.
DECISIONS = f"""
with delivered as (
    select * exclude (copies), copies
    from (select *, count(*) as copies from read_csv($responses, all_varchar = true) group by all)
),

ranked as (
    select *, row_number() over (partition by id order by cast(updated_at as bigint) desc) as recency
    from delivered
),

judged as (
    select
        ranked.id,
        ranked.person,
        ranked.copies,
        ranked.created_at,
        person_properties ->> '$.survey' as survey,
        try_cast(trim(score) as decimal(9, 4)) as number,
        case
            when recency > 1 then 'superseded'
            when survey_type <> 'nps' then 'not_nps'
            when tags like '%"test"%' then 'test'
            when split_part(lower(trim(people.email)), '@', 2) in (
                select domain from read_csv('{REFERENCE}/staff_domains.csv', header = true)
            ) then 'staff'
            when survey not in (
                select source_survey_id from read_csv('{REFERENCE}/surveys.csv', header = true)
            ) then 'unknown_survey'
            when score is null then 'missing_score'
            when number is null or number <> floor(number) then 'not_integer'
            when number not between 0 and 10 then 'out_of_range'
            when coalesce(cast(ranked.created_at as bigint), 9e9) > 1.8e9 then 'invalid_time'
            when ranked.id in (
                select source_response_id
                from read_csv('{REFERENCE}/exclusions.csv', all_varchar = true, header = true)
                where effect = 'exclude'
            ) then 'excluded_by_steward'
        end as refusal,
    from ranked
    left join read_csv($people, all_varchar = true) as people on people.id = ranked.person
),

followed as (
    select
        *,
        lead(cast(created_at as bigint)) over (
            partition by coalesce(person, id), survey, refusal is null order by cast(created_at as bigint)
        ) - cast(created_at as bigint) as seconds_to_next,
    from judged
)

select coalesce(refusal, if(seconds_to_next <= 86400, 'duplicate', 'counted')), copies from followed
"""


def _decide(folder: Path) -> dict[str, int]:
    """Count the decisions over the rows of an export; all copies of a row but the first are duplicates."""
    decisions: Counter[str] = Counter()
    files = {
        "responses": str(folder / "delighted/survey_responses/*.csv"),
        "people": str(folder / "delighted/people/*.csv"),
    }
    for decision, copies in duckdb.execute(DECISIONS, files).fetchall():
        decisions[decision] += 1
        decisions["duplicate"] += copies - 1
    return dict(decisions)


def _rows(query: str) -> list[tuple[Any, ...]]:
    return duckdb.execute(query).fetchall()


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _nps(categories: dict[str, int]) -> float:
    return 100 * (categories["promoters"] - categories["detractors"]) / sum(categories.values())


def _headers(folder: Path, pattern: str) -> set[tuple[str, ...]]:
    headers = set()
    for path in folder.glob(pattern):
        with path.open(encoding="utf-8", newline="") as file:
            headers.add(tuple(next(csv.reader(file))))
    return headers


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    assert main(["--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def truth(sample: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((sample / "truth.json").read_text(encoding="utf-8"))
    return content


def test_committed_sample_is_what_the_generator_makes(sample: Path) -> None:
    fresh, committed = _files(sample), _files(SEEDS / "raw")
    assert fresh.keys() == committed.keys()
    assert [name for name in fresh if fresh[name] != committed[name]] == []
    assert sum(map(len, committed.values())) < 4_000_000


def test_same_arguments_same_bytes_another_seed_another_company(tmp_path: Path) -> None:
    for name, seed in (("first", 7), ("second", 7), ("other", 8)):
        generate(tmp_path / name, answers=400, seed=seed)
    assert _files(tmp_path / "first") == _files(tmp_path / "second")
    assert _files(tmp_path / "first") != _files(tmp_path / "other")


def test_an_earlier_sample_is_replaced_whole(tmp_path: Path) -> None:
    generate(tmp_path, answers=300, file_format="parquet")
    generate(tmp_path, answers=300)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".csv", ".json"}


@pytest.mark.parametrize("source", ["delighted", "salesforce"])
def test_headers_are_those_of_the_source(sample: Path, source: str) -> None:
    tables = yaml.safe_load((ROOT / "sources" / f"{source}.yml").read_text(encoding="utf-8"))["tables"]
    project = yaml.safe_load((ROOT / "dbt_project" / "dbt_project.yml").read_text(encoding="utf-8"))
    segments = project["vars"]["segments"]
    for table in tables.values():
        headers = _headers(sample, table["files"])
        if not headers and not table.get("is_required", True):
            continue  # a table the sample company does without
        [header] = headers
        configured = {segment["column"] for segment in segments if segment["from"] == table.get("segments_of")}
        if table.get("segments_of") == "contact":
            configured.add(project["vars"]["advocacy"]["consent"][source])
        needed = {*table["columns"], *configured}
        assert needed <= set(header) <= needed | {*table.get("optional_columns", [])}


def test_parquet_holds_the_same_text(sample: Path, tmp_path: Path) -> None:
    generate(tmp_path, file_format="parquet")
    for table in ("delighted/survey_responses", "delighted/survey_requests", "salesforce/account_history"):
        csv_rows = _rows(f"from read_csv('{sample}/{table}/*.csv', all_varchar = true)")
        assert _rows(f"from '{tmp_path}/{table}/*.parquet'") == csv_rows


def test_truth_adds_up_to_the_files(sample: Path, truth: dict[str, Any]) -> None:
    [[rows]] = _rows(f"select count(*) from read_csv('{sample}/delighted/survey_responses/*.csv', all_varchar = true)")
    assert sum(truth["decisions"].values()) == truth["raw_answers"] == rows
    for cut in ("counted_by_survey_type", "counted_by_region", "counted_by_month"):
        assert sum(sum(tally.values()) for tally in truth[cut].values()) == truth["decisions"]["counted"]


def test_truth_is_what_the_rules_say_of_the_files(sample: Path, truth: dict[str, Any]) -> None:
    assert _decide(sample) == truth["decisions"]


@pytest.mark.parametrize("invitations_per_answer", [2, 8])
def test_nobody_repeats_an_answer_by_chance(tmp_path: Path, invitations_per_answer: int) -> None:
    truth = generate(tmp_path, answers=2500, invitations_per_answer=invitations_per_answer, seed=3)
    assert _decide(tmp_path) == truth["decisions"]
    assert truth["raw_answers"] == pytest.approx(2500, rel=0.1)


def test_every_fault_is_in_the_sample(truth: dict[str, Any]) -> None:
    assert set(truth["rows_by_fault"]) == {
        *(
            "csat",
            "delivered again",
            "delivered twice",
            "edited",
            "edited twice",
            "fraction",
            "future",
            "late",
        ),
        *("negative", "no score", "no time", "not applicable", "padded", "staff", "submitted twice", "test"),
        *("too high", "unknown survey", "whole decimal", "word"),
    }
    assert min(truth["rows_by_fault"].values()) >= 2
    assert truth["accounts_with_owner_change"] > 0
    assert truth["accounts_with_segment_change"] > 0
    assert truth["merged_accounts"] > 0
    assert truth["people_not_in_crm"] > 0


def test_the_steward_decides_on_answers_that_exist(sample: Path, truth: dict[str, Any]) -> None:
    [[excluded, outside_control]] = _rows(
        f"""
        select
            count(distinct id) filter (where effect = 'exclude'),
            count(distinct id) filter (where effect = 'outside_control')
        from read_csv('{REFERENCE}/exclusions.csv', all_varchar = true, header = true) as exclusions
        inner join read_csv('{sample}/delighted/survey_responses/*.csv', all_varchar = true) as responses
            on responses.id = exclusions.source_response_id
        """
    )
    assert (excluded, outside_control) == (2, 5)
    assert truth["decisions"]["excluded_by_steward"] == excluded


def test_the_region_dips_and_no_other(truth: dict[str, Any]) -> None:
    dip = truth["dip"]
    assert 35 <= _nps(dip["outside"]) - _nps(dip["inside"]) <= 55
    assert abs(_nps(dip["other_regions_outside"]) - _nps(dip["other_regions_inside"])) < 10


def test_fewer_answer_in_the_low_months(truth: dict[str, Any]) -> None:
    low, usual = Counter[str](), Counter[str]()
    for month, counts in truth["invitations_by_month"].items():
        (low if int(month[-2:]) in truth["low_response_months"] else usual).update(counts)
    assert low["answered"] / low["delivered"] < 0.7 * usual["answered"] / usual["delivered"]


def test_account_is_the_active_version_of_its_history(sample: Path) -> None:
    history = f"read_csv('{sample}/salesforce/account_history/*.csv', all_varchar = true)"
    account = f"read_csv('{sample}/salesforce/account/*.csv', all_varchar = true)"
    active = f"select * exclude {VERSION_COLUMNS} from {history} where _fivetran_active = 'true'"
    assert _rows(f"({active}) except (from {account})") == []
    assert _rows(f"(from {account}) except ({active})") == []
    assert _rows(f"select id from {account} group by id having count(*) > 1") == []


def test_proportions_hold_at_scale(tmp_path: Path, truth: dict[str, Any]) -> None:
    large = generate(tmp_path, answers=20_000)
    assert large["raw_answers"] == pytest.approx(20_000, rel=0.1)
    assert large["accounts"] == 2000
    assert _decide(tmp_path) == large["decisions"]
    for decision in ("counted", "duplicate", "missing_score", "not_nps", "superseded", "staff"):
        share = truth["decisions"][decision] / truth["raw_answers"]
        assert large["decisions"][decision] / large["raw_answers"] == pytest.approx(share, rel=0.25), decision


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--answers", "10"], "--answers must be at least 300"),
        (["--invitations-per-answer", "50"], "--invitations-per-answer must be 2 to 8"),
        (["--seed", "-1"], "--seed must be 0"),
    ],
)
def test_impossible_arguments_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["--out", str(tmp_path / "out"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "delighted").mkdir()
    (tmp_path / "delighted" / "precious.csv").touch()
    assert main(["--out", str(tmp_path)]) == 2
    assert "no truth.json" in capsys.readouterr().err
    assert list(_files(tmp_path)) == ["delighted/precious.csv"]


def test_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["--out", str(tmp_path), "--format", "xlsx"])
    assert refused.value.code == 2
