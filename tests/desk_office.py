"""The whole product with agents, the payment process and the simulated bank. Agents sit at desks
that are driven over HTTP with the reference client; what the far ends heard is recorded there.

    with open_desk_office(home, binary) as office:
        world = office.campaign([...])
        with office.engine_process(world), office.desk(world, station) as ana:
            ana.log_in()
"""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
import numpy as np
import soundfile
from fixtures_stack import COMPONENTS, Office
from voice_peer import tone_in
from world import World

from dialer.config import Settings
from dialer.desk import models
from dialer.desk.client import DeskClient, DeskError, DeskEvent
from dialer.domain.agents import BROWSER
from dialer.domain.model import AgentTerms, Detector, DialMode
from dialer.local.ports import with_free_ports
from dialer.local.stack import ACQUIRER, PAYMENTS, Simulation, Stack
from dialer.simulation.network import carrier_ports
from dialer.simulation.personas import named
from dialer.speech.analysis import goertzel_digits
from dialer.speech.audio import Samples
from dialer.speech.render import ensure_company, ensure_prompts
from dialer.store import agents
from dialer.store import tables as t
from dialer.store.db import migrate, open_database
from dialer.switch import names
from dialer.switch.ami_client import AmiClient
from dialer.switch.instance import AsteriskInstance
from dialer.switch.portable import AsteriskBinary
from dialer.switch.render import carrier_folder
from dialer.tls import trusted

BEAT_SECONDS = 2.0
FRAME = 160
"""Samples of 20 ms."""


@dataclass(frozen=True)
class Ear:
    """What a far end is heard and hears, recorded at the network's Asterisk from some moment on."""

    heard_file: Path

    def heard(self) -> Samples:
        """What came to it, so far; 8 kHz."""
        raw = self.heard_file.read_bytes()
        return np.frombuffer(raw[: len(raw) // 2 * 2], dtype="<i2").astype(np.float64) / 32768

    def tone(self, hertz: float, since: float = 0.0) -> list[float]:
        """How much of a tone is in each 20 ms."""
        samples = self.heard()[round(since * 8000) :]
        frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
        return [tone_in(frame, hertz) for frame in frames]

    def loud(self, since: float = 0.0) -> float:
        """Seconds in which there was something to hear."""
        samples = self.heard()[round(since * 8000) :]
        frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
        return float(((frames**2).mean(axis=1) > 10**-4.5).sum() * 0.02)

    def keys(self) -> str:
        """The keys whose tones came to it."""
        return goertzel_digits(self.heard())


class DeskOffice(Office):
    """An ``Office`` with desks."""

    def __init__(self, stack: Stack, engine: Any, carrier: AsteriskInstance) -> None:
        super().__init__(stack, engine)
        self.carrier = carrier
        self._logins = itertools.count(1)
        self._ears = itertools.count(1)

    def calls_for(
        self, personas: list[str], mode: DialMode = DialMode.PROGRESSIVE, **changes: Any
    ) -> World:
        """A campaign for agents. Nobody is taken for a machine: a tone that goes on would be."""
        terms = AgentTerms(mode=mode, **({"wrap": 600.0} | changes.pop("terms", {})))
        wanted: dict[str, Any] = {
            "fallback": (), "retry": {}, "ring_timeout": 16.0, "detector": Detector.NONE,
        }  # fmt: skip
        return self.campaign(personas, agents=terms, **(wanted | changes))

    def another(self, world: World, persona: str) -> None:
        """One more debtor for a campaign."""
        world.lead(f"+3460{next(self._numbers):05d}{named(persona).code}")

    @contextmanager
    def desk(self, world: World, station: str = BROWSER) -> Iterator[Member]:
        """An agent of the campaign's company at a desk; logged out at the end."""
        login = f"a{next(self._logins)}-{world.company_id}"
        with self.engine.begin() as c:
            one = agents.create_agent(
                c, world.company_id, login, {"station": station}, "test", world.at
            )
            token = agents.new_token(c, one, "test", world.at)
        with Member(self, one, token) as member:
            yield member

    def phone(self, user: str) -> str:
        """The address of a telephone of the simulated network."""
        return f"sip:{user}@127.0.0.1:{self.settings.carrier_sip_port}"

    def quiet_phone(self) -> str:
        """A telephone that says hello and nothing more, and that nobody has."""
        return f"90{next(self._logins):05d}{named('silent').code}"

    # --- the far ends ---------------------------------------------------------------------

    def clear(self) -> None:
        """Nobody is on the line any more. What an earlier test left (an engine that was killed
        hangs nothing up) would be taken for the same telephone's call of the next one."""
        self.carrier.rx("channel request hangup all")
        self.wait("calls of an earlier test go on", self._idle, 15)

    def _idle(self) -> bool:
        return not any("!" in line for line in self._concise())

    def _concise(self) -> list[str]:
        return self.carrier.rx("core show channels concise").splitlines()

    def channels(self, user: str) -> list[str]:
        """Channels of the network on which this user was called."""
        names = [line.split("!")[0] for line in self._concise() if "!" in line]
        return [
            name
            for name in names
            if re.search(
                rf"DNID Digits: {re.escape(user)}\s", self.carrier.rx(f"core show channel {name}")
            )
        ]

    def listen(self, channel: str) -> Ear:
        """Record what comes to a far end from now on."""
        path = self.settings.home / f"ear-{next(self._ears)}"
        ear = Ear(path.with_suffix(".sln"))
        mixed = path.with_suffix(".wav")
        self.carrier.rx(f"mixmonitor start {channel} {mixed},r({ear.heard_file})")
        self.wait("nothing is recorded", ear.heard_file.exists, 5)
        return ear

    def rows(self, world: World, **where: Any) -> list[Any]:
        """The calls of agents."""
        return world.rows(t.agent_call, company_id=world.company_id, **where)

    def bank(self) -> dict[str, Any]:
        """The simulated bank's books."""
        url = f"http://127.0.0.1:{self.settings.acquirer_double_port}/_bank/ledger"
        with httpx.Client(trust_env=False, verify=trusted()) as client:
            return dict(client.get(url, timeout=10).json())


class Member:
    """An agent at a desk: the reference client, a heartbeat while it is not silent, and the events
    as they come."""

    def __init__(self, office: DeskOffice, agent_id: int, token: str) -> None:
        self.office, self.id = office, agent_id
        s = office.settings
        self.client = DeskClient(f"http://127.0.0.1:{s.web_port}", token)
        self.events: list[DeskEvent] = []
        self._beating = threading.Event()
        self._over = threading.Event()
        self._beats: list[threading.Thread] = []
        self._listeners: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(DeskError):  # talking still, or there is no engine any more
            self.client.log_out()
        self._over.set()
        for thread in self._beats:
            thread.join(10)
        self.client.close()
        for thread in self._listeners:
            thread.join(10)

    def log_in(self, *, beats: bool = True) -> models.LoggedIn:
        """Sit down as soon as there is an engine; ``beats``: the test keeps the page alive."""
        end = time.monotonic() + 30
        while True:
            try:
                told = self.client.log_in()
                break
            except DeskError as error:
                if time.monotonic() > end:
                    raise AssertionError("nobody can log in") from error
                time.sleep(0.2)
        if beats:
            self._beats.append(threading.Thread(target=self._beat, daemon=True))
            self._beats[-1].start()
        self._listeners.append(threading.Thread(target=self._listen, daemon=True))
        self._listeners[-1].start()
        return told

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            try:
                self.client.heartbeat()
            except DeskError:
                pass  # between two engines, or logged out

    def _listen(self) -> None:
        try:
            for event in self.client.events():
                self.events.append(event)
        except DeskError:
            pass  # the session is over

    # --- what is known ---------------------------------------------------------------------

    @property
    def state(self) -> str:
        """As the engine told the desk last."""
        states = [one.data["state"] for one in list(self.events) if one.type == "state"]
        return str(states[-1]) if states else ""

    @property
    def leg(self) -> bool:
        """Whether the agent's line is up."""
        told = [one.data["up"] for one in list(self.events) if one.type == "leg"]
        return bool(told) and bool(told[-1])

    def of(self, kind: str) -> list[Any]:
        """What events of a kind said."""
        return [one.data for one in list(self.events) if one.type == kind]

    def wait_for(self, state: str, seconds: float = 20) -> None:
        """Until the desk is told so."""
        self.office.wait(
            f"the agent is {self.state}, not {state}", lambda: self.state == state, seconds
        )

    def wait_line(self) -> None:
        """Until the agent's line is up."""
        self.office.wait("the agent's line is not up", lambda: self.leg, 15)

    def ready(self) -> None:
        """Take calls; who waits is given to them at once. A fresh engine has no switch for a moment
        and says so: then again, as a page does."""
        end = time.monotonic() + 15
        while True:
            try:
                assert self.client.ready()["state"] in ("available", "reserved")
                return
            except DeskError as error:
                if error.code != "switch_away" or time.monotonic() > end:
                    raise
                time.sleep(0.3)


def legs(office: DeskOffice, member: Member) -> int:
    """How many are in the agent's conference."""
    s = office.settings
    with_rights = AmiClient(
        host=s.switch_host, port=s.ami_port, user=s.payments_ami_user,
        secret=s.secret(names.SECRET_PAYMENTS_AMI),
    )  # fmt: skip
    told = with_rights.console(f"confbridge list {member.client.session}")
    with_rights.close()
    return sum("PJSIP/" in row for row in told.splitlines())


@contextmanager
def open_desk_office(home: Path, binary: AsteriskBinary, **changes: Any) -> Iterator[DeskOffice]:
    """Everything but the engine, on SQLite, with agents and cards."""
    settings = with_free_ports(Settings(home=home, agents=True, **changes))
    simulation = Simulation(network=True, twilio=True, acquirer=True)
    migrate(settings.database)
    ensure_prompts(settings)
    ensure_company(settings, "Acme")
    engine = open_database(settings.database)
    with Stack(settings, simulation, only=(*COMPONENTS, PAYMENTS, ACQUIRER)) as stack:
        folder = carrier_folder(stack.settings)
        carrier = AsteriskInstance(binary, folder, carrier_ports(stack.settings))
        carrier.rx("module load app_mixmonitor.so")  # nobody records on the network otherwise
        yield DeskOffice(stack, engine, carrier)
    engine.dispose()


def wav_of(path: Path) -> Samples:
    """A recording of the product's."""
    samples, rate = soundfile.read(path)
    assert rate == 8000
    return np.asarray(samples, dtype=np.float64)
