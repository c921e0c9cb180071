"""What the double of Twilio knows and answers: messages, requests, errors."""

from __future__ import annotations

import json
import random
import re
import socket
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from flask import Response, jsonify, request

from dialer.simulation.twilio_callbacks import Callbacks
from dialer.simulation.twilio_faults import (
    Behaviour,
    Delivery,
    Fault,
    Rates,
    behaviour_of,
    reports,
)

ERRORS = {
    20003: (401, "Authenticate"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "An internal server error has occurred"),
    20503: (503, "Service unavailable"),
    21211: (400, "Invalid 'To' Phone Number"),
    21602: (400, "Message body is required"),
    21603: (400, "A 'From' phone number is required"),
    21604: (400, "A 'To' phone number is required"),
    21609: (400, "The 'StatusCallback' URL is not a valid URL"),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21614: (400, "'To' number is not a valid mobile number"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit"),
}
FAULT_CODES = {
    Fault.INVALID: 21211,
    Fault.OPTED_OUT: 21610,
    Fault.NOT_MOBILE: 21614,
    Fault.BUSY: 20429,
    Fault.ERROR: 20500,
    Fault.ERROR_KEPT: 20500,
    Fault.UNAVAILABLE: 20503,
}
ORDER = ("queued", "sent", "undelivered", "delivered")
STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"})
E164 = re.compile(r"\+[1-9]\d{6,14}")
KEPT_REQUESTS = 10_000


@dataclass(frozen=True, slots=True)
class Options:
    """How the double is set up. ``latency`` is the seconds every answer takes, ``pause`` those
    between two reports, ``slow`` those of a slow answer; ``inbound_url`` is where a debtor's
    answer goes."""

    account_sid: str
    token: str
    inbound_url: str
    seed: int = 0
    rates: Rates = field(default_factory=Rates)
    latency: float = 0.0
    pause: float = 0.1
    slow: float = 3.0
    retry_after: int = 1


class Books:
    """What the double remembers; every method holds the lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.messages: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()
        self._told: dict[str, tuple[Behaviour, int]] = {}
        self._fates: dict[str, tuple[float, list[tuple[float, str]]]] = {}
        self._opted_out: set[tuple[str, str]] = set()

    def next_behaviour(self, to: str, sender: str, options: Options) -> Behaviour:
        """What this request meets."""
        with self._lock:
            earlier = self._asked[to]
            self._asked[to] += 1
            if (to, sender) in self._opted_out:
                return Behaviour(Fault.OPTED_OUT)
            told, times = self._told.get(to, (None, 0))
            if told is not None and times > 0:
                self._told[to] = (told, times - 1)
                return told
            chance = random.Random(f"{options.seed}/{sum(self._asked.values())}")
            return behaviour_of(to, earlier, options.rates, chance)

    def tell(self, number: str, behaviour: Behaviour, times: int) -> None:
        """Behave so for the next ``times`` requests to this number."""
        with self._lock:
            self._told[number] = (behaviour, times)

    def note_request(self, form: dict[str, str], headers: dict[str, str], outcome: str) -> None:
        """Remember a request to send; ``at`` is when it was here, Unix time."""
        at = time.time()
        with self._lock:
            self.counts["requests"] += 1
            self.counts[outcome] += 1
            if len(self.requests) < KEPT_REQUESTS:
                self.requests.append(
                    {"form": form, "headers": headers, "outcome": outcome, "at": at}
                )

    def keep(self, form: dict[str, str], delivery: Delivery, options: Options) -> dict[str, Any]:
        """Make a message as Twilio shows it, and settle when it gets which status."""
        with self._lock:
            sid = fresh_sid()
            now = format_datetime(datetime.now(UTC), usegmt=False)
            made: dict[str, Any] = {
                "account_sid": options.account_sid,
                "api_version": "2010-04-01",
                "body": form["Body"],
                "date_created": now,
                "date_sent": None,
                "date_updated": now,
                "direction": "outbound-api",
                "error_code": None,
                "error_message": None,
                "from": form.get("From"),
                "messaging_service_sid": form.get("MessagingServiceSid"),
                "num_media": "0",
                "num_segments": "1",
                "price": None,
                "price_unit": None,
                "sid": sid,
                "status": "queued",
                "subresource_uris": {},
                "to": form["To"],
                "uri": f"/2010-04-01/Accounts/{options.account_sid}/Messages/{sid}.json",
            }
            self.messages.append(made)
            self._fates[sid] = (time.monotonic(), reports(delivery, options.pause))
            self.counts["kept"] += 1
            return made

    def find(self, **wanted: str | None) -> list[dict[str, Any]]:
        """Messages whose fields are as wanted (None: any), the newest first."""
        with self._lock:
            return [
                self._as_of_now(one)
                for one in reversed(self.messages)
                if all(value is None or one[name] == value for name, value in wanted.items())
            ]

    def _as_of_now(self, one: dict[str, Any]) -> dict[str, Any]:
        born, fate = self._fates[one["sid"]]
        reached = [status for after, status in fate if time.monotonic() - born >= after]
        status = max(["queued", *reached], key=ORDER.index)
        sent = None if status == "queued" else one["date_created"]
        return one | {"status": status, "date_sent": sent}

    def opt(self, number: str, sender: str, body: str) -> None:
        """Twilio itself obeys STOP and START between a number and a sender."""
        with self._lock:
            if body.strip().upper() in STOP_WORDS:
                self._opted_out.add((number, sender))
            elif body.strip().upper() in ("START", "UNSTOP", "YES"):
                self._opted_out.discard((number, sender))


class Double:
    """The API and its control, over the books."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.books = Books()
        self.callbacks = Callbacks(options.token)
        self.released = threading.Event()
        """Set when slow answers are to end."""

    def create(self) -> Response:
        """``POST Messages.json``."""
        form = {name: values[-1] for name, values in request.form.lists()}
        headers = {name: request.headers.get(name, "") for name in ("Content-Type", "User-Agent")}
        code = self._refusal(form)
        if code is not None:
            self.books.note_request(form, headers, str(code))
            return problem(code)
        behaviour = self.books.next_behaviour(form["To"], form.get("From", ""), self.options)
        self.books.note_request(form, headers, behaviour.fault.value)
        made = None
        if behaviour.fault.keeps:
            made = self.books.keep(form, behaviour.delivery, self.options)
            self._report(made, form.get("StatusCallback"), behaviour.delivery)
        return self._answer(behaviour, made)

    def _refusal(self, form: dict[str, str]) -> int | None:
        if not form.get("To"):
            return 21604
        if not form.get("From") and not form.get("MessagingServiceSid"):
            return 21603
        if not form.get("Body"):
            return 21602
        if len(form["Body"]) > 1600:
            return 21617
        if not E164.fullmatch(form["To"]):
            return 21211
        callback = form.get("StatusCallback", "http://x")
        return None if callback.startswith(("http://", "https://")) else 21609

    def _answer(self, behaviour: Behaviour, made: dict[str, Any] | None) -> Response:
        fault = behaviour.fault
        if fault in (Fault.DROP_KEPT, Fault.DROP_LOST):
            cut_connection()
        if fault is Fault.SLOW:
            slow = self.options.slow if behaviour.seconds is None else behaviour.seconds
            self.released.wait(slow)
        elif self.options.latency:
            self.released.wait(self.options.latency)
        if fault in FAULT_CODES:
            answer = problem(FAULT_CODES[fault])
            if fault is Fault.BUSY:
                asked = behaviour.seconds or self.options.retry_after
                answer.headers["Retry-After"] = f"{asked:g}"
            return answer
        answer = jsonify(made)
        answer.status_code = 201
        return answer

    def _report(self, made: dict[str, Any], url: str | None, delivery: Delivery) -> None:
        for seconds, status in reports(delivery, self.options.pause):
            form = {
                "AccountSid": self.options.account_sid,
                "ApiVersion": "2010-04-01",
                "From": str(made["from"] or ""),
                "MessageSid": made["sid"],
                "MessageStatus": status,
                "SmsSid": made["sid"],
                "SmsStatus": status,
                "To": made["to"],
            }
            if status == "undelivered":
                form["ErrorCode"] = "30003"
            if url:
                self.callbacks.post_later(seconds, url, form)

    def inbound(self, sender: str, to: str, body: str, url: str | None) -> int | None:
        """A debtor writes to us; the status our webhook answered."""
        sid = fresh_sid()
        self.books.opt(sender, to, body)
        form = {
            "AccountSid": self.options.account_sid,
            "ApiVersion": "2010-04-01",
            "Body": body,
            "From": sender,
            "MessageSid": sid,
            "NumMedia": "0",
            "NumSegments": "1",
            "SmsMessageSid": sid,
            "SmsSid": sid,
            "SmsStatus": "received",
            "To": to,
        }
        return self.callbacks.post(url or self.options.inbound_url, form)

    def release(self) -> None:
        """Give the answers that are held back."""
        self.released.set()
        self.released = threading.Event()

    def reset(self) -> None:
        """As new."""
        self.callbacks.clear()
        self.release()
        self.books = Books()

    def stats(self) -> dict[str, Any]:
        """Counts of requests (by what they met), messages and webhooks (by answer)."""
        return {
            "counts": dict(self.books.counts),
            "callbacks": dict(self.callbacks.results),
            "callbacks_waiting": self.callbacks.waiting(),
        }


def fresh_sid() -> str:
    """An id that no run of the double has given before: databases outlive it."""
    return f"SM{uuid.uuid4().hex}"


def problem(code: int) -> Response:
    """An error as Twilio words it."""
    status, words = ERRORS[code]
    body = {
        "code": code,
        "message": words,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return Response(json.dumps(body), status=status, mimetype="application/json")


def cut_connection() -> None:
    """End the connection of this request without an answer."""
    connection: socket.socket = request.environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError  # the server takes it for a client that left
