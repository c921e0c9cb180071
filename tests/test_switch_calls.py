"""Calls over real SIP between two Asterisk processes: what reaches the queue, typed."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fixtures_switch import AsteriskPair, tcp_server

from dialer.domain import events as ev
from dialer.domain.model import DetectionResult
from dialer.simulation.personas import named
from dialer.simulation.witness import Witness
from dialer.switch import names
from dialer.switch.ami import AmiLink, OriginateRefused, OriginateRequest

_serial = itertools.count(100_000)


def number_of(persona: str) -> str:
    """A number nobody else in this session uses, where that persona lives."""
    return f"+346{next(_serial)}{named(persona).code}"


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


class Caller:
    """Places calls and collects the events of each."""

    def __init__(self, pair: AsteriskPair, link: AmiLink) -> None:
        self.pair, self.link = pair, link
        self.seen: dict[str, list[ev.CallEvent]] = {}

    async def place(self, number: str, *, ring: float = 20, **variables: str) -> str:
        attempt = uuid.uuid4().hex
        trunk = self.pair.trunk
        await self.link.originate(
            OriginateRequest(
                attempt,
                trunk.dial_string(number),
                trunk.caller_id_value("+34911000111"),
                ring,
                variables=variables or {names.VAR_DETECTOR: "talk", names.VAR_FLOW: "reminder"},
            )
        )
        self.seen[attempt] = []
        return attempt

    async def until(
        self, attempt: str, kind: type[ev.CallEvent], within: float = 20
    ) -> list[ev.CallEvent]:
        """Collect until an event of that kind came for that attempt."""
        async with asyncio.timeout(within):
            while not any(isinstance(one, kind) for one in self.seen[attempt]):
                event = await self.link.events.get()
                if isinstance(event, ev.CallEvent) and event.attempt_id in self.seen:
                    self.seen[event.attempt_id].append(event)
        return self.seen[attempt]


@asynccontextmanager
async def caller(pair: AsteriskPair) -> AsyncIterator[Caller]:
    async with pair.link() as link:
        yield Caller(pair, link)


@asynccontextmanager
async def agi_that(pair: AsteriskPair, answer: bytes) -> AsyncIterator[asyncio.Queue[str]]:
    """An AGI server that gives one command and waits for its end; the requested paths."""
    paths: asyncio.Queue[str] = asyncio.Queue()

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (line := await reader.readline()) not in (b"", b"\n"):
            key, _, value = line.decode().strip().partition(": ")
            if key == "agi_request":
                paths.put_nowait(value.rpartition("/")[2])
        writer.write(answer)
        await reader.readline()

    async with tcp_server(session, pair.settings.agi_port):
        yield paths


def kinds(events: list[ev.CallEvent]) -> list[str]:
    return [type(one).__name__ for one in events]


def ended(events: list[ev.CallEvent]) -> ev.Ended:
    last = events[-1]
    assert isinstance(last, ev.Ended)
    return last


REFUSALS = {
    "busy": (False, 17, 486),
    "congestion": (False, 34, 503),
    "unallocated": (False, 1, 404),
    "rejects": (True, 21, 603),
    "network_gives_up": (True, 19, 480),
    "changed_number": (True, 22, 410),
}
"""Persona: whether it rings (or speaks early), the Q.850 cause, the SIP status."""


def test_what_the_network_refuses(asterisk_pair: AsteriskPair) -> None:
    async def body() -> None:
        async with caller(asterisk_pair) as calls:
            placed = {persona: await calls.place(number_of(persona)) for persona in REFUSALS}
            for persona, attempt in placed.items():
                rings, q850, sip = REFUSALS[persona]
                events = await calls.until(attempt, ev.Ended)
                assert events == sorted(events, key=lambda one: one.at)
                expected = {"DialBegun", "HangupRequested", "Ended"} | set(["Ringing"] * rings)
                assert set(kinds(events)) == expected, persona
                assert (ended(events).q850, ended(events).sip_status) == (q850, sip), persona

    run(body())


def test_nobody_answers_and_we_give_up(asterisk_pair: AsteriskPair) -> None:
    async def body() -> None:
        number = number_of("no_answer")
        async with Witness(asterisk_pair.settings) as witness, caller(asterisk_pair) as calls:
            attempt = await calls.place(number, ring=1)
            events = await calls.until(attempt, ev.Ended)
            assert kinds(events) == ["DialBegun", "Ringing", "Ended"]
            assert ended(events).sip_status in (480, 487)
            seen = await witness.end_of(number, within=5)
            assert seen.ended_by_dialer and seen.answered_at is None

    run(body())


def test_a_debtor_who_hangs_up(asterisk_pair: AsteriskPair) -> None:
    async def body() -> None:
        number = number_of("hangs_up_always")
        async with (
            agi_that(asterisk_pair, b"WAIT FOR DIGIT 20000\n") as paths,
            Witness(asterisk_pair.settings) as witness,
            caller(asterisk_pair) as calls,
        ):
            attempt = await calls.place(number)
            events = await calls.until(attempt, ev.Ended)
            assert kinds([e for e in events if "Talking" not in type(e).__name__]) == [
                "DialBegun",
                "Ringing",
                "Answered",
                "HangupRequested",
                "Ended",
            ]
            assert ended(events).sip_status is None
            assert paths.get_nowait() == "flow"
            seen = await witness.end_of(number, within=5)
            assert seen.number == number
            assert seen.caller_id == "+34911000111"
            assert seen.ended_by_dialer is False
            assert seen.answered_at is not None and seen.ended_at is not None
            assert 0.3 < (seen.ended_at - seen.answered_at).total_seconds() < 2

    run(body())


def test_without_an_ivr_the_call_ends_by_a_cause_of_its_own(asterisk_pair: AsteriskPair) -> None:
    async def body() -> None:
        async with caller(asterisk_pair) as calls:
            attempt = await calls.place(number_of("silent"))
            events = await calls.until(attempt, ev.Ended)
            assert "HangupRequested" not in kinds(events)
            assert ended(events).q850 == 38

    run(body())


def test_sound_of_the_far_end_is_heard_and_its_end(asterisk_pair: AsteriskPair) -> None:
    async def body() -> None:
        async with (
            agi_that(asterisk_pair, b"WAIT FOR DIGIT 20000\n"),
            caller(asterisk_pair) as calls,
        ):
            attempt = await calls.place(number_of("voicemail"))
            heard: list[float] = []  # the greeting has pauses, so it comes in several bursts
            while not heard or heard[-1] < 1:
                *_, last = await calls.until(attempt, ev.TalkingStopped)
                assert isinstance(last, ev.TalkingStopped)
                assert any(isinstance(one, ev.TalkingStarted) for one in calls.seen[attempt])
                heard.append(last.seconds)
                calls.seen[attempt].clear()
            assert await calls.link.hangup(attempt)
            await calls.until(attempt, ev.Ended)

    run(body())


def test_a_fax_is_recognised_and_hung_up(asterisk_pair: AsteriskPair) -> None:
    async def body() -> None:
        async with (
            agi_that(asterisk_pair, b"WAIT FOR DIGIT 20000\n"),
            caller(asterisk_pair) as calls,
        ):
            attempt = await calls.place(number_of("fax"))
            events = await calls.until(attempt, ev.Ended)
            found = [one for one in events if isinstance(one, ev.Detected)]
            assert [one.result for one in found] == [DetectionResult.FAX]
            assert "HangupRequested" not in kinds(events)

    run(body())


def test_redirect_to_the_machine_branch(asterisk_pair: AsteriskPair) -> None:
    async def body() -> None:
        async with (
            agi_that(asterisk_pair, b"WAIT FOR DIGIT 20000\n") as paths,
            caller(asterisk_pair) as calls,
        ):
            number = number_of("voicemail")
            attempt = await calls.place(
                number, DIALER_DETECTOR="talk", DIALER_ON_MACHINE="leave_message"
            )
            await calls.until(attempt, ev.TalkingStarted)
            assert attempt in await calls.link.live_channels()
            assert await calls.link.redirect(attempt, names.CONTEXT_MACHINE, names.START)
            async with asyncio.timeout(25):
                assert [await paths.get() for _ in range(2)] == ["flow", "machine"]
            await calls.link.hangup(attempt)
            await calls.until(attempt, ev.Ended)
            assert attempt not in await calls.link.live_channels()
            recordings = asterisk_pair.carrier.folder / "spool" / "recordings"
            assert list(recordings.glob(f"{number[-9:]}-*.alaw"))  # the voicemail was recording

    run(body())


def test_app_amd_reports_before_the_flow(asterisk_pair: AsteriskPair) -> None:
    async def body() -> None:
        async with (
            agi_that(asterisk_pair, b"WAIT FOR DIGIT 20000\n") as paths,
            caller(asterisk_pair) as calls,
        ):
            attempt = await calls.place(
                number_of("voicemail"), DIALER_DETECTOR="app_amd", DIALER_ON_MACHINE="hang_up"
            )
            events = await calls.until(attempt, ev.Ended)
            found = [one for one in events if isinstance(one, ev.Detected)]
            assert [one.result for one in found] == [DetectionResult.MACHINE]
            assert paths.empty()

    run(body())


def test_a_trunk_that_is_not_there_fails_as_an_event(asterisk_pair: AsteriskPair) -> None:
    async def body() -> None:
        async with caller(asterisk_pair) as calls:
            attempt = uuid.uuid4().hex
            calls.seen[attempt] = []
            await calls.link.originate(
                OriginateRequest(attempt, "PJSIP/+34600000050@nowhere", "+34911000111", 5)
            )
            events = await calls.until(attempt, ev.OriginateFailed)
            assert kinds(events) == ["OriginateFailed"]

    run(body())


@pytest.mark.parametrize(
    "change",
    [
        {"attempt_id": "abc"},
        {"dial_string": "PJSIP/+34600@carrier\r\nApplication: System"},
        {"dial_string": "Local/s@dialer-outbound,1"},
        {"caller_id": "+34911\nPriority: 2"},
        {"caller_name": "A\r\nB"},
        {"caller_name": 'A" <+34600>'},
        {"context": "other context"},
        {"variables": {"DIALER_FLOW": "a,OTHER=b"}},
        {"variables": {"DIALER_FLOW": "${SHELL(id)}"}},
        {"variables": {"A=B": "c"}},
        {"timeout": 0},
    ],
)
def test_injection_is_refused_and_nothing_is_sent(
    asterisk_pair: AsteriskPair, change: dict[str, Any]
) -> None:
    good: dict[str, Any] = {
        "attempt_id": uuid.uuid4().hex,
        "dial_string": asterisk_pair.trunk.dial_string(number_of("busy")),
        "caller_id": "+34911000111",
        "timeout": 5,
    }

    async def body() -> None:
        async with asterisk_pair.link() as link:
            with pytest.raises(OriginateRefused):
                await link.originate(OriginateRequest(**(good | change)))
            for bad in ("x\r\nAction: Originate", "", "x\n"):
                with pytest.raises(ValueError, match="line break"):
                    await link.hangup(bad)
            # The values it was made from are good ones, so it was the change that was refused.
            await link.originate(OriginateRequest(**good))

    run(body())


def test_many_calls_at_once_each_have_their_own_events(asterisk_pair: AsteriskPair) -> None:
    async def body() -> None:
        async with caller(asterisk_pair) as calls:
            wanted = {"busy": 486, "unallocated": 404, "congestion": 503}
            placed = {
                await calls.place(number_of(persona)): sip
                for persona, sip in itertools.islice(itertools.cycle(wanted.items()), 60)
            }
            for attempt, sip in placed.items():
                events = await calls.until(attempt, ev.Ended)
                # Under load Asterisk tells of its INVITE when the reply is there already.
                assert sorted(kinds(events)) == ["DialBegun", "Ended", "HangupRequested"]
                assert ended(events).sip_status == sip
            assert calls.link.garbage == 0

    run(body())
