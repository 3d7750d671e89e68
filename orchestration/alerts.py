"""Alerts: what is wrong now, told once to each target of alerts.yml; nothing where no target is set.

What is wrong is read from what the guards wrote, what was published and the history of runs, and not from a run as it
happens: a run that was killed, or a target that was down, is made up for by the next call.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import Field, ValidationError

from expectations.last_results import in_words, last_results
from orchestration.faults import explained
from orchestration.loader import flush
from orchestration.served_file import ask
from orchestration.settings import ConfigError, Settings, read_yaml
from orchestration.strict import Strict, fault_message, key_of

Event = Literal["failed_check", "failed_run", "stale_source", "response_rate", "nps_drop", "new_case", "overdue_case"]
CASE_EVENTS = ("new_case", "overdue_case")
# Of the checks, by the figure they judge; of the others those that block are failed checks, and warnings are reports.
EVENT_OF_FIGURE: Mapping[str, Event] = {
    "response_rate": "response_rate",
    "load_age_hours": "stale_source",
    "answer_age_hours": "stale_source",
}


# Those of jobs.py; of what else is started in Dagster, whoever clicked sees how it ends.
JOBS = ("pipeline", "extract", "compact")
# In the URL of a target, whom a message concerns.
OWNER = "{owner_id}"
IN_URL = re.compile(r"[A-Za-z0-9_.-]+")
# A digest lists so many causes; what is more goes into another.
DIGEST_LENGTH = 50
# So many URLs in a row that take no message mean that the way to them is down.
FAILURES_BORNE = 3


class Target(Strict):
    """Who is told of which events; `url` names the environment variable that holds the apprise URLs."""

    url: Annotated[str, Field(pattern=r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$")]
    events: Annotated[list[Event], Field(min_length=1)]
    delivery: Literal["each", "digest"] = "each"

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return self.url[2:-1]


class Configuration(Strict):
    """The whole of alerts.yml."""

    dagster: str = "http://127.0.0.1:3000"
    dashboard: str | None = None
    nps_drop_period: Literal["day", "week", "month", "quarter", "year"] = "month"
    case_days: Annotated[int, Field(gt=0)] = 30
    targets: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Target] = Field(default_factory=dict)


@dataclass(frozen=True)
class Cause:
    """Something that is wrong, the same from run to run as long as `key` is, and the message that says so."""

    event: Event
    key: tuple[str, ...]
    title: str
    body: str
    owner_id: str | None = None  # whom it concerns; nobody in particular

    @property
    def digest(self) -> str:
        """A file name for the cause."""
        return hashlib.sha256(json.dumps([self.event, *self.key]).encode()).hexdigest()[:20]


def read_configuration(settings: Settings) -> Configuration:
    """Read alerts.yml; a missing one has no targets.

    Raises:
        ConfigError: the file is wrong; each line of the message names the file, the key and the fault, and no value.
    """
    path = settings.config_dir / "alerts.yml"
    if not path.exists():
        return Configuration()
    try:
        return Configuration.model_validate(read_yaml(path))
    except ValidationError as error:
        raise ConfigError(
            "\n".join(f"{path}: {key_of(fault['loc'])}: {_message(fault)}" for fault in error.errors())
        ) from None


def _message(fault: Any) -> str:
    # What was written may be a secret that does not belong there: it is never repeated.
    if fault["loc"][-1] == "url":
        return "write ${NAME}, the environment variable that holds the URL, and not the URL"
    return fault_message(fault)


def send_alerts(settings: Settings) -> list[str]:
    """Tell each target that is on of each cause it was not told of yet.

    A cause is remembered as told when its target took the message, and forgotten when it is no more (a case, when it
    is too old to be told): killed in between, it may be told twice, but never again after that. A target that is down
    is tried again by the next call.

    Returns:
        A sentence per target that did not take a message; never a URL.

    Raises:
        ConfigError: alerts.yml is wrong.
    """
    configuration = read_configuration(settings)
    targets = {name: target for name, target in configuration.targets.items() if os.environ.get(target.variable)}
    if not targets:
        return []
    with _alone(settings.data_dir / "alerts") as folder:
        causes = [
            *_failed_runs(settings, configuration),
            *_failed_checks(settings, configuration),
            *_drops(settings, configuration),
            *_cases(settings, configuration),
        ]
        desk, case_days = settings.variables["follow_up"]["desk"], configuration.case_days
        return [
            fault
            for name, target in targets.items()
            for fault in _tell(name, target, causes, folder / name, desk, case_days)
        ]


def _tell(name: str, target: Target, causes: Sequence[Cause], told: Path, desk: str, case_days: int) -> Iterator[str]:
    told.mkdir(exist_ok=True)
    mine = {cause.digest: cause for cause in causes if cause.event in target.events}
    for file in told.glob("*"):
        # That a rollback shows a case no more does not make it new: it is remembered until it is too old to be told.
        is_of_case = file.suffix == ".txt" and file.read_text(encoding="utf-8").startswith(CASE_EVENTS)
        if file.stem not in mine and not (is_of_case and time.time() - file.stat().st_mtime < case_days * 86400):
            file.unlink()
    new: dict[str, list[Cause]] = defaultdict(list)
    for digest, cause in mine.items():
        if not (told / f"{digest}.txt").exists():
            # A key that could be more than one recipient or another path is nobody's whom a URL can name.
            named = cause.owner_id or desk
            owner = named if IN_URL.fullmatch(named) else desk
            new[os.environ[target.variable].replace(OWNER, quote(owner, safe=""))].append(cause)
    waiting = sum(len(causes) for causes in new.values())
    if not new:
        return
    import apprise  # noqa: PLC0415  (it takes a third of a second)

    asset = apprise.AppriseAsset(
        app_id="NPS",
        app_desc="NPS warehouse",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        # What customers wrote is in it: no mark-up of theirs is to work, in mails as little as in channels.
        body_format=apprise.NotifyFormat.TEXT,
        # Another host would be sent the message, and the headers with its secrets.
        http_redirects=False,
    )
    failures = 0
    with _silence("apprise", "urllib3"):  # they log the URLs they ask, and some of these are secrets
        for url, of_url in new.items():
            messenger = apprise.Apprise(asset=asset)
            if not messenger.add(url):
                yield f"alerts: {target.variable} holds no URL that apprise knows; {waiting} message(s) wait for {name}"
                return
            size = DIGEST_LENGTH if target.delivery == "digest" else 1
            for first in range(0, len(of_url), size):
                if not _sent(messenger, of_url[first : first + size], told):
                    failures += 1
                    break  # waiting for each of the others in vain would hold up the run
                failures = 0
                waiting -= len(of_url[first : first + size])
            if failures == FAILURES_BORNE:
                break
    if waiting:
        yield f"alerts: {name} did not take a message; {waiting} will be tried again by the next run"


def _sent(messenger: Any, causes: Sequence[Cause], told: Path) -> bool:
    """Send the causes as one message, and write down that they were told; what they say of a person is not kept."""
    title, body = causes[0].title, causes[0].body
    if len(causes) > 1:
        counts = Counter(cause.event.replace("_", " ") for cause in causes)
        title = ", ".join(f"{event}: {count}" for event, count in counts.items())
        body = "\n\n".join(f"{cause.title}\n{cause.body}" for cause in causes)
    if not messenger.notify(title=title, body=body, notify_type="warning"):
        return False
    for cause in causes:
        draft = told / f"{cause.digest}.tmp"
        draft.write_text(f"{cause.event}: {', '.join(cause.key)}\n", encoding="utf-8")
        flush(draft)
        draft.replace(draft.with_suffix(".txt"))
    flush(told)
    return True


@contextmanager
def _silence(*names: str) -> Iterator[None]:
    loggers = {logging.getLogger(name): logging.getLogger(name).level for name in names}
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in loggers.items():
            logger.setLevel(level)


@contextmanager
def _alone(folder: Path) -> Iterator[Path]:
    """The folder of what was told, for one process at a time: Dagster and a run from the console may both tell."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
        yield folder


def _failed_runs(settings: Settings, configuration: Configuration) -> Iterator[Cause]:
    """The jobs whose last run failed, but for those that a check refused: that is told as a failed check."""
    if not settings.dagster_home.exists():
        return
    import dagster as dg  # noqa: PLC0415  (it takes seconds; who runs Dagster has it imported)

    from orchestration.runs import failed_by_fault, faults_of, open_instance  # noqa: PLC0415

    ended = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    with open_instance(settings) as instance:
        for job in JOBS:
            for run in instance.get_runs(dg.RunsFilter(job_name=job, statuses=ended), limit=1):
                if failed_by_fault(instance, run):
                    said = [explained(fault, settings) for fault in faults_of(instance, run.run_id)]
                    body = "\n".join([*said, f"{configuration.dagster}/runs/{run.run_id}"])
                    yield Cause("failed_run", (job,), f"failed run: {job}", body)


def _failed_checks(settings: Settings, configuration: Configuration) -> Iterator[Cause]:
    """The checks that failed when their suite ran last."""
    for result in last_results(settings.check_results):
        table, item, column = result["table_name"], result["item"] or "", result["column_name"] or ""
        event = EVENT_OF_FIGURE.get(column, "failed_check" if result["severity"] == "block" else None)
        if result["is_success"] or event is None:
            continue
        link = f"{configuration.dagster}/runs/{result['run_id']}"
        yield Cause(
            event,
            (result["suite"], table, item, column, result["expectation"]),
            f"{event.replace('_', ' ')}: {item or table}: {column or result['expectation']}",
            f"{in_words(result)}\n{result['action']} ({result['owner']})\n{link}",
        )


def _drops(settings: Settings, configuration: Configuration) -> Iterator[Cause]:
    """The significant drops of the last complete period, as published."""
    rows = ask(
        settings.serving,
        f"""
        with periods as (
            select *, max(period_start) over (partition by survey_type) as last_start
            from marts.nps_by_segment_period
            where period_grain = '{configuration.nps_drop_period}' and is_complete_period
        )

        select
            survey_type, period_start, period_end, segment, segment_value, nps, previous_nps, nps_change, ci_low,
            ci_high, responses, q_value
        from periods
        where is_significant and nps_change < 0 and period_start = last_start
        order by segment <> 'all', nps_change
        """,
    )
    link = configuration.dashboard or f"{configuration.dagster}/assets/marts/nps_by_segment_period"
    for survey_type, start, end, segment, value, nps, before, change, low, high, responses, q in rows:
        of = f"{survey_type} surveys" + ("" if segment == "all" else f", {segment} = {value}")
        yield Cause(
            "nps_drop",
            (survey_type, configuration.nps_drop_period, str(start), segment, value),
            f"NPS drop: {of}: {change:+.1f} points",
            f"{of}: NPS {nps:+.1f} ({low:+.1f} to {high:+.1f}) from {responses:,} answers of {start} to {end}, "
            f"{before:+.1f} in the {configuration.nps_drop_period} before; significant (q = {q:.4f}).\n{link}",
        )


def _cases(settings: Settings, configuration: Configuration) -> Iterator[Cause]:
    """The cases of the last days with nobody in contact: for who acts on them and, once overdue, the manager above."""
    first = settings.moment - timedelta(days=configuration.case_days)
    rows = ask(
        settings.serving,
        f"""
        select
            response_id, cases.owner_id, manager_id, coalesce(account_name, 'account unknown'),
            coalesce(contact_id, 'anonymous'), survey_type, score, opened_at, due_at, state, coalesce(comment, '')
        from marts.detractor_recovery as cases
        left join marts.dim_accounts using (account_id)
        where
            state in ('open', 'overdue') and greatest(opened_at, due_at) > timestamp '{first}'
        order by due_at, response_id
        """,
    )
    link = configuration.dashboard or f"{configuration.dagster}/assets/marts/detractor_recovery"
    for response_id, owner, manager, account, contact, survey_type, score, opened, due, state, comment in rows:
        said = f"\n“{comment}”" if comment else ""
        case = (
            f"{account}, contact {contact}, gave a {score} ({survey_type}) on {opened:%Y-%m-%d %H:%M} UTC; "
            f"to be contacted by {due:%Y-%m-%d %H:%M} UTC.{said}\n{link} ({response_id})"
        )
        if opened > first:
            yield Cause("new_case", (response_id, owner), f"new case: {account}: {score}", case, owner)
        if state == "overdue":
            title = f"overdue case: {account}: {score}, with {owner}"
            yield Cause("overdue_case", (response_id, manager), title, case, manager)
