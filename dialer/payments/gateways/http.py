"""Requests to gateways that speak JSON over HTTP, made so that nothing sent survives in an error.

Exceptions of HTTP libraries hold the request, and so the card. None leaves this module: what went
wrong comes back as a value, made outside of the handler so that no exception hangs on to it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import httpx

from dialer.payments.gateway import GatewayError
from dialer.tls import trusted

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LONGEST_ANSWER = 1_000_000  # bytes


class Trouble(StrEnum):
    """Why there is no answer that can be understood."""

    NEVER_LEFT = "never-left"  # no connection came about: certainly not received
    NO_ANSWER = "no-answer"  # may have been received
    NOT_UNDERSTOOD = "not-understood"  # something answered, but not what was expected


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``data`` is never shown: a gateway may repeat what it was sent."""

    status: int = 0
    data: dict[str, Any] = field(default_factory=dict, repr=False)
    trouble: Trouble | None = None

    @property
    def ok(self) -> bool:
        """Answered with a 2xx that was understood."""
        return self.trouble is None and 200 <= self.status < 300

    @property
    def doubtful(self) -> bool:
        """Whether what was asked may or may not have been done."""
        return self.trouble in (Trouble.NO_ANSWER, Trouble.NOT_UNDERSTOOD) or self.status >= 500

    def failed(self, what: str) -> GatewayError:
        """The error for an operation that did not succeed, for ``what`` ("a look-up at ...")."""
        why = self.trouble.value if self.trouble else f"HTTP {self.status}"
        passing = self.trouble is not None or self.status >= 500 or self.status in (408, 425, 429)
        return GatewayError(f"{what}: {why}", passing=passing)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What came back, not read yet; or why nothing did."""

    status: int = 0
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    trouble: Trouble | None = None


def exchange(
    method: str,
    url: str,
    *,
    seconds: float,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Exchange:
    """One request, one answer; never tried again, never raises for what the network does.

    ``seconds`` bounds the wait for the connection and for each piece of the answer. Redirects are
    not followed: a card goes to the address in the settings only.
    """
    quiet()
    local = urlsplit(url).hostname in LOOPBACK
    try:
        with httpx.Client(
            timeout=seconds, trust_env=not local, verify=trusted(trust_env=not local),
            follow_redirects=False,
        ) as client:  # fmt: skip
            response = client.request(method, url, content=body, headers=dict(headers or {}))
            received = response.content[:LONGEST_ANSWER]
            return Exchange(response.status_code, received, dict(response.headers))
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL):
        return Exchange(trouble=Trouble.NEVER_LEFT)
    except httpx.DecodingError:
        return Exchange(trouble=Trouble.NOT_UNDERSTOOD)
    except Exception:  # whatever it is, it may hold the request
        return Exchange(trouble=Trouble.NO_ANSWER)


def ask(
    method: str,
    url: str,
    *,
    seconds: float,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """``exchange`` with an answer in JSON."""
    got = exchange(method, url, seconds=seconds, body=body, headers=headers)
    if got.trouble is not None:
        return Answer(trouble=got.trouble)
    return _understood(got.status, got.body)


def ask_json(
    method: str,
    url: str,
    *,
    seconds: float,
    values: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """``ask`` with a JSON body."""
    body = None if values is None else json.dumps(values).encode()
    sent = {"Content-Type": "application/json", **(headers or {})}
    return ask(method, url, seconds=seconds, body=body, headers=sent)


def quiet() -> None:
    """Keep libraries that speak HTTP from logging what they send, whatever the root's level."""
    for name in ("httpx", "httpcore", "urllib3", "requests", "http.client", "stripe", "hpack"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _understood(status: int, raw: bytes) -> Answer:
    try:
        data = json.loads(raw)
    except ValueError:
        return Answer(status, trouble=Trouble.NOT_UNDERSTOOD)
    if not isinstance(data, dict):
        return Answer(status, trouble=Trouble.NOT_UNDERSTOOD)
    return Answer(status, data)
