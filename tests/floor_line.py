"""An Asterisk where agents work, a network of telephones that say tones, and an IVR of the test's.

    with floor_line(home, binary) as floor:
        async with floor.open() as line:
            seat = await line.seat_phone()               # an agent's telephone, in its conference
            debtor = await line.debtor()                 # answered, in dialer-wait
            await line.redirect(debtor, names.CONTEXT_TALK, seat.seat)

No engine runs: what it would ask of AMI the test asks, with the engine's own rights.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from fixtures_switch import free_port, switch_settings
from voice_peer import AGENT_HERTZ, DEBTOR_HERTZ, OTHER_HERTZ, VoiceCall, VoicePeer

from agi_scripts.server import AgiServer
from agi_scripts.session import Ivr
from agi_scripts.wire import Agi, Gone
from dialer.config import Settings
from dialer.domain import events as ev
from dialer.switch import names
from dialer.switch.ami import AmiLink, OriginateRequest
from dialer.switch.ami_client import AmiClient
from dialer.switch.instance import AsteriskInstance
from dialer.switch.portable import AsteriskBinary
from dialer.switch.product import prepare_product

E = TypeVar("E", bound=ev.CallEvent)
HERTZ = {"6": DEBTOR_HERTZ, "7": AGENT_HERTZ, "8": OTHER_HERTZ}
"""What the telephones say, by the first digit of their numbers."""
_serial = itertools.count(100_000)


@dataclass(frozen=True)
class Asked:
    """A session of AGI that began."""

    path: str
    unique_id: str
    exten: str
    at: float


@dataclass(frozen=True)
class Seat:
    """An agent's leg in its conference. ``voice``: of a telephone; None: a browser."""

    seat: str
    channel: str
    voice: VoiceCall | None = None


@dataclass
class Floor:
    """``asked``: sessions of AGI so far. ``answers``: path -> what such a session does."""

    settings: Settings
    instance: AsteriskInstance
    asked: list[Asked] = field(default_factory=list)
    answers: dict[str, Callable[[Agi], None]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def entries(self, *paths: str) -> Mapping[str, Callable[[Agi, Ivr], None]]:
        """For an AGI server."""
        return {path: self._entry(path) for path in paths}

    def _entry(self, path: str) -> Callable[[Agi, Ivr], None]:
        def serve(agi: Agi, _ivr: Ivr) -> None:
            exten = agi.env["agi_extension"]
            with self._lock:
                self.asked.append(Asked(path, agi.attempt_id, exten, time.time()))
            try:
                self.answers.get(path, _stay)(agi)
            except Gone:
                pass

        return serve

    def seat(self) -> str:
        """A conference for an agent that nobody else uses."""
        return uuid.uuid4().hex

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Line]:
        """The events, and the telephones, for one test."""
        settings = self.settings
        link = AmiLink(
            host="127.0.0.1", port=settings.ami_port, user=settings.ami_user,
            secret=settings.secret(names.SECRET_AMI), node=settings.node,
        )  # fmt: skip
        ami = AmiClient(
            host="127.0.0.1", port=settings.ami_port, user=settings.ami_user,
            secret=settings.secret(names.SECRET_AMI),
        )  # fmt: skip
        await link.connect()
        await link.wait_ready(15)
        async with VoicePeer(settings.carrier_sip_port, HERTZ) as peer:
            line = Line(self, link, ami, peer)
            reading = asyncio.create_task(line.read())
            try:
                yield line
            finally:
                await line.hang_up_all()
                reading.cancel()
                await link.close()
                ami.close()


def _stay(agi: Agi) -> None:
    """Until the caller goes or is sent elsewhere."""
    while True:
        agi.wait_for_digit(20)


class Line:
    """What one test does on the floor. Waits raise TimeoutError."""

    def __init__(self, floor: Floor, link: AmiLink, ami: AmiClient, peer: VoicePeer) -> None:
        self.floor, self.link, self.ami, self.peer = floor, link, ami, peer
        self.events: list[tuple[float, ev.CallEvent]] = []
        """When each was read (Unix time)."""
        self._new = asyncio.Event()

    async def read(self) -> None:
        """Collect events, for ever."""
        while True:
            event = await self.link.events.get()
            if isinstance(event, ev.CallEvent):
                self.events.append((time.time(), event))
                self._new.set()

    async def event(
        self, kind: type[E], where: Callable[[E], bool] = lambda _: True, within: float = 10
    ) -> E:
        """The first event of that kind that fits, seen already or to come."""
        looked = 0
        async with asyncio.timeout(within):
            while True:
                for _, one in self.events[looked:]:
                    if isinstance(one, kind) and where(one):
                        return one
                looked = len(self.events)
                self._new.clear()
                await self._new.wait()

    async def of(self, kind: type[E], unique_id: str, within: float = 10) -> E:
        """The first event of that kind of a channel."""
        return await self.event(kind, lambda one: one.attempt_id == unique_id, within)

    async def asked_for(self, path: str, unique_id: str, within: float = 10) -> Asked:
        """The channel has come to that script."""
        async with asyncio.timeout(within):
            while True:
                for one in self.floor.asked:
                    if (one.path, one.unique_id) == (path, unique_id):
                        return one
                await asyncio.sleep(0.01)

    async def until(self, condition: Callable[[], bool], within: float = 10) -> None:
        """Wait until it holds."""
        async with asyncio.timeout(within):
            while not condition():  # noqa: ASYNC110 - what is waited for says nothing
                await asyncio.sleep(0.01)

    # --- what the engine does ---------------------------------------------------------------

    async def ask(self, Action: str, **headers: str) -> dict[str, str]:
        """An action of AMI with the engine's rights. Raises AmiRefused."""
        fields = {"Action": Action, **headers}
        return (await asyncio.to_thread(self.ami.ask, fields, 5.0))[0]

    async def redirect(self, channel: str, context: str, exten: str = names.START) -> None:
        """Send a channel (its name or unique id) elsewhere."""
        await self.ask("Redirect", Channel=channel, Context=context, Exten=exten, Priority="1")

    async def debtor(self, context: str = names.CONTEXT_WAIT, **variables: str) -> Debtor:
        """A call that has been answered."""
        attempt, number = uuid.uuid4().hex, f"6{next(_serial)}"
        variables = {names.VAR_DETECTOR: "none", names.VAR_HOLD: "30"} | variables
        await self.link.originate(
            OriginateRequest(
                attempt, f"PJSIP/{number}@{names.DEFAULT_TRUNK}", "+34911000111", 20,
                variables=variables, context=context,
            )
        )  # fmt: skip
        await self.of(ev.Answered, attempt)
        return Debtor(attempt, await self.peer.call(number))

    async def phone(self, digit: str, context: str, exten: str, **headers: str) -> VoiceCall:
        """Call a SIP telephone and send it there."""
        number = f"{digit}{next(_serial)}"
        peer = f"{self.floor.settings.bind}:{self.peer.port}"
        await self.ask(
            "Originate",
            Channel=f"PJSIP/{names.ENDPOINT_PHONES}/sip:{number}@{peer}",
            Context=context, Exten=exten, Priority="1", Async="true", Timeout="10000", **headers,
        )  # fmt: skip
        return await self.peer.call(number)

    async def seat_phone(self, digit: str = "7") -> Seat:
        """An agent's telephone in a conference of its own."""
        seat = self.floor.seat()
        voice = await self.phone(
            digit, names.CONTEXT_AGENT_LEG, names.START,
            ChannelId=names.LEG_PREFIX + seat, Variable=f"{names.VAR_SEAT}={seat}",
        )  # fmt: skip
        joined = await self.joined(seat, names.LEG_PREFIX + seat)
        return Seat(seat, joined.channel, voice)

    async def joined(self, seat: str, unique_id: str) -> ev.ConferenceJoined:
        """A channel has come into the conference."""
        return await self.event(
            ev.ConferenceJoined,
            lambda one: (one.conference, one.attempt_id) == (seat, unique_id),
        )

    async def talk(self, seat: Seat, debtor: Debtor) -> None:
        """Bring them together."""
        await self.redirect(debtor.attempt, names.CONTEXT_TALK, seat.seat)
        await self.joined(seat.seat, debtor.attempt)

    async def hang_up_all(self) -> None:
        """End what the test has left, and wait until nothing is there."""
        for one in self.peer.calls.values():
            if one.ended is None:
                self.peer.hang_up(one)
        await self.until(self._silent, 20)

    def _silent(self) -> bool:
        return "0 active channels" in self.floor.instance.rx("core show channels count")

    # --- what is heard ------------------------------------------------------------------------

    async def hears(
        self, voice: VoiceCall, hertz: float, *, for_packets: int = 20, within: float = 5
    ) -> None:
        """Wait until a telephone has heard a tone in so many packets one after the other."""
        await self._heard(voice, hertz, True, for_packets, within)

    async def hears_no(
        self, voice: VoiceCall, hertz: float, *, for_packets: int = 20, within: float = 5
    ) -> None:
        """The same of a tone that is not there, while sound of some kind comes."""
        await self._heard(voice, hertz, False, for_packets, within)

    async def _heard(
        self, voice: VoiceCall, hertz: float, there: bool, packets: int, within: float
    ) -> None:
        since = time.time()

        def enough() -> bool:
            last = voice.heard(hertz, since)[-packets:]
            return len(last) == packets and all((level > 0.02) is there for _, level in last)

        await self.until(enough, within)


@dataclass(frozen=True)
class Debtor:
    """A debtor's call: the attempt, and the telephone."""

    attempt: str
    voice: VoiceCall


@contextmanager
def floor_line(home: Path, binary: AsteriskBinary, **others: Any) -> Iterator[Floor]:
    """Start Asterisk and both servers of AGI; ``others``: settings."""
    settings = switch_settings(
        home, agents=True, http_port=free_port(), payments_agi_port=free_port(), **others
    )
    floor = Floor(settings, prepare_product(settings, binary))
    flows = (names.AGI_QUEUE, names.AGI_ABANDONED, names.AGI_INBOUND, names.AGI_AGENT)
    nobody = cast(Ivr, None)
    with ExitStack() as stack:
        floor.instance.start()
        stack.callback(floor.instance.stop)
        for port, paths in (
            (settings.agi_port, flows),
            (settings.payments_agi_port, (names.AGI_PAY,)),
        ):
            entries = floor.entries(*paths)
            stack.enter_context(AgiServer(nobody, "127.0.0.1", port, entries=entries))
        yield floor
