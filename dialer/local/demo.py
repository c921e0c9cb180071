"""A whole campaign on a simulated network, from made-up debtors to a report: ``dialer demo``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine

from dialer.config import Settings
from dialer.domain.model import CampaignPlan
from dialer.local import demo_agents, demo_payments
from dialer.local.demo_agents import AgentOptions
from dialer.local.demo_agents_result import Shift, company_of, shift_result
from dialer.local.demo_campaign import (
    ACTOR,
    DemoFailed,
    Watch,
    demo_campaign,
    make_calls,
    prepare,
    wait_for_messages,
    wait_until_over,
)
from dialer.local.demo_result import Witnessed, figures_alone, result
from dialer.local.ports import with_free_ports
from dialer.local.stack import AGENTS, CARRIER, ENGINE, Simulation, Stack
from dialer.local.witnessing import Witnessing
from dialer.simulation.leads import MadeUpLead, make_leads
from dialer.simulation.personas import EVERYBODY, named
from dialer.store import campaigns
from dialer.store.campaigns import Action
from dialer.store.plans import load_plan

KNOWN_SECONDS = 90.0
"""How long payments may take to be known after the last call."""
WORKING_SECONDS = 40.0
"""How long agents may take to come to work."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """``timeout``: seconds for the calls, after which the demo gives up (None: by the size).

    ``personas``: names, who come in turn (none: all are drawn, by their weight).
    ``payments``: debtors pay by card, at the simulated bank behind ``gateway``. ``staff``: agents
    work, and debtors are called for them.
    """

    leads: int = 300
    cps: float = 10.0
    seed: int = 1
    timeout: float | None = None
    personas: tuple[str, ...] = ()
    payments: bool = False
    gateway: str = "test"
    staff: AgentOptions | None = None

    @property
    def seconds(self) -> float:
        """Each lead is called about twice; the slowest call takes a minute and a half."""
        usual = 240.0 + 3.0 * self.leads / self.cps
        return self.timeout or usual + (self.staff.seconds(self.leads) if self.staff else 0.0)


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
    linger: Callable[[Stack, dict[str, Any]], None] | None = None,
    ready: Callable[[Stack], None] = lambda _stack: None,
) -> dict[str, Any]:
    """Run it in the installation of ``settings`` (see ``demo_settings``); its result.

    ``ready`` is called before the first call, ``linger`` with the result at the end, while
    everything still runs, now for any campaign. Raises DemoFailed and ComponentFailed.
    """
    began = time.monotonic()
    if options.staff is not None:
        settings = settings.model_copy(update={"agents": True})
    if options.payments:
        settings = settings.model_copy(
            update={"gateways": {"*": options.gateway}, "mercadopago_telephone": True}
        )
    name = f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    engine = prepare(settings, watch.tell)
    try:
        plan = _campaigns(engine, settings, name, options, watch)
        arguments = {ENGINE: [] if plan.second is not None else ["--campaign", name]}
        if options.staff is not None:
            arguments[AGENTS] = options.staff.arguments(settings.home, options.seed)
        # An account without an address would be the real Twilio: never from a demo.
        simulation = Simulation(
            network=True,
            twilio=not settings.twilio_api_base,
            acquirer=options.payments,
            agents=options.staff is not None,
        )
        with Stack(settings, simulation, arguments=arguments, tell=watch.tell) as stack:
            ready(stack)
            with _witness(stack) as seen:
                called = time.monotonic()
                shift = _call(engine, plan, options, watch)
                if options.payments:
                    watch.tell("the last payments are looked up")
                    demo_payments.wait_until_known(engine, KNOWN_SECONDS)
                wait_for_messages(engine, plan.first)
            found = _result(engine, plan.first, options, seen(), shift, stack)
            if options.payments:
                found["payments"] = _payments(engine, plan.first, stack.settings, options.gateway)
                if options.staff is not None:
                    found["payments"]["match"] = None  # whether they are asked is by chance
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
            if linger is not None:
                if not settings.database_url:  # whoever looks around starts one of their own
                    stack.restart(ENGINE)
                linger(stack, found)
            return found
    finally:
        engine.dispose()


@dataclass(frozen=True, slots=True)
class _Plan:
    """The campaigns of a demo: names and ids. ``second``: of those who ask for an agent."""

    name: str
    first: int
    second: int | None = None

    @property
    def names(self) -> list[str]:
        return [self.name] if self.second is None else [self.name, second_name(self.name)]


def second_name(name: str) -> str:
    """Of the campaign without agents, in whose flow they are asked for."""
    return f"{name}-asking"


# --- before --------------------------------------------------------------------------------


def _campaigns(
    engine: Engine, settings: Settings, name: str, options: DemoOptions, watch: Watch
) -> _Plan:
    staff, made_up = options.staff, _made_up(options)
    if staff is None:
        wanted = demo_campaign(name, options.cps)
        return _Plan(name, make_calls(engine, settings, wanted, made_up, watch.tell))
    # A database that was named may hold others' campaigns: those are left alone, by an engine that
    # has one campaign only.
    asking = 0 if settings.database_url else demo_agents.how_many_ask(options.leads)
    wanted = demo_agents.agents_campaign(name, options.cps, staff)
    called = made_up[: options.leads - asking]
    first = make_calls(engine, settings, wanted, called, watch.tell)
    demo_agents.hire(engine, settings, name, staff)
    if not asking:
        return _Plan(name, first)
    second = demo_agents.add_asking(
        engine,
        settings,
        demo_agents.asking_campaign(second_name(name), name, options.cps),
        demo_agents.asking(asking, options.seed, called),
        first,
    )
    return _Plan(name, first, second)


def _made_up(options: DemoOptions) -> list[MadeUpLead]:
    try:
        # Those asked for by name come in turn, so that each of them does.
        personas = [replace(named(name), weight=0) for name in options.personas] or None
    except KeyError as error:
        known = ", ".join(persona.name for persona in EVERYBODY.values())
        raise DemoFailed(f"there is no persona {error}; there are: {known}") from error
    if options.staff is not None:
        paying = options.payments
        made = demo_agents.called(options.leads, options.seed, personas, paying=paying)
    else:
        if personas is None and options.payments:
            personas = demo_payments.cast()
        today = datetime.now(UTC).date()
        made = make_leads(options.leads, options.seed, today=today, personas=personas)
    currency = demo_payments.CURRENCY_OF.get(options.gateway, "EUR")
    return [replace(one, currency=currency) for one in made]


# --- during --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Worked:
    """From when to when agents worked, and in which states some of them stayed."""

    campaigns: tuple[int, ...]
    began: datetime
    ended: datetime
    stuck: tuple[str, ...]


def _call(engine: Engine, plan: _Plan, options: DemoOptions, watch: Watch) -> _Worked | None:
    """Start the campaigns and wait for their end."""
    if options.staff is not None:
        demo_agents.wait_until_working(engine, options.staff.agents, WORKING_SECONDS)
        watch.tell(f"{options.staff.agents} agents take calls")
    began = datetime.now(UTC)
    with engine.begin() as connection:
        for name in plan.names:
            campaigns.change_state(connection, name, Action.START, ACTOR, began, alone=True)
    ids = (plan.first,) if plan.second is None else (plan.first, plan.second)
    for one in ids:
        wait_until_over(engine, one, options.seconds, watch)
    if options.staff is None:
        return None
    ended = datetime.now(UTC)
    stuck = demo_agents.wait_until_idle(engine)
    return _Worked(ids, began, ended, tuple(stuck))


@contextmanager
def _witness(stack: Stack) -> Iterator[Callable[[], Witnessed]]:
    """What the carrier saw, asked for afterwards; nothing where the network is not simulated."""
    if CARRIER not in stack.components:
        yield list
        return
    with Witnessing(stack.settings) as witnessing:
        yield witnessing.calls


# --- after ---------------------------------------------------------------------------------


def _payments(engine: Engine, campaign_id: int, settings: Settings, gateway: str) -> dict[str, Any]:
    ledger = demo_payments.bank_ledger(settings, gateway)
    with engine.connect().execution_options(dialer_readonly=True) as connection:
        return demo_payments.payment_result(connection, campaign_id, ledger, demo_payments.today())


def _result(  # noqa: PLR0913 - what a demo leaves behind
    engine: Engine,
    campaign_id: int,
    options: DemoOptions,
    seen: Witnessed,
    worked: _Worked | None,
    stack: Stack,
) -> dict[str, Any]:
    with engine.connect().execution_options(dialer_readonly=True) as connection:
        plan: CampaignPlan = load_plan(connection, campaign_id)
        of_all = {"leads": options.leads, "seed": options.seed}
        if worked is None or options.staff is None:
            return {**of_all, **result(connection, campaign_id, plan, seen)}
        home = stack.settings.home
        shift = Shift(
            company_id=company_of(connection, campaign_id),
            campaigns=worked.campaigns,
            began=worked.began,
            ended=worked.ended,
            hold=plan.agents.hold,
            # Where agents say nothing, what is heard first is something else.
            seen=() if options.staff.pay else seen,
            measured=demo_agents.measured(home),
            stuck=worked.stuck,
            pacing_reason=demo_agents.pacing_reason(home / "log" / f"{ENGINE}.log"),
            extra={"agents": options.staff.agents, "mode": options.staff.mode.value},
        )
        agents = shift_result(connection, shift)
        found = figures_alone(connection, campaign_id, plan, seen)
    return {**of_all, **found, "match": not agents["problems"], "agents": agents}
