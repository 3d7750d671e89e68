"""How well comments are classified, and what it takes: the model int_answer_themes over labelled comments, and many.

labelled_comments.csv holds comments with the themes that somebody who reads them would give. The taxonomy may be tuned
on the half `tune`; the half `test` says what it is worth on comments it was not made for.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import duckdb
from rich.table import Column, Table

LABELLED = Path(__file__).with_name("labelled_comments.csv")
MODEL = Path("models/intermediate/int_answer_themes.sql")
NO_THEME = "unclassified"


class Comment(NamedTuple):
    """A comment, and the themes it is about."""

    language: str
    half: str
    text: str
    themes: frozenset[str]


@dataclass
class Score:
    """Of a theme: found rightly, found wrongly, and missed."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(self.right + other.right, self.wrong + other.wrong, self.missed + other.missed)

    @property
    def precision(self) -> float:
        """The share of those found that are right; 1 where none was found."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        """The share of those there are that were found; 1 where there are none."""
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0


def labelled_comments() -> list[Comment]:
    """The labelled comments."""
    with LABELLED.open(encoding="utf-8", newline="") as lines:
        return [
            Comment(row["language"], row["half"], row["comment"], frozenset(filter(None, row["themes"].split("|"))))
            for row in csv.DictReader(lines)
        ]


def classify(compiled: Path, comments: Iterable[tuple[str, str]]) -> list[frozenset[str]]:
    """The themes of each comment, given with its language, by the model as dbt compiled it for a full build."""
    with _answers(comments) as connection:
        found = connection.execute(f"select response_id, list(theme) from ({compiled.read_text()}) group by all")
        themes = {int(number): frozenset(names) - {NO_THEME} for number, names in found.fetchall()}
        return [themes[number] for number in range(len(themes))]


def scores(labelled: Sequence[Comment], found: Sequence[frozenset[str]]) -> dict[str, Score]:
    """The score of each theme that a comment has, or was found to have, by name."""
    by_theme: dict[str, Score] = {}
    for comment, themes in zip(labelled, found, strict=True):
        for theme in comment.themes | themes:
            score = by_theme.setdefault(theme, Score())
            score.right += theme in comment.themes and theme in themes
            score.wrong += theme not in comment.themes
            score.missed += theme not in themes
    return dict(sorted(by_theme.items()))


def quality(compiled: Path) -> Table:
    """Comments, precision and recall per theme, of each half of the labelled comments."""
    labelled = labelled_comments()
    found = classify(compiled, [(comment.language, comment.text) for comment in labelled])
    halves = {}
    for half in ("tune", "test"):
        chosen = [number for number, comment in enumerate(labelled) if comment.half == half]
        halves[half] = scores([labelled[number] for number in chosen], [found[number] for number in chosen])
        halves[half]["all themes"] = sum(halves[half].values(), Score())
    table = Table(Column("theme", no_wrap=True), *(name for half in halves for name in (half, "precision", "recall")))
    for theme in halves["test"]:
        cells = []
        for by_theme in halves.values():
            score = by_theme.get(theme, Score())
            cells += [f"{score.right + score.missed}", f"{score.precision:.2f}", f"{score.recall:.2f}"]
        table.add_row(theme, *cells)
    return table


def seconds_per_million(compiled: Path, comments: int) -> float:
    """The seconds of CPU that classifying a million comments takes, measured on so many.

    Each is two or three of the labelled ones of a language, one after the other, and so like no other.
    """
    labelled = [(comment.language, comment.text) for comment in labelled_comments()]
    with _answers(labelled) as connection:
        connection.execute(
            f"""
            create table few as
            select
                language, comment, row_number() over (partition by language) - 1 as place,
                count(*) over (partition by language) as size
            from warehouse.marts.fct_nps_responses;
            create table many as
            select number, language, list_transform([1, 7, 11], lambda seed: hash(number, seed) % size) as places
            from range({comments}) as numbers (number)
            inner join (
                select
                    language, max(size) as size, row_number() over (order by language) - 1 as rank,
                    count(*) over () as of
                from few
                group by language
            ) as languages on number % of = rank;
            create or replace table warehouse.marts.fct_nps_responses as
            select
                number::varchar as response_id, 'relationship' as survey_type, date '2025-01-01' as response_date,
                'detractor' as category, language, string_agg(few.comment, '. ') as comment
            from (select number, language, unnest(places) as place from many)
            inner join few using (language, place)
            group by number, language
            """
        )
        started = time.process_time()
        connection.execute(f"create table classified as {compiled.read_text()}")
        return (time.process_time() - started) * 1_000_000 / comments


def _answers(comments: Iterable[tuple[str, str]]) -> duckdb.DuckDBPyConnection:
    """A warehouse in memory with an answer per comment, numbered from 0."""
    connection = duckdb.connect()
    connection.execute("attach ':memory:' as warehouse; create schema warehouse.marts")
    connection.execute(
        """
        create table warehouse.marts.fct_nps_responses as
        select
            (number - 1)::varchar as response_id, 'relationship' as survey_type, date '2025-01-01' as response_date,
            'detractor' as category, answer[1] as language, answer[2] as comment
        from (select unnest($answers) as answer, generate_subscripts($answers, 1) as number)
        """,
        {"answers": [list(comment) for comment in comments]},
    )
    return connection
