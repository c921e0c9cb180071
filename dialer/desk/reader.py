"""The engine's side of the desk: commands in, answers and events out.

    commands = Commands(settings.redis, settings.node, handle)
    task = asyncio.create_task(commands.run())
    commands.publish(session, {"type": "state", "state": "available"})

``handle`` is awaited for one command of a session after the other, and for many sessions side by
side. Redis may go away and come back: nothing here waits for it but tasks of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from dialer import metrics
from dialer.desk.events import EventError, encode_event
from dialer.desk.models import CommandName
from dialer.desk.outbox import MAX_ITEMS, Outbox
from dialer.desk.wire import (
    ALIVE_SECONDS,
    DESK_ALIVE,
    INTERNAL,
    MALFORMED,
    TOO_LATE,
    Command,
    Refused,
    Reply,
    WireError,
    decode_command,
    encode_reply,
)
from dialer.logs import get_logger
from dialer.switch.names import (
    DESK_COMMANDS,
    DESK_EVENTS,
    DESK_REPLY,
    DESK_STALE_SECONDS,
    FLOOR_EVENTS,
)

log = get_logger(__name__)

Handler = Callable[[Command], Awaitable[Reply]]

LOOK_SECONDS = 1
"""How long one look at the list lasts where nothing comes."""
SOCKET_SECONDS = 3.0
AGAIN_SECONDS = 0.2
LEAVE_SECONDS = 1.0
"""At the end of the engine: for commands under way and what is still to be written."""
MAX_UNDER_WAY = 1000
OVERLOADED = "overloaded"


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Commands:
    """Commands of desks to one node's engine. All of it belongs to one event loop."""

    def __init__(
        self,
        url: str,
        node: str,
        handle: Handler,
        *,
        now: Callable[[], datetime] = utc_now,
        max_items: int = MAX_ITEMS,
    ) -> None:
        self._redis = Redis.from_url(
            url,
            protocol=2,
            socket_connect_timeout=1.0,
            socket_timeout=SOCKET_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._node = node
        self._handle = handle
        self._now = now
        self._outbox = Outbox(self._redis, max_items=max_items)
        self._under_way: set[asyncio.Task[None]] = set()
        self._last: dict[str, asyncio.Task[None]] = {}
        self._seen: dict[str, float] = {}
        self._read_at = 0.0
        self._fault: str | None = None

    @property
    def fault(self) -> str | None:
        """What is wrong now, for the health page; None: all is well."""
        return self._fault or self._outbox.fault

    def publish(self, session: str | None, event: Mapping[str, Any]) -> None:
        """Tell a desk something (None: the supervisors); see ``dialer.desk.events``.

        Never waits and never raises. Call it on the loop's own thread, at any time: before
        ``run`` too.
        """
        try:
            data, dropped = encode_event(event, self._now())
        except EventError as error:
            metrics.DESK_LOST.labels("event", "unreadable").inc()
            log.error("desk_event_unreadable", session=session, why=str(error))
            return
        if dropped:
            log.error("desk_event_cut", session=session, fields=sorted(map(str, dropped)))
        self._outbox.event(FLOOR_EVENTS if session is None else DESK_EVENTS + session, data)

    async def run(self) -> None:
        """Take commands until cancelled. Then what is under way is answered, within a second."""
        self._read_at = time.monotonic()
        writer = asyncio.create_task(self._outbox.write(self._now), name="desk-writer")
        takers = [
            asyncio.create_task(self._read(), name="desk-reader"),
            asyncio.create_task(self._announce(), name="desk-alive"),
        ]
        try:
            # Not gathered: that would cancel the writer too, before what is left is written.
            done, _ = await asyncio.wait([writer, *takers], return_when=asyncio.FIRST_COMPLETED)
            for broken in done:
                broken.result()
        finally:
            await end(takers)
            try:
                async with asyncio.timeout(LEAVE_SECONDS):
                    await self._leave()
            except (TimeoutError, RedisError, OSError) as error:
                log.warning("desk_left_in_haste", error=type(error).__name__)
            await end([writer, *self._under_way])
            await self._redis.aclose()

    async def _leave(self) -> None:
        await self._redis.delete(DESK_ALIVE + self._node)
        if self._under_way:
            await asyncio.wait(self._under_way)
        await self._outbox.drained()

    # --- reading -------------------------------------------------------------------------

    async def _read(self) -> None:
        key = DESK_COMMANDS + self._node
        while True:
            try:
                popped: Any = await self._redis.blpop([key], timeout=LOOK_SECONDS)
            except (RedisError, OSError, TimeoutError) as error:
                if self._fault is None:
                    log.warning("desk_commands_away", error=type(error).__name__)
                self._fault = f"Redis: {type(error).__name__}"
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            if self._fault is not None:
                log.info("desk_commands_back")
            self._fault, self._read_at = None, time.monotonic()
            if popped is not None:
                self._take(popped[1])

    async def _announce(self) -> None:
        """Say that commands are taken, for as long as that is true."""
        while True:
            if time.monotonic() - self._read_at < ALIVE_SECONDS - 1:
                life = int(ALIVE_SECONDS * 1000)
                try:
                    await self._redis.set(DESK_ALIVE + self._node, b"1", px=life)
                except (RedisError, OSError, TimeoutError):
                    await asyncio.sleep(AGAIN_SECONDS)  # the reader tells of it
                    continue
            await asyncio.sleep(1.0)

    def _take(self, data: bytes) -> None:
        try:
            command = decode_command(data)
        except WireError as error:
            metrics.DESK_COMMANDS.labels("unknown", "malformed").inc()
            log.warning("desk_command_malformed", why=str(error), bytes=len(data))
            if error.command_id is not None:
                self._answer(error.command_id, Reply.refused(MALFORMED, str(error)))
            return
        if self._repeated(command.id):
            metrics.DESK_COMMANDS.labels(command.name.value, "repeated").inc()
            return
        if len(self._under_way) >= MAX_UNDER_WAY:
            metrics.DESK_COMMANDS.labels(command.name.value, OVERLOADED).inc()
            log.error("desk_overloaded", command=command.name.value)
            self._answer(command.id, Reply.refused(OVERLOADED, "too much is under way"))
            return
        before = self._last.get(command.session) if command.session else None
        task = asyncio.create_task(self._serve(command, before))
        self._under_way.add(task)
        if command.session:
            self._last[command.session] = task
        task.add_done_callback(lambda done: self._forget(done, command.session))

    def _repeated(self, command_id: str) -> bool:
        """Whoever lost its connection while asking asks again with the same id."""
        now = time.monotonic()
        for old in list(self._seen):
            if now - self._seen[old] < 2 * DESK_STALE_SECONDS:
                break
            del self._seen[old]
        if command_id in self._seen:
            return True
        self._seen[command_id] = now
        return False

    def _forget(self, task: asyncio.Task[None], session: str | None) -> None:
        self._under_way.discard(task)
        if session is not None and self._last.get(session) is task:
            del self._last[session]

    # --- doing ---------------------------------------------------------------------------

    async def _serve(self, command: Command, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        name = command.name.value
        if command.stale(self._now()):
            metrics.DESK_COMMANDS.labels(name, TOO_LATE).inc()
            log.warning("desk_command_too_late", command=name, session=command.session)
            self._answer(command.id, Reply.refused(TOO_LATE, "nothing was done"))
            return
        try:
            reply = await self._handle(command)
            result = "done" if reply.ok else "refused"
        except Refused as error:
            reply, result = error.reply, "refused"
        except Exception:
            log.exception("desk_command_failed", command=name, session=command.session)
            reply, result = Reply.refused(INTERNAL, "see the engine's log"), "failed"
        metrics.DESK_COMMANDS.labels(name, result).inc()
        metrics.DESK_SECONDS.observe(max(0.0, command.age(self._now())))
        if command.name is not CommandName.HEARTBEAT:
            log.info("desk_command", command=name, session=command.session, error=reply.error)
        self._answer(command.id, reply)

    def _answer(self, command_id: str, reply: Reply) -> None:
        try:
            data = encode_reply(reply)
        except WireError:
            metrics.DESK_LOST.labels("reply", "unreadable").inc()
            log.exception("desk_reply_unreadable")
            data = encode_reply(Reply.refused(INTERNAL, "see the engine's log"))
        self._outbox.reply(DESK_REPLY + command_id, data)


async def end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel them until they have ended: once is not enough, for the client of Redis waits with
    ``asyncio.wait_for``, which in Python 3.11 loses a cancellation that comes with its result."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=0.1)
    await asyncio.gather(*tasks, return_exceptions=True)
