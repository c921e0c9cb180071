"""Signed webhooks of the double of Twilio, sent later from a thread of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from urllib.parse import urlsplit

import requests
from twilio.request_validator import RequestValidator

from dialer.simulation.timetable import Timetable

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
        self.results: Counter[str] = Counter()
        """How webhooks were answered: HTTP status, ``no_answer`` or ``not_local``."""
        self._later = Timetable("callbacks", self._post_due)

    def post_later(self, seconds: float, url: str, form: Mapping[str, str]) -> None:
        """Post the form to the address after so many seconds."""
        self._later.add(seconds, (url, form))

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
        """Webhooks that are still to be answered."""
        return self._later.waiting()

    def clear(self) -> None:
        """Forget what is still to be sent."""
        self._later.clear()
        self.results.clear()

    def close(self) -> None:
        """Send nothing more."""
        self._later.close(5)
        self._session.close()

    def _post_due(self, due: tuple[str, Mapping[str, str]], tried: int) -> float | None:
        status = self.post(*due)
        failed = status is None or status >= 500
        return AGAIN_AFTER if failed and tried + 1 < TRIES else None
