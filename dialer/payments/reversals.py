"""Giving money back: refunds, voids, and taking what was only authorised.

A reversal is written down with its key, its reason and who asked before it leaves; one whose
answer is missing is looked up. What is given back is owed again, unless it is forgiven
(``forgive``): a refund undoes a payment, not the debt.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine

from dialer.config import Settings
from dialer.domain import ledger as books
from dialer.domain.ledger import Book
from dialer.domain.model import Money
from dialer.domain.payment import PaymentMode, PaymentOutcome, PaymentState
from dialer.domain.payment_states import RefundLife, advance_refund, look_up_wait
from dialer.logs import get_logger, mask_text
from dialer.payments.booking import hold
from dialer.payments.gateway import Gateway, GatewayError, RefundReply, RefundState, Reply
from dialer.payments.orders import order_of
from dialer.store import audit, ledger
from dialer.store import payments as rows
from dialer.store import refunds as store
from dialer.store.refunds import REFUND, VOID, Refund

log = get_logger(__name__)

Clock = Callable[[], datetime]

SENDER_SECONDS = timedelta(minutes=2)
"""After this whoever wrote a reversal down is taken to be gone: the sweep goes on with it."""

NOT_RECEIVED = "not_received"


class ReversalError(Exception):
    """It cannot be given back, or taken; the message says why and what can be done."""


@dataclass(frozen=True, slots=True)
class Reversed:
    """``state`` as it is known now; ``reason``: the gateway's code where it refused."""

    refund_id: str
    state: RefundLife
    reason: str | None = None


def refund(
    engine: Engine,
    gateway: Gateway,
    payment_id: str,
    minor: int | None,
    *,
    reason: str,
    actor: str,
    clock: Clock,
    forgive: bool = False,
) -> Reversed:
    """Give back ``minor`` units, all that is left with None. Raises ReversalError,
    UnknownPaymentError."""
    with engine.begin() as connection:
        refund_id = ask_refund(
            connection, gateway, payment_id, minor,
            reason=reason, actor=actor, now=clock(), forgive=forgive,
        )  # fmt: skip
    return send(engine, gateway, refund_id, clock)


def void(
    engine: Engine,
    gateway: Gateway,
    payment_id: str,
    *,
    reason: str,
    actor: str,
    clock: Clock,
    forgive: bool = False,
) -> Reversed:
    """Undo the whole payment or authorisation. Raises ReversalError, UnknownPaymentError."""
    with engine.begin() as connection:
        refund_id = ask_void(
            connection, gateway, payment_id,
            reason=reason, actor=actor, now=clock(), forgive=forgive,
        )  # fmt: skip
    return send(engine, gateway, refund_id, clock)


def ask_refund(
    connection: Connection,
    gateway: Gateway,
    payment_id: str,
    minor: int | None,
    *,
    reason: str,
    actor: str,
    now: datetime,
    forgive: bool = False,
) -> str:
    """Write a refund down; its id. Never more than was taken and is not given back, or being given
    back, already. Raises ReversalError, UnknownPaymentError."""
    held = _taken(connection, gateway, payment_id)
    left = refundable(connection, held)
    if held.mode is PaymentMode.AUTHORISE and held.captured_at is None:
        raise ReversalError(f"payment {payment_id} was only authorised: void it")
    if left <= 0:
        raise ReversalError(f"nothing is left of payment {payment_id} to give back")
    asked = left if minor is None else minor
    if not 0 < asked <= left:
        raise ReversalError(
            f"{asked} cannot be given back of payment {payment_id}: ask for 1 to {left} (minor "
            f"units of {held.amount.currency})"
        )
    if asked < held.amount.minor and not gateway.capabilities().partial_refunds:
        raise ReversalError(f"{gateway.name} gives back whole payments only")
    return _write(connection, held, REFUND, asked, reason, actor, now, forgive)


def ask_void(
    connection: Connection,
    gateway: Gateway,
    payment_id: str,
    *,
    reason: str,
    actor: str,
    now: datetime,
    forgive: bool = False,
) -> str:
    """Write a void down; its id. Raises ReversalError, UnknownPaymentError."""
    held = _taken(connection, gateway, payment_id)
    if not gateway.capabilities().voids:
        raise ReversalError(f"{gateway.name} cannot void: refund payment {payment_id}")
    if _capture_in_doubt(connection, held):
        raise ReversalError(
            f"payment {payment_id} may have been captured: run its capture again first"
        )
    stands = ledger.books_of_payment(connection, payment_id)
    whole = stands.get(standing_in(held), 0) == held.amount.minor
    if not whole or any(one.state.open for one in store.refunds_of(connection, payment_id)):
        raise ReversalError(
            f"part of payment {payment_id} is given back, or being given back: refund the rest"
        )
    return _write(connection, held, VOID, held.amount.minor, reason, actor, now, forgive)


def refundable(connection: Connection, held: rows.Payment) -> int:
    """What was taken of a payment, less what is given back or being given back; minor units."""
    stands = ledger.books_of_payment(connection, held.id).get(Book.PAID, 0)
    under_way = store.refunds_of(connection, held.id)
    return stands - sum(one.amount.minor for one in under_way if one.state.open)


def send(engine: Engine, gateway: Gateway, refund_id: str, clock: Clock) -> Reversed:
    """Send a reversal that was written down; one that somebody else has sent is only reported.
    Raises LookupError for one that does not exist."""
    with engine.begin() as connection:
        one = _load(connection, refund_id)
        if not store.take_for_sending(connection, refund_id, clock()):
            return Reversed(refund_id, one.state, one.provider_reason)
        order = order_of(connection, one.payment_id)
        ref = _reference(connection, one.payment_id)
    try:
        if one.kind == VOID:
            reply = gateway.void(order, ref, refund_id)
        else:
            reply = gateway.refund(order, ref, refund_id, one.amount)
    except GatewayError as error:
        log.warning("reversal not sent", refund=refund_id, passing=error.passing)
        reply = RefundReply(RefundState.REFUSED, reason="gateway_error")
    with engine.begin() as connection:
        return settle_refund(connection, refund_id, reply, clock())


def look_up(
    engine: Engine, gateway: Gateway, refund_id: str, clock: Clock, settings: Settings
) -> Reversed:
    """Go on with a reversal that was interrupted: send it if it never left, else ask what became
    of it. Raises LookupError for one that does not exist."""
    with engine.connect().execution_options(dialer_readonly=True) as connection:
        one = _load(connection, refund_id)
        order = order_of(connection, one.payment_id)
        ref = _reference(connection, one.payment_id)
    if one.state is RefundLife.CREATED:
        return send(engine, gateway, refund_id, clock)
    if not one.state.open:
        return Reversed(refund_id, one.state, one.provider_reason)
    asked_at = clock()
    try:
        reply = gateway.look_up_refund(order, ref, refund_id)
    except GatewayError as error:
        log.warning("reversal not looked up", refund=refund_id, passing=error.passing)
        reply = RefundReply(RefundState.UNKNOWN)
    if reply is None:
        settle = settings.gateway_seconds + settings.payment_settle_seconds
        sent = one.sending_at or one.created_at
        gone = asked_at > sent + timedelta(seconds=settle)
        state = RefundState.REFUSED if gone else RefundState.UNKNOWN
        reply = RefundReply(state, reason=NOT_RECEIVED)
    with engine.begin() as connection:
        return settle_refund(connection, refund_id, reply, clock())


def capture(
    engine: Engine,
    gateway: Gateway,
    payment_id: str,
    minor: int | None,
    *,
    reason: str,
    actor: str,
    clock: Clock,
) -> Reply:
    """Take what was authorised, or ``minor`` units of it: the rest is open again.

    Asked for again after an answer that did not come, it must be for the same amount: gateways
    take an authorisation once. Raises ReversalError, UnknownPaymentError.
    """
    with engine.begin() as connection:
        amount = _ask_capture(connection, gateway, payment_id, minor, reason, actor, clock())
        order = order_of(connection, payment_id)
        ref = _reference(connection, payment_id)
    reply = gateway.capture(order, ref, amount)
    with engine.begin() as connection:
        settle_capture(connection, payment_id, amount.minor, reply, clock())
    return reply


def settle_capture(
    connection: Connection, payment_id: str, minor: int, reply: Reply, now: datetime
) -> bool:
    """What the gateway answered to a capture; whether it is taken now. A repeat changes nothing."""
    held = hold(connection, payment_id)
    rows.note_event(
        connection, "capture", f"capture:{payment_id}:{reply.outcome.value}:{now.isoformat()}", now,
        payment_id=payment_id, detail={"outcome": reply.outcome.value, "minor": minor},
    )  # fmt: skip
    if reply.outcome is not PaymentOutcome.APPROVED or held.captured_at is not None:
        return held.captured_at is not None
    _post(connection, held, books.capture(payment_id, held.amount.minor, minor), now)
    rows.update_payment(connection, payment_id, captured_at=now)
    return True


def settle_refund(
    connection: Connection, refund_id: str, reply: RefundReply, now: datetime
) -> Reversed:
    """What a gateway said to a refund or void, or of it later: state and ledger at once.

    A repeat changes nothing. Raises LookupError for one that does not exist.
    """
    held = hold(connection, _load(connection, refund_id).payment_id)
    one = _load(connection, refund_id)  # again, under the lock
    after = advance_refund(one.state, RefundLife(reply.state.value))
    if after is RefundLife.DONE and ledger.posted(connection, f"unrefund:{refund_id}"):
        after = one.state  # it came back once: what comes after that is for people to sort out
    if RefundLife.DONE in (one.state, after) and one.state is not after:
        entries = books.give_back if after is RefundLife.DONE else books.take_again
        moved = entries(refund_id, one.amount.minor, source=standing_in(held), forgive=one.forgive)
        _post(connection, held, moved, now)
    reason = mask_text(reply.reason)[:60] if reply.reason else None
    count = one.look_ups + 1
    store.update_refund(
        connection,
        refund_id,
        state=after.value,
        provider_ref=(reply.provider_ref or one.provider_ref or "")[:120] or None,
        provider_reason=reason if after is RefundLife.REFUSED else one.provider_reason,
        settled_at=None if after.open else one.settled_at or now,
        look_ups=count,
        next_look_up_at=now + look_up_wait(count - 1) if after.open else None,
    )
    rows.note_event(
        connection, "refund", f"refund:{refund_id}:{count}:{reply.state.value}", now,
        payment_id=held.id, detail={"refund": refund_id, "state": after.value, "reason": reason},
    )  # fmt: skip
    return Reversed(refund_id, after, reason)


# --- parts -------------------------------------------------------------------------------


def _taken(connection: Connection, gateway: Gateway, payment_id: str) -> rows.Payment:
    """A payment that money was taken, or authorised, by; held."""
    held = hold(connection, payment_id)
    if held.gateway != gateway.name:
        raise ReversalError(f"payment {payment_id} was made with {held.gateway}")
    if held.mode is PaymentMode.TOKENISE:
        raise ReversalError(f"payment {payment_id} only kept a token: no money was taken")
    if held.state.open:
        raise ReversalError(
            f"it is not known yet whether payment {payment_id} was charged: look it up first"
        )
    if held.state is not PaymentState.APPROVED:
        raise ReversalError(f"no money was taken by payment {payment_id}: {held.state.value}")
    if held.provider_ref is None:
        raise ReversalError(f"payment {payment_id} has no reference of {held.gateway}")
    return held


def standing_in(held: rows.Payment) -> Book:
    """Where the money of an approved payment stands."""
    uncaptured = held.mode is PaymentMode.AUTHORISE and held.captured_at is None
    return Book.PENDING if uncaptured else Book.PAID


def _write(
    connection: Connection,
    held: rows.Payment,
    kind: str,
    minor: int,
    reason: str,
    actor: str,
    now: datetime,
    forgive: bool,
) -> str:
    if not reason.strip():
        raise ReversalError("give a reason: it is kept with the payment")
    new = Refund(
        id=uuid.uuid4().hex,
        payment_id=held.id,
        kind=kind,
        amount=Money(minor, held.amount.currency),
        state=RefundLife.CREATED,
        forgive=forgive,
        reason=reason.strip()[:200],
        actor=actor[:100],
        created_at=now,
        next_look_up_at=now + SENDER_SECONDS,
    )
    store.insert_refund(connection, new)
    audit.record(
        connection,
        actor=actor,
        action=f"payment.{kind}",
        target=f"payment:{held.id}",
        now=now,
        before={"state": held.state.value, "minor": held.amount.minor},
        after={"refund": new.id, "minor": minor, "forgive": forgive, "reason": new.reason},
    )
    return new.id


def _ask_capture(
    connection: Connection,
    gateway: Gateway,
    payment_id: str,
    minor: int | None,
    reason: str,
    actor: str,
    now: datetime,
) -> Money:
    held = _taken(connection, gateway, payment_id)
    if held.mode is not PaymentMode.AUTHORISE or held.captured_at is not None:
        raise ReversalError(f"payment {payment_id} is taken already")
    if not gateway.capabilities().captures:
        raise ReversalError(f"{gateway.name} cannot capture")
    if any(one.state is not RefundLife.REFUSED for one in store.refunds_of(connection, payment_id)):
        raise ReversalError(f"payment {payment_id} is voided, or being voided")
    amount = held.amount.minor if minor is None else minor
    if not 0 < amount <= held.amount.minor:
        raise ReversalError(f"capture 1 to {held.amount.minor} of payment {payment_id}")
    earlier = _captures(connection, held)
    if earlier and _capture_in_doubt(connection, held) and earlier[-1].detail["minor"] != amount:
        raise ReversalError(
            f"a capture of {earlier[-1].detail['minor']} had no answer: run that one again first"
        )
    rows.note_event(
        connection, "capture", f"capture:{payment_id}:asked:{now.isoformat()}", now,
        payment_id=payment_id, detail={"minor": amount},
    )  # fmt: skip
    audit.record(
        connection,
        actor=actor,
        action="payment.capture",
        target=f"payment:{payment_id}",
        now=now,
        before={"state": held.state.value, "minor": held.amount.minor},
        after={"minor": amount, "reason": reason[:200]},
    )
    return Money(amount, held.amount.currency)


def _captures(connection: Connection, held: rows.Payment) -> list[Any]:
    return [one for one in rows.events_of(connection, held.id) if one.kind == "capture"]


def _capture_in_doubt(connection: Connection, held: rows.Payment) -> bool:
    """Whether a capture was asked for and it is not known that it was refused."""
    if held.captured_at is not None:
        return False
    events = _captures(connection, held)
    return bool(events) and events[-1].detail.get("outcome") in (None, "unknown")


def _post(
    connection: Connection, held: rows.Payment, transaction: books.Transaction, now: datetime
) -> None:
    ledger.post(
        connection,
        transaction,
        account_id=held.account_id,
        currency=held.amount.currency,
        payment_id=held.id,
        now=now,
    )


def _load(connection: Connection, refund_id: str) -> Refund:
    one = store.load_refund(connection, refund_id)
    if one is None:
        raise LookupError(f"there is no refund {refund_id}")
    return one


def _reference(connection: Connection, payment_id: str) -> str:
    one = rows.load_payment(connection, payment_id)
    assert one is not None and one.provider_ref is not None  # looked at when it was asked for
    return one.provider_ref
