"""Webhooks of the simulated bank, sent from a thread of its own: later, again, in disorder."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from dialer.simulation.bank.conduct import Hooks

TIMEOUT = 10.0
TRY_AGAIN_AFTER = (0.5, 2.0, 5.0)
"""Seconds before each further try of a webhook that was not taken with a 2xx."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
KEPT = 10_000

Signed = tuple[bytes, dict[str, str]]
"""Body and headers of a webhook."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One webhook. ``sign`` is called for each sending, so that each has a time of its own."""

    face: str
    event_id: str
    sign: Callable[[], Signed]


class HookSender:
    """A timetable of webhooks to ``base`` + the face's name. Only this machine is ever called."""

    def __init__(self, base: str, pause: float, late: float) -> None:
        """``pause``: seconds between two webhooks; ``late``: before those that come late."""
        self._base = base
        self._pause = pause
        self._late = late
        self._session = requests.Session()
        self._session.trust_env = False
        self._order = itertools.count()
        self._due: list[tuple[float, int, Hook, int]] = []
        self._wake = threading.Condition()
        self._closed = False
        self._busy = False
        self._sent: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        self._thread.start()

    def send(self, hooks: Sequence[Hook], how: Hooks) -> None:
        """Send these, in this order, as told."""
        if how is Hooks.NEVER:
            return
        plan = list(hooks)
        if how is Hooks.DISORDERED:
            plan.reverse()
        if how is Hooks.TWICE:
            plan = [one for one in plan for _ in (1, 2)]
        first = self._late if how is Hooks.LATE else self._pause
        with self._wake:
            for place, hook in enumerate(plan):
                moment = time.monotonic() + first + place * self._pause
                heapq.heappush(self._due, (moment, next(self._order), hook, 0))
            self._wake.notify()

    def sent(self) -> dict[str, Any]:
        """What was sent and how it was answered, and how many wait."""
        with self._wake:
            return {"sent": list(self._sent), "waiting": len(self._due) + self._busy}

    def clear(self) -> None:
        """Forget what was and what is to be sent."""
        with self._wake:
            self._due.clear()
            self._sent.clear()

    def close(self) -> None:
        """Send nothing more."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join(TIMEOUT + 1)
        self._session.close()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._closed and (not self._due or self._due[0][0] > time.monotonic()):
                    left = self._due[0][0] - time.monotonic() if self._due else None
                    self._wake.wait(left)
                if self._closed:
                    return
                _, _, hook, tried = heapq.heappop(self._due)
                self._busy = True
            status, body = self._post(hook)
            with self._wake:
                self._busy = False
                if len(self._sent) < KEPT:
                    self._sent.append(
                        {"face": hook.face, "id": hook.event_id, "status": status}
                        | {"at": time.time(), "tried": tried + 1, "body": body}
                    )
                taken = isinstance(status, int) and 200 <= status < 300
                if not taken and status != "not_local" and tried < len(TRY_AGAIN_AFTER):
                    moment = time.monotonic() + TRY_AGAIN_AFTER[tried]
                    heapq.heappush(self._due, (moment, next(self._order), hook, tried + 1))

    def _post(self, hook: Hook) -> tuple[int | str, str]:
        """The status of the answer, ``no_answer`` or ``not_local``; and what was sent."""
        url = self._base + hook.face
        if urlsplit(url).hostname not in LOOPBACK:
            return "not_local", ""
        body, headers = hook.sign()
        sent = body.decode("utf-8", "replace")
        try:
            answer = self._session.post(url, data=body, headers=headers, timeout=TIMEOUT)
        except requests.RequestException:
            return "no_answer", sent
        return answer.status_code, sent
