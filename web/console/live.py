"""Live views: a part of a page that is sent again whenever it has changed, once a second at most.

However many look at the same thing, it is asked of the database once a second, and only while
somebody looks: ``Sampler`` keeps what was found, and each view's thread takes it from there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

from flask import Response, current_app, request, stream_with_context

from dialer.logs import get_logger
from web.agents_events import Streams
from web.serving import STREAMS

log = get_logger(__name__)

EVERY = 1.0
ALIVE = 10.0
"""Something is sent at least so often: whoever has gone is noticed by it."""
LIFE = 60.0
"""Then the page connects anew, and whether it still may is looked up."""
TOGETHER = 100
"""Live views of one company's pages in one process; the newest stay."""


@dataclass(slots=True)
class _Kept:
    lock: threading.Lock = field(default_factory=threading.Lock)
    at: float = float("-inf")
    value: Any = None


class Sampler:
    """What was found last, by key; found anew when it is older than ``every`` seconds."""

    def __init__(self, every: float = EVERY, clock: Callable[[], float] = time.monotonic) -> None:
        self._every, self._clock = every, clock
        self._kept: dict[Hashable, _Kept] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, find: Callable[[], Any]) -> Any:
        """``find()``, or what it gave less than ``every`` seconds ago; those who ask meanwhile wait
        for the one who is finding."""
        with self._lock:
            for old in [k for k, kept in self._kept.items() if kept.at < self._clock() - 60]:
                if old != key and not self._kept[old].lock.locked():
                    del self._kept[old]
            kept = self._kept.setdefault(key, _Kept())
        with kept.lock:
            if self._clock() - kept.at >= self._every:
                kept.value = find()
                kept.at = self._clock()
            return kept.value

    def forget(self) -> None:
        """What was found is not asked for again as it is."""
        with self._lock:
            self._kept.clear()


def stream(who: str, part: Callable[[], str]) -> Response:
    """``part()`` (HTML) as server-sent events named ``part``, now and whenever it has changed."""
    streams: Streams = current_app.extensions[STREAMS]
    held = streams.open(f"console:{who}", TOGETHER)
    gone = request.environ.get("waitress.client_disconnected", lambda: False)
    began = time.monotonic()

    def lines() -> Iterator[str]:
        last, told_at = "", float("-inf")
        try:
            while not held.stop.is_set() and not gone():
                now = time.monotonic()
                if now - began > LIFE:
                    return
                text = part()
                if text != last:
                    yield _event(text)
                    last, told_at = text, now
                elif now - told_at >= ALIVE:
                    yield ": alive\n\n"
                    told_at = now
                held.stop.wait(max(0.05, EVERY - (time.monotonic() - now)))
        except Exception:  # the view ends, the page connects anew
            log.exception("live_view_failed", who=who)
        finally:
            streams.release(held)

    response = Response(stream_with_context(lines()), mimetype="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(lambda: streams.release(held))
    return response


def _event(html: str) -> str:
    data = "".join(f"data: {line}\n" for line in html.splitlines())
    return f"event: part\n{data}\n"
