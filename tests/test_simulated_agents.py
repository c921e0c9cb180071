"""Agents' telephones on the simulated network, on real Asterisk, and the agents that use them."""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from fixtures_switch import free_port
from floor_line import Floor, Line, floor_line

from dialer.config import Settings
from dialer.domain import events as ev
from dialer.simulation.network import prepare_network
from dialer.simulation.phones import LATE_SECONDS, phone_address, phone_hertz
from dialer.switch import names, talking
from dialer.switch.portable import AsteriskBinary


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


@dataclass(frozen=True)
class Network:
    """An Asterisk where agents work, and the simulated network beside it."""

    floor: Floor
    settings: Settings
    """Those of the network."""


@pytest.fixture(scope="module")
def network(
    asterisk_binary: AsteriskBinary, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Network]:
    with floor_line(tmp_path_factory.mktemp("phones"), asterisk_binary) as floor:
        ports = {
            "carrier_sip_port": free_port(socket.SOCK_DGRAM),
            "carrier_ami_port": free_port(),
        }
        settings = floor.settings.model_copy(update=ports)
        carrier = prepare_network(settings, asterisk_binary)
        carrier.start()
        yield Network(floor, settings)
        carrier.stop()


@asynccontextmanager
async def telephone(network: Network, line: Line, user: str) -> AsyncIterator[str]:
    """An agent's telephone is called into a seat of its own; the seat."""
    seat = uuid.uuid4().hex
    dial_string = talking.sip_dial_string(phone_address(network.settings, user))
    assert await line.link.perform(talking.call_leg(seat, dial_string, "", 8))
    try:
        yield seat
    finally:
        await line.link.hangup(names.LEG_PREFIX + seat)
        await line.of(ev.Ended, names.LEG_PREFIX + seat)


def test_a_telephone_answers_at_once_and_says_its_own_tone_for_ever(network: Network) -> None:
    async def work() -> None:
        async with network.floor.open() as line:
            called = time.time()
            async with telephone(network, line, "agent07") as seat:
                await line.joined(seat, names.LEG_PREFIX + seat)
                assert time.time() - called < 1
                ear = await line.phone("8", names.CONTEXT_THIRD, seat)
                for _ in range(3):
                    await line.hears(ear, phone_hertz("agent07"), for_packets=40)
                await line.hears_no(ear, phone_hertz("agent08"), for_packets=40)

    run(work())


def test_each_of_many_telephones_is_told_by_its_tone(network: Network) -> None:
    async def work() -> None:
        users = ("agent01", "agent06", "agent12")
        async with network.floor.open() as line:
            for user in users:
                async with telephone(network, line, user) as seat:
                    await line.joined(seat, names.LEG_PREFIX + seat)
                    ear = await line.phone("8", names.CONTEXT_THIRD, seat)
                    await line.hears(ear, phone_hertz(user), for_packets=40)

    run(work())
    assert len({phone_hertz(f"agent{n:02d}") for n in range(8)}) == 8


def test_a_late_telephone_rings_for_three_seconds(network: Network) -> None:
    async def work() -> None:
        async with network.floor.open() as line:
            called = time.time()
            async with telephone(network, line, "late03") as seat:
                await line.joined(seat, names.LEG_PREFIX + seat)
                assert LATE_SECONDS <= time.time() - called < LATE_SECONDS + 1.5
                ear = await line.phone("8", names.CONTEXT_THIRD, seat)
                await line.hears(ear, phone_hertz("late03"), for_packets=40)

    run(work())


def test_a_quiet_telephone_is_there_and_says_nothing(network: Network) -> None:
    async def work() -> None:
        async with network.floor.open() as line, telephone(network, line, "quiet07") as seat:
            await line.joined(seat, names.LEG_PREFIX + seat)
            ear = await line.phone("8", names.CONTEXT_THIRD, seat)
            since = time.time()
            await line.until(lambda: len(ear.loudness(since)) >= 100)
            assert max(ear.loudness(since)) < 0.002

    run(work())


def test_a_telephone_that_nobody_answers_rings_until_we_give_up(network: Network) -> None:
    async def work() -> None:
        async with (
            network.floor.open() as line,
            telephone(network, line, "noanswer01") as seat,
        ):
            await line.of(ev.Ringing, names.LEG_PREFIX + seat)
            await asyncio.sleep(4)  # nothing is to happen
            came = [one for _, one in line.events if isinstance(one, ev.ConferenceJoined)]
            assert came == []

    run(work())
