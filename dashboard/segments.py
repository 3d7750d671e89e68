"""Segments: how the values of one segment differ, and what each added to a change."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboard.charts import (
    BLUE,
    GREY,
    MAX_VALUES,
    POINTS_AXIS,
    RED,
    TOO_FEW,
    WITHIN_PANEL,
    Chart,
    dots,
    panel,
    period_axis,
    score,
    trend,
    whole_company,
    with_labels,
    with_score_text,
)
from dashboard.filters import ALL, Filters
from dashboard.filters import segments as available_segments
from dashboard.published import Published
from dashboard.scores import scores_by_value

# Below this evidence nothing is ranked.
RANKED = ("directional", "reportable")


def show(published: Published, filters: Filters) -> None:
    """Draw the page, by the chosen segment or the first one there is."""
    segment = shown_segment(published, filters)
    rows = scores_by_value(published, filters, segment)
    panel(
        f"Ranking by {segment}",
        "NPS of each value in the period with its interval. Values with less than directional evidence come last and "
        f"have no rank; those with {TOO_FEW} have no score.",
        ranked(rows[rows["period_start"] == pd.Timestamp(filters.start)]),
        draw_ranking,
    )
    panel(
        f"Trend by {segment}",
        f"NPS of each value by period with the band of its interval, the {MAX_VALUES} with the most answers; a cross "
        f"is a period with {TOO_FEW}.",
        largest(rows),
        lambda rows: small_multiples(with_labels(rows, filters.grain)),
    )
    title = f"Why the score moved, by {segment}"
    if whole_company(filters, title):
        panel(
            title,
            "Kitagawa decomposition of the change on the period before: rate is what a value's own score added, mix "
            "what its share of the answers did. The steps add up to the change.",
            decomposition(published, filters, segment),
            draw_waterfall,
        )


def shown_segment(published: Published, filters: Filters) -> str:
    """The chosen segment; the first by name where none is."""
    if filters.segment != ALL:
        return filters.segment
    return next(iter(available_segments(published, filters.survey_type, filters.owner)), ALL)


def decomposition(published: Published, filters: Filters, segment: str) -> pd.DataFrame:
    """What each value added to the change of the total, largest effects first; none where that has too few answers."""
    return published.rows(
        """
        select
            segment_value, responses, previous_responses, total_nps, previous_total_nps, total_change, rate_effect,
            mix_effect, promoter_gain, detractor_loss
        from marts.nps_change_decomposition
        where
            survey_type = $survey_type and period_grain = $grain and period_start = $start and segment = $segment
            and total_change is not null
        order by abs(rate_effect) + abs(mix_effect) desc, segment_value
        """,
        **filters.period,
        segment=segment,
    )


def ranked(rows: pd.DataFrame) -> pd.DataFrame:
    """Values in the order of their score; those that may not be ranked after them, by answers."""
    may_rank = rows["evidence"].isin(RANKED)
    order = rows.assign(is_ranked=may_rank, key=rows["nps"].where(may_rank, rows["responses"]))
    ordered = order.sort_values(["is_ranked", "key"], ascending=False)
    return ordered.drop(columns="key")[rows["responses"].loc[ordered.index] > 0]


def largest(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the values with the most answers."""
    answers = rows.groupby("segment_value")["responses"].sum()
    return rows[rows["segment_value"].isin(answers[answers > 0].nlargest(MAX_VALUES).index)]


def draw_ranking(rows: pd.DataFrame) -> Chart:
    """A dot and its interval per value."""
    said = with_score_text(rows)
    said["value"] = said["segment_value"] + " · " + said["responses"].map("{:,}".format) + " answers"
    said["says"] = said["says"].where(said["is_ranked"] | said["nps"].isna(), said["says"] + ", not ranked")
    return dots(said, "value", "NPS", "nps", "ci_low", "ci_high", axis=POINTS_AXIS)


def small_multiples(rows: pd.DataFrame) -> Chart:
    """One small trend per value, on the same scale."""
    return trend(rows, period_axis(**WITHIN_PANEL), height=130, width=255).facet(
        alt.Facet("segment_value:N", title=None), columns=3
    )


def steps(rows: pd.DataFrame) -> pd.DataFrame:
    """The waterfall: the score before, rate and mix of each value one after another, the score now.

    Of many values those with the smallest effects are one step, `the others`.
    """
    before, now = rows["previous_total_nps"].iloc[0], rows["total_nps"].iloc[0]
    named = rows.head(MAX_VALUES // 2)
    parts = [
        (f"{row.segment_value}: {kind}", effect)
        for row in named.itertuples()
        for kind, effect in (("rate", row.rate_effect), ("mix", row.mix_effect))
    ]
    rest = rows.iloc[len(named) :][["rate_effect", "mix_effect"]].to_numpy().sum()
    if len(rows) > len(named):
        parts.append(("the others", rest))
    found = [{"step": "period before", "low": before, "high": before, "says": score(before), "kind": "score"}]
    level = before
    for name, effect in parts:
        found.append(
            {
                "step": name,
                "low": level,
                "high": level + effect,
                "says": f"{effect:+.1f}".replace("-", "−"),
                "kind": "gain" if effect >= 0 else "loss",
            }
        )
        level += effect
    return pd.DataFrame([*found, {"step": "this period", "low": now, "high": now, "says": score(now), "kind": "score"}])


def draw_waterfall(rows: pd.DataFrame) -> Chart:
    """Bars that hang where the one before ended, between ticks at the two scores."""
    drawn = steps(rows)
    low, high = drawn[["low", "high"]].to_numpy().min(), drawn[["low", "high"]].to_numpy().max()
    span = (high - low) or 1.0
    base = alt.Chart(drawn, height=alt.Step(26)).encode(
        alt.Y("step:N", sort=list(drawn["step"]), title=None, axis=alt.Axis(labelLimit=260)),
        tooltip=["step:N", alt.Tooltip("says:N", title="Points")],
    )
    x = alt.X(
        "low:Q",
        title="NPS",
        scale=alt.Scale(domain=[low - 0.05 * span, high + 0.15 * span], nice=False),
        axis=POINTS_AXIS,
    )
    return alt.layer(
        base.mark_bar()
        .transform_filter("datum.kind != 'score'")
        .encode(
            x,
            alt.X2("high:Q"),
            alt.Color(
                "kind:N",
                scale=alt.Scale(domain=["gain", "loss"], range=[BLUE, RED]),
                legend=alt.Legend(title=None, orient="top"),
            ),
        ),
        base.mark_tick(color=GREY, thickness=5, size=20).transform_filter("datum.kind == 'score'").encode(x),
        base.mark_text(align="left", dx=6)
        .transform_calculate(end="max(datum.low, datum.high)")
        .encode(alt.X("end:Q", title="NPS"), text="says:N"),
    )
