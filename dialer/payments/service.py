"""The service that charges exactly once.

In order: ``begin`` (the payment and its reservation are committed), the gateway's ``prepare`` and
``note_reference``, ``mark_sending`` (committed before the card leaves), the submission, ``settle``.
Every function works in the caller's transaction, which must be committed before the next thing is
done. Whatever is interrupted is found by ``reconcile`` and looked up; nothing is guessed.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, update

from dialer.config import Settings
from dialer.domain import ledger as books
from dialer.domain.model import Money, PaymentTerms
from dialer.domain.payment import (
    Brand,
    PaymentMode,
    PaymentSource,
    PaymentState,
    PayOffer,
    PayResult,
)
from dialer.domain.payment_states import News, absence_believed, look_up_wait, news_of
from dialer.domain.velocity import Submission, VelocityLimits, limit_reached
from dialer.logs import get_logger
from dialer.payments.booking import Settled, UnknownPaymentError, apply, hold, unpaid_news
from dialer.payments.gateway import Found, LookUp, Order, Reply
from dialer.payments.orders import order_of
from dialer.payments.webhooks import adopt_strays, settle_webhook
from dialer.store import ledger
from dialer.store import payments as rows
from dialer.store.tables import payment

__all__ = [
    "Begun", "NotBegun", "PaymentRequest", "Reconciled", "Settled", "UnknownPaymentError",
    "abandon", "begin", "mark_sending", "new_ids", "note_reference", "offer", "order_of",
    "postpone_look_up", "reconcile", "settle", "settle_look_up", "settle_webhook",
]  # fmt: skip

log = get_logger(__name__)

SEND_WITHIN = timedelta(seconds=90)
"""From ``begin`` to the last moment at which the card may leave: longer than the longest answer to
``prepare`` (``Settings.gateway_seconds`` is at most a minute)."""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """What is to be charged. ``number``: the telephone; ``fingerprint``: keyed hash of the card.

    ``amount`` is 0 to tokenise and above 0 otherwise (ValueError).
    """

    account_id: int
    amount: Money
    mode: PaymentMode
    gateway: str
    source: PaymentSource
    session_id: str | None = None
    attempt_id: str | None = None
    number: str | None = None
    brand: Brand | None = None
    last_four: str | None = None
    fingerprint: str | None = None
    send_within: timedelta = SEND_WITHIN

    def __post_init__(self) -> None:
        tokenise = self.mode is PaymentMode.TOKENISE
        if self.amount.minor < 0 or tokenise is (self.amount.minor > 0):
            raise ValueError(f"an amount of {self.amount.minor} cannot be {self.mode.value}d")


@dataclass(frozen=True, slots=True)
class Begun:
    """Committed with this transaction: nothing has left yet."""

    order: Order
    payment_id: str


@dataclass(frozen=True, slots=True)
class NotBegun:
    """Nothing is charged, and why.

    ``why``: a word for logs and reports (under_way, nothing_open, less_open, currency, or the
    velocity limit). ``payable``: what may be paid, where that is less than was asked for.
    """

    result: PayResult
    why: str
    payable: Money | None = None


def new_ids() -> tuple[str, str]:
    """A fresh (payment id, order reference): 32 hex digits; 4 digits and 8 of [0-9A-Z]."""
    tail = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    return uuid.uuid4().hex, f"{secrets.randbelow(10_000):04d}{tail}"


def offer(
    connection: Connection, account_id: int, terms: PaymentTerms, now: datetime
) -> PayOffer | None:
    """What may be paid now; None where nothing is, or a payment of the debt is in doubt.

    A part is ``minimum_percent`` of what is open, rounded up, and at least ``minimum_minor``; an
    instalment is the claim divided by their number, rounded up. What is not less than the whole is
    the whole.
    """
    stands = ledger.balances(connection, [account_id]).get(account_id)
    if stands is None:
        return None
    whole = stands.open - stands.overpaid
    under_way = rows.open_payment(connection, account_id)
    if under_way is not None:
        if not _expired(under_way, now):
            return None
        whole += under_way.amount.minor  # it never left: ``begin`` takes its reservation back
    if whole <= 0:
        return None
    percent = -(-whole * terms.minimum_percent // 100)
    part = -(-stands.claim // terms.instalments) if terms.instalments > 0 else 0
    return PayOffer(
        whole=Money(whole, stands.currency),
        minimum=min(whole, max(1, percent, terms.minimum_minor)),
        instalment=part if 0 < part < whole else None,
    )


def begin(
    connection: Connection,
    request: PaymentRequest,
    now: datetime,
    limits: VelocityLimits | None = None,
    ids: Callable[[], tuple[str, str]] = new_ids,
) -> Begun | NotBegun:
    """Write down a payment and reserve its amount, or say why not.

    Under the account's lock: of two that ask for one debt at the same moment the second sees the
    first one's reservation. Raises UnknownPaymentError for an account that does not exist.
    """
    owed = ledger.lock_account(connection, request.account_id)
    if owed is None:
        raise UnknownPaymentError(f"there is no account {request.account_id}")
    refused = _not_payable(connection, request, now, owed.currency)
    refused = refused or _too_often(connection, request, now, limits or VelocityLimits())
    if refused is not None:
        log.info("payment not begun", account_id=request.account_id, why=refused.why)
        return refused
    payment_id, order_ref = ids()
    new = rows.Payment(
        id=payment_id,
        order_ref=order_ref,
        company_id=owed.company_id,
        account_id=request.account_id,
        source=request.source,
        gateway=request.gateway,
        mode=request.mode,
        amount=request.amount,
        state=PaymentState.CREATED,
        created_at=now,
        send_before=now + request.send_within,
        session_id=request.session_id,
        attempt_id=request.attempt_id,
        brand=request.brand,
        last_four=request.last_four,
        fingerprint=request.fingerprint,
        number=request.number,
    )
    rows.insert_payment(connection, new)
    if request.amount.minor:
        ledger.post(
            connection,
            books.reserve(payment_id, request.amount.minor),
            account_id=request.account_id,
            currency=request.amount.currency,
            payment_id=payment_id,
            now=now,
        )
    return Begun(order_of(connection, payment_id), payment_id)


def note_reference(connection: Connection, payment_id: str, provider_ref: str) -> None:
    """Keep the gateway's reference, before the card leaves."""
    rows.update_payment(connection, payment_id, provider_ref=provider_ref[:120])


def mark_sending(connection: Connection, payment_id: str, now: datetime) -> bool:
    """``created`` becomes ``sending``, committed before the card leaves; False: do not send it
    (somebody has given the payment up, or its time to leave has passed)."""
    taken = connection.execute(
        update(payment)
        .where(
            payment.c.id == payment_id,
            payment.c.state == PaymentState.CREATED.value,
            payment.c.send_before >= now,
        )
        .values(state=PaymentState.SENDING.value, sending_at=now)
    ).rowcount
    if taken == 1:
        rows.note_event(
            connection, "state", f"state:{payment_id}:sending", now, payment_id=payment_id
        )
    return taken == 1


def abandon(
    connection: Connection, payment_id: str, now: datetime, *, misconfigured: bool = False
) -> Settled:
    """Give up a payment whose card has certainly not left: its reservation is free again.

    ``misconfigured``: because the gateway refused to prepare it. One that is ``sending`` stays.
    """
    held = hold(connection, payment_id)
    if held.state is not PaymentState.CREATED:
        return Settled(held.state, False)
    news = News.MISCONFIGURED if misconfigured else News.NEVER_SENT
    return apply(connection, held, news, now, None, source="given_up")


def settle(
    connection: Connection, payment_id: str, reply: Reply, now: datetime, settings: Settings
) -> Settled:
    """What the gateway answered: state, ledger, receipt and the call's conclusion at once.

    A repeat changes nothing. Raises UnknownPaymentError.
    """
    held = hold(connection, payment_id)
    return apply(
        connection, held, news_of(reply.outcome), now, settings, source="reply", reply=reply
    )


def settle_look_up(
    connection: Connection, payment_id: str, look_up: LookUp, now: datetime, settings: Settings
) -> Settled:
    """What a look-up said. ``now`` is the moment at which the gateway was *asked*.

    "Never heard of it" is believed only after ``absence_believed``; until then, and while the
    gateway does not know itself, the next look-up is set (``look_up_wait``).
    """
    held = hold(connection, payment_id)
    news = _found(look_up, held, now, settings)
    _count_look_up(connection, held, look_up.found.value, now)
    if news is None:
        return Settled(held.state, False)
    return apply(connection, held, news, now, settings, source="look_up", reply=look_up.reply)


def postpone_look_up(connection: Connection, payment_id: str, why: str, now: datetime) -> None:
    """A look-up that came to nothing (the gateway is away): the next one is set."""
    _count_look_up(connection, hold(connection, payment_id), why, now)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """How many payments were given up before they left, became unknown, and were given webhooks
    that had come before them; ``message_ids`` as in ``Settled``."""

    abandoned: int = 0
    unknown: int = 0
    adopted: int = 0
    message_ids: tuple[int, ...] = ()


def reconcile(engine: Engine, now: datetime, settings: Settings) -> Reconciled:
    """Find what a crash has left behind, each in a transaction of its own.

    ``created`` past its last moment to leave never left: its reservation is free again.
    ``sending`` past the longest wait for an answer is unknown, and looked up from now on.
    """
    with engine.connect().execution_options(dialer_readonly=True) as connection:
        left = rows.stranded(connection, now, settings.gateway_seconds)
    abandoned = unknown = 0
    for one in left:
        with engine.begin() as connection:
            held = hold(connection, one.id)
            if held.state is not one.state:
                continue  # somebody was faster
            lost = held.state is PaymentState.SENDING
            news = News.LOST if lost else News.NEVER_SENT
            apply(connection, held, news, now, settings, source="crash")
        unknown, abandoned = unknown + lost, abandoned + (not lost)
        log.warning("payment found after a crash", payment=one.id, was=one.state.value)
    adopted = adopt_strays(engine, now, settings)
    ids = tuple(done.message_id for done in adopted if done.message_id is not None)
    return Reconciled(abandoned, unknown, len(adopted), ids)


# --- parts -------------------------------------------------------------------------------


def _expired(one: rows.Payment, now: datetime) -> bool:
    """Begun, never sent, and not to be sent any more."""
    return one.state is PaymentState.CREATED and one.send_before < now


def _not_payable(
    connection: Connection, request: PaymentRequest, now: datetime, currency: str
) -> NotBegun | None:
    if request.amount.currency != currency:
        return NotBegun(PayResult.INTERNAL_ERROR, "currency")
    if request.mode is PaymentMode.TOKENISE:
        return None
    under_way = rows.open_payment(connection, request.account_id)
    while under_way is not None and _expired(under_way, now):
        held = rows.load_payment(connection, under_way.id, lock=True)
        if held is not None and held.state is PaymentState.CREATED:
            apply(connection, held, News.NEVER_SENT, now, None, source="crash")
        under_way = rows.open_payment(connection, request.account_id)
    if under_way is not None:
        return NotBegun(PayResult.NOTHING_OWED, "under_way")
    payable = ledger.balance_of(connection, request.account_id).open
    if payable <= 0:
        return NotBegun(PayResult.NOTHING_OWED, "nothing_open")
    if request.amount.minor > payable:
        return NotBegun(PayResult.NOTHING_OWED, "less_open", Money(payable, currency))
    return None


def _too_often(
    connection: Connection, request: PaymentRequest, now: datetime, limits: VelocityLimits
) -> NotBegun | None:
    rows.hold_in_turn(connection, request.number, request.fingerprint)
    before = rows.submissions(
        connection,
        now - limits.window,
        account_id=request.account_id,
        number=request.number,
        fingerprint=request.fingerprint,
    )
    new = Submission(now, request.account_id, request.number, request.fingerprint)
    limit = limit_reached(limits, before, new)
    return None if limit is None else NotBegun(PayResult.LIMIT_REACHED, limit.value)


def _found(look_up: LookUp, held: rows.Payment, now: datetime, settings: Settings) -> News | None:
    match look_up.found:
        case Found.APPROVED:
            return News.APPROVED
        case Found.DECLINED:
            return unpaid_news(look_up.reply)
        case Found.CLOSED:
            return News.NOT_CHARGED
        case Found.PENDING:
            return None
        case Found.ABSENT:
            believed = absence_believed(
                now,
                held.send_before,
                held.sending_at,
                settings.gateway_seconds,
                settings.payment_settle_seconds,
            )
            return News.NOT_CHARGED if believed else None


def _count_look_up(connection: Connection, held: rows.Payment, found: str, now: datetime) -> None:
    count = held.look_ups + 1
    values: dict[str, object] = {"look_ups": count, "looked_up_at": now}
    if held.state is PaymentState.UNKNOWN:
        values["next_look_up_at"] = now + look_up_wait(count)
    rows.update_payment(connection, held.id, **values)
    rows.note_event(
        connection, "look_up", f"look_up:{held.id}:{count}", now,
        payment_id=held.id, detail={"found": found},
    )  # fmt: skip
