"""Who asks for a person, is abandoned, or calls back, on a real Asterisk with its own dialplan."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pytest
from agents_office import agent_at_desk, one
from fixtures_ivr import NOW, Office, office, write_sounds
from fixtures_switch import free_port, switch_settings
from sqlalchemy import insert, update
from world import POOL

from agi_scripts import waiting
from dialer.config import ROOT, Settings
from dialer.domain import events as ev
from dialer.domain.model import AgentCallResult, Outcome
from dialer.simulation.key_sender import number_to_dial
from dialer.store import tables as t
from dialer.store.db import migrate, open_database
from dialer.switch import names
from dialer.switch.ami import AmiLink, OriginateRequest
from dialer.switch.ami_client import AmiClient
from dialer.switch.instance import AsteriskInstance
from dialer.switch.portable import AsteriskBinary
from dialer.switch.product import prepare_product

E = TypeVar("E", bound=ev.CallEvent)
BLEEP = b"\x20\xa0" * 1600
"""400 ms of u-law that is heard."""
ASKS_FOR_A_PERSON = "1www5678wwww0"
_serial = itertools.count(600_200_000)


@dataclass
class House:
    """Asterisk where agents work, a telephone that presses keys, the IVR."""

    settings: Settings
    instance: AsteriskInstance
    desk: Office


@pytest.fixture(scope="module")
def house(
    asterisk_binary: AsteriskBinary, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    home = tmp_path_factory.mktemp("house")
    settings = switch_settings(home, agents=True, http_port=free_port())
    instance = prepare_product(settings, asterisk_binary)
    url = f"sqlite:///{home / 'dialer.db'}"
    migrate(url)
    engine = open_database(url)
    write_sounds(home / "prompts", BLEEP)
    telephone = subprocess.Popen(
        [sys.executable, "-m", "dialer.simulation.key_sender", str(settings.carrier_sip_port)],
        stdout=subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    try:
        assert telephone.stdout is not None and telephone.stdout.readline() == b"ready\n"
        instance.start()
        with office(engine, home, home / "prompts", port=settings.agi_port, agents=True) as desk:
            with engine.begin() as c:
                pool = [{"pool_id": desk.world.pool_id, "number": one} for one in POOL]
                c.execute(insert(t.caller_id), pool)
            yield House(settings, instance, desk)
    finally:
        instance.stop()
        telephone.terminate()
        telephone.wait(10)
        if telephone.stdout is not None:
            telephone.stdout.close()
        engine.dispose()


@pytest.fixture(autouse=True)
def _in_no_hurry_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "ROUND_SECONDS", 1.5)


class Line:
    """Places calls and waits for events."""

    def __init__(self, house: House, link: AmiLink, ami: AmiClient) -> None:
        self.house, self.link, self.ami = house, link, ami
        self.seen: list[ev.CallEvent] = []

    async def place(
        self,
        keys: str,
        *,
        context: str = names.CONTEXT_OUTBOUND,
        hold: str = "1",
        record: str = "0",
        **debtor: object,
    ) -> str:
        """A call whose debtor presses these keys; the attempt."""
        attempt = self.house.desk.call(number=f"+34{next(_serial)}", document="5678", **debtor)  # type: ignore[arg-type]
        number = number_to_dial("r", 100, 60, 1000, keys)
        await self.link.originate(
            OriginateRequest(
                attempt, f"PJSIP/{number}@{names.DEFAULT_TRUNK}", "+34911000111", 20,
                variables={
                    names.VAR_DETECTOR: "none", names.VAR_FLOW: "reminder",
                    names.VAR_LANGUAGE: "es", names.VAR_HOLD: hold, names.VAR_RECORD: record,
                },
                context=context,
            )
        )  # fmt: skip
        return attempt

    async def until(
        self, kind: type[E], where: Callable[[E], bool] = lambda _: True, within: float = 40
    ) -> E:
        """The first event of that kind that fits, seen already or to come."""
        looked = 0
        async with asyncio.timeout(within):
            while True:
                for event in self.seen[looked:]:
                    if isinstance(event, kind) and where(event):
                        return event
                looked = len(self.seen)
                came = await self.link.events.get()
                if isinstance(came, ev.CallEvent):
                    self.seen.append(came)

    async def of(self, kind: type[E], attempt: str, within: float = 40) -> E:
        """The first event of that kind of a call."""
        return await self.until(kind, lambda event: event.attempt_id == attempt, within)

    def heard_of(self, attempt: str) -> list[ev.CallEvent]:
        """What was seen of a call so far."""
        return [event for event in self.seen if event.attempt_id == attempt]

    async def local(self, context: str, exten: str, **headers: str) -> None:
        """A channel of Asterisk's own goes there; its other half does what ``headers`` say."""
        await asyncio.to_thread(
            self.ami.ask,
            {"Action": "Originate", "Channel": f"Local/{exten}@{context}", "Async": "true"}
            | headers,
            5.0,
        )

    def context_of(self, attempt: str) -> str:
        """Where the dialplan is with a channel; '' where it is gone."""
        for row in self.house.instance.rx("core show channels concise").splitlines():
            fields = row.split("!")
            if fields[-1] == attempt:
                return fields[1]
        return ""

    async def comes_to(self, attempt: str, context: str, within: float = 10) -> None:
        """Wait until a channel is there."""
        async with asyncio.timeout(within):
            while await asyncio.to_thread(self.context_of, attempt) != context:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


@asynccontextmanager
async def line(house: House) -> AsyncIterator[Line]:
    settings = house.settings
    secret = settings.secret(names.SECRET_AMI)
    link = AmiLink(
        host="127.0.0.1", port=settings.ami_port, user=settings.ami_user, secret=secret,
        node=settings.node,
    )  # fmt: skip
    ami = AmiClient(host="127.0.0.1", port=settings.ami_port, user=settings.ami_user, secret=secret)
    await link.connect()
    await link.wait_ready(15)
    try:
        yield Line(house, link, ami)
    finally:
        house.instance.rx("channel request hangup all")
        await link.close()
        ami.close()
        house.desk.settle()


@pytest.fixture
def working(house: House) -> Iterator[str]:
    """Somebody works; the session."""
    session = agent_at_desk(house.desk)
    yield session
    with house.desk.engine.begin() as c:
        c.execute(update(t.agent_session).values(ended_at=NOW))


def test_from_the_menu_into_the_queue_and_out_by_a_callback(house: House, working: str) -> None:
    async def body() -> None:
        async with line(house) as calls:
            # 0, then some rounds of waiting, then 1: a callback.
            attempt = await calls.place(ASKS_FOR_A_PERSON + "w" * 13 + "1")
            escalated = await calls.of(ev.Escalated, attempt)
            assert escalated.reason == "menu"
            outcome = await calls.of(ev.OutcomeReported, attempt)
            assert outcome.outcome is Outcome.WANTS_AGENT
            row = one(house.desk, t.agent_call, attempt_id=attempt)
            assert (row.kind, row.result) == ("escalation", None)
            await calls.comes_to(attempt, names.CONTEXT_QUEUE)
            over = await calls.of(ev.QueueEnded, attempt)
            assert over.result is AgentCallResult.CALLBACK
            ended = await calls.of(ev.Ended, attempt)
            assert ended.q850 == 16
            assert not any(isinstance(e, ev.HangupRequested) for e in calls.heard_of(attempt))
            assert one(house.desk, t.agent_call, attempt_id=attempt).result == "callback"
            assert one(house.desk, t.callback, attempt_id=attempt).state == "due"

    asyncio.run(body())


def test_the_engine_takes_who_waits_and_nothing_is_said_or_written(
    house: House, working: str
) -> None:
    async def body() -> None:
        async with line(house) as calls:
            attempt = await calls.place(ASKS_FOR_A_PERSON)
            await calls.of(ev.Escalated, attempt)
            await calls.comes_to(attempt, names.CONTEXT_QUEUE)
            await asyncio.sleep(1.0)
            assert await calls.link.redirect(attempt, names.CONTEXT_HOLD, names.START)
            await calls.comes_to(attempt, names.CONTEXT_HOLD)
            await asyncio.to_thread(house.desk.settle)
            assert calls.context_of(attempt) == names.CONTEXT_HOLD, "the call goes on"
            assert one(house.desk, t.agent_call, attempt_id=attempt).result is None
            assert house.desk.world.rows(t.callback, attempt_id=attempt) == []
            assert not any(isinstance(e, ev.QueueEnded) for e in calls.heard_of(attempt))

    asyncio.run(body())


def test_who_waits_hears_music(house: House, working: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Carriers end calls that send no sound. What the recording holds is what the debtor hears."""
    monkeypatch.setattr(waiting, "ROUND_SECONDS", 20.0)

    async def body() -> None:
        async with line(house) as calls:
            attempt = await calls.place(ASKS_FOR_A_PERSON, record="1")
            await calls.of(ev.Escalated, attempt)
            await calls.comes_to(attempt, names.CONTEXT_QUEUE)
            await asyncio.sleep(5.0)
            await asyncio.to_thread(house.instance.rx, "channel request hangup all")
            await calls.of(ev.Ended, attempt)
            [recording] = house.instance.folder.rglob(f"{attempt}.wav")
            with wave.open(str(recording)) as sound:
                sound.setpos(sound.getnframes() - 3 * 8000)
                samples = np.frombuffer(sound.readframes(3 * 8000), np.int16).astype(float)
            seconds = samples.reshape(6, -1)
            assert (np.sqrt((seconds**2).mean(axis=1)) > 50).all(), "half a second of silence"

    asyncio.run(body())


def test_who_is_taken_in_the_moment_of_the_escalation_stays_taken(
    house: House, working: str
) -> None:
    """An agent is free: the engine redirects as soon as it hears, while the session still ends."""

    async def body() -> None:
        async with line(house) as calls:
            attempts = [await calls.place(ASKS_FOR_A_PERSON) for _ in range(5)]
            for attempt in attempts:
                await calls.of(ev.Escalated, attempt)
                assert await calls.link.redirect(attempt, names.CONTEXT_HOLD, names.START)
            await asyncio.sleep(1.0)
            for attempt in attempts:
                assert calls.context_of(attempt) == names.CONTEXT_HOLD

    asyncio.run(body())


def test_where_nobody_works_the_flow_goes_on(house: House) -> None:
    async def body() -> None:
        async with line(house) as calls:
            attempt = await calls.place(ASKS_FOR_A_PERSON)
            ended = await calls.of(ev.Ended, attempt)
            assert ended.q850 == 16
            seen = calls.heard_of(attempt)
            assert not any(isinstance(e, ev.Escalated) for e in seen)
            prompts = [e.prompt for e in seen if isinstance(e, ev.PromptReached)]
            assert prompts[-1] == "somebody_will_call"

    asyncio.run(body())


@pytest.mark.parametrize("language", ["es", "en"])
def test_nobody_came_within_the_hold(house: House, language: str) -> None:
    async def body() -> None:
        async with line(house) as calls:
            attempt = await calls.place("", context=names.CONTEXT_WAIT, language=language)
            answered = await calls.of(ev.Answered, attempt)
            begins = await calls.of(ev.AbandonedPlayed, attempt)
            ended = await calls.of(ev.Ended, attempt)
            prompts = [e for e in calls.heard_of(attempt) if isinstance(e, ev.PromptReached)]
            assert [e.prompt for e in prompts] == ["abandoned_number"]
            waited = (begins.at - answered.at).total_seconds()
            began = (prompts[0].at - answered.at).total_seconds()
            print(f"hold of 1 s: told after {waited:.3f} s, message after {began:.3f} s")
            assert 0.95 < waited <= began < 2
            assert ended.q850 == 16
            assert not any(isinstance(e, ev.HangupRequested) for e in calls.heard_of(attempt))

    asyncio.run(body())


# --- who calls us -----------------------------------------------------------------------------


def test_a_debtor_calls_back_and_promises(house: House) -> None:
    async def body() -> None:
        async with line(house) as calls:
            number = f"+34{next(_serial)}"
            before = one(house.desk, t.attempt, id=house.desk.call(number=number, document="5678"))
            await calls.local(
                names.CONTEXT_INBOUND, POOL[1], CallerID=f"<{number}>",
                Application="SendDTMF", Data="wwww1wwwww5678wwwwww2wwwww2wwwwwwwwwwwwww,100,120",
            )  # fmt: skip
            came = await calls.until(ev.InboundCommitted)
            row = one(house.desk, t.attempt, id=came.attempt_id)
            assert (row.inbound, row.lead_id, row.number) == (True, before.lead_id, number)
            told = await calls.of(ev.OutcomeReported, came.attempt_id)
            assert told.outcome is Outcome.PROMISE
            await calls.of(ev.Ended, came.attempt_id)
            seen = calls.heard_of(came.attempt_id)
            kinds = [type(e) for e in seen]
            assert kinds.index(ev.InboundCommitted) < kinds.index(ev.Answered)
            prompts = [e.prompt for e in seen if isinstance(e, ev.PromptReached)]
            assert prompts[:2] == ["inbound_greeting", "ask_document"]

    asyncio.run(body())


def test_a_debtor_calls_back_and_waits_for_a_person(house: House, working: str) -> None:
    async def body() -> None:
        async with line(house) as calls:
            number = f"+34{next(_serial)}"
            house.desk.call(number=number)
            await calls.local(
                names.CONTEXT_INBOUND, POOL[2], CallerID=f"<{number}>",
                Application="SendDTMF", Data="wwww0" + "w" * 40,
            )  # fmt: skip
            told = await calls.until(ev.Escalated)
            row = one(house.desk, t.agent_call, attempt_id=told.attempt_id)
            assert (row.kind, row.reason) == ("inbound", "greeting")
            await calls.comes_to(told.attempt_id, names.CONTEXT_QUEUE)

    asyncio.run(body())


def test_a_stranger_hears_who_we_are(house: House) -> None:
    async def body() -> None:
        async with line(house) as calls:
            await calls.local(
                names.CONTEXT_INBOUND, POOL[1], CallerID="<+34600999999>",
                Application="Wait", Data="20",
            )  # fmt: skip
            said = await calls.until(ev.PromptReached)
            assert said.prompt == "inbound_unknown_number"
            ended = await calls.of(ev.Ended, said.attempt_id)
            assert ended.q850 == 16

    asyncio.run(body())


def test_a_number_of_nobody(house: House) -> None:
    async def body() -> None:
        async with line(house) as calls:
            await calls.local(
                names.CONTEXT_INBOUND, "+34910999999", CallerID="<+34600999999>",
                Application="Wait", Data="20",
            )  # fmt: skip
            ended = await calls.until(ev.Ended)
            assert ended.q850 == 21
            assert not any(isinstance(e, ev.PromptReached | ev.Answered) for e in calls.seen)

    asyncio.run(body())


def test_a_leg_is_seated_by_its_token_alone(house: House, working: str) -> None:
    async def body() -> None:
        async with line(house) as calls:
            token = one(house.desk, t.agent_session, id=working).leg_token
            wait = {"Application": "Wait", "Data": "20"}
            await calls.local(names.CONTEXT_AGENTS, "0" * 32, **wait)
            refused = await calls.until(ev.Ended)
            assert refused.q850 == 21
            await calls.local(names.CONTEXT_AGENTS, token, **wait)
            joined = await calls.until(ev.ConferenceJoined)
            assert joined.conference == working

    asyncio.run(body())


def test_an_agent_can_speak_to_a_debtor_who_called_us_and_pays(house: House) -> None:
    """The id of such a call is Asterisk's own (``node1-1700000000.12``), with more than digits."""
    found = house.instance.rx(f"dialplan show node1-1700000000.12@{names.CONTEXT_COACH}")
    assert "ChanSpy" in found, found
