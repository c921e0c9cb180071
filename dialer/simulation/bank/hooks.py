"""Webhooks of the simulated bank, sent from a thread of its own: later, again, in disorder."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from dialer.simulation.bank.conduct import Hooks
from dialer.simulation.timetable import Timetable

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
        self._sent: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._later = Timetable("webhooks", self._send)

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
        for place, hook in enumerate(plan):
            self._later.add(first + place * self._pause, hook)

    def sent(self) -> dict[str, Any]:
        """What was sent and how it was answered, and how many wait."""
        waiting = self._later.waiting()
        with self._lock:
            return {"sent": list(self._sent), "waiting": waiting}

    def clear(self) -> None:
        """Forget what was and what is to be sent."""
        self._later.clear()
        with self._lock:
            self._sent.clear()

    def close(self) -> None:
        """Send nothing more."""
        self._later.close(TIMEOUT + 1)
        self._session.close()

    def _send(self, hook: Hook, tried: int) -> float | None:
        status, body = self._post(hook)
        with self._lock:
            if len(self._sent) < KEPT:
                self._sent.append(
                    {"face": hook.face, "id": hook.event_id, "status": status}
                    | {"at": time.time(), "tried": tried + 1, "body": body}
                )
        taken = isinstance(status, int) and 200 <= status < 300
        if taken or status == "not_local" or tried >= len(TRY_AGAIN_AFTER):
            return None
        return TRY_AGAIN_AFTER[tried]

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
