"""A real pair of Asterisk processes on free ports: the product's and the simulated network."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from dialer.config import Settings, load_settings
from dialer.simulation.network import prepare_network
from dialer.switch import names
from dialer.switch.ami import AmiLink
from dialer.switch.instance import AsteriskInstance
from dialer.switch.portable import AsteriskBinary, AsteriskNotFound, find_asterisk
from dialer.switch.product import prepare_product
from dialer.switch.trunks import Trunk, load_trunks

_PORTS = range(30_000, 32_700)
"""Below the ephemeral ports, of which any connection of this machine may take one at any time."""


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 that nobody uses at this moment."""
    while True:
        port = random.SystemRandom().choice(_PORTS)
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def switch_settings(home: Path, **others: object) -> Settings:
    """Settings of an installation in ``home`` with free ports everywhere.

    RTP ranges lie below the others; each pair finds its own by the SIP port.
    """
    sip = free_port(socket.SOCK_DGRAM)
    rtp = 10_000 + (sip * 7 % 50) * 400
    return load_settings(
        home=home,
        **{
            "sip_port": sip,
            "carrier_sip_port": free_port(socket.SOCK_DGRAM),
            "ami_port": free_port(),
            "carrier_ami_port": free_port(),
            "agi_port": free_port(),
            "rtp_start": rtp,
            "rtp_end": rtp + 199,
            "carrier_rtp_start": rtp + 200,
            "carrier_rtp_end": rtp + 399,
            "log_level": "warning",
            **others,
        },
    )


@dataclass(frozen=True)
class AsteriskPair:
    """The running pair. ``trunk`` leads from the product to the network."""

    settings: Settings
    product: AsteriskInstance
    carrier: AsteriskInstance

    @property
    def trunk(self) -> Trunk:
        """The way from the product to the network."""
        return load_trunks(self.settings).get(names.DEFAULT_TRUNK)

    @asynccontextmanager
    async def link(self) -> AsyncIterator[AmiLink]:
        """A connected AMI link; its first event (SwitchReady) is still in the queue."""
        settings = self.settings
        link = AmiLink(
            host="127.0.0.1",
            port=settings.ami_port,
            user=settings.ami_user,
            secret=settings.secret(names.SECRET_AMI),
            node=settings.node,
        )
        await link.connect()
        try:
            await link.wait_ready(15)
            yield link
        finally:
            await link.close()


Session = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def tcp_server(session: Session, port: int = 0) -> AsyncIterator[int]:
    """Serve on 127.0.0.1; yields the port. Nothing of it is left behind."""
    tasks: set[asyncio.Task[None]] = set()

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await session(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other side has gone, or the test is over
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(guarded, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)
        await server.wait_closed()


@pytest.fixture(scope="session")
def asterisk_binary() -> AsteriskBinary:
    """An Asterisk that is installed or set up already."""
    try:
        found = find_asterisk()
    except AsteriskNotFound as error:
        pytest.fail(str(error))
    if found is None:
        pytest.fail("there is no Asterisk: run `make setup` first")
    return found


@pytest.fixture(scope="session")
def asterisk_pair(
    asterisk_binary: AsteriskBinary, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AsteriskPair]:
    """One pair for the whole session. Tests use numbers of their own."""
    settings = switch_settings(tmp_path_factory.mktemp("pair"))
    product = prepare_product(settings, asterisk_binary)
    carrier = prepare_network(settings, asterisk_binary)
    try:
        carrier.start()
        product.start()
        yield AsteriskPair(settings, product, carrier)
    finally:
        product.stop()
        carrier.stop()
