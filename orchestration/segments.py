"""Segments: the variable `segments`, checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, RootModel, model_validator

from orchestration.register import registered_loads
from orchestration.settings import ConfigError, Settings
from orchestration.strict import Strict, Text

if TYPE_CHECKING:
    from orchestration.sources import Table

Name = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")]
# These are columns of the facts in any case, and are what the segments of the same names show.
COLUMNS_OF_FACTS = {"touchpoint": "survey", "channel": "answer", "language": "answer"}
# Columns of the tables that segments are added to, which no segment may be called.
TAKEN = """
account_id account_match_rule account_name accounts accounts_with_revenue all annual_revenue answers_squared
answers_squared_theta answers_squared_theta_squared built_at category comment contact_email contact_id contact_id_hash
contact_match_rule contacts contacts_answered contacts_asked contacts_silent country customers days_since_previous
delivered_account_id delivered_at detractors employees ended_at handled_by has_opted_out has_reference_consent
invitation_id is_controllable is_current is_customer is_deleted is_in_crm is_staff is_within_contact_rules job_title
known_from last_response_date latest_detractors latest_nps latest_passives latest_promoters latest_responses load_id
loaded_at match_rule nps_contribution observed_at opened_at outcome owner_id parent_account_id passives period_grain
period_start previous_category previous_score promoters responded_at response_date response_id responses revenue
revenue_squared revenue_squared_theta revenue_squared_theta_squared revenue_theta row_change score sent_at sent_date
source_file source_line source_response_id source_system started_at submitted_at survey_id survey_type
surviving_contact_id theta theta_squared ticket_id trailing_ci_high trailing_ci_low trailing_detractors
trailing_evidence trailing_nps trailing_passives trailing_promoters trailing_responses valid_from valid_to version_key
"""


class Segment(Strict):
    """One line: whose attribute it is and what the source calls it, or other segments that it combines."""

    name: Name
    description: str = ""
    owner: Literal["account", "contact", "survey", "answer"] | None = Field(default=None, alias="from")
    column: Text | dict[Text, Text] | None = None
    years: list[int] | None = Field(default=None, min_length=1)
    asked: bool = False  # known of everybody who was asked, though it comes with the answer
    combine: list[Name] | None = Field(default=None, min_length=2)

    @model_validator(mode="after")
    def _has_a_value(self) -> Self:
        if (self.combine is None) == (self.owner is None or self.column is None):
            raise ValueError("write `from` and `column`, or `combine`")
        if self.owner == "survey" and isinstance(self.column, dict):
            raise ValueError("a segment of the survey is one column of surveys.csv")
        if self.name in COLUMNS_OF_FACTS:
            if (self.owner, self.column) != (COLUMNS_OF_FACTS[self.name], self.name):
                owner = COLUMNS_OF_FACTS[self.name]
                raise ValueError(f"{self.name} is always {{from: {owner}, column: {self.name}}}; choose another name")
        elif self.name in TAKEN.split():
            raise ValueError(f"the tables already have a column {self.name}; choose another name")
        if self.years and not all(0 < one < other for one, other in pairwise([0.5, *self.years])):
            raise ValueError(f"years {self.years} must rise from 1 on")
        return self


class Segments(RootModel[list[Segment]]):
    """The whole variable."""

    @model_validator(mode="after")
    def _names_are_right(self) -> Self:
        names = [segment.name for segment in self.root]
        plain = [segment.name for segment in self.root if not segment.combine]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(repeated)}: stands there twice")
        for segment in self.root:
            if unknown := [name for name in segment.combine or () if name not in plain]:
                raise ValueError(
                    f"{segment.name}: combine: no segment {', '.join(unknown)}; there are {', '.join(plain)}"
                )
        return self


def check_segment_columns(settings: Settings, tables: Iterable[Table]) -> None:
    """Check that what the segments name was delivered, of every table that was delivered at all.

    To be called when new files are loaded: they may bring a column and its segment at once. A new file without such a
    column is refused; those that were loaded before stay, and would show it as unknown.

    Raises:
        ConfigError: some column never was; the message names the table, and the columns there are.
    """
    named = {table.key: table.segment_columns for table in tables if table.segment_columns}
    delivered: dict[tuple[str, str], set[str]] = {}
    for load in registered_loads(settings.lake) if named else ():
        delivered.setdefault((load.lake_source, load.table_name), set()).update(load.columns)
    faults = [
        f"segments: no file of {'/'.join(key)} has a column {column}; there are {', '.join(sorted(delivered[key]))}"
        for key, columns in named.items()
        for column in columns
        if key in delivered and column not in delivered[key]
    ]
    if faults:
        raise ConfigError("\n".join(faults))
