"""Charging a card: what is written down before, between and after it leaves, in this order.

See docs/architecture.md, "How a card travels", 4 and 5. A charge goes on in threads of its own:
nobody who waits for it, or stops waiting, changes what becomes of it.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from dialer.config import Settings
from dialer.domain.payment import PaymentOutcome, PaymentState, PayResult
from dialer.logs import get_logger
from dialer.payments import service
from dialer.payments.conversation import Refused, Submitted
from dialer.payments.gateway import Card, GatewayError, Reply
from dialer.payments.masking import readable, told
from dialer.payments.secret import SecretDigits
from dialer.payments.service import Begun, PaymentRequest, Settled
from dialer.payments.submission import Submission, Submitter
from dialer.switch import names

log = get_logger(__name__)

Ended = Submitted | Refused
"""What the conversation is told of a charge."""

PREPARE_SHARE = 0.6
"""Part of ``gateway_seconds`` that preparing may take; the rest is for the charge."""
WRITE_AGAIN = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0)
"""Seconds between the tries to write an outcome down; after them look-ups find it."""
SETTLED_SECONDS = 2.0


def fingerprint(settings: Settings, number: SecretDigits) -> str:
    """What a card is told apart by: HMAC-SHA256 with a key that is not in the database."""
    key = settings.secret(names.SECRET_FINGERPRINT).encode()
    with number.reveal() as digits:
        return hmac.new(key, digits, hashlib.sha256).hexdigest()


class Charge:
    """A charge on its way, since ``begun`` (monotonic). Safe for many threads."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self._over = threading.Event()
        self._ended: Ended | None = None

    def wait(self, seconds: float) -> Ended | None:
        """What became of it; None: nothing yet after ``seconds``."""
        self._over.wait(seconds)
        return self._ended

    def end(self, ended: Ended) -> None:
        """Tell whoever waits."""
        self._ended = ended
        self._over.set()


@dataclass(frozen=True)
class Cashier:
    """Charges cards. Safe for many threads."""

    engine: Engine
    settings: Settings
    submitter: Submitter
    clock: Callable[[], datetime]

    def charge(self, request: PaymentRequest, card: Card) -> Charge:
        """Begin; the card is wiped as soon as it was handed over, or will not be."""
        charge = Charge()
        threading.Thread(
            target=self._run, args=(request, card, charge), name="charge", daemon=True
        ).start()
        return charge

    def _run(self, request: PaymentRequest, card: Card, charge: Charge) -> None:
        ended: Ended = Refused(PayResult.INTERNAL_ERROR)
        try:
            ended = self._charge(request, card)
        except Exception as error:  # noqa: BLE001 - its text may hold anything
            log.error("charge broke", why=told(error))
        finally:
            card.wipe()
            charge.end(ended)

    def _charge(self, request: PaymentRequest, card: Card) -> Ended:
        end = time.monotonic() + self.settings.gateway_seconds
        try:
            with self.engine.begin() as connection:
                begun = service.begin(connection, request, self.clock())
        except SQLAlchemyError as error:
            # Perhaps committed all the same: then it is never sent, and given up in time.
            log.error("payment not begun: no database", why=told(error))
            return Refused(PayResult.INTERNAL_ERROR)
        if not isinstance(begun, Begun):
            return Refused(begun.result)
        readable(begun.payment_id)
        reference, ready = self._ready(request, begun)
        if not ready:
            return Refused(PayResult.PAYMENT_CONNECTOR_ERROR)
        return self._send(request, begun, reference, card, end)

    def _ready(self, request: PaymentRequest, begun: Begun) -> tuple[str | None, bool]:
        """(reference, whether the card may leave now); all that is to be committed before is."""
        seconds = self.settings.gateway_seconds * PREPARE_SHARE
        try:
            reference = self.submitter.prepare(request.gateway, begun.order, seconds)
        except GatewayError as error:
            log.error("payment not prepared", payment_id=begun.payment_id, why=str(error))
            self._give_up(begun, misconfigured=not error.passing)
            return None, False
        try:
            if reference is not None:
                with self.engine.begin() as connection:
                    service.note_reference(connection, begun.payment_id, reference)
            with self.engine.begin() as connection:
                taken = service.mark_sending(connection, begun.payment_id, self.clock())
        except SQLAlchemyError as error:
            log.error("payment not sent: no database", why=told(error))
            self._give_up(begun)
            return None, False
        if not taken:
            log.warning("payment given up before it was sent", payment_id=begun.payment_id)
        return reference, taken

    def _give_up(self, begun: Begun, *, misconfigured: bool = False) -> None:
        try:
            with self.engine.begin() as connection:
                service.abandon(
                    connection, begun.payment_id, self.clock(), misconfigured=misconfigured
                )
        except SQLAlchemyError as error:
            log.error("payment not given up yet", payment_id=begun.payment_id, why=told(error))

    def _send(
        self,
        request: PaymentRequest,
        begun: Begun,
        reference: str | None,
        card: Card,
        end: float,
    ) -> Ended:
        settled: list[Settled] = []

        def on_reply(reply: Reply) -> None:
            settled.append(self._written(begun.payment_id, reply))

        submission = self.submitter.submit(
            request.gateway,
            begun.order,
            reference,
            card,
            begun.order.created_at + request.send_within,
            on_reply,
        )
        reply = submission.wait(max(0.0, end - time.monotonic()))
        if reply is None:
            reply = self._in_doubt(begun.payment_id, submission)
        if reply is None:
            return Submitted(PaymentOutcome.UNKNOWN)
        return _told(reply, settled[-1] if settled else None)

    def _in_doubt(self, payment_id: str, submission: Submission) -> Reply | None:
        """No answer in time: that is written down. The answer that came at this very moment."""
        unknown = Reply(PaymentOutcome.UNKNOWN, reason="no_answer")
        log.warning("no answer of the gateway in time", payment_id=payment_id)
        try:
            with self.engine.begin() as connection:
                settled = service.settle(
                    connection, payment_id, unknown, self.clock(), self.settings
                )
        except SQLAlchemyError as error:
            log.error("doubt not written down", payment_id=payment_id, why=told(error))
            return None
        if settled.state is PaymentState.UNKNOWN:
            return None
        return submission.wait(SETTLED_SECONDS)

    def _written(self, payment_id: str, reply: Reply) -> Settled:
        """Write an outcome down, again and again. Raises SQLAlchemyError in the end."""
        for wait in (*WRITE_AGAIN, None):
            try:
                with self.engine.begin() as connection:
                    return service.settle(
                        connection, payment_id, reply, self.clock(), self.settings
                    )
            except SQLAlchemyError as error:
                log.error("outcome not written yet", payment_id=payment_id, why=told(error))
                if wait is None:
                    raise
                time.sleep(wait)
        raise AssertionError("unreachable")


def _told(reply: Reply, settled: Settled | None) -> Submitted:
    outcome = reply.outcome
    if settled is not None and settled.state is PaymentState.APPROVED:
        outcome = PaymentOutcome.APPROVED  # a webhook was faster, and knew more
    return Submitted(outcome, reply.auth_code, reply.reason)
