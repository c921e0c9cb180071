"""The IVR on real calls: two Asterisk processes, SIP, RTP and keys between them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date

import pytest
from fixtures_ivr import Office, office, write_sounds
from fixtures_switch import AsteriskPair

from dialer.domain import events as ev
from dialer.domain.model import Outcome
from dialer.simulation.personas import named
from dialer.store import tables as t
from dialer.store.db import migrate, open_database
from dialer.switch import names
from dialer.switch.ami import AmiLink, OriginateRequest

_serial = itertools.count(700_000)
ULAW_SECOND = b"\xff" * 8000
BLEEP = b"\x20\xa0" * 400
"""100 ms of u-law that is heard: who hears prompts out presses no key between two of them."""


@pytest.fixture(scope="module")
def desk(asterisk_pair: AsteriskPair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """The IVR that the pair's dialplan asks, with prompts of 100 ms; "that does not match" takes
    5 s of silence, so that digits are typed into it."""
    home = tmp_path_factory.mktemp("ivr")
    url = f"sqlite:///{home / 'dialer.db'}"
    migrate(url)
    engine = open_database(url)
    write_sounds(home / "prompts", BLEEP)
    for language in ("es", "en"):
        (home / "prompts" / language / "document_wrong.ulaw").write_bytes(ULAW_SECOND * 5)
    with office(engine, home, home / "prompts", port=asterisk_pair.settings.agi_port) as one:
        yield one
    engine.dispose()


@dataclass
class Line:
    """Places calls and collects their events."""

    pair: AsteriskPair
    desk: Office
    link: AmiLink

    async def place(self, persona: str, flow: str = "reminder", **variables: str) -> str:
        """Call a persona that nobody has called yet; the attempt."""
        number = f"+346{next(_serial)}{named(persona).code}"
        attempt = self.desk.call(number=number, document=number[-4:], flow=flow)
        trunk = self.pair.trunk
        await self.link.originate(
            OriginateRequest(
                attempt,
                trunk.dial_string(number),
                trunk.caller_id_value("+34911000111"),
                20,
                variables={
                    names.VAR_DETECTOR: "none", names.VAR_FLOW: flow, names.VAR_LANGUAGE: "es",
                    **variables,
                },
            )
        )  # fmt: skip
        return attempt

    async def until(
        self, attempt: str, kind: type[ev.CallEvent], within: float = 40
    ) -> list[ev.CallEvent]:
        """The events of that call up to one of that kind."""
        seen: list[ev.CallEvent] = []
        async with asyncio.timeout(within):
            while not seen or not isinstance(seen[-1], kind):
                event = await self.link.events.get()
                if isinstance(event, ev.CallEvent) and event.attempt_id == attempt:
                    seen.append(event)
        return seen


@asynccontextmanager
async def line(pair: AsteriskPair, desk: Office) -> AsyncIterator[Line]:
    async with pair.link() as link:
        yield Line(pair, desk, link)


def _keys(events: list[ev.CallEvent]) -> list[str]:
    return [one.key for one in events if isinstance(one, ev.KeyPressed)]


def _outcomes(events: list[ev.CallEvent]) -> list[Outcome]:
    return [one.outcome for one in events if isinstance(one, ev.OutcomeReported)]


def _prompts(events: list[ev.CallEvent]) -> list[str]:
    return [one.prompt for one in events if isinstance(one, ev.PromptReached)]


def test_a_promise_over_the_telephone(asterisk_pair: AsteriskPair, desk: Office) -> None:
    async def body() -> None:
        async with line(asterisk_pair, desk) as calls:
            attempt = await calls.place("hasty_promiser_next_week")
            events = await calls.until(attempt, ev.Ended)
            assert _keys(events) == ["1", "xxxx", "2", "2"]
            assert _outcomes(events) == [Outcome.PROMISE]
            assert _prompts(events)[:3] == ["greeting", "ask_document", "disclosure"]
            assert _prompts(events)[-1] == "promised"
            assert sum(isinstance(one, ev.IdentityConfirmed) for one in events) == 1
            # The IVR's events lie in order with the switch's own, and we ended the call.
            assert events == sorted(events, key=lambda one: one.at)
            kinds = [type(one) for one in events]
            assert kinds.index(ev.Answered) < kinds.index(ev.PromptReached)
            assert ev.HangupRequested not in kinds
            (row,) = desk.world.rows(t.promise, attempt_id=attempt)
            assert row.due == date(2026, 3, 17)

    asyncio.run(body())


def test_keys_after_each_prompt(asterisk_pair: AsteriskPair, desk: Office) -> None:
    async def body() -> None:
        async with line(asterisk_pair, desk) as calls:
            attempt = await calls.place("repeats")
            events = await calls.until(attempt, ev.Ended)
            assert _keys(events) == ["1", "xxxx", "*", "3"]
            assert _outcomes(events) == [Outcome.LINK_SENT]
            (message,) = desk.world.rows(t.message, attempt_id=attempt)
            assert message.id in desk.enqueued

    asyncio.run(body())


def test_no_digit_is_lost_that_is_typed_into_a_prompt(
    asterisk_pair: AsteriskPair, desk: Office
) -> None:
    """The second "0000" comes while "that does not match" is being said: its first digit stops
    the prompt, the others come while the IVR is between two commands."""

    async def body() -> None:
        async with line(asterisk_pair, desk) as calls:
            placed = [await calls.place("wrong_factor") for _ in range(5)]
            async with asyncio.timeout(60):
                ended: dict[str, list[ev.CallEvent]] = {attempt: [] for attempt in placed}
                left = set(placed)
                while left:
                    event = await calls.link.events.get()
                    if isinstance(event, ev.CallEvent) and event.attempt_id in ended:
                        ended[event.attempt_id].append(event)
                        if isinstance(event, ev.Ended):
                            left.discard(event.attempt_id)
            for events in ended.values():
                assert _keys(events) == ["1", "xxxx", "xxxx"]
                assert _outcomes(events) == [Outcome.REFUSED_IDENTITY]
                assert "disclosure" not in _prompts(events)

    asyncio.run(body())


def test_hanging_up_without_a_key_leaves_no_outcome(
    asterisk_pair: AsteriskPair, desk: Office
) -> None:
    async def body() -> None:
        async with line(asterisk_pair, desk) as calls:
            attempt = await calls.place("hangs_up_always")
            events = await calls.until(attempt, ev.Ended)
            assert _prompts(events) == ["greeting"]
            assert (_keys(events), _outcomes(events)) == ([], [])
            assert any(isinstance(one, ev.HangupRequested) for one in events)
            desk.settle()
            assert desk.world.rows(t.flow_outcome, attempt_id=attempt) == []

    asyncio.run(body())


def test_hanging_up_within_a_digit_is_incomplete(asterisk_pair: AsteriskPair, desk: Office) -> None:
    async def body() -> None:
        async with line(asterisk_pair, desk) as calls:
            attempt = await calls.place("hangs_up_within_digit")
            events = await calls.until(attempt, ev.Ended)
            assert _keys(events) == ["1"]
            desk.settle()
            (row,) = desk.world.rows(t.flow_outcome, attempt_id=attempt)
            assert row.outcome == Outcome.INCOMPLETE

    asyncio.run(body())


def test_the_message_on_a_machine(asterisk_pair: AsteriskPair, desk: Office) -> None:
    """The engine's redirect takes the channel from the greeting to the message."""

    async def body() -> None:
        async with line(asterisk_pair, desk) as calls:
            attempt = await calls.place(
                "voicemail", **{names.VAR_ON_MACHINE: "leave_message", names.VAR_DETECTOR: "talk"}
            )
            await calls.until(attempt, ev.PromptReached)
            assert await calls.link.redirect(attempt, names.CONTEXT_MACHINE, names.START)
            events = await calls.until(attempt, ev.Ended)
            assert _prompts(events) == ["machine_message_number"]
            assert ev.HangupRequested not in [type(one) for one in events]
            desk.settle()
            assert desk.world.rows(t.flow_outcome, attempt_id=attempt) == []

    asyncio.run(body())


def test_a_port_scan_while_calls_go_on(asterisk_pair: AsteriskPair, desk: Office) -> None:
    async def body() -> None:
        async with line(asterisk_pair, desk) as calls:
            attempt = await calls.place("hasty_wants_agent")
            await calls.until(attempt, ev.PromptReached)
            for _ in range(20):
                _reader, writer = await asyncio.open_connection("127.0.0.1", desk.server.port)
                writer.close()
                await writer.wait_closed()
            events = await calls.until(attempt, ev.Ended)
            assert _outcomes(events) == [Outcome.WANTS_AGENT]

    asyncio.run(body())


def test_a_call_that_is_not_ours_hears_a_goodbye_and_tells_nothing(
    asterisk_pair: AsteriskPair, desk: Office
) -> None:
    async def body() -> None:
        async with line(asterisk_pair, desk) as calls:
            attempt = await calls.place("silent", flow="nothing")
            events = await calls.until(attempt, ev.Ended)
            assert (_prompts(events), _outcomes(events)) == ([], [])
            last = events[-1]
            assert isinstance(last, ev.Ended)
            assert last.q850 == 16  # an orderly end, unlike an IVR that is not there

    asyncio.run(body())


def test_the_greeting_starts_soon_after_the_answer(
    asterisk_pair: AsteriskPair, desk: Office
) -> None:
    """Measured, told, and never asserted as a time: the order is what holds."""

    async def body() -> None:
        gaps = []
        async with line(asterisk_pair, desk) as calls:
            for _ in range(3):
                attempt = await calls.place("hangs_up_always")
                events = await calls.until(attempt, ev.Ended)
                answered = next(one.at for one in events if isinstance(one, ev.Answered))
                reached = next(one.at for one in events if isinstance(one, ev.PromptReached))
                assert reached >= answered
                gaps.append((reached - answered).total_seconds() * 1000)
        print("answer to first prompt, ms:", " ".join(f"{gap:.1f}" for gap in gaps))

    asyncio.run(body())
