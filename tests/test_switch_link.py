"""The AMI link when things go wrong: Asterisk restarts, rubbish on the wire, a wrong secret."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from fixtures_switch import AsteriskPair, free_port, switch_settings, tcp_server

from dialer.domain import events as ev
from dialer.switch import names
from dialer.switch.ami import AmiLink, OriginateRefused, OriginateRequest
from dialer.switch.instance import AsteriskInstance, InstanceError
from dialer.switch.portable import AsteriskBinary
from dialer.switch.product import prepare_product


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


@pytest.fixture
def lone(asterisk_binary: AsteriskBinary, tmp_path: Path) -> Iterator[AsteriskInstance]:
    """A product Asterisk of this test's own, running."""
    instance = prepare_product(switch_settings(tmp_path), asterisk_binary)
    try:
        instance.start()
        yield instance
    finally:
        instance.stop()


def link_to(instance: AsteriskInstance, secret: str | None = None) -> AmiLink:
    home = instance.folder.parent
    (_, _, port) = next(one for one in instance.ports if one[0] == "tcp")
    if secret is None:
        secret = (home / "secrets" / names.SECRET_AMI).read_text()
    return AmiLink(host="127.0.0.1", port=port, user="dialer", secret=secret, node="node1")


async def next_event(link: AmiLink, within: float = 15) -> ev.SwitchEvent:
    async with asyncio.timeout(within):
        return await link.events.get()


def uptime(instance: AsteriskInstance) -> str:
    return instance.rx("core show uptime seconds")


def wait_until(condition: Callable[[], bool], within: float = 10) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def a_call(number: str = "+34600000050") -> OriginateRequest:
    return OriginateRequest(uuid.uuid4().hex, f"PJSIP/{number}@carrier", "+34911000111", 5)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_is_noticed(lone: AsteriskInstance, how: signal.Signals) -> None:
    async def body() -> None:
        link = link_to(lone)
        await link.connect()
        try:
            assert await next_event(link) == ev.SwitchReady("node1", restarted=False)
            # Asterisk tells its start to the second: let this one be another second's.
            before = uptime(lone)
            await asyncio.to_thread(wait_until, lambda: uptime(lone) != before)
            assert lone.process is not None
            lone.process.send_signal(how)
            lone.process.wait(10)
            assert await next_event(link) == ev.SwitchLost("node1")
            with pytest.raises(OriginateRefused, match="no connection"):
                await link.originate(a_call())
            with pytest.raises(ConnectionError):
                await link.live_channels()
            assert await link.hangup("0" * 32) is False
            lone.start()
            assert await next_event(link) == ev.SwitchReady("node1", restarted=True)
            assert await link.live_channels() == {}
        finally:
            await link.close()

    run(body())


def test_a_cut_connection_is_not_a_restart_and_nothing_is_sent_again(
    asterisk_pair: AsteriskPair,
) -> None:
    async def body() -> None:
        async with tcp_cutter(asterisk_pair.settings.ami_port) as (port, cut, sent):
            settings = asterisk_pair.settings
            link = AmiLink(
                host="127.0.0.1",
                port=port,
                user=settings.ami_user,
                secret=settings.secret(names.SECRET_AMI),
                node="node1",
            )
            await link.connect()
            try:
                assert await next_event(link) == ev.SwitchReady("node1", restarted=False)
                request = a_call()
                cut.set()  # from here nothing gets through, in either direction
                await link.originate(request)
                assert await next_event(link) == ev.SwitchLost("node1")
                assert await next_event(link) == ev.SwitchReady("node1", restarted=False)
                assert await link.live_channels() == {}
                assert b"".join(sent).count(b"Action: Originate") <= 1
                assert link.events.empty()  # nobody was called, and nobody says so
            finally:
                await link.close()

    run(body())


@asynccontextmanager
async def tcp_cutter(
    upstream: int,
) -> AsyncIterator[tuple[int, asyncio.Event, list[bytes]]]:
    """A relay to AMI. Once ``cut`` is set, it drops what comes and closes, then works again."""
    cut = asyncio.Event()
    sent: list[bytes] = []

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", upstream)

        async def downward() -> None:
            while data := await far_reader.read(65536):
                writer.write(data)

        down = asyncio.create_task(downward())
        try:
            while data := await reader.read(65536):
                sent.append(data)
                if cut.is_set():
                    cut.clear()
                    break
                far_writer.write(data)
        finally:
            down.cancel()
            far_writer.close()
            await far_writer.wait_closed()

    async with tcp_server(relay) as port:
        yield port, cut, sent


def test_a_wrong_secret_is_tried_again_and_never_ready(lone: AsteriskInstance) -> None:
    async def body() -> None:
        link = link_to(lone, secret="not it")
        await link.connect()
        try:
            with pytest.raises(TimeoutError):
                await link.wait_ready(1)
            assert not link.connected
            assert link.events.empty()
        finally:
            await link.close()

    run(body())


LOGIN_OK = b"Response: Success\r\nActionID: %s\r\nMessage: Authentication accepted\r\n\r\n"
BOOTED = b"Event: FullyBooted\r\nStatus: Fully Booted\r\n\r\n"
STATUS = (
    b"Response: Success\r\nActionID: %s\r\nCoreStartupDate: 2026-01-01\r\n"
    b"CoreStartupTime: 10:00:00\r\n\r\n"
)
ORIGINATED = b"".join(
    b"%s\r\nTimestamp: 1700000000.5\r\n\r\n" % one
    for one in (
        b"Response: Success\r\nActionID: ID\r\nMessage: Originate successfully queued",
        b"Event: OriginateResponse\r\nActionID: ID\r\nResponse: Failure\r\nReason: 0",
        b"Event: DialBegin\r\nDestUniqueid: ID",
        b"Event: Hangup\r\nUniqueid: ID\r\nCause: 1\r\nTechCause: 404",
    )
)
"""A call refused at once, its failure told before the call itself: Asterisk does that."""
GOOD = b"Event: Hangup\r\nTimestamp: 1700000000.5\r\nUniqueid: good\r\nCause: 16\r\n\r\n"
RUBBISH = {
    "no timestamp": b"Event: Hangup\r\nUniqueid: a\r\nCause: 16\r\n\r\n",
    "a timestamp that is none": b"Event: Hangup\r\nTimestamp: nan\r\nUniqueid: a\r\n"
    b"Cause: 1\r\n\r\n",
    "a cause that is none": b"Event: Hangup\r\nTimestamp: 1.0\r\nUniqueid: a\r\nCause: x\r\n\r\n",
    "a header twice": b"Event: Hangup\r\nEvent: Hangup\r\nTimestamp: 1.0\r\nTimestamp: 2.0\r\n\r\n",
    "an unknown outcome": b"Event: UserEvent\r\nUserEvent: DialerFlow\r\nTimestamp: 1.0\r\n"
    b"Uniqueid: a\r\nKind: outcome\r\nOutcome: rich\r\n\r\n",
    "an unknown kind": b"Event: UserEvent\r\nUserEvent: DialerFlow\r\nTimestamp: 1.0\r\n"
    b"Uniqueid: a\r\nKind: dance\r\n\r\n",
    "a duration that is none": b"Event: ChannelTalkingStop\r\nTimestamp: 1.0\r\nUniqueid: a\r\n"
    b"Duration: long\r\n\r\n",
    "a response without a question": b"Response: Error\r\nResponse: Error\r\nMessage: x\r\n\r\n",
    "an originate response of nobody": b"Event: OriginateResponse\r\nResponse: Failure\r\n\r\n",
    "bytes": bytes(range(256)) * 4 + b"\r\n\r\n",
    "no colon": b"hello\r\nworld\r\n\r\n",
    "nothing": b"\r\n\r\n\r\n\r\n",
}


@asynccontextmanager
async def server_that_says(after_login: bytes) -> AsyncIterator[int]:
    """Speaks enough AMI to be taken for Asterisk, then says something."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"Asterisk Call Manager/11.0.0\r\n")
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            headers = dict(line.split(b": ", 1) for line in request.split(b"\r\n") if b": " in line)
            if headers[b"Action"] == b"Login":
                writer.write(LOGIN_OK % headers[b"ActionID"] + BOOTED)
            elif headers[b"Action"] == b"CoreStatus":
                writer.write(STATUS % headers[b"ActionID"] + after_login)
            elif headers[b"Action"] == b"Originate":
                writer.write(ORIGINATED.replace(b"ID", headers[b"ActionID"]))

    async with tcp_server(serve) as port:
        yield port


@pytest.mark.parametrize("what", RUBBISH)
def test_rubbish_between_events_does_no_harm(what: str) -> None:
    async def body() -> None:
        async with server_that_says(RUBBISH[what] + GOOD) as port:
            link = AmiLink(host="127.0.0.1", port=port, user="u", secret="s", node="node1")
            await link.connect()
            try:
                seen = [await next_event(link), await next_event(link)]
                # The rubbish may be in the queue as little as it may break the link.
                assert any(isinstance(one, ev.SwitchReady) for one in seen)
                last = next(one for one in seen if isinstance(one, ev.Ended))
                assert (last.attempt_id, last.q850) == ("good", 16)
                assert link.events.empty() and link.connected
            finally:
                await link.close()

    run(body())


def test_rubbish_is_counted() -> None:
    async def body() -> None:
        noise = b"".join(RUBBISH.values()) * 5
        async with server_that_says(noise + GOOD) as port:
            link = AmiLink(host="127.0.0.1", port=port, user="u", secret="s", node="node1")
            await link.connect()
            try:
                while not isinstance(await next_event(link), ev.Ended):
                    pass
                assert link.garbage >= 5 * 7
            finally:
                await link.close()

    run(body())


def test_a_refusal_told_before_its_call_is_not_taken_for_no_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dialer.switch.ami._EVENT_GRACE", 0.2)

    async def body() -> None:
        async with server_that_says(b"") as port:
            link = AmiLink(host="127.0.0.1", port=port, user="u", secret="s", node="node1")
            await link.connect()
            try:
                assert isinstance(await next_event(link), ev.SwitchReady)
                await link.originate(a_call())
                seen = [await next_event(link), await next_event(link)]
                assert [type(one) for one in seen] == [ev.DialBegun, ev.Ended]
                with pytest.raises(TimeoutError):
                    await next_event(link, within=0.5)
            finally:
                await link.close()

    run(body())


def test_a_server_without_message_ends_is_left() -> None:
    async def body() -> None:
        async with server_that_says(b"x" * 2_000_000) as port:
            link = AmiLink(host="127.0.0.1", port=port, user="u", secret="s", node="node1")
            await link.connect()
            try:
                while not isinstance(await next_event(link), ev.SwitchLost):
                    pass
            finally:
                await link.close()

    run(body())


def test_a_taken_port_is_told_by_its_number(
    asterisk_binary: AsteriskBinary, tmp_path: Path
) -> None:
    with closing(socket.socket()) as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        instance = prepare_product(switch_settings(tmp_path, ami_port=taken), asterisk_binary)
        with pytest.raises(InstanceError, match=f"tcp port {taken} .* is taken"):
            instance.start()
        assert not instance.running


def test_a_leftover_of_a_crashed_run_is_ended(lone: AsteriskInstance) -> None:
    """A second object for the same folder knows nothing of the first one's child."""
    assert lone.process is not None
    other = AsteriskInstance(lone.binary, lone.folder, lone.ports)
    try:
        other.start()
        assert lone.process.wait(1) is not None
        assert "System uptime" in other.rx("core show uptime")
    finally:
        other.stop()


def test_a_recycled_pid_is_left_alone(lone: AsteriskInstance) -> None:
    lone.stop()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        try:
            lone.pid_file.write_text(f"{stranger.pid}\n")
            assert lone.leftover_pid() is None
            assert lone.end_leftover() is False
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_broken_configuration_is_told_with_asterisks_own_words(
    asterisk_binary: AsteriskBinary, tmp_path: Path
) -> None:
    instance = prepare_product(switch_settings(tmp_path), asterisk_binary)
    modules = instance.folder / "etc" / "modules.conf"
    modules.write_text("[modules]\nautoload = yes\nnoload = res_pjsip_session.so\n")
    with pytest.raises(InstanceError, match="chan_pjsip has not loaded"):
        instance.start()
    assert not instance.running


def test_a_home_with_a_long_path_works(asterisk_binary: AsteriskBinary, tmp_path: Path) -> None:
    home = tmp_path / ("long-" * 20)
    instance = prepare_product(switch_settings(home), asterisk_binary)
    assert os.path.commonpath([instance.pid_file, home]) != str(home)
    try:
        instance.start()
        assert "Running" in instance.rx("module show like chan_pjsip")
    finally:
        instance.stop()


def test_no_key_of_the_configuration_is_refused_by_asterisk(lone: AsteriskInstance) -> None:
    """It starts without a word of warning."""
    said = [
        line
        for line in lone.log_file.read_text().splitlines()
        if "WARNING" in line or "ERROR" in line
    ]
    assert said == []


def test_ports_of_tests_are_free() -> None:
    assert free_port() != free_port()
