"""What is expected of the data, as Great Expectations suites; how they are run is validation's business.

A `build_*` function turns thresholds into one suite and the query it judges. Every expectation carries in
its meta: severity, owner, threshold and action, so that a result explains itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import great_expectations.expectations as gxe
from great_expectations import ExpectationSuite
from great_expectations.expectations.row_conditions import Column

from expectations.thresholds import EVERY_VALUE, ActionRule, ScopedRule, Severity, Thresholds

COUNTS = ("invited", "delivered", "answered", "responses", "promoters", "passives", "detractors")


@dataclass(frozen=True)
class Check:
    """A suite and the query whose rows it judges.

    With `is_per_row` each row is one judged thing (a file, a figure of a survey), named by its columns table_name
    and item, and gets its own result with its own observed value. A row with a column rule is judged by the expectation
    of that rule alone, and may also have the columns of PLACE, figure and detail.

    With `weight` a row stands for as many rows of table_name as that column says, and what fails is counted in these.

    Otherwise the columns of `key` say which rows failed.
    """

    table_name: str
    query: str
    suite: ExpectationSuite
    is_per_row: bool = False
    weight: str | None = None
    key: tuple[str, ...] = ()


def build_load_check(thresholds: Thresholds) -> Check:
    """Each new file, by its row in the table load_profile that validation writes."""
    loads = thresholds.loads

    def terms(rule: ActionRule, threshold: str) -> dict[str, Any]:
        return _terms(rule.severity, rule.owner or thresholds.owner, threshold, rule.action)

    valid_scores, times, malformed = loads.valid_score_share, loads.time_share, loads.malformed_share
    return Check(
        table_name="load_profile",
        query="select * from load_profile",
        suite=ExpectationSuite(
            name="new files",
            expectations=[
                gxe.ExpectColumnValuesToBeNull(
                    column="missing_columns",
                    **terms(loads.columns, "every declared column is delivered"),
                ),
                gxe.ExpectColumnValuesToBeNull(
                    column="column_changes",
                    **terms(loads.column_changes, "the columns are those of the file before"),
                ),
                gxe.ExpectColumnValuesToBeBetween(
                    column="valid_score_share",
                    min_value=valid_scores.min,
                    **terms(
                        valid_scores,
                        f"at least {valid_scores.min:.1%} of the scores are a whole number from 0 to 10",
                    ),
                ),
                gxe.ExpectColumnValuesToBeBetween(
                    column="time_share",
                    min_value=times.min,
                    **terms(times, f"at least {times.min:.1%} of the rows carry a time"),
                ),
                gxe.ExpectColumnValuesToBeBetween(
                    column="malformed_share",
                    max_value=malformed.max,
                    **terms(malformed, f"at most {malformed.max:.1%} of the lines are malformed"),
                ),
            ],
        ),
        is_per_row=True,
    )


def build_mart_checks(thresholds: Thresholds) -> list[Check]:
    """Every check of the finished warehouse."""
    return [
        build_response_check(thresholds),
        build_segment_check(thresholds),
        build_figure_check(thresholds),
        build_reconciliation_check(thresholds),
    ]


def build_response_check(thresholds: Thresholds) -> Check:
    """Score validity: every counted answer has a score that counts, and a category."""
    rule = thresholds.marts.responses
    return Check(
        table_name="marts.fct_nps_responses",
        # Not the table itself: on Spark the facts may be more than this machine holds.
        query="select score, category, answers from intermediate.int_answer_scores",
        weight="answers",
        suite=ExpectationSuite(
            name="answers",
            expectations=[
                gxe.ExpectColumnSumToBeBetween(
                    column="answers",
                    min_value=rule.min,
                    **_terms(
                        rule.severity,
                        rule.owner or thresholds.owner,
                        f"at least {rule.min} counted answers",
                        rule.action,
                    ),
                ),
                gxe.ExpectColumnValuesToNotBeNull(
                    column="score",
                    **_identity(
                        thresholds,
                        "every counted answer has a score",
                        "Correct response_eligibility: a missing score is its decision missing_score.",
                    ),
                ),
                # A set, not a range: 8.5 lies between 0 and 10.
                gxe.ExpectColumnValuesToBeInSet(
                    column="score",
                    value_set=list(range(11)),
                    **_identity(
                        thresholds,
                        "every score is a whole number from 0 to 10",
                        "Correct response_eligibility: such a score is not_integer or out_of_range.",
                    ),
                ),
                gxe.ExpectColumnValuesToNotBeNull(
                    column="category",
                    **_identity(
                        thresholds,
                        "every counted answer has a category",
                        "Correct the category macro in dbt.",
                    ),
                ),
                gxe.ExpectColumnValuesToBeInSet(
                    column="category",
                    value_set=["promoter", "passive", "detractor"],
                    **_identity(
                        thresholds,
                        "every category is promoter, passive or detractor",
                        "Correct the category macro in dbt.",
                    ),
                ),
            ],
        ),
    )


def build_segment_check(thresholds: Thresholds) -> Check:
    """The period mart: scores on the scale, counts that add up over categories and over segments."""
    rule = thresholds.marts.nps
    return Check(
        table_name="marts.nps_by_segment_period",
        query="select * from marts.nps_by_segment_period",
        key=("survey_type", "period_grain", "period_start", "segment", "segment_value"),
        suite=ExpectationSuite(
            name="figures",
            expectations=[
                gxe.ExpectColumnValuesToBeBetween(
                    column="nps",
                    min_value=rule.min,
                    max_value=rule.max,
                    **_terms(
                        rule.severity,
                        rule.owner or thresholds.owner,
                        f"nps lies between {rule.min:g} and {rule.max:g}",
                        rule.action,
                    ),
                ),
                gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                    column_A="ci_high",
                    column_B="ci_low",
                    or_equal=True,
                    ignore_row_if="either_value_is_missing",
                    **_identity(thresholds, "ci_low is not above ci_high", "Correct the interval macro in dbt."),
                ),
                gxe.UnexpectedRowsExpectation(
                    unexpected_rows_query=_CATEGORIES_DO_NOT_ADD_UP,
                    **_identity(
                        thresholds,
                        "promoters + passives + detractors = responses on every row",
                        "Compare the daily counts with fct_nps_responses; rebuild the marts in full.",
                    ),
                ),
                gxe.UnexpectedRowsExpectation(
                    unexpected_rows_query=_SEGMENTS_DO_NOT_ADD_UP,
                    **_identity(
                        thresholds,
                        "the values of each segment add up to the total of the period",
                        "Look for answers without a value in the segment named; they belong under unknown.",
                    ),
                ),
                *_every_value_is_found(thresholds),
            ],
        ),
    )


def _every_value_is_found(thresholds: Thresholds) -> Iterator[gxe.UnexpectedRowsExpectation]:
    """What thresholds.yml cannot be held against when it is read: the values of segments, which are data."""
    named = [
        f"({_literal(segment)}, {_literal(value)})"
        for segment, values in thresholds.segments.items()
        for value in values
        if value != EVERY_VALUE
    ]
    if named:
        yield gxe.UnexpectedRowsExpectation(
            # Great Expectations fills in the braces.
            unexpected_rows_query=_VALUES_WITHOUT_ANSWERS.format(
                named=", ".join(named).replace("{", "{{").replace("}", "}}")
            ),
            **_terms(
                "warn",
                thresholds.owner,
                "each segment value of thresholds.yml is one that answers have",
                "Correct the value in thresholds.yml: its exceptions judge nothing.",
            ),
        )


def build_figure_check(thresholds: Thresholds) -> Check:
    """Every figure of a survey, segment or source that rests on enough, against the rule that applies to it."""
    # Of the rules for the same figure the narrowest applies: the value's, the segment's or survey's, that of all.
    rules = sorted(thresholds.rules(), key=lambda scoped: (scoped.value is None, scoped.scope is None))
    judged = [scoped for scoped in rules if scoped.is_judged]
    return Check(
        table_name="quality.quality_figures",
        query=_FIGURES.format(
            rules=" ".join(
                f"when {_condition(scoped)} then {_literal(scoped.label) if scoped.is_judged else 'null'}"
                for scoped in rules
            ),
            judged_from=" ".join(f"when {_literal(scoped.label)} then {scoped.rule.judged_from}" for scoped in judged)
            or "when '' then 0",
        ),
        suite=ExpectationSuite(
            name="surveys and sources",
            expectations=[
                gxe.ExpectColumnValuesToBeBetween(
                    column="observed",
                    min_value=scoped.rule.min,
                    max_value=scoped.rule.max,
                    row_condition=Column("rule") == scoped.label,
                    **_terms(
                        cast("Severity", scoped.rule.severity),
                        scoped.rule.owner or thresholds.owner,
                        scoped.words,
                        scoped.rule.action,
                        rule=scoped.label,
                    ),
                )
                for scoped in judged
            ],
        ),
        is_per_row=True,
    )


def _condition(scoped: ScopedRule) -> str:
    """Which rows of the figures a rule is for."""
    conditions = [f"figure = {_literal(scoped.figure)}"]
    if scoped.scope is None:
        conditions.append("segment is null")
    if scoped.name is not None:
        column = {"surveys": "survey_id", "segments": "segment", "sources": "source_system"}[scoped.scope or ""]
        conditions.append(f"{column} = {_literal(scoped.name)}")
    if scoped.value is not None:
        conditions.append(f"segment_value = {_literal(scoped.value)}")
    return " and ".join(conditions)


def _literal(text: str) -> str:
    """A text in SQL; SQLAlchemy would take a colon for the name of a parameter."""
    return "'" + text.replace("'", "''").replace(":", "\\:") + "'"


def build_reconciliation_check(thresholds: Thresholds) -> Check:
    """Nothing is lost: rows delivered = rows counted + rows set aside for each reason, for every load."""
    return Check(
        table_name="quality.quality_reconciliation",
        query="select * from quality.quality_reconciliation",
        suite=ExpectationSuite(
            name="reconciliation",
            expectations=[
                gxe.UnexpectedRowsExpectation(
                    unexpected_rows_query="select * from {batch} where difference is distinct from 0",
                    **_identity(
                        thresholds,
                        "rows delivered = rows counted + rows set aside, for every load",
                        "Find the rows of the load named that staging dropped or doubled.",
                    ),
                )
            ],
        ),
    )


def _identity(thresholds: Thresholds, threshold: str, action: str) -> dict[str, Any]:
    """Terms of what must hold whatever the data."""
    rule = thresholds.marts.integrity
    return _terms(rule.severity, rule.owner or thresholds.owner, threshold, action)


def _terms(severity: Severity, owner: str, threshold: str, action: str, rule: str | None = None) -> dict[str, Any]:
    sentence = f"{rule} {threshold}" if rule else f"{threshold[0].upper()}{threshold[1:]}"
    return {
        "severity": "critical" if severity == "block" else "warning",
        "description": f"{sentence}. ({severity}, {owner}) {action}",
        "meta": {
            "severity": severity,
            "owner": owner,
            "threshold": threshold,
            "action": action,
            "rule": rule,
        },
    }


_KEY = "survey_type, period_grain, period_start"

_CATEGORIES_DO_NOT_ADD_UP = f"""
select {_KEY}, segment, segment_value, responses, promoters, passives, detractors
from {{batch}}
where promoters + passives + detractors is distinct from responses
"""

# Every period has to show every segment of its survey type. Counts of invitations are empty where nobody
# knows the segment of those who did not answer: then there is nothing to compare.
_SEGMENTS_DO_NOT_ADD_UP = f"""
with

marts as (
    select * from {{batch}}
),

totals as (
    select * from marts where segment = 'all'
),

segments as (
    select distinct survey_type, segment from marts where segment <> 'all'
),

expected as (
    select {_KEY}, segments.segment, {", ".join(COUNTS)}
    from totals
    inner join segments using (survey_type)
),

found as (
    select {_KEY}, segment, {", ".join(f"sum({count}) as {count}" for count in COUNTS)}
    from marts
    where segment <> 'all'
    group by {_KEY}, segment
)

select
    {_KEY}, segment,
    {", ".join(f"expected.{count} as total_{count}, found.{count} as segment_{count}" for count in COUNTS)}
from expected
full outer join found using ({_KEY}, segment)
where
    expected.responses is distinct from found.responses
    or {" or ".join(f"expected.{count} <> found.{count}" for count in COUNTS)}
"""

_VALUES_WITHOUT_ANSWERS = """
select *
from (values {named}) named (segment, segment_value)
where (segment, segment_value) not in (select (segment, segment_value) from {{batch}})
"""

# A row that no rule is for, or that rests on too little, is not judged.
_FIGURES = """
select
    table_name, item, source_system, survey_id, segment, segment_value, figure, rule,
    cast(observed as double) as observed,
    concat_ws('; ', 'against ' || compared_with, detail) as detail
from (
    select *, case {rules} end as rule
    from (
        select
            'quality.quality_figures' as table_name, figure, item, source_system, survey_id, segment, segment_value,
            observed, basis, cast(compared_with as varchar) as compared_with, detail
        from quality.quality_figures
        union all
        select
            'quality.quality_freshness', figure, source_system, source_system, null, null, null,
            case figure when 'load_age_hours' then load_age_hours else answer_age_hours end, 1, null,
            cast(case figure when 'load_age_hours' then last_loaded_at else last_answer_at end as varchar)
        from quality.quality_freshness
        cross join (values ('load_age_hours'), ('answer_age_hours')) ages (figure)
    ) figures
) ruled
where observed is not null and basis >= case rule {judged_from} end
order by figure, item
"""
