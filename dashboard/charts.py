"""What all charts share: colours, the frame around a chart, and the shapes that several pages draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from dashboard.filters import ALL, Filters, period_label

# Of the palette of Okabe & Ito (2008), which colour-blind people tell apart; each has a contrast of 3 at least on white
# and on the dark background. Colour never stands alone: order, shape or a word says the same.
BLUE = "#0072B2"
GREEN = "#009E73"
RED = "#D55E00"
GREY = "#767676"
CATEGORIES = {"promoter": BLUE, "passive": GREY, "detractor": RED}
TOO_FEW = "too few answers"
NOBODY_ELSE = "nobody else"
# What a spreadsheet takes for a formula when a text begins with it.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
# What a chart can show and a person can read.
MAX_PERIODS = 60
MAX_VALUES = 12

Chart = alt.Chart | alt.LayerChart | alt.FacetChart
POINTS_AXIS = alt.Axis(format="d", tickCount=8)
SHARE_AXIS = alt.Axis(format="%", tickCount=8)


def panel(title: str, how: str, rows: pd.DataFrame, draw: Callable[[pd.DataFrame], Chart] | None = None) -> None:
    """One figure: heading, chart (or the rows as a table), how it is computed, and its rows as CSV."""
    st.subheader(title)
    if rows.empty:
        st.info(f"Nothing in this view, or {TOO_FEW}.")
        st.caption(how)
        return
    if draw:
        st.altair_chart(draw(rows).configure_text(color=ink()), alt=f"{title}. {how}")
    else:
        st.dataframe(readable(rows), hide_index=True, alt=title, column_config=formats(rows))
    st.caption(how)
    file_name = title.lower().replace(" ", "_").replace(",", "") + ".csv"
    st.download_button(
        f"CSV: {title}",
        as_csv(rows),
        file_name,
        "text/csv",
        key=f"csv {title}",
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
    )


def as_csv(rows: pd.DataFrame) -> str:
    """The rows for a spreadsheet, in which no text may run as a formula: anybody who is asked can write one.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    safe = rows.copy()
    for name in safe.select_dtypes(["object", "string"]):
        safe[name] = [f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell for cell in safe[name]]
    return safe.to_csv(index=False)


def ink() -> str:
    """The colour of words in a chart, which Streamlit's theme leaves black on dark ground."""
    return "#E8E8E8" if st.context.theme.type == "dark" else "#3A3A3A"


def readable(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows as a table shows them: scores with one digit, why where there is none; days as days."""
    shown = rows.copy()
    for name in shown.select_dtypes("float"):
        if "nps" in name.split("_") and "effect" not in name:
            shown[name] = [score(value) for value in shown[name]]
            if name.startswith("comparison_"):  # of everybody else: where a figure is of all, there is nobody else
                shown[name] = shown[name].where(rows["segment"] != ALL, NOBODY_ELSE)
    for name in shown.select_dtypes("datetime"):
        if (shown[name].dropna() == shown[name].dropna().dt.normalize()).all():
            shown[name] = shown[name].dt.date
    return shown


def formats(rows: pd.DataFrame) -> dict[str, Any]:
    """How a table shows shares and money, by the names of the columns."""
    return {
        name: st.column_config.NumberColumn(format="percent" if "rate" in name.split("_") else "compact")
        for name in rows.select_dtypes("number")
        if {"rate", "revenue"} & set(name.split("_"))
    }


def whole_company(filters: Filters, title: str) -> bool:
    """Whether a figure that no mart tells by owner may be shown; says so where it may not."""
    if filters.is_of_owner:
        st.subheader(title)
        st.info("No table tells this by owner. Choose all owners to see it for the whole company.")
    return not filters.is_of_owner


def of_all_segments(filters: Filters, figures: list[str]) -> None:
    """Say which figures no mart tells by segment, where a value of one was chosen."""
    if figures and filters.cell["segment"] != ALL:
        st.caption(f"For all segments together: {', '.join(figures)}.")


def score(value: float | None) -> str:
    """A score as text, with its sign in true minus; `too few answers` where it is empty."""
    if value is None or pd.isna(value):
        return TOO_FEW
    return f"{value:.1f}".replace("-", "−")


def share(value: float | None) -> str:
    """A share 0..1 in percent; a dash where it is empty."""
    return "–" if value is None or pd.isna(value) else f"{100 * value:.1f} %"


def money(value: float | None) -> str:
    """An amount in the unit people say it in; a dash where it is empty."""
    if value is None or pd.isna(value):
        return "–"
    for unit, size in (("bn", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:,.1f} {unit}"
    return f"{value:,.0f}"


def with_period(rows: pd.DataFrame, grain: str) -> pd.DataFrame:
    """The rows with the period as people say it."""
    return rows.assign(
        period=[
            period_label(grain, start, end) for start, end in zip(rows["period_start"], rows["period_end"], strict=True)
        ]
    )


def with_labels(rows: pd.DataFrame, grain: str) -> pd.DataFrame:
    """The rows with the period as people say it, and the score and its interval as text."""
    return with_score_text(with_period(rows, grain))


def with_score_text(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with `says`: the score, and its interval where it has one, as text, or too few answers."""
    labelled = rows.copy()
    labelled["says"] = [
        score(nps) if pd.isna(low) else f"{score(nps)} ({score(low)} to {score(high)})"
        for nps, low, high in zip(rows["nps"], rows["ci_low"], rows["ci_high"], strict=True)
    ]
    return labelled


def period_axis(**axis: Any) -> alt.X:
    """Periods in the order of the rows, as many labels as there is room for."""
    return alt.X(
        "period:O",
        sort=None,
        title=None,
        axis=alt.Axis(labelAngle=0, labelOverlap="greedy", labelSeparation=6, **axis),
    )


# Beside other panels: the first and the last label, of half such a width at most, do not reach beyond their own.
WITHIN_PANEL = {"labelFlush": 36}


def trend(rows: pd.DataFrame, x: alt.X | None = None, **size: Any) -> alt.LayerChart:
    """Scores by period with the band of their intervals; a cross stands for a period with too few answers."""
    base = alt.Chart(rows, **size).encode(
        x or period_axis(),
        tooltip=[
            alt.Tooltip("period:O", title="Period"),
            alt.Tooltip("says:N", title="NPS"),
            alt.Tooltip("responses:Q", title="Answers", format=","),
        ],
    )
    y = alt.Y("nps:Q", title="NPS", scale=alt.Scale(zero=False), axis=POINTS_AXIS)
    return alt.LayerChart(
        layer=[
            base.mark_area(color=BLUE, opacity=0.25).encode(alt.Y("ci_low:Q", title="NPS"), alt.Y2("ci_high:Q")),
            base.mark_line(color=BLUE, point=alt.OverlayMarkDef(color=BLUE, size=40)).encode(y),
            base.mark_text(text="×", fontSize=16, baseline="bottom")
            .transform_filter("!isValid(datum.nps)")
            .encode(y=alt.value("height")),
        ]
    )


def room(values: pd.Series, share: float = 0.12) -> alt.Scale:
    """A scale from 0 (or below) with room for words right of the longest bar."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    return alt.Scale(domain=[low, high + share * ((high - low) or 1.0)], nice=False)


def amounts(field: str, title: str, **x: Any) -> alt.X:
    """Numbers to the right, with few enough ticks to read."""
    return alt.X(f"{field}:Q", title=title, axis=alt.Axis(tickCount=8, tickMinStep=1, format=",d"), **x)


def dots(rows: pd.DataFrame, name: str, title: str, value: str, low: str, high: str, *, axis: alt.Axis) -> Chart:
    """One row per `name` in the order of the rows: a dot with its interval and the words `says`, or the words alone."""
    base = alt.Chart(rows, height=alt.Step(40)).encode(
        alt.Y(f"{name}:N", sort=None, title=None, axis=alt.Axis(labelLimit=260)), tooltip=[f"{name}:N", "says:N"]
    )
    x = alt.X(f"{value}:Q", title=title)
    return alt.layer(
        base.mark_rule(color=BLUE, strokeWidth=4, opacity=0.35).encode(
            alt.X(f"{low}:Q", title=title, scale=alt.Scale(zero=False), axis=axis), alt.X2(f"{high}:Q")
        ),
        base.mark_point(color=BLUE, filled=True, size=90, opacity=1).encode(x),
        base.mark_text(align="left", dx=6, dy=-11).encode(x, text="says:N"),
        base.mark_text(align="left").transform_filter(f"!isValid(datum.{value})").encode(x=alt.value(4), text="says:N"),
    )
