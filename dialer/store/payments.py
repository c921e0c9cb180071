"""Payments in the database. Every function works in the caller's transaction; money is moved by
``dialer.payments.service`` alone."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, or_, select, text, update

from dialer.domain.model import Money
from dialer.domain.payment import (
    Brand,
    PaymentMode,
    PaymentOutcome,
    PaymentSource,
    PaymentState,
)
from dialer.domain.velocity import Submission
from dialer.store.tables import payment, payment_event
from dialer.store.upsert import insert_ignore

IN_CHUNK = 5000  # values of one IN
OPEN_STATES = tuple(state.value for state in PaymentState if state.open)


@dataclass(frozen=True, slots=True)
class Payment:
    """A row. Times aware UTC; nothing of a card but brand, last four and fingerprint."""

    id: str
    order_ref: str
    company_id: int
    account_id: int
    source: PaymentSource
    gateway: str
    mode: PaymentMode
    amount: Money
    state: PaymentState
    created_at: datetime
    send_before: datetime
    session_id: str | None = None
    attempt_id: str | None = None
    outcome: PaymentOutcome | None = None
    brand: Brand | None = None
    last_four: str | None = None
    fingerprint: str | None = None
    number: str | None = None
    provider_ref: str | None = None
    auth_code: str | None = None
    reason: str | None = None
    token: str | None = None
    sending_at: datetime | None = None
    settled_at: datetime | None = None
    captured_at: datetime | None = None
    look_ups: int = 0
    next_look_up_at: datetime | None = None
    looked_up_at: datetime | None = None
    disputed_at: datetime | None = None


def insert_payment(connection: Connection, new: Payment) -> None:
    """Raises sqlalchemy.exc.IntegrityError where id or order reference are taken."""
    names = {column.name for column in payment.columns} - {"amount_minor", "currency"}
    values = {name: getattr(new, name) for name in names}
    values |= {"amount_minor": new.amount.minor, "currency": new.amount.currency}
    connection.execute(insert(payment).values(values))


def load_payment(connection: Connection, payment_id: str, *, lock: bool = False) -> Payment | None:
    """The payment; ``lock`` holds its row until the transaction ends (after the account's)."""
    query = select(payment).where(payment.c.id == payment_id)
    if lock:
        query = query.with_for_update(key_share=True)
    row = connection.execute(query).first()
    return None if row is None else _payment(row)


def find_payment(
    connection: Connection,
    gateway: str,
    *,
    payment_id: str | None = None,
    order_ref: str | None = None,
    provider_ref: str | None = None,
) -> Payment | None:
    """By whichever reference a gateway gave, the most exact first."""
    asked = (
        (payment.c.id, payment_id),
        (payment.c.order_ref, order_ref),
        (payment.c.provider_ref, provider_ref),
    )
    for column, value in asked:
        if value is None:
            continue
        query = select(payment).where(column == value, payment.c.gateway == gateway)
        row = connection.execute(query.order_by(payment.c.created_at.desc())).first()
        if row is not None:
            return _payment(row)
    return None


def known_names(connection: Connection, gateway: str, names: Collection[str]) -> frozenset[str]:
    """Those of these names that are an id, order reference or gateway's reference of a payment
    with this gateway."""
    found: set[str] = set()
    wanted = sorted(names)
    for start in range(0, len(wanted), IN_CHUNK):
        part = wanted[start : start + IN_CHUNK]
        for column in (payment.c.id, payment.c.order_ref, payment.c.provider_ref):
            query = select(column).where(payment.c.gateway == gateway, column.in_(part))
            found |= set(connection.scalars(query))
    return frozenset(found)


def update_payment(connection: Connection, payment_id: str, **values: Any) -> None:
    """Set columns."""
    connection.execute(update(payment).where(payment.c.id == payment_id).values(**values))


def open_payment(connection: Connection, account_id: int) -> Payment | None:
    """A payment of this debt of which it is not known yet whether money moves; the oldest."""
    row = connection.execute(
        select(payment)
        .where(
            payment.c.account_id == account_id,
            payment.c.state.in_(OPEN_STATES),
            payment.c.mode != PaymentMode.TOKENISE.value,
        )
        .order_by(payment.c.created_at)
        .limit(1)
    ).first()
    return None if row is None else _payment(row)


def payments_of_session(connection: Connection, session_id: str) -> list[Payment]:
    """Oldest first."""
    query = select(payment).where(payment.c.session_id == session_id)
    rows = connection.execute(query.order_by(payment.c.created_at, payment.c.id))
    return [_payment(row) for row in rows]


def due_look_ups(connection: Connection, now: datetime, *, limit: int = 100) -> list[Payment]:
    """Payments to be asked about now, those that wait longest first."""
    rows = connection.execute(
        select(payment)
        .where(
            payment.c.state == PaymentState.UNKNOWN.value,
            or_(payment.c.next_look_up_at.is_(None), payment.c.next_look_up_at <= now),
        )
        .order_by(payment.c.next_look_up_at)
        .limit(limit)
    )
    return [_payment(row) for row in rows]


def stranded(
    connection: Connection, now: datetime, gateway_seconds: float, *, limit: int = 500
) -> list[Payment]:
    """Payments that whoever began them has left behind: ``created`` past ``send_before``, and
    ``sending`` past the longest wait for an answer as well."""
    lost = now - timedelta(seconds=gateway_seconds)
    rows = connection.execute(
        select(payment)
        .where(
            or_(
                and_(payment.c.state == PaymentState.CREATED.value, payment.c.send_before < now),
                and_(
                    payment.c.state == PaymentState.SENDING.value,
                    payment.c.send_before < lost,
                    payment.c.sending_at < lost,
                ),
            )
        )
        .order_by(payment.c.created_at)
        .limit(limit)
    )
    return [_payment(row) for row in rows]


def submissions(
    connection: Connection,
    since: datetime,
    *,
    account_id: int,
    number: str | None,
    fingerprint: str | None,
) -> list[Submission]:
    """What was sent, or may still be, for this debt, from this telephone or of this card.

    What certainly never left, and what failed for our own settings, is not held against anybody.
    """
    same = [payment.c.account_id == account_id]
    if number is not None:
        same.append(payment.c.number == number)
    if fingerprint is not None:
        same.append(payment.c.fingerprint == fingerprint)
    rows = connection.execute(
        select(payment).where(
            payment.c.created_at > since,
            or_(*same),
            payment.c.state != PaymentState.MISCONFIGURED.value,
            or_(
                payment.c.state != PaymentState.NOT_CHARGED.value,
                payment.c.sending_at.is_not(None),
            ),
        )
    )
    return [
        Submission(
            at=row.created_at,
            account_id=row.account_id,
            number=row.number,
            fingerprint=row.fingerprint,
            outcome=PaymentOutcome(row.outcome) if row.outcome else None,
        )
        for row in rows
    ]


def hold_in_turn(connection: Connection, *names: str | None) -> None:
    """One transaction at a time for each name (a telephone, a card's fingerprint), so that limits
    over several debts count right. Only PostgreSQL needs it; always called after the account's
    lock and with names in one order."""
    if connection.dialect.name != "postgresql":
        return
    for name in names:
        if name is not None:
            digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
            number = int.from_bytes(digest, "big", signed=True)
            connection.execute(text("SELECT pg_advisory_xact_lock(:name)"), {"name": number})


# --- events ------------------------------------------------------------------------------


def note_event(
    connection: Connection,
    kind: str,
    key: str,
    now: datetime,
    *,
    payment_id: str | None = None,
    detail: dict[str, Any] | None = None,
) -> bool:
    """Write down something that happened; False where it was written before."""
    if len(key) > 160:
        key = key[:95] + ":" + hashlib.sha256(key.encode()).hexdigest()
    row = {"payment_id": payment_id, "at": now, "kind": kind, "key": key, "detail": detail or {}}
    return insert_ignore(connection, payment_event, [row]) > 0


def events_of(connection: Connection, payment_id: str) -> list[Row[Any]]:
    """Everything that was heard of a payment, oldest first."""
    query = select(payment_event).where(payment_event.c.payment_id == payment_id)
    return list(connection.execute(query.order_by(payment_event.c.id)))


def strays(connection: Connection, since: datetime) -> Sequence[Row[Any]]:
    """Webhooks kept for payments that nobody knew when they came, oldest first."""
    return connection.execute(
        select(payment_event)
        .where(
            payment_event.c.payment_id.is_(None),
            payment_event.c.kind == "webhook",
            payment_event.c.at > since,
        )
        .order_by(payment_event.c.id)
    ).all()


def adopt(connection: Connection, event_id: int, payment_id: str) -> bool:
    """A stray event has found its payment; False where somebody else was faster."""
    found = connection.execute(
        update(payment_event)
        .where(payment_event.c.id == event_id, payment_event.c.payment_id.is_(None))
        .values(payment_id=payment_id)
    ).rowcount
    return found == 1


def _payment(row: Row[Any]) -> Payment:
    values = {name: value for name, value in row._mapping.items() if name not in _MONEY}
    return Payment(
        **values
        | {
            "amount": Money(row.amount_minor, row.currency),
            "source": PaymentSource(row.source),
            "mode": PaymentMode(row.mode),
            "state": PaymentState(row.state),
            "outcome": PaymentOutcome(row.outcome) if row.outcome else None,
            "brand": Brand(row.brand) if row.brand else None,
        }
    )


_MONEY = frozenset({"amount_minor", "currency"})
