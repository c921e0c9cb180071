"""Live events for pages: server-sent events out of a stream in Redis.

Each open page holds a thread of the web process, so their number has a bound; a page that is
opened again takes the place of the oldest of the same agent. A page resumes after the last event
it has seen (``Last-Event-ID``, or ``?after=``); where that one is no longer there, it is told of a
``gap`` and asks for the state of things anew. Nothing here touches the engine.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Response, request
from redis import Redis
from redis.exceptions import RedisError

from dialer import metrics
from dialer.desk.events import EventType, is_type
from dialer.desk.outbox import FIELD
from dialer.domain.model import AgentState
from dialer.logs import get_logger
from web.problems import Problem, invalid_fields

log = get_logger(__name__)

MAX_STREAMS = 128
EACH = 4
"""Of one agent: a page, one that is being reloaded, and a telephone."""
LOOK_MS = 1000
KEEP_ALIVE = 10.0
CHECK_SECONDS = 15.0
"""How often it is looked whether whoever listens still may."""
AWAY_SECONDS = 60.0
"""How long a page is kept while Redis is away."""
AGAIN_SECONDS = 0.5

START = "0"
NOW = "$"
_ID = re.compile(r"(0|[1-9][0-9]{0,18})(-(0|[1-9][0-9]{0,18}))?")


@dataclass(eq=False)
class Held:
    """A page that listens; ``stop`` asks its thread to end."""

    who: str
    stop: threading.Event = field(default_factory=threading.Event)


class Streams:
    """The pages that listen to this process."""

    def __init__(self, most: int = MAX_STREAMS, each: int = EACH) -> None:
        self._most, self._each = most, each
        self._held: list[Held] = []
        self._lock = threading.Lock()
        self._closed = False

    def open(self, who: str, each: int | None = None) -> Held:
        """A place, to be given back with ``release``; ``each``: how many ``who`` may have, where
        not as many as others. Raises Problem (503) where there is none."""
        with self._lock:
            own = [one for one in self._held if one.who == who and not one.stop.is_set()]
            for old in own[: max(0, len(own) + 1 - (each or self._each))]:
                old.stop.set()
            # One that is ending still has its thread.
            if self._closed or len(self._held) >= self._most:
                raise Problem(
                    503,
                    "too_many_streams",
                    "Too many live views are open",
                    headers={"Retry-After": "5"},
                )
            held = Held(who)
            self._held.append(held)
            metrics.DESK_STREAMS.set(len(self._held))
            return held

    def release(self, held: Held) -> None:
        """Give a place back; once more does no harm."""
        with self._lock:
            if held in self._held:
                self._held.remove(held)
            metrics.DESK_STREAMS.set(len(self._held))

    def close(self) -> None:
        """End them all, within a second or so; nobody gets a place any more. No lock: a signal
        may come while this very thread holds it."""
        self._closed = True
        for held in list(self._held):
            held.stop.set()


def after(default: str) -> str:
    """Which event the page has seen last. Raises Problem (422)."""
    asked = request.headers.get("Last-Event-ID") or request.args.get("after") or default
    if asked != NOW and not _ID.fullmatch(asked):
        raise invalid_fields([("Last-Event-ID", "the id of an event, like 1700000000000-0")])
    return asked


def last_event(redis: Redis, stream: str) -> str:
    """Id of the newest event; what comes after it is news. Raises RedisError."""
    newest: Any = redis.xrevrange(stream, count=1)
    return newest[0][0].decode() if newest else START


def answer(
    redis: Redis,
    stream: str,
    seen: str,
    streams: Streams,
    who: str,
    may_listen: Callable[[], bool],
    each: int | None = None,
    theirs: Callable[[Mapping[str, Any]], bool] | None = None,
) -> Response:
    """The stream as an answer that goes on for as long as the page is there. ``theirs``: which
    events are for whoever listens; None: all."""
    held = streams.open(who, each)
    gone = request.environ.get("waitress.client_disconnected", lambda: False)

    def stop() -> bool:
        return held.stop.is_set() or bool(gone())

    follower = Follower(redis, stream, seen, stop, held.stop.wait, may_listen, theirs)
    response = Response(follower.lines(), mimetype="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    # Also where nobody ever reads a line of it.
    response.call_on_close(lambda: streams.release(held))
    return response


@dataclass
class Follower:
    """One page's way through a stream."""

    redis: Redis
    stream: str
    seen: str
    stop: Callable[[], bool]
    wait: Callable[[float], object]
    may_listen: Callable[[], bool]
    theirs: Callable[[Mapping[str, Any]], bool] | None = None
    broken_at: float | None = None
    doubt: bool = True
    """Whether what was seen last may be gone: at first, and after Redis was away."""

    def lines(self) -> Iterator[bytes]:
        """The answer's body."""
        yield b"retry: 1000\n: listening\n\n"
        said = checked = time.monotonic()
        while not self.stop():
            for chunk in self._news():
                said = time.monotonic()
                yield chunk
                if chunk.startswith(b"event: end"):
                    return
            now = time.monotonic()
            if self.broken_at is not None and now - self.broken_at > AWAY_SECONDS:
                return
            if now - checked >= CHECK_SECONDS:
                checked = now
                if not self.may_listen():
                    yield _END
                    return
            if now - said >= KEEP_ALIVE:
                said = now
                yield b": keep-alive\n\n"

    def _news(self) -> list[bytes]:
        chunks: list[bytes] = []
        try:
            if self.seen == NOW:
                self.seen, self.doubt = last_event(self.redis, self.stream), False
            if self.doubt and self._is_gone():
                told = json.dumps({"type": EventType.GAP.value})
                chunks.append(f"event: gap\ndata: {told}\n\n".encode())
            self.doubt = False
            found: Any = self.redis.xread({self.stream: self.seen}, count=100, block=LOOK_MS)
        except RedisError as error:
            if self.broken_at is None:
                log.warning("stream_broken", error=type(error).__name__)
                self.broken_at = time.monotonic()
            self.doubt = True
            self.wait(AGAIN_SECONDS)
            return chunks
        self.broken_at = None
        for _, entries in found or ():
            for event_id, fields in entries:
                self.seen = event_id.decode()
                chunks += self._told(self.seen, fields.get(FIELD.encode(), b""))
        return chunks

    def _told(self, event_id: str, data: bytes) -> list[bytes]:
        try:
            event = json.loads(data)
            kind = event["type"]
        except (ValueError, KeyError, TypeError):
            kind = None
        if not is_type(kind):
            log.error("event_unreadable", event_id=event_id)
            return []
        if self.theirs is not None and not self.theirs(event):
            return []
        line = data.replace(b"\n", b" ").replace(b"\r", b" ")
        chunks = [f"id: {event_id}\nevent: {kind}\ndata: ".encode() + line + b"\n\n"]
        if kind == EventType.STATE and event.get("state") == AgentState.LOGGED_OUT.value:
            chunks.append(_END)
        return chunks

    def _is_gone(self) -> bool:
        if self.seen in (START, "0-0"):
            return False
        return not self.redis.xrange(self.stream, self.seen, self.seen)


_END = b'event: end\ndata: {"type": "end"}\n\n'
