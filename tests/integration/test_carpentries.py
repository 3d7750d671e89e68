"""The real survey of examples/carpentries; its data is not in the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import ROOT, Pipeline

DATA = Path(os.environ.get("NPS_CARPENTRIES_DIR") or ROOT.parent / "shared" / "data" / "carpentries")

pytestmark = pytest.mark.skipif(
    not (DATA / "instructor_training_post.csv").exists(),
    reason="needs the Carpentries survey: set NPS_CARPENTRIES_DIR to the folder with its two csv files",
)


@pytest.fixture(scope="module")
def carpentries(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    base = Pipeline(tmp_path_factory.mktemp("carpentries"))
    base.succeed("example", "carpentries", str(DATA))
    return Pipeline(base.data / "examples" / "carpentries")


def test_the_published_score_is_the_one_counted_by_hand(carpentries: Pipeline) -> None:
    (row,) = carpentries.query(
        """
        select responses, detractors, passives, promoters,
            round(nps, 1)::text, round(ci_low, 1)::text, round(ci_high, 1)::text
        from marts.nps_overall where segment = 'all'
        """
    )
    assert row == (889, 71, 317, 501, "48.4", "44.0", "52.4")


def test_unscored_rows_are_decisions_not_losses(carpentries: Pipeline) -> None:
    assert dict(carpentries.query("select decision, count(*) from marts.response_eligibility group by all")) == {
        "counted": 889,
        "missing_score": 78,
    }


def test_attendance_gives_a_response_rate(carpentries: Pipeline) -> None:
    (row,) = carpentries.query(
        "select invited, answered, response_rate::double from marts.nps_overall where segment = 'all'"
    )
    invited, answered, rate = row
    assert 0 < answered < invited
    assert rate == pytest.approx(answered / invited, abs=1e-6)
    # Never more answers than people who attended, at any event.
    assert (
        carpentries.query(
            """
        select account_id from marts.fct_survey_invitations
        group by account_id having count(*) filter (where outcome = 'answered') > count(*)
        """
        )
        == []
    )
