"""The process that hears cards: a FastAGI server of its own with one entry, and a health page.

It loads as little as can be: no flows, no Redis, no gateway's library (those are loaded where cards
are sent, ``dialer.payments.clean_room``). Texts that follow a payment leave by the worker's sweep.
"""

from __future__ import annotations

import gc
import ipaddress
import signal
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from agi_scripts import pay
from agi_scripts.database import database_problem, open_for_calls
from agi_scripts.hardening import NotHardened, what_shows
from agi_scripts.pay_prompts import PayPrompts
from agi_scripts.pay_terms import CardGuard, Payments
from agi_scripts.pay_watch import AgentWatches, Nobody, Tell, Watcher
from agi_scripts.server import AgiServer
from agi_scripts.sounds import Sounds, missing_sounds
from dialer.config import Settings
from dialer.health import Check, serve_health
from dialer.logs import get_logger
from dialer.payments.gateway import GatewayError
from dialer.payments.submission import Submitter
from dialer.store.pay_sessions import PaySession
from dialer.switch import names
from dialer.switch.ami_client import AmiClient
from dialer.switch.guard import Guard

log = get_logger(__name__)

DRAIN_SECONDS = 20.0
"""How long payments may go on after the process was told to stop."""
ANSWERS_SECONDS = 3.0
"""And how long answers of gateways are waited for behind that; look-ups find the others."""
MOST_SESSIONS = 500
SAFE_SECONDS = 5.0
"""How old the health page's knowledge of Asterisk may be; a payment always asks anew."""


def now() -> datetime:
    """This moment, aware UTC."""
    return datetime.now(UTC)


def build(
    settings: Settings, submitter: Submitter, guard: CardGuard, tell: Tell | None = None
) -> Payments:
    """The parts put together; ``tell``: of AMI, for agents who look on."""
    engine = open_for_calls(settings.database)

    def watcher(session: PaySession) -> Watcher:
        if tell is None or not session.watched:
            return Nobody()
        return AgentWatches(engine, tell, session)

    return Payments(
        settings=settings,
        engine=engine,
        sounds=Sounds(settings.prompts_dir),
        prompts=PayPrompts(settings.flows_dir),
        submitter=submitter,
        guard=guard,
        clock=now,
        watcher=watcher,
    )


def _teller(settings: Settings) -> AmiClient:
    """A connection of its own: what is told and what the guard asks do not wait for each other."""
    return AmiClient(
        host=settings.switch_host,
        port=settings.ami_port,
        user=settings.payments_ami_user,
        secret=settings.secret(names.SECRET_PAYMENTS_AMI),
    )


def serve(payments: Payments, port: int | None = None) -> AgiServer:
    """The server, listening (on ``payments_agi_port`` unless told); to be started. Raises
    IvrError."""
    settings = payments.settings
    return AgiServer(
        payments,
        settings.agi_host,
        settings.payments_agi_port if port is None else port,
        entries={names.AGI_PAY: pay.run},
        most_sessions=MOST_SESSIONS,
    )


def checks(payments: Payments) -> dict[str, Check]:
    """What the health page asks."""
    return {
        "database": lambda: database_problem(payments.engine),
        "hardened": what_shows,
        "asterisk": _Seldom(lambda: "; ".join(payments.guard.check()) or None),
        "gateways": lambda: _gateways(payments),
        "sending": payments.submitter.problem,
        "prompts": lambda: missing_sounds(payments.sounds, payments.settings.flows_dir),
    }


class _Seldom:
    """A check that is not made again within ``SAFE_SECONDS``."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._known: tuple[float, str | None] | None = None

    def __call__(self) -> str | None:
        if self._known is None or time.monotonic() - self._known[0] > SAFE_SECONDS:
            reason = self._check()
            self._known = (time.monotonic(), reason)
        return self._known[1]


def _gateways(payments: Payments) -> str | None:
    wanted = sorted(set(payments.settings.gateways.values()))
    if not wanted:
        return 'none is named: set DIALER_GATEWAYS, for example {"*": "stripe"}'
    wrong = []
    for name in wanted:
        try:
            payments.submitter.capabilities(name)
        except GatewayError as error:
            wrong.append(f"{name}: {error}")
    return "; ".join(wrong) or None


def run_payments(settings: Settings, ready: Callable[[int], None] = lambda _port: None) -> int:
    """Serve until SIGTERM or SIGINT; ``ready`` is called with the port. The exit code.

    Raises NotHardened in a process that shows its memory, SubmissionError, and IvrError and
    HealthError where a port is taken.
    """
    reason = what_shows()
    if reason is not None:
        raise NotHardened(reason)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    guard = Guard(settings)
    teller = _teller(settings)

    def tell(headers: Mapping[str, str]) -> None:
        teller.ask({"Action": "UserEvent", **headers})

    with Submitter(settings) as submitter:
        payments = build(settings, submitter, guard, tell)
        server = serve(payments)
        if not ipaddress.ip_address(server.host).is_loopback:
            log.error("keys would cross a network in the clear: no card is taken")
        asked = checks(payments)
        with serve_health(settings.payments_health_port, "payments", asked):
            for name, check in asked.items():
                if why := check():
                    log.warning("not ready", check=name, why=why)
            # Nothing that lives as long as the process is looked through between two keys.
            gc.collect()
            gc.freeze()
            server.start()
            log.info("payments ready")
            ready(server.port)
            stop.wait()
            going_on = server.active
            if not server.close(drain=DRAIN_SECONDS):
                log.warning("stopped with payments going on", sessions=server.active)
            submitter.close(drain=ANSWERS_SECONDS)
            log.info("payments stopped", sessions_at_stop=going_on)
        payments.engine.dispose()
    teller.close()
    guard.close()
    return 0
