"""The IVR as a process: server, health page, and an end that lets calls finish."""

from __future__ import annotations

import ipaddress
import signal
import threading
from collections.abc import Callable

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from agi_scripts.database import database_problem, open_for_calls
from agi_scripts.effects import Enqueue
from agi_scripts.server import AgiServer
from agi_scripts.session import Ivr
from agi_scripts.shelf import Shelf
from agi_scripts.sounds import Sounds, missing_sounds
from dialer.config import Settings
from dialer.health import Check, serve_health
from dialer.logs import get_logger
from dialer.messaging.templates import check_templates
from dialer.store.tables import company

log = get_logger(__name__)

DRAIN_SECONDS = 20.0
"""How long calls may go on after the IVR was told to stop."""


def build(settings: Settings, enqueue: Enqueue) -> Ivr:
    """The parts put together."""
    return Ivr(
        settings=settings,
        engine=open_for_calls(settings.database),
        shelf=Shelf(settings.flows_dir),
        sounds=Sounds(settings.prompts_dir),
        enqueue=enqueue,
    )


def checks(ivr: Ivr) -> dict[str, Check]:
    """What the health page asks."""
    return {
        "database": lambda: database_problem(ivr.engine),
        "flows": ivr.shelf.problems,
        "prompts": lambda: missing_sounds(
            ivr.sounds, ivr.settings.flows_dir, _companies(ivr.engine)
        ),
        "messages": lambda: "; ".join(check_templates(ivr.settings.flows_dir / "messages")) or None,
    }


def _companies(engine: Engine) -> list[str]:
    try:
        with engine.connect().execution_options(dialer_readonly=True) as connection:
            return list(connection.execute(select(company.c.spoken_name)).scalars())
    except SQLAlchemyError:
        return []  # the check of the database tells


def run_ivr(settings: Settings, enqueue: Enqueue, ready: Callable[[int], None]) -> int:
    """Serve until SIGTERM or SIGINT; ``ready`` is called with the port. The exit code.

    Raises IvrError and HealthError where a port is taken.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    ivr = build(settings, enqueue)
    server = AgiServer(ivr, settings.agi_host, settings.agi_port)
    if not ipaddress.ip_address(server.host).is_loopback:
        log.warning("FastAGI has no password: let only Asterisk reach it", host=server.host)
    with serve_health(settings.ivr_health_port, "ivr", checks(ivr)):
        for name, check in checks(ivr).items():
            if reason := check():
                log.warning("not ready", check=name, why=reason)
        server.start()
        ready(server.port)
        stop.wait()
        going_on = server.active
        if not server.close(drain=DRAIN_SECONDS):
            log.warning("stopped with calls going on", calls=server.active)
        log.info("ivr stopped", calls_at_stop=going_on)
    ivr.engine.dispose()
    return 0
