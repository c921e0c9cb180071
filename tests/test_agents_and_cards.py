"""A card is keyed in while an agent looks on, and who may come in at all: on a real Asterisk with
agents' telephones. No engine runs; what it asks of AMI is asked here with its rights."""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from floor_line import Floor, floor_line
from voice_peer import AGENT_HERTZ, DEBTOR_HERTZ

from agi_scripts.wire import Agi
from dialer.domain import events as ev
from dialer.switch import names
from dialer.switch.ami_client import AmiRefused
from dialer.switch.guard import Guard, MuteFailed
from dialer.switch.portable import AsteriskBinary
from dialer.switch.render import MUSIC_SILENCE

_EXPECTED = "app_chanspy.c: Cannot open"  # a spy that would record, and has no folder for it


@pytest.fixture(scope="module")
def floor(
    asterisk_binary: AsteriskBinary, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Floor]:
    with floor_line(tmp_path_factory.mktemp("floor"), asterisk_binary) as one:
        yield one


@pytest.fixture(scope="module")
def guard(floor: Floor) -> Iterator[Guard]:
    one = Guard(floor.settings)
    yield one
    one.close()


@pytest.fixture(autouse=True)
def _safe_before_and_after(floor: Floor, guard: Guard) -> Iterator[None]:
    floor.answers.clear()
    assert guard.check() == []
    before = len(floor.instance.log_file.read_text())
    yield
    assert guard.check() == []
    complaints = floor.instance.log_file.read_text()[before:].splitlines()
    assert [one for one in complaints if _EXPECTED not in one] == []


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


# --- a card while an agent looks on ------------------------------------------------------------


@pytest.mark.parametrize("back", ["by itself", "by the engine"])
def test_the_agent_is_heard_hears_nothing_and_comes_back(
    floor: Floor, guard: Guard, back: str
) -> None:
    """Nothing of what the debtor sends while keying a card in comes to the agent's leg."""

    async def work() -> None:
        over = asyncio.Event()
        loop = asyncio.get_running_loop()

        def pay(agi: Agi) -> None:
            agi.execute("SET MUSIC", "ON", MUSIC_SILENCE)
            while not over.is_set():
                agi.wait_for_digit(0.2)

        floor.answers[names.AGI_PAY] = pay
        async with floor.open() as line:
            seat, debtor = await line.seat_phone(), await line.debtor()
            assert seat.voice is not None
            await line.talk(seat, debtor)
            await line.hears(seat.voice, DEBTOR_HERTZ)
            session = uuid.uuid4().hex
            await line.redirect(debtor.attempt, names.CONTEXT_ASSIST, session)
            asked = await line.asked_for(names.AGI_PAY, debtor.attempt)
            assert asked.exten == session
            begun = time.time()
            await line.redirect(seat.channel, names.CONTEXT_COACH, debtor.attempt)
            await line.hears(debtor.voice, AGENT_HERTZ, for_packets=50)
            channel = (await line.joined(seat.seat, debtor.attempt)).channel
            assert await asyncio.to_thread(guard.check) == []
            assert await asyncio.to_thread(guard.mute, channel) == 0
            last = seat.voice.heard(DEBTOR_HERTZ, begun + 0.2)
            assert len(last) > 40 and max(level for _, level in last) < 0.002
            line.events.clear()
            if back == "by the engine":
                await line.redirect(seat.channel, names.CONTEXT_AGENT_LEG)
                await line.joined(seat.seat, names.LEG_PREFIX + seat.seat)
            loop.call_soon(over.set)
            await line.joined(seat.seat, debtor.attempt)
            await line.hears(seat.voice, DEBTOR_HERTZ)
            await line.hears(debtor.voice, AGENT_HERTZ)

    run(work())


def test_without_the_payment_process_the_debtor_is_back_with_the_agent(floor: Floor) -> None:
    async def work() -> None:
        floor.answers[names.AGI_PAY] = lambda agi: None
        async with floor.open() as line:
            seat, debtor = await line.seat_phone(), await line.debtor()
            await line.talk(seat, debtor)
            line.events.clear()
            await line.redirect(debtor.attempt, names.CONTEXT_ASSIST, uuid.uuid4().hex)
            await line.joined(seat.seat, debtor.attempt)

    run(work())


def test_whose_agent_has_gone_meanwhile_is_in_the_queue_after_paying(floor: Floor) -> None:
    async def work() -> None:
        floor.answers[names.AGI_PAY] = lambda agi: None
        async with floor.open() as line:
            seat, debtor = await line.seat_phone(), await line.debtor()
            assert seat.voice is not None
            await line.talk(seat, debtor)
            await line.redirect(debtor.attempt, names.CONTEXT_HOLD)
            line.peer.hang_up(seat.voice)
            await line.of(ev.Ended, names.LEG_PREFIX + seat.seat)
            await line.redirect(debtor.attempt, names.CONTEXT_ASSIST, uuid.uuid4().hex)
            await line.asked_for(names.AGI_QUEUE, debtor.attempt, within=8)

    run(work())


def test_a_debtor_who_hangs_up_while_paying_frees_the_agent(floor: Floor) -> None:
    async def work() -> None:
        async with floor.open() as line:
            seat, debtor = await line.seat_phone(), await line.debtor()
            await line.talk(seat, debtor)
            await line.redirect(debtor.attempt, names.CONTEXT_ASSIST, uuid.uuid4().hex)
            await line.asked_for(names.AGI_PAY, debtor.attempt)
            await line.redirect(seat.channel, names.CONTEXT_COACH, debtor.attempt)
            await line.until(lambda: "ChanSpy" in floor.instance.rx("core show channels concise"))
            line.events.clear()
            line.peer.hang_up(debtor.voice)
            await line.joined(seat.seat, names.LEG_PREFIX + seat.seat)

    run(work())


# --- who listens in --------------------------------------------------------------------------


def says(reasons: list[str], *words: str) -> None:
    assert any(all(word in reason for word in words) for reason in reasons), reasons


def test_a_supervisor_who_whispers_to_an_agent_hears_no_key(floor: Floor, guard: Guard) -> None:
    """The agent's leg is spied on, to which no key comes."""

    async def work() -> None:
        async with floor.open() as line:
            seat = await line.seat_phone()
            await line.phone("8", names.CONTEXT_WHISPER, names.LEG_PREFIX + seat.seat)
            await line.until(lambda: "ChanSpy" in floor.instance.rx("core show channels concise"))
            assert await asyncio.to_thread(guard.check) == []

    run(work())


def test_who_listens_to_a_debtor_is_seen(floor: Floor, guard: Guard) -> None:
    """The supervisors' own way to an agent's ear, with a debtor's call for the agent's leg."""

    async def work() -> None:
        async with floor.open() as line:
            debtor = await line.debtor()
            await line.phone("8", names.CONTEXT_WHISPER, debtor.attempt)
            await line.until(lambda: "ChanSpy" in floor.instance.rx("core show channels concise"))
            says(await asyncio.to_thread(guard.check), "PJSIP/phones", "listens to calls")

    run(work())


@pytest.mark.parametrize(
    "spy",
    [
        "ChanSpy(PJSIP/carrier,q)",
        "ChanSpy(PJSIP/carrier,qWES)",
        "ChanSpy(${DEBTOR},quwES)",
        "ChanSpy(${DEBTOR},quWESd)",
        "ChanSpy(${DEBTOR},quWESr(keys))",
        "ExtenSpy(s@dialer-assist,quWES)",
    ],
)
def test_another_spy_is_seen_in_the_dialplan_and_in_its_call(
    floor: Floor, guard: Guard, spy: str
) -> None:
    conf = floor.instance.folder / "etc/extensions.conf"
    before = conf.read_text()

    async def work() -> None:
        async with floor.open() as line:
            debtor = await line.debtor()
            rule = spy.replace("${DEBTOR}", debtor.attempt)
            conf.write_text(f"{before}\n[more]\nexten => s,1,{rule}\n same => n,Wait(20)\n")
            floor.instance.rx("dialplan reload")
            says(await asyncio.to_thread(guard.check), "ChanSpy", "not the product's")
            boss = await line.phone("8", "more", "s")
            await line.until(lambda: "Spy" in floor.instance.rx("core show channels concise"))
            conf.write_text(before)
            floor.instance.rx("dialplan reload")
            says(await asyncio.to_thread(guard.check), "PJSIP/phones", "listens to calls")
            line.peer.hang_up(boss)
            await line.until(lambda: "Spy" not in floor.instance.rx("core show channels concise"))

    try:
        run(work())
    finally:
        conf.write_text(before)
        floor.instance.rx("dialplan reload")


def test_no_card_is_taken_in_a_conference(floor: Floor, guard: Guard) -> None:
    async def work() -> None:
        async with floor.open() as line:
            seat, debtor = await line.seat_phone(), await line.debtor()
            await line.talk(seat, debtor)
            joined = await line.joined(seat.seat, debtor.attempt)
            with pytest.raises(MuteFailed, match="conference"):
                await asyncio.to_thread(guard.mute, joined.channel)
            await line.redirect(debtor.attempt, names.CONTEXT_HOLD)
            await line.of(ev.ConferenceLeft, debtor.attempt)
            assert await asyncio.to_thread(guard.mute, joined.channel) == 0

    run(work())


# --- who may come in ---------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["phones", "carrier", "browser", "nobody"])
@pytest.mark.parametrize("exten", ["s", "a" * 32])
def test_strangers_are_refused_whoever_they_say_they_are(
    floor: Floor, user: str, exten: str
) -> None:
    settings = floor.settings
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.2", 0))  # the trunk is known by 127.0.0.1
        stranger.settimeout(5)
        port = stranger.getsockname()[1]
        lines = [
            f"INVITE sip:{exten}@127.0.0.1:{settings.sip_port} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.2:{port};branch=z9hG4bK{uuid.uuid4().hex};rport",
            f"From: <sip:{user}@127.0.0.1>;tag=1",
            f"To: <sip:{exten}@127.0.0.1>",
            f"Call-ID: {uuid.uuid4().hex}",
            "CSeq: 1 INVITE",
            f"Contact: <sip:{user}@127.0.0.2:{port}>",
            "Max-Forwards: 70",
            "Content-Length: 0",
        ]
        target = ("127.0.0.1", settings.sip_port)
        stranger.sendto(("\r\n".join(lines) + "\r\n\r\n").encode(), target)
        answer = stranger.recv(4096).decode().splitlines()[0]
    assert answer == "SIP/2.0 401 Unauthorized"
    assert "0 active channels" in floor.instance.rx("core show channels count")


@pytest.mark.parametrize(
    ("action", "headers"),
    [
        ("Command", {"Command": "core show channels"}),
        ("ConfbridgeStartRecord", {"Conference": "a"}),
        ("MixMonitor", {"Channel": "a", "File": "b"}),
        ("MuteAudio", {"Channel": "a", "Direction": "all", "State": "on"}),
        ("GetConfig", {"Filename": "pjsip.conf"}),
    ],
)
def test_the_engine_may_still_open_no_leak(
    floor: Floor, action: str, headers: dict[str, str]
) -> None:
    async def work() -> None:
        async with floor.open() as line:
            with pytest.raises(AmiRefused, match="Permission denied"):
                await line.ask(action, **headers)

    run(work())
