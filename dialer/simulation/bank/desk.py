"""What a face of the simulated bank works with, and how answers are given: in time, late, never."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from flask import Response, request

from dialer.config import Settings
from dialer.simulation.bank.conduct import Conduct, Hooks, Manner
from dialer.simulation.bank.core import Bank, Decision
from dialer.simulation.bank.hooks import Hook, HookSender
from dialer.simulation.bank.records import Charge

Respond = Callable[[Charge | None], Response]
Tell = Callable[[Charge], Sequence[Hook]]


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds: of every answer, of a slow one, of one that nobody waits for."""

    latency: float = 0.05
    slow: float = 8.0
    silent: float = 20.0


@dataclass(slots=True)
class Desk:
    """Given to each face (``faces``): the bank, the settings of this installation (whose secrets
    the product and the double share), and the ways to answer."""

    bank: Bank
    hooks: HookSender
    settings: Settings
    waits: Waits
    _released: threading.Event = field(default_factory=threading.Event)

    def give(
        self,
        decision: Decision,
        respond: Respond,
        tell: Tell = lambda _: (),
        error: Callable[[int], Response] | None = None,
    ) -> Response:
        """The answer to a submission, in the manner the bank decided.

        ``respond`` makes the plain answer of a charge, ``tell`` its webhooks, ``error`` the answers
        500 and 429 in the gateway's own words. A cut connection raises through the server.
        """
        charge = decision.charge
        if charge is not None and not decision.repeated:
            self.hooks.send(tell(charge), decision.conduct.hooks)
        self.wait(decision.conduct)
        if decision.finish is not None:
            charge = decision.finish()
            if charge is not None:
                self.hooks.send(tell(charge), Hooks.ONCE)
        return self.finish(decision.conduct, lambda: respond(charge), error)

    def wait(self, conduct: Conduct) -> None:
        """As long as this manner takes; ``release`` ends it."""
        seconds = self.waits.latency
        if conduct.manner is Manner.SLOW:
            seconds = self.waits.slow
        elif conduct.manner is Manner.SILENT:
            seconds = self.waits.silent
        if seconds > 0:
            self._released.wait(seconds)

    def finish(
        self,
        conduct: Conduct,
        respond: Callable[[], Response],
        error: Callable[[int], Response] | None = None,
    ) -> Response:
        """The answer without the wait."""
        if conduct.manner is Manner.DROP:
            cut_connection()
        if conduct.manner is Manner.RUBBISH:
            return Response('{"id": "<html><body>Bad Ga', 200, mimetype="application/json")
        if conduct.manner in (Manner.ERROR, Manner.BUSY):
            status = 500 if conduct.manner is Manner.ERROR else 429
            return error(status) if error else Response("no", status, mimetype="text/plain")
        return respond()

    def out_of_order(self, face: str) -> Response | None:
        """The answer of a face that is out of order; None: it works."""
        how = self.bank.outage(face)
        if how is None:
            return None
        if how == "drop":
            cut_connection()
        if how == "silent":
            self._released.wait(self.waits.silent)
            cut_connection()
        return Response("out of order", 503, mimetype="text/plain")

    def release(self) -> None:
        """Give the answers that are held back."""
        held, self._released = self._released, threading.Event()
        held.set()

    def close(self) -> None:
        """Hold nothing back any more."""
        self._released.set()
        self.hooks.close()


def cut_connection() -> NoReturn:
    """End the connection of this request without an answer."""
    connection: socket.socket = request.environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError  # the server takes it for a client that left
