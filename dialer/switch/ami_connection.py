"""One AMI connection: panoramisk, with what it lacks put right. Used by ``ami.AmiLink`` only.

A connection is used once and never again after it was lost: panoramisk would send actions again
that were not acknowledged, and a debtor would be called twice. Its callbacks can raise into the
protocol, which ends the connection; here everything that is read is guarded and counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from panoramisk.ami_protocol import AMIProtocol
from panoramisk.manager import Manager
from panoramisk.message import Message

LONGEST_UNREAD = 256 * 1024
"""Bytes without the end of a message: nothing of Asterisk's is so long."""

_NEVER = 10**9  # seconds: panoramisk's own pinger waits for no answer, so it is not used


class GuardedProtocol(AMIProtocol):  # type: ignore[misc]
    """Reads what comes, whatever it is: a message that cannot be handled is counted."""

    def data_received(self, data: bytes) -> None:
        try:
            super().data_received(data)
        except Exception:
            self.factory.on_garbage()
        if self.queue and len(self.queue[-1]) > LONGEST_UNREAD:
            self.queue.clear()
            self.factory.on_garbage()
            self.transport.abort()

    def handle_message(self, message: Message) -> None:
        try:
            super().handle_message(message)
        except Exception:
            self.factory.on_garbage()


class Connection(Manager):  # type: ignore[misc]
    """A Manager that hands every event to one function and never reconnects.

    ``on_event(name, message)`` must not raise; ``on_garbage()`` counts; ``lost`` is set when the
    connection is gone, ``booted`` when Asterisk says that it has fully booted.
    """

    pinger: asyncio.TimerHandle | None

    def __init__(
        self,
        *,
        host: str,
        port: int,
        user: str,
        secret: str,
        on_event: Callable[[str, Message], None],
        on_garbage: Callable[[], None],
    ) -> None:
        super().__init__(
            host=host,
            port=port,
            username=user,
            secret=secret,
            loop=asyncio.get_running_loop(),
            ping_delay=_NEVER,
            ping_interval=_NEVER,
            protocol_factory=GuardedProtocol,
            forgetable_actions=("ping", "login", "originate", "redirect", "hangup"),
        )
        self._on_event = on_event
        self.on_garbage = on_garbage
        self.opened = asyncio.Event()
        self.login_answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.lost = asyncio.Event()
        self.booted = asyncio.Event()
        self.shut_down = False

    async def open(self, within: float) -> bool:
        """Connect and log in; False when the user or the secret is refused.

        Raises OSError when nobody listens, TimeoutError when nobody answers as Asterisk does.
        """
        async with asyncio.timeout(within):
            await self.connect()
            await self.opened.wait()
            gone = asyncio.ensure_future(self.lost.wait())
            try:
                await asyncio.wait({self.login_answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                gone.cancel()
        if not self.login_answer.done():
            raise ConnectionResetError("the connection was closed during the login")
        return bool(self.login_answer.result().success)

    async def ask(
        self, action: dict[str, Any], within: float, *, whole_list: bool | None = False
    ) -> Any:
        """Send an action and wait for its response (or its list of messages; None: a list if that
        is what the answer begins, for panoramisk waits for ever for one that is refused).

        Raises TimeoutError, and ConnectionError when the connection goes meanwhile.
        """
        future = self.send_action(action, as_list=whole_list)
        gone = asyncio.ensure_future(self.lost.wait())
        try:
            done, _ = await asyncio.wait(
                {future, gone}, timeout=within, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            gone.cancel()
        if future in done:
            return future.result()
        if self.lost.is_set():
            raise ConnectionResetError("the AMI connection was lost")
        raise TimeoutError(f"no answer to {action['Action']} in {within:g} s")

    # --- what panoramisk calls -----------------------------------------------------------

    def connection_made(self, f: asyncio.Future[Any]) -> None:
        """Only on success: the failure is raised by ``open``, and nobody tries again here."""
        if not f.cancelled() and f.exception() is None:
            super().connection_made(f)
            self.login_answer = self.authenticated_future
            self.opened.set()

    def connection_lost(self, exc: object) -> None:
        """No reconnect: ``AmiLink`` makes a new connection."""
        self.shut_down = self.shut_down or isinstance(exc, Message)  # the event Shutdown
        if self.pinger:
            self.pinger.cancel()
            self.pinger = None
        self.lost.set()

    def dispatch(self, event: Message) -> list[str]:
        """Every event, once, without patterns."""
        name = event.event
        if name == "FullyBooted":
            self.booted.set()
        self._on_event(name, event)
        return []

    def close(self) -> None:
        """Close for good."""
        super().close()
        self.lost.set()
