"""An acquirer of a few lines for tests of how cards are sent: a server in a process of its own
(``python acquirer_by_http.py``, says its port), and the gateway that charges there.

What it does is the description of the order: ``approve``, ``silence`` (charged, never answered
until ``/release``), ``drop`` (charged, connection closed), ``slow`` (approved after ``/release``).
It keeps payment ids and the last four digits.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from dialer.config import Settings
from dialer.domain.payment import Brand, FieldUse, PaymentMode, PaymentOutcome
from dialer.payments.gateway import Capabilities, Card, GatewayError, Order, Reply

released: dict[str, threading.Event] = defaultdict(threading.Event)
ledger: list[dict[str, str]] = []


class Desk(BaseHTTPRequestHandler):
    """One request."""

    def do_POST(self) -> None:
        """A charge, or what a test does to the acquirer."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/release":
            released[json.loads(body)["payment"]].set()
            return self._answer({})
        asked = json.loads(body)
        ledger.append({"payment": asked["payment"], "last_four": asked["number"][-4:]})
        mode = asked["mode"]
        if mode in ("silence", "slow"):
            released[asked["payment"]].wait(60)
        if mode in ("silence", "drop"):
            self.close_connection = True
            return None
        return self._answer({"ref": "ch_1", "auth": "A1B2C3"})

    def do_GET(self) -> None:
        """What was charged."""
        self._answer(ledger)

    def _answer(self, what: object) -> None:
        raw = json.dumps(what).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def ask(base: str, method: str, path: str, body: object = None) -> object:
    """A request to it, answered in JSON."""
    connection = http.client.HTTPConnection(base.removeprefix("http://"), timeout=60)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


class Teller:
    """The gateway."""

    name = "http"

    def __init__(self, base: str) -> None:
        self._base = base

    def capabilities(self) -> Capabilities:
        """Little."""
        return Capabilities(
            frozenset({PaymentMode.CHARGE}), frozenset({Brand.VISA}), FieldUse.REQUIRED
        )

    def prepare(self, order: Order) -> str | None:
        """A reference; ``refuse`` and ``hang`` do not get one."""
        if order.description == "refuse":
            raise GatewayError("the acquirer refuses", passing=False)
        if order.description == "hang":
            threading.Event().wait(60)
        return f"prepared-{order.order_ref}"

    def submit(self, order: Order, provider_ref: str | None, card: Card) -> Reply:
        """Charge."""
        if order.description == "break":
            raise ValueError(f"cannot send {card.number.reveal_str()}")
        body = {
            "payment": order.payment_id,
            "mode": order.description,
            "number": card.number.reveal_str(),
        }
        print("sending", body)  # a library that prints what it sends
        try:
            said = ask(self._base, "POST", "/charge", body)
        except (OSError, http.client.HTTPException, ValueError):
            return Reply(PaymentOutcome.UNKNOWN)
        assert isinstance(said, dict)
        return Reply(PaymentOutcome.APPROVED, said["ref"], said["auth"])


def from_settings(settings: Settings, name: str) -> Teller:
    """The factory that the clean process is told."""
    return Teller(settings.test_acquirer_api_base)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Desk)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    sys.stdout.close()
    server.serve_forever()
