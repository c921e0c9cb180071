"""SMS through Twilio's official library.

Twilio has no idempotency key: before a message is sent a second time it is looked up by number,
text and time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from twilio.base import values
from twilio.base.exceptions import TwilioException
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client
from urllib3.exceptions import MaxRetryError, NewConnectionError

from dialer.config import Settings
from dialer.domain.message import OutgoingMessage
from dialer.messaging.base import Accepted, TransportError

CONNECT_SECONDS = 3.05
ANSWER_SECONDS = 10.0
IDLE_SECONDS = 30.0
"""A connection unused for longer is not used again: the far end may just be closing it, and a
request lost that way would have to be looked up."""
VALIDITY_SECONDS = 3600
"""Twilio drops what it could not pass on within this time, rather than texting at night."""
CLOCK_SKEW = timedelta(minutes=1)
LIST_LIMIT = 100

STATUS_PATH = "/hooks/twilio/status"

PERMANENT = {
    21211: "the number is invalid",
    21265: "the number is a short code",
    21408: "no permission to text this region",
    21602: "the text is empty",
    21604: "no number",
    21606: "the sender is not a number of this account that can text",
    21610: "the number asked for no more messages",
    21612: "the number cannot be reached from this sender",
    21614: "the number is not a mobile",
    21617: "the text is too long",
    30006: "the number is a landline or unreachable",
}
PASSING = {
    14107: "the rate limit is reached",
    20003: "the credentials are refused",
    20429: "too many requests",
    21609: "the address for reports is refused (DIALER_PUBLIC_URL)",
    21611: "the sender's queue is full",
    30001: "the queue is full",
    30022: "the daily limit of the sender is reached",
}
"""Codes under a 4xx status that are not the message's fault. Wrong settings are among them:
somebody can set them right before the message is too old."""
OPTED_OUT = 21610


class _TooMany(Exception):
    """429, with the seconds to wait if the answer says so."""

    def __init__(self, retry_after: float | None) -> None:
        super().__init__("too many requests")
        self.retry_after = retry_after


class BaseHttpClient(HttpClient):  # type: ignore[misc]
    """The library's way out, to any base address, over kept-alive connections.

    ``base`` replaces scheme and host (and prefixes the path); empty: Twilio's own.
    """

    def __init__(self, base: str = "") -> None:
        # The library's own lines hold numbers in their addresses: they are shown at debug only.
        super().__init__(logging.getLogger("twilio.http_client"), False, None)
        self._base = urlsplit(base)
        self._session = requests.Session()
        adapter = HTTPAdapter(pool_maxsize=16, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        if _is_here(base):
            self._session.trust_env = False  # no proxy stands before this machine itself
        self._used = time.monotonic()
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """One request, never repeated here. Raises what requests raises, and _TooMany."""
        self._forget_idle()
        answer = self._session.request(
            method,
            self._address(uri),
            params=params,  # type: ignore[arg-type]
            data=data,
            headers=headers,
            auth=auth,
            timeout=(CONNECT_SECONDS, timeout or ANSWER_SECONDS),
            allow_redirects=allow_redirects,
        )
        self._used = time.monotonic()
        if answer.status_code == 429:
            raise _TooMany(_seconds(answer.headers.get("Retry-After")))
        return Response(answer.status_code, answer.text, answer.headers)

    def _address(self, uri: str) -> str:
        if not self._base.netloc:
            return uri
        asked = urlsplit(uri)
        path = self._base.path.rstrip("/") + asked.path
        return urlunsplit((self._base.scheme, self._base.netloc, path, asked.query, ""))

    def _forget_idle(self) -> None:
        with self._lock:
            if time.monotonic() - self._used > IDLE_SECONDS:
                self._session.close()  # its pools; the session itself can be used on
            self._used = time.monotonic()


class TwilioSms:
    """A ``Transport`` for SMS. Thread-safe.

    ``sender`` in E.164; ``callback_base`` is where reports are sent, empty: nowhere; ``base`` the
    address of the API, empty: Twilio's own.
    """

    def __init__(
        self, *, account_sid: str, token: str, sender: str, callback_base: str, base: str = ""
    ) -> None:
        self._client = Client(account_sid, token, http_client=BaseHttpClient(base))
        self._messages: Any = self._client.messages  # loads the part of the library needed
        self._sender = sender
        self._callback_base = callback_base

    def send(self, message: OutgoingMessage) -> Accepted:
        """Create the message at Twilio. Raises TransportError."""
        try:
            made = self._messages.create(
                to=message.number,
                from_=self._sender,
                body=message.body,
                status_callback=self._callback(message),
                validity_period=VALIDITY_SECONDS,
            )
        except Exception as error:
            raise _transport_error(error) from error
        return Accepted(str(made.sid))

    def _callback(self, message: OutgoingMessage) -> Any:
        if not self._callback_base:
            return values.unset
        return f"{self._callback_base}{STATUS_PATH}?m={message.id}"

    def look_up(
        self, message: OutgoingMessage, exclude: Collection[str] = frozenset()
    ) -> Accepted | None:
        """The message among those to this number, by text and time.

        Not filtered by date at Twilio: DateSent is empty while a message waits in its queue.
        """
        since = (message.created_at - CLOCK_SKEW).replace(microsecond=0)
        try:
            found = self._messages.list(
                to=message.number, from_=self._sender, limit=LIST_LIMIT, page_size=LIST_LIMIT
            )
        except Exception as error:
            raise _transport_error(error) from error
        for one in found:
            if one.sid not in exclude and _is_same(one, message.body, since):
                return Accepted(str(one.sid))
        return None


def twilio_sms(settings: Settings) -> TwilioSms:
    """The transport of one installation."""
    return TwilioSms(
        account_sid=settings.twilio_sid,
        token=settings.twilio_token,
        sender=settings.twilio_from,
        callback_base=report_base(settings),
        base=settings.twilio_base,
    )


def report_base(settings: Settings) -> str:
    """Where reports are sent; empty where they could not arrive.

    Twilio refuses a message whose reports were to go to an address of this machine alone: without
    a public address messages leave without reports.
    """
    reachable = _is_here(settings.twilio_base) or not _is_here(settings.web_url)
    return settings.web_url if reachable else ""


def _is_here(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def _is_same(found: Any, body: str, since: datetime) -> bool:
    # A trial account puts a sentence of its own before the text.
    text = str(found.body or "").strip()
    return (
        str(found.direction or "").startswith("outbound")
        and text.endswith(body.strip())
        and (found.date_created is None or found.date_created >= since)
    )


def _transport_error(error: Exception) -> TransportError:
    """What an exception of the library or of requests means for the message."""
    if isinstance(error, TransportError):
        return error
    if isinstance(error, _TooMany):
        return TransportError("429 too many requests", retry_after=error.retry_after)
    if isinstance(error, requests.exceptions.RequestException):
        return _no_answer(error)
    status, code = getattr(error, "status", None), getattr(error, "code", None)
    if isinstance(error, TwilioException) and isinstance(status, int):
        return _refused(status, code)
    # Nothing else is expected; whatever it is, the request may have left before it.
    return TransportError(f"no usable answer ({type(error).__name__})", unknown=True)


def _no_answer(error: requests.exceptions.RequestException) -> TransportError:
    """Whether the request can have left before the connection failed."""
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    never_left = isinstance(
        error,
        requests.exceptions.ConnectTimeout
        | requests.exceptions.SSLError
        | requests.exceptions.ProxyError
        | requests.exceptions.InvalidURL
        | requests.exceptions.InvalidSchema
        | requests.exceptions.MissingSchema,
    ) or isinstance(reason, NewConnectionError)
    if never_left:
        return TransportError(f"no connection ({type(reason or error).__name__})")
    return TransportError(f"no answer ({type(error).__name__})", unknown=True)


def _refused(status: int, code: object) -> TransportError:
    number = code if isinstance(code, int) else 0
    name = f"{status} {number}" if number else f"{status}"
    if number in PERMANENT:
        return TransportError(
            f"{name} {PERMANENT[number]}", permanent=True, opted_out=number == OPTED_OUT
        )
    if number in PASSING:
        return TransportError(f"{name} {PASSING[number]}")
    if status >= 500:
        # It may have kept the message all the same: before another try it is looked up.
        return TransportError(f"{name} failed at the provider")
    if status in (401, 403, 404, 408, 409, 429):
        return TransportError(f"{name} refused for now")
    return TransportError(f"{name} refused", permanent=status >= 400, unknown=status < 400)


def _seconds(retry_after: str | None) -> float | None:
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:
        return None  # a date: our own delay will do
