"""Things that a double does later, from a thread of its own: the webhooks it sends."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Timetable(Generic[Item]):
    """Calls ``do(item, tried)`` at the moment it was put down for, one after another.

    ``do`` runs outside of the lock; it gives the seconds after which the item comes again, None
    when it is done with.
    """

    def __init__(self, name: str, do: Callable[[Item, int], float | None]) -> None:
        self._do = do
        self._order = itertools.count()
        self._due: list[tuple[float, int, Item, int]] = []
        self._wake = threading.Condition()
        self._busy = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def add(self, seconds: float, item: Item, tried: int = 0) -> None:
        """Do it after so many seconds."""
        with self._wake:
            moment = time.monotonic() + seconds
            heapq.heappush(self._due, (moment, next(self._order), item, tried))
            self._wake.notify()

    def waiting(self) -> int:
        """How many are still to be done, the one under way included."""
        with self._wake:
            return len(self._due) + self._busy

    def clear(self) -> None:
        """Forget what is still to be done."""
        with self._wake:
            self._due.clear()

    def close(self, seconds: float) -> None:
        """Do nothing more; wait so long for the one under way."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join(seconds)

    def _run(self) -> None:
        while (taken := self._next()) is not None:
            item, tried = taken
            again = self._do(item, tried)
            with self._wake:
                self._busy = False
                if again is not None:
                    self.add(again, item, tried + 1)

    def _next(self) -> tuple[Item, int] | None:
        """The next that is due, waited for; None once closed."""
        with self._wake:
            while not self._closed and (not self._due or self._due[0][0] > time.monotonic()):
                self._wake.wait(self._due[0][0] - time.monotonic() if self._due else None)
            if self._closed:
                return None
            _, _, item, tried = heapq.heappop(self._due)
            self._busy = True
            return item, tried
