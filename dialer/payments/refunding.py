"""A refund by two people: one asks, another grants, and the money leaves once.

Granting writes the decision and the refund in one transaction, so that neither is there without
the other; then the refund is sent. Whoever dies in between leaves a refund that the workers send:
its id is the key by which the gateway knows it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row

from dialer.config import Settings
from dialer.domain.access import ApprovalKind, ApprovalState
from dialer.domain.currency import minor_digits, parse_written
from dialer.domain.payment import PaymentMode, PaymentState
from dialer.logs import get_logger
from dialer.payments import booking, reversals
from dialer.payments.gateway import Gateway
from dialer.payments.gateways import gateway_named
from dialer.payments.reversals import ReversalError, Reversed
from dialer.store import approvals, payments

log = get_logger(__name__)

REFUND = "refund:"
IMPOSSIBLE = "impossible"
"""As a result: granted, and it could not be done."""
PAYMENT = "payment:"
LONGEST_REASON = 200


def parse_amount(text: str, currency: str) -> int | None:
    """Minor units of ``12,50``, ``12.50`` or ``12``; None for anything else, also for separated
    thousands, which one language writes as another writes decimals."""
    told = text.strip().upper().removesuffix(currency).strip().replace(",", ".")
    try:
        return parse_written(f"{told} {currency}").minor
    except ValueError:
        return None


def written_amount(minor: int, currency: str, point: str) -> str:
    """As it is put into a field: ``12,50``."""
    digits = minor_digits(currency)
    whole, rest = divmod(minor, 10**digits)
    return f"{whole}{point}{rest:0{digits}d}" if digits else str(whole)


def left(connection: Connection, payment_id: str) -> int:
    """What can still be asked back of a payment, in minor units: what was taken, less what is
    given back and what waits for a second person."""
    held = payments.load_payment(connection, payment_id)
    if held is None or held.state is not PaymentState.APPROVED:
        return 0
    uncaptured = held.mode is PaymentMode.AUTHORISE and held.captured_at is None
    if held.mode is PaymentMode.TOKENISE or uncaptured or held.provider_ref is None:
        return 0
    asked: int = sum(
        row.detail["minor"]
        for row in approvals.of_target(connection, f"{PAYMENT}{payment_id}")
        if row.state == ApprovalState.ASKED.value
    )
    return max(0, reversals.refundable(connection, held) - asked)


def ask(
    engine: Engine, payment_id: str, minor: int, reason: str, user_id: int, *, forgive: bool
) -> int | None:
    """Ask for a second person; the number of the request, None where less is left by now."""
    with engine.begin() as connection:
        return ask_in(
            connection, payment_id, minor, reason, user_id, datetime.now(UTC), forgive=forgive
        )


def ask_in(
    connection: Connection, payment_id: str, minor: int, reason: str, user_id: int, now: datetime,
    *, forgive: bool, key_id: int | None = None,
) -> int | None:  # fmt: skip
    """The same in a transaction that goes on. ``key_id``: a program asks with their key."""
    held = booking.hold(connection, payment_id)  # who asks at the same time waits here
    if not 0 < minor <= left(connection, payment_id):
        return None
    return approvals.ask(
        connection, ApprovalKind.REFUND, f"{PAYMENT}{payment_id}", held.company_id,
        {"minor": minor, "currency": held.amount.currency, "forgive": forgive},
        reason, user_id, now, key_id=key_id,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Granted:
    """What granting came to. ``decided``: False where somebody was quicker, or it is one's own.
    ``refund``: None where it could not be given back."""

    decided: bool
    refund: Reversed | None = None


def grant(engine: Engine, settings: Settings, request: Row[Any], user_id: int) -> Granted:
    """Grant a refund and carry it out. Raises ConfigError where the gateway is not set up; then
    nothing is decided."""
    with engine.connect().execution_options(dialer_readonly=True) as connection:
        gateway = _gateway(connection, settings, request)
    with engine.begin() as connection:
        decided, refund_id = _grant(
            connection, gateway, request, user_id, datetime.now(UTC), f"user:{user_id}"
        )
    if refund_id is None:
        return Granted(decided)
    sent = reversals.send(engine, gateway, refund_id, lambda: datetime.now(UTC))
    return Granted(decided=True, refund=sent)


def grant_in(
    connection: Connection, settings: Settings, request: Row[Any], user_id: int, now: datetime,
    key_id: int,
) -> bool:  # fmt: skip
    """The same for a program's key, in a transaction that goes on: workers send the refund. Whether
    it was decided, as in ``Granted``. Raises ConfigError."""
    gateway = _gateway(connection, settings, request)
    actor = f"api_key:{key_id}"
    return _grant(connection, gateway, request, user_id, now, actor)[0]


def _gateway(connection: Connection, settings: Settings, request: Row[Any]) -> Gateway:
    held = payments.load_payment(connection, request.target.removeprefix(PAYMENT))
    assert held is not None  # payments are never deleted
    return gateway_named(settings, held.gateway)


def _grant(
    connection: Connection, gateway: Gateway, request: Row[Any], user_id: int, now: datetime,
    actor: str,
) -> tuple[bool, str | None]:  # fmt: skip
    """Whether it was decided, and the refund that is written down to be sent."""
    if not _decided(connection, request.id, user_id, now, actor):
        return False, None
    try:
        refund_id = reversals.ask_refund(
            connection, gateway, request.target.removeprefix(PAYMENT), request.detail["minor"],
            reason=request.reason, actor=actor, now=now,
            forgive=bool(request.detail.get("forgive")),
        )  # fmt: skip
    except ReversalError:  # raised before anything is written
        log.info("granted refund not possible", approval=request.id)
        approvals.set_result(connection, request.id, IMPOSSIBLE)
        return True, None
    approvals.set_result(connection, request.id, f"{REFUND}{refund_id}")
    return True, refund_id


def _decided(
    connection: Connection, approval_id: int, user_id: int, now: datetime, actor: str
) -> bool:
    return approvals.decide(
        connection, approval_id, ApprovalState.GRANTED, user_id, now, actor=actor
    )
