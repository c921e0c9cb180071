"""What the engine tells desks, on its way into Redis.

Whoever publishes never waits: it goes onto a queue here, and one task writes. While Redis is away
the queue holds what it can; what it cannot is counted, logged, and told to the desk as a ``gap``.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError, ResponseError

from dialer import metrics
from dialer.desk.events import EventType, encode_event
from dialer.logs import get_logger
from dialer.switch.names import DESK_REPLY_SECONDS, DESK_STALE_SECONDS

log = get_logger(__name__)

FIELD = "event"
"""The one field of an entry in a stream: the event as JSON."""
STREAM_LENGTH = 1000
STREAM_SECONDS = 86_400
MAX_ITEMS = 20_000
MAX_BYTES = 64 * 1024 * 1024
BATCH = 200
FIRST_WAIT = 0.05
LONGEST_WAIT = 1.0

_PASSING = (OutOfMemoryError, ReadOnlyError)
"""Answers of a Redis that will take it later: full, or a replica that is being promoted."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to be written: an event with the id it will have in its stream, or an answer.
    ``put_at`` of the monotonic clock."""

    key: str
    data: bytes
    event_id: str | None
    put_at: float


class Outbox:
    """The queue and its writer. All of it belongs to one event loop."""

    def __init__(
        self, redis: Redis, *, max_items: int = MAX_ITEMS, max_bytes: int = MAX_BYTES
    ) -> None:
        self._redis = redis
        self._max_items, self._max_bytes = max_items, max_bytes
        self._waiting: deque[Item] = deque()
        self._flying: list[Item] = []
        self._bytes = 0
        self._last = (0, 0)
        self._gaps: dict[str, tuple[int, str]] = {}
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.fault: str | None = None

    def event(self, stream: str, data: bytes) -> None:
        """Queue an event. Never waits, never raises."""
        self._put(Item(stream, data, self._next_id(), time.monotonic()))

    def reply(self, key: str, data: bytes) -> None:
        """Queue an answer. Never waits, never raises."""
        self._put(Item(key, data, None, time.monotonic()))

    async def drained(self) -> None:
        """Wait until everything is written."""
        await self._empty.wait()

    async def write(self, now: Callable[[], datetime]) -> None:
        """For ever: write what is queued, in order, again until it is done. ``now`` gives the
        time for what is told about losses."""
        wait = FIRST_WAIT
        while True:
            if not self._flying and not self._next_batch(now):
                self._empty.set()
                self._wake.clear()
                await self._wake.wait()
                continue
            try:
                self._flying = await self._send(self._flying)
                failed = type(OutOfMemoryError()).__name__ if self._flying else None
            except (RedisError, OSError, TimeoutError) as error:
                failed = type(error).__name__
            if failed is None:
                wait = FIRST_WAIT
                self._well()
                continue
            if self.fault is None:
                log.warning("desk_redis_away", error=failed)
            self.fault = failed
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT)

    # --- the queue -----------------------------------------------------------------------

    def _put(self, item: Item) -> None:
        self._waiting.append(item)
        self._bytes += len(item.data)
        while len(self._waiting) > self._max_items or self._bytes > self._max_bytes:
            self._drop(self._pop(), "overflow")
        self._empty.clear()
        self._wake.set()

    def _pop(self) -> Item:
        item = self._waiting.popleft()
        self._bytes -= len(item.data)
        return item

    def _drop(self, item: Item, why: str) -> None:
        what = "reply" if item.event_id is None else "event"
        metrics.DESK_LOST.labels(what, why).inc()
        if item.event_id is None or why == "refused":
            log.error("desk_lost", what=what, key=item.key, why=why)
            return
        count, _ = self._gaps.get(item.key, (0, ""))
        if count == 0:
            log.error("desk_events_being_lost", stream=item.key, why=why)
        self._gaps[item.key] = (count + 1, item.event_id)

    def _next_id(self) -> str:
        """Ids are made here, so that what is written twice is recognised. They go by the wall
        clock, as Redis's own do: after a Redis that lost its memory they still go up."""
        now = int(time.time() * 1000)
        last, count = self._last
        self._last = (now, 0) if now > last else (last, count + 1)
        return f"{self._last[0]}-{self._last[1]}"

    def _next_batch(self, now: Callable[[], datetime]) -> bool:
        if self._waiting:
            for stream, (count, last) in self._gaps.items():
                log.error("desk_events_lost", stream=stream, count=count)
                told = {"type": EventType.GAP, "lost": count}
                # In the place of the last that is missing: before those that have waited.
                gap = Item(stream, encode_event(told, now())[0], last, time.monotonic())
                self._flying.append(gap)
            self._gaps.clear()
        late = time.monotonic() - DESK_STALE_SECONDS
        while self._waiting and len(self._flying) < BATCH:
            item = self._pop()
            if item.event_id is None and item.put_at < late:
                self._drop(item, "late")  # nobody waits for it any more
            else:
                self._flying.append(item)
        return bool(self._flying)

    def _well(self) -> None:
        if self.fault is not None:
            log.info("desk_redis_back")
        self.fault = None

    # --- writing -------------------------------------------------------------------------

    async def _send(self, items: list[Item]) -> list[Item]:
        """Write them in one go; those that Redis will take later are given back."""
        pipeline = self._redis.pipeline(transaction=False)
        for item in items:
            if item.event_id is None:
                pipeline.rpush(item.key, item.data)
                pipeline.expire(item.key, DESK_REPLY_SECONDS)
            else:
                pipeline.xadd(item.key, {FIELD: item.data}, id=item.event_id, maxlen=STREAM_LENGTH)
                pipeline.expire(item.key, STREAM_SECONDS)
        results = await pipeline.execute(raise_on_error=False)
        again = []
        for item, result in zip(items, results[::2], strict=True):
            if isinstance(result, _PASSING):
                again.append(item)
            elif isinstance(result, ResponseError) and "equal or smaller" in str(result):
                await self._behind(item)
            elif isinstance(result, ResponseError):
                self._drop(item, "refused")
            elif isinstance(result, Exception):
                raise result
        return again

    async def _behind(self, item: Item) -> None:
        """Redis has this id or a later one: we wrote it before a connection broke, or another
        engine's clock is ahead of ours."""
        assert item.event_id is not None
        found: Any = await self._redis.xrange(item.key, item.event_id, item.event_id)
        if any(fields.get(FIELD.encode()) == item.data for _, fields in found):
            return
        await self._redis.xadd(item.key, {FIELD: item.data}, maxlen=STREAM_LENGTH)
