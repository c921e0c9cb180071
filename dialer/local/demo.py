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
from dialer.local import demo_payments
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
from dialer.local.demo_result import Witnessed, result
from dialer.local.ports import with_free_ports
from dialer.local.stack import CARRIER, Simulation, Stack
from dialer.local.witnessing import Witnessing
from dialer.simulation.leads import MadeUpLead, make_leads
from dialer.simulation.personas import EVERYBODY, named
from dialer.store import campaigns
from dialer.store.campaigns import Action
from dialer.store.plans import load_plan

KNOWN_SECONDS = 90.0
"""How long payments may take to be known after the last call."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """``timeout``: seconds for the calls, after which the demo gives up (None: by the size).

    ``personas``: names, who come in turn (none: all are drawn, by their weight).
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
        settings = settings.model_copy(
            update={"gateways": {"*": options.gateway}, "mercadopago_telephone": True}
        )
    name = f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    engine = prepare(settings, watch.tell)
    try:
        wanted = demo_campaign(name, options.cps)
        campaign_id = make_calls(engine, settings, wanted, _made_up(options), watch.tell)
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
                wait_until_over(engine, campaign_id, options.seconds, watch)
                if options.payments:
                    watch.tell("the last payments are looked up")
                    demo_payments.wait_until_known(engine, KNOWN_SECONDS)
                wait_for_messages(engine, campaign_id)
            found = _result(engine, campaign_id, options, seen())
            if options.payments:
                found["payments"] = _payments(engine, campaign_id, stack.settings, options.gateway)
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


def _made_up(options: DemoOptions) -> list[MadeUpLead]:
    try:
        # Those asked for by name come in turn, so that each of them does.
        personas = [replace(named(name), weight=0) for name in options.personas] or None
        if personas is None and options.payments:
            personas = demo_payments.cast()
    except KeyError as error:
        known = ", ".join(persona.name for persona in EVERYBODY.values())
        raise DemoFailed(f"there is no persona {error}; there are: {known}") from error
    today = datetime.now(UTC).date()
    made = make_leads(options.leads, options.seed, today=today, personas=personas)
    currency = demo_payments.CURRENCY_OF.get(options.gateway, "EUR")
    return [replace(one, currency=currency) for one in made]


# --- during --------------------------------------------------------------------------------


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


def _result(
    engine: Engine, campaign_id: int, options: DemoOptions, seen: Witnessed
) -> dict[str, Any]:
    with engine.connect().execution_options(dialer_readonly=True) as connection:
        plan: CampaignPlan = load_plan(connection, campaign_id)
        found = result(connection, campaign_id, plan, seen)
    return {"leads": options.leads, "seed": options.seed, **found}
