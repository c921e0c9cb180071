"""Signed webhooks of the double of Twilio, sent later from a thread of its own."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import Counter
from collections.abc import Mapping
from urllib.parse import urlsplit

import requests
from twilio.request_validator import RequestValidator

TIMEOUT = 15.0  # Twilio's own
TRIES = 2
AGAIN_AFTER = 0.5
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Callbacks:
    """A timetable of webhooks. Only this machine is ever called."""

    def __init__(self, token: str) -> None:
        self._validator = RequestValidator(token)
        self._session = requests.Session()
        self._session.trust_env = False
        self._order = itertools.count()
        self._due: list[tuple[float, int, str, Mapping[str, str], int]] = []
        self._wake = threading.Condition()
        self._closed = False
        self.results: Counter[str] = Counter()
        """How webhooks were answered: HTTP status, ``no_answer`` or ``not_local``."""
        self._thread = threading.Thread(target=self._run, name="callbacks", daemon=True)
        self._thread.start()

    def post_later(self, seconds: float, url: str, form: Mapping[str, str], tried: int = 0) -> None:
        """Post the form to the address after so many seconds."""
        with self._wake:
            moment = time.monotonic() + seconds
            heapq.heappush(self._due, (moment, next(self._order), url, form, tried))
            self._wake.notify()

    def post(self, url: str, form: Mapping[str, str]) -> int | None:
        """Post at once; the HTTP status, None without an answer."""
        if urlsplit(url).hostname not in LOOPBACK:
            self.results["not_local"] += 1
            return None
        signature = self._validator.compute_signature(url, dict(form))
        try:
            answer = self._session.post(
                url, data=form, headers={"X-Twilio-Signature": signature}, timeout=TIMEOUT
            )
        except requests.RequestException:
            self.results["no_answer"] += 1
            return None
        self.results[str(answer.status_code)] += 1
        return answer.status_code

    def waiting(self) -> int:
        """Webhooks that are still to be sent."""
        with self._wake:
            return len(self._due)

    def clear(self) -> None:
        """Forget what is still to be sent."""
        with self._wake:
            self._due.clear()
            self.results.clear()

    def close(self) -> None:
        """Send nothing more."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join(5)
        self._session.close()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._closed and (not self._due or self._due[0][0] > time.monotonic()):
                    left = self._due[0][0] - time.monotonic() if self._due else None
                    self._wake.wait(left)
                if self._closed:
                    return
                _, _, url, form, tried = heapq.heappop(self._due)
            status = self.post(url, form)
            if (status is None or status >= 500) and tried + 1 < TRIES:
                self.post_later(AGAIN_AFTER, url, form, tried + 1)
