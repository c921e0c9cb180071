"""Agents at SIP telephones, for tests of the engine: the second Asterisk answers and stays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from desk_office import DeskOffice, open_desk_office
from fixtures_stack import Office, open_office
from redis import Redis
from world import World

from dialer.desk.wire import EngineAway, Reply, ask, desk_redis
from dialer.domain.model import AgentTerms, DialMode
from dialer.store import tables as t
from dialer.store.agents import create_agent
from dialer.switch import names
from dialer.switch.ami_client import AmiClient
from dialer.switch.portable import AsteriskBinary

STAYS = "silent"
"""Says hello and stays on the line: as a debtor, and as a telephone on an agent's desk."""
ESCAPE_SECONDS = 25.0
"""The longest wait for an agent in the office of ``desks``."""


class Phone:
    """An agent at a SIP telephone, logged in through Redis as the API does it."""

    def __init__(self, office: Office, redis: Redis, world: World, name: str, code: str = "35"):
        self.office, self.redis = office, redis
        at = f"127.0.0.1:{office.settings.carrier_sip_port}"
        number = f"9{abs(hash(name)) % 10**6:06d}{code}"
        with office.engine.begin() as c:
            self.id = create_agent(
                c, world.company_id, name, {"station": f"sip:{number}@{at}"}, "test", world.at
            )
        self.session = ""

    def ask(self, command: str, **args: Any) -> Reply:
        session = None if command in ("log_in", "floor") else self.session
        return ask(self.redis, self.office.settings.node, command, session, args, within=4.0)

    def log_in(self) -> None:
        reply = self.ask("log_in", agent_id=self.id)
        assert reply.ok, reply
        self.session = reply.data["session"]
        self.office.wait("the agent's leg is not up", self.leg_up, 10)

    def leg_up(self) -> bool:
        return bool(self.ask("heartbeat").data.get("leg"))

    def ready(self) -> None:
        reply = self.ask("ready")
        assert reply.ok, reply
        assert reply.data["state"] in ("available", "reserved"), reply  # somebody may wait already

    @property
    def state(self) -> str:
        return str(self.ask("heartbeat").data.get("state"))

    def wait_for(self, state: str, seconds: float = 15) -> None:
        self.office.wait(f"the agent is not {state}", lambda: self.state == state, seconds)


@pytest.fixture(scope="session")
def agents_office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with open_office(tmp_path_factory.mktemp("agents"), agents=True) as one:
        yield one


@pytest.fixture(scope="session")
def desks(
    asterisk_binary: AsteriskBinary, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DeskOffice]:
    """Desks over HTTP, and nobody waits for long."""
    home = tmp_path_factory.mktemp("desks")
    with open_desk_office(home, asterisk_binary, queue_escape_seconds=ESCAPE_SECONDS) as one:
        yield one


@pytest.fixture(autouse=True)
def _nobody_on_the_line(request: pytest.FixtureRequest) -> None:
    """Whichever office of desks a test uses begins with silent telephones."""
    if "desks" in request.fixturenames:
        request.getfixturevalue("desks").clear()


@pytest.fixture
def redis(agents_office: Office) -> Iterator[Redis]:
    with desk_redis(agents_office.settings.redis) as client:
        yield client


@pytest.fixture
def phone(agents_office: Office, redis: Redis) -> Callable[..., Phone]:
    names = iter(f"agent{time.monotonic_ns()}{n}" for n in range(100))
    return lambda world, **more: Phone(agents_office, redis, world, next(names), **more)


def campaign(office: Office, personas: list[str], mode: DialMode, **terms: Any) -> World:
    return office.campaign(
        personas,
        agents=AgentTerms(mode=mode, **({"wrap": 600.0} | terms)),
        fallback=(),
        retry={},
        ring_timeout=16.0,
    )


def calls(world: World, **where: Any) -> list[Any]:
    return world.rows(t.agent_call, company_id=world.company_id, **where)


def alive(phone: Phone) -> bool:
    try:
        return phone.ask("floor").ok
    except EngineAway:
        return False


def all_ended(office: Office, world: World) -> bool:
    return all(row.disposition for row in office.attempts(world))


def ami(office: Office) -> AmiClient:
    """The engine's own user: what it may ask, and nothing more."""
    s = office.settings
    return AmiClient(
        host=s.switch_host, port=s.ami_port, user=s.ami_user, secret=s.secret(names.SECRET_AMI)
    )


def hang_up_channel(office: Office, unique_id: str) -> None:
    client = ami(office)
    client.ask({"Action": "Hangup", "Channel": unique_id, "Cause": "16"})
    client.close()


def talk_of(phone: Phone) -> dict[str, Any]:
    talks = phone.ask("floor").data["talks"]
    return next(one for one in talks if one["session"] == phone.session)
