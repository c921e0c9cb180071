"""Agents' telephones and debtors in conferences of a real Asterisk: who hears whom, and that no
debtor is left in silence. No engine runs; what it asks of AMI is asked here with its rights."""

from __future__ import annotations

import asyncio
import re
import socket
import time
import uuid
import wave
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from floor_line import Floor, floor_line
from voice_peer import AGENT_HERTZ, DEBTOR_HERTZ, OTHER_HERTZ, tone_in

from dialer.domain import events as ev
from dialer.switch import names, talking
from dialer.switch.portable import AsteriskBinary

_EXPECTED = re.compile(
    r"Connecting to '127.0.0.1:\d+' failed|FastAGI failed|Prodding channel 'Surrogate/\S+' failed"
)
"""What Asterisk may complain of: the test made it so, or, for the last one, the thread of a leg
without a dialplan of its own was moved while a sound began, and finds only the empty shell that
the move leaves behind. The leg itself is whole: what is heard on it is asserted by the tests."""


@pytest.fixture(scope="module")
def floor(
    asterisk_binary: AsteriskBinary, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Floor]:
    with floor_line(tmp_path_factory.mktemp("floor"), asterisk_binary) as one:
        yield one


@pytest.fixture(autouse=True)
def _answers_of_its_own(floor: Floor) -> Iterator[None]:
    floor.answers.clear()
    before = len(floor.instance.log_file.read_text())
    yield
    complaints = floor.instance.log_file.read_text()[before:].splitlines()
    assert [one for one in complaints if not _EXPECTED.search(one)] == []


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


# --- the conversation --------------------------------------------------------------------------


def test_agent_and_debtor_hear_each_other_and_the_next_one(floor: Floor) -> None:
    async def work() -> None:
        async with floor.open() as line:
            seat = await line.seat_phone()
            assert seat.voice is not None
            for _ in range(2):
                debtor = await line.debtor()
                await line.talk(seat, debtor)
                await line.hears(debtor.voice, AGENT_HERTZ)
                await line.hears(seat.voice, DEBTOR_HERTZ)
                line.peer.hang_up(debtor.voice)
                await line.of(ev.ConferenceLeft, debtor.attempt)
                await line.hears_no(seat.voice, DEBTOR_HERTZ)
            assert seat.voice.ended is None

    run(work())


def test_a_debtor_whose_agent_has_gone_is_in_the_queue(floor: Floor) -> None:
    async def work() -> None:
        async with floor.open() as line:
            seat, debtor = await line.seat_phone(), await line.debtor()
            assert seat.voice is not None
            await line.talk(seat, debtor)
            gone = time.time()
            line.peer.hang_up(seat.voice)
            asked = await line.asked_for(names.AGI_QUEUE, debtor.attempt)
            assert asked.at - gone < 1
            assert debtor.voice.ended is None

    run(work())


def test_a_debtor_sent_to_an_agent_who_is_not_there_is_in_the_queue(floor: Floor) -> None:
    async def work() -> None:
        async with floor.open() as line:
            debtor = await line.debtor()
            sent = time.time()
            await line.redirect(debtor.attempt, names.CONTEXT_TALK, floor.seat())
            asked = await line.asked_for(names.AGI_QUEUE, debtor.attempt)
            assert asked.at - sent < 1.5

    run(work())


def test_a_transfer_loses_nobody_whichever_leg_comes_first(floor: Floor) -> None:
    """Both are redirected, one right after the other, into a conference that nobody is in yet."""

    async def work() -> None:
        async with floor.open() as line:
            seat, debtor = await line.seat_phone(), await line.debtor()
            assert seat.voice is not None
            for first in (debtor.attempt, seat.channel) * 2:
                conference = floor.seat()
                for leg in sorted((debtor.attempt, seat.channel), key=lambda one: one != first):
                    own = names.CONTEXT_TALK if leg == debtor.attempt else names.CONTEXT_THIRD
                    await line.redirect(leg, own, conference)
                await line.joined(conference, debtor.attempt)
                await line.hears(seat.voice, DEBTOR_HERTZ, for_packets=5)
                await line.hears(debtor.voice, AGENT_HERTZ, for_packets=5)

    run(work())


def test_kicked_the_agents_leg_ends_and_the_debtor_waits(floor: Floor) -> None:
    async def work() -> None:
        async with floor.open() as line:
            seat, debtor = await line.seat_phone(), await line.debtor()
            await line.talk(seat, debtor)
            await line.ask("ConfbridgeKick", Conference=seat.seat, Channel=seat.channel)
            await line.of(ev.Ended, names.LEG_PREFIX + seat.seat)
            await line.asked_for(names.AGI_QUEUE, debtor.attempt)

    run(work())


# --- nobody is there ---------------------------------------------------------------------------


@pytest.mark.parametrize("hold", ["1", "2"])
def test_after_the_hold_the_message_comes_without_any_engine(floor: Floor, hold: str) -> None:
    async def work() -> None:
        async with floor.open() as line:
            debtor = await line.debtor(**{names.VAR_HOLD: hold})
            asked = await line.asked_for(names.AGI_ABANDONED, debtor.attempt)
            waited = asked.at - debtor.voice.answered
            assert float(hold) - 0.05 < waited < float(hold) + 0.3

    run(work())


def test_a_hold_that_nobody_told_is_two_seconds(floor: Floor) -> None:
    async def work() -> None:
        async with floor.open() as line:
            debtor = await line.debtor(**{names.VAR_HOLD: ""})
            asked = await line.asked_for(names.AGI_ABANDONED, debtor.attempt)
            assert 1.95 < asked.at - debtor.voice.answered < 2.3

    run(work())


@pytest.mark.parametrize(
    "context", [names.CONTEXT_APOLOGY, names.CONTEXT_QUEUE, names.CONTEXT_WAIT]
)
def test_without_the_ivr_the_call_ends_with_a_cause_of_its_own(
    asterisk_binary: AsteriskBinary, tmp_path: Path, context: str, floor: Floor
) -> None:
    """A line is cut rather than silent, and nobody takes it for the debtor's doing."""

    async def work() -> None:
        async with floor.open() as line:
            nowhere = floor.settings.agi_port
            rule = f"AGI(agi://127.0.0.1:{nowhere}"
            conf = floor.instance.folder / "etc/extensions.conf"
            before = conf.read_text()
            with socket.create_server(("127.0.0.1", 0)) as gone:
                closed = gone.getsockname()[1]
            conf.write_text(before.replace(rule, f"AGI(agi://127.0.0.1:{closed}"))
            try:
                floor.instance.rx("dialplan reload")
                debtor = await line.debtor(context, **{names.VAR_HOLD: "1"})
                ended = await line.of(ev.Ended, debtor.attempt)
            finally:
                conf.write_text(before)
                floor.instance.rx("dialplan reload")
            assert ended.q850 == 38

    run(work())


# --- hold, mute, keys, recording ---------------------------------------------------------------


def test_who_is_held_hears_music_and_comes_back(floor: Floor) -> None:
    async def work() -> None:
        async with floor.open() as line:
            seat, debtor = await line.seat_phone(), await line.debtor()
            assert seat.voice is not None
            await line.talk(seat, debtor)
            await line.hears(debtor.voice, AGENT_HERTZ)
            await line.redirect(debtor.attempt, names.CONTEXT_HOLD)
            await line.hears_no(debtor.voice, AGENT_HERTZ)
            await line.hears_no(seat.voice, DEBTOR_HERTZ)
            since = time.time()
            await line.until(lambda: len(debtor.voice.loudness(since)) >= 50)
            assert min(debtor.voice.loudness(since)) > 0.005, "a packet of silence"
            await line.talk(seat, debtor)
            await line.hears(debtor.voice, AGENT_HERTZ)
            await line.hears(seat.voice, DEBTOR_HERTZ)

    run(work())


def test_a_muted_agent_hears_and_is_not_heard(floor: Floor) -> None:
    async def work() -> None:
        async with floor.open() as line:
            seat, debtor = await line.seat_phone(), await line.debtor()
            assert seat.voice is not None
            await line.talk(seat, debtor)
            await line.hears(debtor.voice, AGENT_HERTZ)
            await line.ask("ConfbridgeMute", Conference=seat.seat, Channel=seat.channel)
            await line.hears_no(debtor.voice, AGENT_HERTZ)
            await line.hears(seat.voice, DEBTOR_HERTZ)
            await line.ask("ConfbridgeUnmute", Conference=seat.seat, Channel=seat.channel)
            await line.hears(debtor.voice, AGENT_HERTZ)

    run(work())


def test_keys_are_sent_to_one_side_only(floor: Floor) -> None:
    async def work() -> None:
        async with floor.open() as line:
            seat, debtor = await line.seat_phone(), await line.debtor()
            assert seat.voice is not None
            await line.talk(seat, debtor)
            for key in "70#":
                await line.ask("PlayDTMF", Channel=debtor.attempt, Digit=key, Duration="80")
            await line.until(lambda: set(debtor.voice.keys) == {7, 0, 11})
            assert seat.voice.keys == []

    run(work())


def test_a_recording_pauses(floor: Floor) -> None:
    async def work() -> None:
        async with floor.open() as line:
            seat, debtor = await line.seat_phone(), await line.debtor(**{names.VAR_RECORD: "1"})
            await line.talk(seat, debtor)
            await line.hears(debtor.voice, AGENT_HERTZ)
            pause = {"Channel": debtor.attempt, "Direction": "both"}
            await line.ask("MixMonitorMute", State="1", **pause)
            await line.hears(debtor.voice, AGENT_HERTZ, for_packets=50)
            await line.ask("MixMonitorMute", State="0", **pause)
            await line.hears(debtor.voice, AGENT_HERTZ)
            line.peer.hang_up(debtor.voice)
            await line.of(ev.Ended, debtor.attempt)
            path = floor.instance.folder / f"spool/recordings/{debtor.attempt}.wav"
            with wave.open(str(path)) as sound:
                samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16) / 32768
            blocks = samples[: len(samples) // 800 * 800].reshape(-1, 800)
            for hertz in (AGENT_HERTZ, DEBTOR_HERTZ):
                said = "".join("x" if tone_in(one, hertz) > 0.02 else "." for one in blocks)
                assert "xx" in said.split("." * 9)[0], f"{hertz} Hz before the pause: {said}"
                assert "xx" in said.split("." * 9)[-1], f"{hertz} Hz after the pause: {said}"

    run(work())


# --- others in the conversation ----------------------------------------------------------------


def test_a_supervisor_listens_then_barges_in(floor: Floor) -> None:
    async def work() -> None:
        async with floor.open() as line:
            seat, debtor = await line.seat_phone(), await line.debtor()
            assert seat.voice is not None
            await line.talk(seat, debtor)
            wanted = uuid.uuid4().hex
            boss = await line.phone("8", names.CONTEXT_LISTEN, seat.seat, ChannelId=wanted)
            joined = await line.joined(seat.seat, wanted)
            await line.hears(boss, DEBTOR_HERTZ)
            await line.hears(boss, AGENT_HERTZ)
            await line.hears_no(debtor.voice, OTHER_HERTZ)
            await line.hears_no(seat.voice, OTHER_HERTZ)
            await line.ask("ConfbridgeUnmute", Conference=seat.seat, Channel=joined.channel)
            await line.hears(debtor.voice, OTHER_HERTZ)
            await line.hears(seat.voice, OTHER_HERTZ)
            line.peer.hang_up(seat.voice)  # whoever listens does not keep a debtor company
            await line.asked_for(names.AGI_QUEUE, debtor.attempt)
            await line.of(ev.Ended, wanted)

    run(work())


def test_a_whisper_is_for_the_agent_alone(floor: Floor) -> None:
    async def work() -> None:
        async with floor.open() as line:
            seat, debtor = await line.seat_phone(), await line.debtor()
            assert seat.voice is not None
            await line.talk(seat, debtor)
            leg = names.LEG_PREFIX + seat.seat
            boss = await line.phone("8", names.CONTEXT_WHISPER, leg)
            await line.hears(seat.voice, OTHER_HERTZ)
            await line.hears(seat.voice, DEBTOR_HERTZ)
            await line.hears_no(debtor.voice, OTHER_HERTZ)
            await line.hears(boss, DEBTOR_HERTZ)
            await line.hears(boss, AGENT_HERTZ)
            line.peer.hang_up(seat.voice)
            await line.until(lambda: boss.ended is not None)

    run(work())


def test_a_third_keeps_the_debtor_company_when_the_agent_leaves(floor: Floor) -> None:
    async def work() -> None:
        async with floor.open() as line:
            seat, debtor = await line.seat_phone(), await line.debtor()
            assert seat.voice is not None
            await line.talk(seat, debtor)
            wanted = uuid.uuid4().hex
            third = await line.phone("8", names.CONTEXT_THIRD, seat.seat, ChannelId=wanted)
            await line.joined(seat.seat, wanted)
            for voice in (seat.voice, debtor.voice):
                await line.hears(voice, OTHER_HERTZ)
            await line.hears(third, DEBTOR_HERTZ)
            line.peer.hang_up(seat.voice)
            await line.of(ev.Ended, names.LEG_PREFIX + seat.seat)
            await line.hears(third, DEBTOR_HERTZ)
            line.peer.hang_up(third)
            await line.asked_for(names.AGI_QUEUE, debtor.attempt)

    run(work())


def test_an_agent_who_consults_another_comes_back_to_the_own_seat(floor: Floor) -> None:
    async def work() -> None:
        async with floor.open() as line:
            seat, other = await line.seat_phone(), await line.seat_phone("8")
            assert seat.voice is not None and other.voice is not None
            await line.redirect(seat.channel, names.CONTEXT_THIRD, other.seat)
            await line.joined(other.seat, names.LEG_PREFIX + seat.seat)
            await line.hears(other.voice, AGENT_HERTZ)
            await line.hears(seat.voice, OTHER_HERTZ)
            line.events.clear()
            await line.ask("ConfbridgeKick", Conference=other.seat, Channel=seat.channel)
            await line.joined(seat.seat, names.LEG_PREFIX + seat.seat)
            await line.hears_no(other.voice, AGENT_HERTZ)

    run(work())


def test_who_calls_is_said_into_the_agents_ear(floor: Floor, tmp_path: Path) -> None:
    said = tmp_path / "who.wav"
    with wave.open(str(said), "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        at = np.arange(8000) / 8000
        out.writeframes((8000 * np.sin(2 * np.pi * OTHER_HERTZ * at)).astype(np.int16).tobytes())

    async def work() -> None:
        async with floor.open() as line:
            seat = await line.seat_phone()
            assert seat.voice is not None
            action = talking.say("say-1", seat.seat, str(said.with_suffix("")))
            action["Variable"] = action["Variable"][0]
            await line.ask(**cast(dict[str, str], action))
            joined = await line.event(
                ev.ConferenceJoined, lambda one: one.attempt_id.startswith("say-1")
            )
            wanted = joined.attempt_id
            await line.hears(seat.voice, OTHER_HERTZ)
            await line.of(ev.ConferenceLeft, wanted)
            await line.hears_no(seat.voice, OTHER_HERTZ)
            heard = [at for at, level in seat.voice.heard(OTHER_HERTZ) if level > 0.02]
            assert 0.9 < heard[-1] - heard[0] < 1.1

    run(work())
