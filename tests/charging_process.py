"""A process that charges cards as the payment process does, to be killed in the middle of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any

from fixtures_bank import make_card

from agi_scripts.charging import Cashier
from agi_scripts.database import open_for_calls
from dialer.config import Settings
from dialer.payments.gateway import Card, Order, Reply
from dialer.payments.service import PaymentRequest
from dialer.payments.submission import OnReply, Submission, Submitter
from dialer.simulation.cards import Behaviour

MARKS = ("begun", "sending", "handed over", "replied", "settled")
"""Between two things that are written down."""


@dataclass(frozen=True)
class Life:
    """What one such process does: these debts are charged side by side, each by such a card.

    ``dies_at``: the mark at which it kills itself; '': somebody else does.
    """

    settings: Settings
    database: str
    cards: Sequence[tuple[PaymentRequest, Behaviour]]
    dies_at: str = ""


class MarkedSubmitter(Submitter):
    """The real one; the process ends without a word at the mark."""

    def __init__(self, settings: Settings, dies_at: str) -> None:
        super().__init__(settings)
        self._dies_at = dies_at

    def _mark(self, name: str) -> None:
        if name == self._dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def prepare(self, *given: Any, **named: Any) -> str | None:
        """The payment is committed, and nothing else."""
        self._mark("begun")
        return super().prepare(*given, **named)

    def submit(
        self,
        gateway: str,
        order: Order,
        provider_ref: str | None,
        card: Card,
        send_before: datetime,
        on_reply: OnReply,
    ) -> Submission:
        """That it is being sent is committed."""
        self._mark("sending")
        heard = self._around(on_reply)
        submission = super().submit(gateway, order, provider_ref, card, send_before, heard)
        self._mark("handed over")
        return submission

    def _around(self, on_reply: OnReply) -> OnReply:
        def heard(reply: Reply) -> None:
            self._mark("replied")
            on_reply(reply)
            self._mark("settled")

        return heard


def live(life: Life, told: Connection) -> None:
    """Say that it begins, charge, say how many seconds that took, and wait for the end."""
    engine = open_for_calls(life.database)
    with MarkedSubmitter(life.settings, life.dies_at) as submitter:
        cashier = Cashier(engine, life.settings, submitter, lambda: datetime.now(UTC))
        told.send(0.0)
        begun = time.monotonic()
        charges = [cashier.charge(one, make_card(how)) for one, how in life.cards]
        for charge in charges:
            charge.wait(60)
        told.send(time.monotonic() - begun)
        told.poll(None)
