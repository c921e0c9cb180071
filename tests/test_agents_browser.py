"""Agents' browsers, real ones, on a real Asterisk: sound both ways, how soon, and what becomes of a
browser that dies. The debtors' telephones and the IVR are the test's."""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fixtures_browser import AgentBrowser, agents_browser, microphone, telephone_page
from floor_line import Debtor, Floor, Line, Seat, floor_line
from playwright.async_api import Error
from voice_peer import AGENT_HERTZ, DEBTOR_HERTZ
from world import World

from agi_scripts import agent as agent_script
from agi_scripts.session import Ivr
from agi_scripts.wire import Agi
from dialer.domain import events as ev
from dialer.store.agent_sessions import open_session
from dialer.store.agents import create_agent
from dialer.store.db import migrate, open_database
from dialer.switch import names
from dialer.switch.portable import AsteriskBinary
from dialer.switch.render import MUSIC_SILENCE

CALLS = 10
SOON = 0.25
"""Seconds from the answer to sound at the agent that no call may take; half of them take far less
(see what the test prints)."""


@pytest.fixture(scope="module")
def floor(
    asterisk_binary: AsteriskBinary, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Floor]:
    with floor_line(tmp_path_factory.mktemp("floor"), asterisk_binary) as one:
        yield one


@pytest.fixture(scope="module")
def page_url() -> Iterator[str]:
    with telephone_page() as url:
        yield url


@pytest.fixture(autouse=True)
def _lets_in_who_has_a_token(floor: Floor) -> Iterator[None]:
    """What the IVR does: a token it knows (here: that begins with a letter) has a seat."""

    def agent(agi: Agi) -> None:
        token = agi.env["agi_extension"]
        if token[0].isalpha():
            agi.execute("SET VARIABLE", names.VAR_SEAT, agi._quote(seat_of(token)))

    floor.answers.clear()
    floor.answers[names.AGI_AGENT] = agent
    before = len(floor.instance.log_file.read_text())
    yield
    assert floor.instance.log_file.read_text()[before:] == ""


def seat_of(token: str) -> str:
    """The conference that goes with a token."""
    return token[::-1]


def new_token() -> str:
    return "a" + uuid.uuid4().hex[1:]


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


@asynccontextmanager
async def browser(floor: Floor, page_url: str, home: Path) -> AsyncIterator[AgentBrowser]:
    async with agents_browser(page_url, microphone(home / "said.wav")) as one:
        await one.open(floor.settings)
        yield one
        with suppress(Error):  # a page that lives hangs up: Asterisk waits ten seconds for others
            await one.evaluate("() => phone.session?.isEstablished() && phone.hangUp()")


async def sit_down(line: Line, agent: AgentBrowser) -> Seat:
    """Call in; in the conference."""
    token = new_token()
    await agent.call(token)
    joined = await line.event(ev.ConferenceJoined, lambda one: one.conference == seat_of(token))
    return Seat(joined.conference, joined.attempt_id)


async def sound(agent: AgentBrowser, since: float, *, there: bool = True, blocks: int = 20) -> None:
    """Wait until the agent has heard the debtor (or has not) for so many blocks on end."""
    async with asyncio.timeout(5):
        while True:
            last = (await agent.heard(since))[-blocks:]
            if len(last) == blocks and all(one.has(DEBTOR_HERTZ) is there for one in last):
                return
            await asyncio.sleep(0.05)


async def answered_and_redirected(line: Line, seat: Seat) -> Debtor:
    """A debtor answers and is sent to the agent at once, as the engine does it."""
    debtor = await line.debtor()
    await line.redirect(debtor.attempt, names.CONTEXT_TALK, seat.seat)
    return debtor


def test_sound_is_there_soon_after_the_answer(floor: Floor, page_url: str, tmp_path: Path) -> None:
    async def work() -> None:
        at_agent, at_debtor = [], []
        async with floor.open() as line, browser(floor, page_url, tmp_path) as agent:
            seat = await sit_down(line, agent)
            await sound(agent, 0, there=False)
            for _ in range(CALLS):
                debtor = await answered_and_redirected(line, seat)
                answered = debtor.voice.answered
                await sound(agent, answered)
                await line.hears(debtor.voice, AGENT_HERTZ)
                first = next(o for o in await agent.heard(answered) if o.has(DEBTOR_HERTZ))
                at_agent.append(1000 * (first.at - answered))
                heard = debtor.voice.heard(AGENT_HERTZ, answered)
                at_debtor.append(1000 * (next(at for at, lvl in heard if lvl > 0.02) - answered))
                line.peer.hang_up(debtor.voice)
                await line.of(ev.ConferenceLeft, debtor.attempt)
                await sound(agent, time.time(), there=False)
            told = await agent.evaluate("() => phone.received()")
        assert told["codec"] == "audio/opus"
        print("\nms from the answer to sound, median and worst of", CALLS)
        for who, took in (("agent", at_agent), ("debtor", at_debtor)):
            print(f"  at the {who}: {statistics.median(took):.0f} {max(took):.0f}")
        assert max(at_agent) < 1000 * SOON and max(at_debtor) < 1000 * SOON

    run(work())


def test_a_browser_that_dies_frees_the_debtor(floor: Floor, page_url: str, tmp_path: Path) -> None:
    """It says no goodbye: Asterisk notices that no sound comes any more."""

    async def work() -> None:
        async with floor.open() as line, browser(floor, page_url, tmp_path) as agent:
            seat = await sit_down(line, agent)
            debtor = await answered_and_redirected(line, seat)
            await sound(agent, debtor.voice.answered)
            await agent.vanish()
            gone = time.time()
            await line.of(ev.Ended, seat.channel, within=20)
            assert time.time() - gone < 13
            asked = await line.asked_for(names.AGI_QUEUE, debtor.attempt, within=1)
            assert debtor.voice.ended is None
            print(f"\nthe leg was gone after {asked.at - gone:.1f} s")

    run(work())


def test_a_page_that_hangs_up_frees_the_debtor_at_once(
    floor: Floor, page_url: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with floor.open() as line, browser(floor, page_url, tmp_path) as agent:
            seat = await sit_down(line, agent)
            debtor = await answered_and_redirected(line, seat)
            await sound(agent, debtor.voice.answered)
            gone = time.time()
            await agent.evaluate("() => phone.hangUp()")
            asked = await line.asked_for(names.AGI_QUEUE, debtor.attempt)
            assert asked.at - gone < 1

    run(work())


def test_the_agent_hears_nothing_while_a_card_is_keyed_in(
    floor: Floor, page_url: str, tmp_path: Path
) -> None:
    """Not even the sound of it; and is heard all the while."""

    async def work() -> None:
        over = asyncio.Event()

        def pay(agi: Agi) -> None:
            agi.execute("SET MUSIC", "ON", MUSIC_SILENCE)
            while not over.is_set():
                agi.wait_for_digit(0.2)

        floor.answers[names.AGI_PAY] = pay
        async with floor.open() as line, browser(floor, page_url, tmp_path) as agent:
            seat = await sit_down(line, agent)
            debtor = await answered_and_redirected(line, seat)
            await sound(agent, debtor.voice.answered)
            await line.redirect(debtor.attempt, names.CONTEXT_ASSIST, uuid.uuid4().hex)
            await line.asked_for(names.AGI_PAY, debtor.attempt)
            await sound(agent, time.time(), there=False)  # what was on its way has been played
            begun = time.time()
            await line.redirect(seat.channel, names.CONTEXT_COACH, debtor.attempt)
            await line.hears(debtor.voice, AGENT_HERTZ, for_packets=50)
            await sound(agent, begun, there=False, blocks=50)
            blocks = await agent.heard(begun)
            assert max(one.loudness for one in blocks) < 0.002
            over.set()
            await sound(agent, time.time())
            await line.hears(debtor.voice, AGENT_HERTZ)

    run(work())


def test_the_sessions_own_token_seats_a_browser_once_the_agent_has_logged_in(
    floor: Floor, page_url: str, tmp_path: Path
) -> None:
    """The IVR's own script with a database: another's token, or an old one, seats nobody."""
    settings = floor.settings.model_copy(update={"home": tmp_path})
    migrate(settings.database)
    engine = open_database(settings.database)
    now, session, token = datetime.now(UTC), uuid.uuid4().hex, uuid.uuid4().hex
    company = World(engine).company_id
    with engine.begin() as c:
        one = create_agent(c, company, "ana", {}, "test", now)
        open_session(
            c, session_id=session, agent_id=one, node=settings.node, leg_token=token, now=now
        )
    ivr = cast(Ivr, SimpleNamespace(settings=settings, engine=engine))
    floor.answers[names.AGI_AGENT] = lambda agi: agent_script.run(agi, ivr)

    async def work() -> None:
        async with floor.open() as line, browser(floor, page_url, tmp_path) as agent:
            with pytest.raises(Error, match="refused"):
                await agent.call(new_token())
            await agent.call(token)
            joined = await line.event(ev.ConferenceJoined)
            assert joined.conference == session
            assert joined.channel.startswith(f"PJSIP/{names.ENDPOINT_BROWSER}-")

    run(work())
    engine.dispose()


@pytest.mark.parametrize("token", ["0" * 32, "no-token"])
def test_who_has_no_token_does_not_come_in(
    floor: Floor, page_url: str, tmp_path: Path, token: str
) -> None:
    async def work() -> None:
        async with floor.open() as line, browser(floor, page_url, tmp_path) as agent:
            with pytest.raises(Error, match="refused"):
                await agent.call(token)
            await line.until(lambda: "0 active" in floor.instance.rx("core show channels count"))
            assert not any(isinstance(one, ev.ConferenceJoined) for _, one in line.events)

    run(work())


def test_who_has_not_the_password_does_not_come_in(
    floor: Floor, page_url: str, tmp_path: Path
) -> None:
    async def work() -> None:
        stranger = floor.settings.model_copy(update={"home": tmp_path})
        said = microphone(tmp_path / "said.wav")
        async with floor.open() as line, agents_browser(page_url, said) as agent:
            await agent.open(stranger)
            before = len(floor.asked)
            with pytest.raises(Error, match="refused"):
                await agent.call(new_token())
            assert line.events == [] and len(floor.asked) == before

    run(work())
