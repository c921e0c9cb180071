"""A campaign on a simulated network: state folder, made-up debtors, campaign, and its end."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, func, select

from dialer.config import Settings
from dialer.domain.model import AttemptState, CampaignState, MessageState
from dialer.importing.run import Options, import_file
from dialer.local.installation import make_database, make_home, make_prompts
from dialer.local.launch import make_campaign
from dialer.simulation.leads import MadeUpLead, save_leads
from dialer.store import companies, imports
from dialer.store.campaign_file import CampaignFile, campaign_of
from dialer.store.companies import NewCompany
from dialer.store.db import open_database
from dialer.store.import_sink import DatabaseSink, find_target
from dialer.store.tables import attempt, campaign, lead, message

ACTOR = "demo"
CALLER_IDS = ("+34910000101", "+34910000102", "+34910000103", "+34910000104")
LOOK_SECONDS = 0.5
SETTLE_SECONDS = 15.0
"""How long messages may take to be sent after the last call."""


class DemoFailed(Exception):
    """The demo did not come to its end; the message says what it waited for."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the demo stands, for people to watch."""

    seconds: float
    leads_done: int
    leads: int
    calls: dict[str, int]
    dispositions: dict[str, int]
    redials: int
    messages: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told what: lines of text, and the progress twice a second."""

    tell: Callable[[str], None] = lambda _line: None
    look: Callable[[Progress], None] = lambda _progress: None


def prepare(settings: Settings, tell: Callable[[str], None]) -> Engine:
    """A fresh state folder (a database that was named is kept), prompts, the open database."""
    if not settings.database_url:
        for path in settings.home.glob("dialer.db*"):
            path.unlink()
    if not settings.redis_url:
        shutil.rmtree(settings.home / "redis", ignore_errors=True)
    for folder in ("log", "acquirer-double"):
        shutil.rmtree(settings.home / folder, ignore_errors=True)
    list(make_home(settings))
    make_database(settings)
    tell("the prompts are looked through")
    make_prompts(settings)
    return open_database(settings.database)


def make_calls(
    engine: Engine,
    settings: Settings,
    wanted: CampaignFile,
    made_up: Sequence[MadeUpLead],
    tell: Callable[[str], None],
) -> int:
    """Company, debtors through the importer, campaign; the campaign's id. Raises DemoFailed."""
    now = datetime.now(UTC)
    name = wanted.name
    new = NewCompany(name, "ES", "Europe/Madrid", "Banco Demo", CALLER_IDS[0])
    with engine.begin() as connection:
        companies.create_company(connection, new, ACTOR, now)
        target = find_target(connection, name, None)
    make_prompts(settings)  # the greeting says the company's name
    path = settings.home / "leads.csv"
    save_leads(made_up, path)
    with DatabaseSink(engine, target, ACTOR, lambda: datetime.now(UTC)) as sink:
        summary = import_file(path, Options(), sink)
    if summary.rejected or summary.new_accounts != len(made_up):
        raise DemoFailed(f"the importer took {summary.new_accounts} of {len(made_up)} debtors")
    tell(f"{summary.new_accounts} made-up debtors imported")
    with engine.begin() as connection:
        campaign_id, _ = make_campaign(connection, settings, wanted, ACTOR, now)
        imports.add_leads(connection, campaign_id)
    return campaign_id


def demo_campaign(name: str, cps: float, **changes: Any) -> CampaignFile:
    """The campaign: as in real life, but open day and night and with retries after seconds;
    ``changes`` are laid over it."""
    soon = {"delay": "3s", "max_attempts": "2"}
    return campaign_of(
        {
            "name": name,
            "company": name,
            "flow": "reminder",
            "caller_ids": CALLER_IDS,
            "calls_per_second": cps,
            "max_concurrent": max(50, min(400, round(cps * 25))),
            "ring_timeout": "12s",
            "window": "mon-sun 00:00-24:00",
            "holidays": "none",
            "max_per_day": 20,
            "max_per_week": 20,
            "max_attempts": 8,
            "max_attempts_per_day": 8,
            "retry": {
                "busy": soon,
                "no_answer": soon,
                "congestion": soon,
                "answered_abandoned": {"delay": "5s", "max_attempts": "3"},
                "failed": {"delay": "3s", "max_attempts": "3"},
                "rejected": "never",
                "machine": "never",
                "no_input": "never",
                "incomplete": "never",
            },
            "payment": {"minimum_percent": 10, "instalments": 3},
            "fallback": [{"redial": {"flow": "second_try"}}, {"sms": {}}, "retry"],
            **changes,
        }
    )


def wait_until_over(engine: Engine, campaign_id: int, seconds: float, watch: Watch) -> None:
    """Until every lead is done. Raises DemoFailed after ``seconds``."""
    began = time.monotonic()
    while True:
        state, progress = _look(engine, campaign_id, time.monotonic() - began)
        watch.look(progress)
        if state is CampaignState.FINISHED:
            return
        if state is not CampaignState.RUNNING:
            raise DemoFailed(f"somebody has set the demo's campaign to {state.value}")
        if progress.seconds > seconds:
            left = progress.leads - progress.leads_done
            raise DemoFailed(f"after {progress.seconds:.0f} s {left} leads are not done yet")
        time.sleep(LOOK_SECONDS)


def _look(engine: Engine, campaign_id: int, seconds: float) -> tuple[CampaignState, Progress]:
    with engine.connect().execution_options(dialer_readonly=True) as c:
        state = c.execute(select(campaign.c.state).where(campaign.c.id == campaign_id)).scalar_one()
        leads = _counts(c, lead.c.state, lead.c.campaign_id == campaign_id)
        mine = attempt.c.campaign_id == campaign_id
        states = _counts(c, attempt.c.state, mine)
        states.pop(AttemptState.ENDED.value, None)
        dispositions = _counts(c, attempt.c.disposition, mine)
        dispositions.pop(None, None)  # type: ignore[call-overload]
        redials = c.execute(
            select(func.count()).select_from(attempt).where(mine, attempt.c.follows.is_not(None))
        ).scalar_one()
        messages = _counts(c, message.c.state, message.c.campaign_id == campaign_id)
    done = leads.get("done", 0)
    return CampaignState(state), Progress(
        seconds, done, sum(leads.values()), states, dispositions, redials, messages
    )


def _counts(connection: Any, column: Any, condition: Any) -> dict[str, int]:
    rows = connection.execute(select(column, func.count()).where(condition).group_by(column))
    return {row[0]: row[1] for row in rows}


def wait_for_messages(engine: Engine, campaign_id: int) -> None:
    """Until every message has left or failed; those that have not are seen in the report."""
    going = [MessageState.PENDING.value, MessageState.SENDING.value, MessageState.SENT.value]
    until = datetime.now(UTC) + timedelta(seconds=SETTLE_SECONDS)
    while datetime.now(UTC) < until:
        with engine.connect().execution_options(dialer_readonly=True) as connection:
            left = _counts(connection, message.c.state, message.c.campaign_id == campaign_id)
        if not any(left.get(state) for state in going):
            return
        time.sleep(LOOK_SECONDS)
