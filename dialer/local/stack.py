"""Everything on one machine: Redis, Asterisk, the IVR, workers, the web, the engine; and, where
nothing real is given, the simulated telephone network, Twilio and acquirer; agents on demand."""

from __future__ import annotations

import http.client
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import AliasChoices, SecretStr
from redis import Redis
from redis.exceptions import RedisError

from dialer.config import ROOT, Settings
from dialer.local.supervisor import Component, ComponentFailed, Supervisor
from dialer.switch.instance import port_taken
from dialer.switch.trunks import trunks_path

Tell = Callable[[str], None]

REDIS, CARRIER, ASTERISK, TWILIO = "redis", "carrier", "asterisk", "twilio-double"
ACQUIRER = "acquirer-double"
IVR, PAYMENTS, WORKER, WEB, ENGINE = "ivr", "payments", "worker", "web", "engine"
AGENTS = "agents-double"
_TIERS = (
    (REDIS, CARRIER, ASTERISK, TWILIO, ACQUIRER),
    (IVR, PAYMENTS, WORKER, WEB),
    (ENGINE,),
    (AGENTS,),
)
ALL = tuple(name for tier in _TIERS for name in tier)
"""In the order they are started, those of a tier side by side."""
_COMMANDS: dict[str, tuple[str, ...]] = {PAYMENTS: ("ivr", "--payments")}
"""The command of a component that is not called like it."""

TEST_GATEWAY = "test"
_FACES = ("stripe", "redsys", "mercadopago")
"""Gateways that the simulated acquirer can be as well, each below its name."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """Which of the outside world is simulated.

    ``acquirer``: cards are charged at the simulated acquirer, unless other gateways are named.
    ``agents``: simulated ones work here.
    """

    network: bool
    twilio: bool
    acquirer: bool = False
    agents: bool = False


def what_is_missing(settings: Settings) -> Simulation:
    """Simulate the network where no trunk is described, Twilio where none is named."""
    real_trunk = settings.trunk is not None or trunks_path(settings).exists()
    real_twilio = bool(settings.twilio_account_sid or settings.twilio_api_base)
    return Simulation(network=not real_trunk, twilio=not real_twilio)


EVERYTHING = Simulation(network=True, twilio=True)


class Stack:
    """The processes of one installation, as a context manager.

    ``only`` names the components to run (default: all that apply). ``arguments`` adds to a
    component's command line, like ``{"engine": ["--until-finished"]}``. The database must be
    migrated and the prompts made. Raises ComponentFailed when something does not start.
    """

    def __init__(
        self,
        settings: Settings,
        simulation: Simulation = EVERYTHING,
        *,
        only: Sequence[str] = ALL,
        arguments: Mapping[str, Sequence[str]] | None = None,
        tell: Tell = lambda _line: None,
    ) -> None:
        if simulation.twilio:
            base = f"http://127.0.0.1:{settings.twilio_double_port}"
            settings = settings.model_copy(update={"twilio_api_base": base})
        if simulation.acquirer:
            settings = settings.model_copy(update=_simulated_acquirer(settings))
        self.settings = settings
        self.supervisor = Supervisor(settings.home, tell)
        left_out = set()
        if not simulation.network or settings.trunk is not None:
            left_out.add(CARRIER)
        if not simulation.twilio:
            left_out.add(TWILIO)
        if not simulation.acquirer:
            left_out.add(ACQUIRER)
        if not simulation.agents:
            left_out.add(AGENTS)
        if not settings.gateways:
            left_out.add(PAYMENTS)
        if settings.redis_url:
            left_out.add(REDIS)
        self.components = [name for name in ALL if name in only and name not in left_out]
        self._arguments = dict(arguments or {})
        self._environment = environment(settings)

    def __enter__(self) -> Self:
        """Start everything. Raises ComponentFailed; what was started is stopped then."""
        self.supervisor.__enter__()
        try:
            for tier in _TIERS:
                self.start(*(name for name in tier if name in self.components))
        except BaseException:
            self.supervisor.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything, last started first."""
        self.supervisor.__exit__()

    def start(self, *names: str) -> None:
        """Start some components side by side. Raises ComponentFailed."""
        for name in names:
            self._refuse_taken_ports(name)
        self.supervisor.start(*(self._component(name) for name in names))

    def stop(self, name: str) -> None:
        """Stop one component."""
        self.supervisor.stop(name)

    def restart(self, name: str, *arguments: str) -> None:
        """Stop one component and start it with these arguments. Raises ComponentFailed."""
        self.stop(name)
        self._arguments[name] = arguments
        self.start(name)

    def addresses(self) -> list[tuple[str, str]]:
        """(what, where) for people."""
        s = self.settings
        where = {
            REDIS: s.redis.rpartition("@")[2],
            CARRIER: f"sip 127.0.0.1:{s.carrier_sip_port}",
            ASTERISK: f"sip {s.bind}:{s.sip_port}, AMI {s.switch_host}:{s.ami_port}",
            TWILIO: f"http://127.0.0.1:{s.twilio_double_port}",
            ACQUIRER: f"http://127.0.0.1:{s.acquirer_double_port}",
            IVR: f"agi://{s.agi_host}:{s.agi_port}, http://127.0.0.1:{s.ivr_health_port}/health",
            PAYMENTS: f"agi://{s.agi_host}:{s.payments_agi_port},"
            f" http://127.0.0.1:{s.payments_health_port}/health",
            WORKER: f"http://127.0.0.1:{s.worker_health_port}/health",
            WEB: f"http://{s.web_host}:{s.web_port}",
            ENGINE: f"http://127.0.0.1:{s.engine_health_port}/health",
            AGENTS: f"http://{s.web_host}:{s.web_port}/api/v1/agent",
        }
        return [(name, where[name]) for name in self.components]

    # --- how each is started -------------------------------------------------------------

    def _component(self, name: str) -> Component:
        command = _COMMANDS.get(name, (name,))
        return Component(
            name=name,
            argv=(sys.executable, "-m", "dialer", *command, *self._arguments.get(name, ())),
            env=self._environment,
            ready=None if name == AGENTS else self._ready(name),
            # A call may end by itself: the IVR gives those going on 20 seconds.
            stop_seconds=25.0 if name in (IVR, PAYMENTS, AGENTS) else 15.0,
            ready_seconds=90.0,
        )

    def _ready(self, name: str) -> Callable[[], bool]:
        s = self.settings
        if name == REDIS:
            return lambda: _redis_answers(s.redis)
        if name in (ASTERISK, CARRIER, TWILIO, ACQUIRER):
            words = "listens on" if name in (TWILIO, ACQUIRER) else "is ready"
            return lambda: self.supervisor.said(name, words)
        port = _health_port(s, name)
        if name == PAYMENTS:
            # Where it must not take cards it says so to who asks, and flows offer the link.
            return lambda: health("127.0.0.1", port, name)[1].get("name") == name
        return lambda: health("127.0.0.1", port, name)[0]

    def _refuse_taken_ports(self, name: str) -> None:
        """A taken port is told by its setting, before the child fails over it."""
        for kind, setting in _PORTS[name]:
            port = getattr(self.settings, setting)
            host = self.settings.web_host if name == WEB else "127.0.0.1"
            why = port_taken(kind, host, port)
            if why:
                raise ComponentFailed(
                    f"{name} needs {kind} port {port}, which cannot be had ({why}): end what uses"
                    f" it, or set DIALER_{setting.upper()}"
                )


_PORTS: dict[str, tuple[tuple[str, str], ...]] = {
    # Redis and the two Asterisks look for themselves: they also know their own leftovers.
    REDIS: (),
    CARRIER: (),
    ASTERISK: (),
    TWILIO: (("tcp", "twilio_double_port"),),
    ACQUIRER: (("tcp", "acquirer_double_port"),),
    IVR: (("tcp", "agi_port"), ("tcp", "ivr_health_port")),
    PAYMENTS: (("tcp", "payments_agi_port"), ("tcp", "payments_health_port")),
    WORKER: (("tcp", "worker_health_port"),),
    WEB: (("tcp", "web_port"),),
    ENGINE: (("tcp", "engine_health_port"),),
    AGENTS: (),
}


def _simulated_acquirer(settings: Settings) -> dict[str, Any]:
    """Settings that lead to the simulated acquirer wherever nobody named a real one."""
    base = f"http://127.0.0.1:{settings.acquirer_double_port}"
    bases = {"test_acquirer": base} | {name: f"{base}/{name}" for name in _FACES}
    changes: dict[str, Any] = {
        f"{name}_api_base": where
        for name, where in bases.items()
        if not getattr(settings, f"{name}_api_base")
    }
    if not settings.gateways:
        changes["gateways"] = {"*": TEST_GATEWAY}
    return changes


def _health_port(settings: Settings, name: str) -> int:
    ports = {
        IVR: settings.ivr_health_port,
        PAYMENTS: settings.payments_health_port,
        WORKER: settings.worker_health_port,
        WEB: settings.web_port,
        ENGINE: settings.engine_health_port,
    }
    return ports[name]


def _redis_answers(url: str) -> bool:
    try:
        with Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2) as client:
            return bool(client.ping())
    except RedisError:
        return False


def health(host: str, port: int, name: str) -> tuple[bool, dict[str, Any]]:
    """(whether all is well, what ``/health`` said); no answer is not well."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        said = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError):
        return False, {}
    finally:
        connection.close()
    return answer.status == 200 and said.get("name") == name, said


def environment(settings: Settings) -> dict[str, str | None]:
    """What a child process is given, so that it has these very settings.

    Every setting that somebody chose, under its name; None for one that is not chosen and that
    this process's environment may hold. Secrets stay in files.
    """
    given: dict[str, str | None] = {}
    for name, field in type(settings).model_fields.items():
        alias = field.validation_alias
        key = f"DIALER_{name.upper()}"
        if isinstance(alias, AliasChoices):
            key = str(alias.choices[0])
        value = getattr(settings, name)
        chosen = name in settings.model_fields_set and value is not None
        given[key] = _text(value) if chosen else None
    given["DIALER_HOME"] = str(settings.home)
    paths = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    given["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    given["PYTHONUNBUFFERED"] = "1"
    return given


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, dict):
        return json.dumps(value)
    return str(value)
