"""A whole campaign on a simulated network, from made-up debtors to a report: ``dialer demo``."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, func, select

from dialer.config import Settings
from dialer.domain.model import AttemptState, CampaignPlan, CampaignState, MessageState
from dialer.importing.run import Options, import_file
from dialer.local import demo_payments
from dialer.local.demo_result import Witnessed, result
from dialer.local.installation import make_database, make_home, make_prompts
from dialer.local.launch import make_campaign
from dialer.local.ports import with_free_ports
from dialer.local.stack import CARRIER, Simulation, Stack
from dialer.local.witnessing import Witnessing
from dialer.simulation.leads import MadeUpLead, make_leads, save_leads
from dialer.simulation.personas import PERSONAS, named
from dialer.store import campaigns, companies, imports
from dialer.store.campaign_file import CampaignFile, campaign_of
from dialer.store.campaigns import Action
from dialer.store.companies import NewCompany
from dialer.store.db import open_database
from dialer.store.import_sink import DatabaseSink, find_target
from dialer.store.plans import load_plan
from dialer.store.tables import attempt, campaign, lead, message

ACTOR = "demo"
CALLER_IDS = ("+34910000101", "+34910000102", "+34910000103", "+34910000104")
LOOK_SECONDS = 0.5
KNOWN_SECONDS = 90.0
"""How long payments may take to be known after the last call."""
SETTLE_SECONDS = 15.0
"""How long messages may take to be sent after the last call."""


class DemoFailed(Exception):
    """The demo did not come to its end; the message says what it waited for."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """``timeout``: seconds for the calls, after which the demo gives up (None: by the size).

    ``personas``: names, of whom the debtors are drawn (none: all, by their weight).
    ``payments``: debtors pay by card, at the simulated bank behind ``gateway``.
    """

    leads: int = 300
    cps: float = 10.0
    seed: int = 1
    timeout: float | None = None
    personas: tuple[str, ...] = ()
    payments: bool = False
    gateway: str = "test"

    @property
    def seconds(self) -> float:
        """Each lead is called about twice; the slowest call takes a minute and a half."""
        return self.timeout or 240.0 + 3.0 * self.leads / self.cps


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


def demo_settings(settings: Settings) -> Settings:
    """Those of the demo's own installation, on free ports.

    ``settings`` are read with the demo's own state folder as DIALER_HOME, so that nothing of
    another installation's config.yaml (a real trunk, its database) gets in; what the environment
    names (DATABASE_URL, REDIS_URL, DIALER_TRUNK, TWILIO_API_BASE) is used.
    """
    return with_free_ports(settings)


def run_demo(
    settings: Settings,
    options: DemoOptions,
    watch: Watch = Watch(),  # noqa: B008 - frozen
    linger: Callable[[Stack], None] = lambda _stack: None,
) -> dict[str, Any]:
    """Run it in the installation of ``settings`` (see ``demo_settings``); its result.

    ``linger`` is called at the end, while everything still runs. Raises DemoFailed and
    ComponentFailed.
    """
    began = time.monotonic()
    if options.payments:
        settings = settings.model_copy(update={"gateways": {"*": options.gateway}})
    name = f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    engine = _prepare(settings, watch.tell)
    try:
        campaign_id = _make(engine, settings, options, name, watch.tell)
        arguments = {"engine": ["--campaign", name]}
        # An account without an address would be the real Twilio: never from a demo.
        simulation = Simulation(
            network=True, twilio=not settings.twilio_api_base, acquirer=options.payments
        )
        with Stack(settings, simulation, arguments=arguments, tell=watch.tell) as stack:
            with _witness(stack) as seen:
                called = time.monotonic()
                with engine.begin() as connection:
                    campaigns.change_state(connection, name, Action.START, ACTOR, datetime.now(UTC))
                _wait_until_over(engine, campaign_id, options, watch)
                if options.payments:
                    watch.tell("the last payments are looked up")
                    demo_payments.wait_until_known(engine, KNOWN_SECONDS)
                _wait_for_messages(engine, campaign_id)
            found = _result(engine, campaign_id, options, seen())
            if options.payments:
                found["payments"] = _payments(engine, campaign_id, settings)
            if settings.trunk is not None and not found["match"]:
                found["match"] = None  # who lives behind that peer is not known
            found |= {
                "campaign": name,
                "home": str(settings.home),
                "simulated": settings.trunk is None,
                "seconds": {
                    "whole": round(time.monotonic() - began, 1),
                    "calling": round(time.monotonic() - called, 1),
                },
            }
            linger(stack)
            return found
    finally:
        engine.dispose()


# --- before --------------------------------------------------------------------------------


def _prepare(settings: Settings, tell: Callable[[str], None]) -> Engine:
    """A fresh state folder (a database that was named is kept), prompts, the open database."""
    if not settings.database_url:
        for path in settings.home.glob("dialer.db*"):
            path.unlink()
    if not settings.redis_url:
        shutil.rmtree(settings.home / "redis", ignore_errors=True)
    shutil.rmtree(settings.home / "log", ignore_errors=True)
    list(make_home(settings))
    make_database(settings)
    tell("the prompts are looked through")
    make_prompts(settings)
    return open_database(settings.database)


def _make(
    engine: Engine,
    settings: Settings,
    options: DemoOptions,
    name: str,
    tell: Callable[[str], None],
) -> int:
    """Company, debtors through the importer, campaign; the campaign's id."""
    now = datetime.now(UTC)
    new = NewCompany(name, "ES", "Europe/Madrid", "Banco Demo", CALLER_IDS[0])
    with engine.begin() as connection:
        companies.create_company(connection, new, ACTOR, now)
        target = find_target(connection, name, None)
    make_prompts(settings)  # the greeting says the company's name
    path = settings.home / "leads.csv"
    save_leads(_made_up(options), path)
    with DatabaseSink(engine, target, ACTOR, lambda: datetime.now(UTC)) as sink:
        summary = import_file(path, Options(), sink)
    if summary.rejected or summary.new_accounts != options.leads:
        raise DemoFailed(f"the importer took {summary.new_accounts} of {options.leads} debtors")
    tell(f"{summary.new_accounts} made-up debtors imported")
    with engine.begin() as connection:
        wanted = demo_campaign(name, options.cps)
        campaign_id, _ = make_campaign(connection, settings, wanted, ACTOR, now)
        imports.add_leads(connection, campaign_id)
    return campaign_id


def _made_up(options: DemoOptions) -> list[MadeUpLead]:
    try:
        personas = [named(name) for name in options.personas] or None
        if personas is None and options.payments:
            personas = demo_payments.cast()
    except KeyError as error:
        known = ", ".join(persona.name for persona in PERSONAS.values())
        raise DemoFailed(f"there is no persona {error}; there are: {known}") from error
    today = datetime.now(UTC).date()
    return make_leads(options.leads, options.seed, today=today, personas=personas)


def demo_campaign(name: str, cps: float) -> CampaignFile:
    """The campaign: as in real life, but open day and night and with retries after seconds."""
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
        }
    )


# --- during --------------------------------------------------------------------------------


@contextmanager
def _witness(stack: Stack) -> Iterator[Callable[[], Witnessed]]:
    """What the carrier saw, asked for afterwards; nothing where the network is not simulated."""
    if CARRIER not in stack.components:
        yield list
        return
    with Witnessing(stack.settings) as witnessing:
        yield witnessing.calls


def _wait_until_over(engine: Engine, campaign_id: int, options: DemoOptions, watch: Watch) -> None:
    began = time.monotonic()
    while True:
        state, progress = _look(engine, campaign_id, time.monotonic() - began)
        watch.look(progress)
        if state is CampaignState.FINISHED:
            return
        if state is not CampaignState.RUNNING:
            raise DemoFailed(f"somebody has set the demo's campaign to {state.value}")
        if progress.seconds > options.seconds:
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


def _wait_for_messages(engine: Engine, campaign_id: int) -> None:
    """Until every message has left or failed; those that have not are seen in the report."""
    going = [MessageState.PENDING.value, MessageState.SENDING.value, MessageState.SENT.value]
    until = datetime.now(UTC) + timedelta(seconds=SETTLE_SECONDS)
    while datetime.now(UTC) < until:
        with engine.connect().execution_options(dialer_readonly=True) as connection:
            left = _counts(connection, message.c.state, message.c.campaign_id == campaign_id)
        if not any(left.get(state) for state in going):
            return
        time.sleep(LOOK_SECONDS)


# --- after ---------------------------------------------------------------------------------


def _payments(engine: Engine, campaign_id: int, settings: Settings) -> dict[str, Any]:
    ledger = demo_payments.bank_ledger(settings)
    with engine.connect().execution_options(dialer_readonly=True) as connection:
        return demo_payments.payment_result(connection, campaign_id, ledger, demo_payments.today())


def _result(
    engine: Engine, campaign_id: int, options: DemoOptions, seen: Witnessed
) -> dict[str, Any]:
    with engine.connect().execution_options(dialer_readonly=True) as connection:
        plan: CampaignPlan = load_plan(connection, campaign_id)
        found = result(connection, campaign_id, plan, seen)
    return {"leads": options.leads, "seed": options.seed, **found}
