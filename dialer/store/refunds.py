"""Refunds and voids in the database: written before they leave, in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select, update

from dialer.domain.model import Money
from dialer.domain.payment_states import RefundLife
from dialer.store.tables import payment, refund

REFUND, VOID = "refund", "void"


@dataclass(frozen=True, slots=True)
class Refund:
    """A row; ``kind`` is ``refund`` or ``void``, ``forgive``: what is given back is not owed
    again."""

    id: str
    payment_id: str
    kind: str
    amount: Money
    state: RefundLife
    forgive: bool
    reason: str
    actor: str
    created_at: datetime
    provider_ref: str | None = None
    provider_reason: str | None = None
    sending_at: datetime | None = None
    settled_at: datetime | None = None
    look_ups: int = 0
    next_look_up_at: datetime | None = None


def insert_refund(connection: Connection, new: Refund) -> None:
    """Raises sqlalchemy.exc.IntegrityError where the id is taken."""
    names = {column.name for column in refund.columns} - {"amount_minor", "currency"}
    values = {name: getattr(new, name) for name in names}
    values |= {"amount_minor": new.amount.minor, "currency": new.amount.currency}
    connection.execute(insert(refund).values(values))


def load_refund(connection: Connection, refund_id: str) -> Refund | None:
    """The refund, None where there is none."""
    row = connection.execute(select(refund).where(refund.c.id == refund_id)).first()
    return None if row is None else _refund(row)


def refunds_of(connection: Connection, payment_id: str) -> list[Refund]:
    """Oldest first."""
    query = select(refund).where(refund.c.payment_id == payment_id)
    return [
        _refund(row) for row in connection.execute(query.order_by(refund.c.created_at, refund.c.id))
    ]


def update_refund(connection: Connection, refund_id: str, **values: Any) -> None:
    """Set columns."""
    connection.execute(update(refund).where(refund.c.id == refund_id).values(**values))


def take_for_sending(connection: Connection, refund_id: str, now: datetime) -> bool:
    """``created`` becomes ``sending``, for one only; False where somebody else has it."""
    taken = connection.execute(
        update(refund)
        .where(refund.c.id == refund_id, refund.c.state == RefundLife.CREATED.value)
        .values(state=RefundLife.SENDING.value, sending_at=now)
    ).rowcount
    return taken == 1


def due_refunds(connection: Connection, now: datetime, *, limit: int = 100) -> list[Refund]:
    """Refunds that are not settled and are to be looked at now: sent or not, their sender is gone
    (``next_look_up_at`` has passed)."""
    open_states = [state.value for state in RefundLife if state.open]
    rows = connection.execute(
        select(refund)
        .where(
            refund.c.state.in_(open_states),
            or_(refund.c.next_look_up_at.is_(None), refund.c.next_look_up_at <= now),
        )
        .order_by(refund.c.next_look_up_at)
        .limit(limit)
    )
    return [_refund(row) for row in rows]


def gateway_of(connection: Connection, refund_id: str) -> str | None:
    """The gateway of the payment that a refund is of."""
    return connection.execute(
        select(payment.c.gateway)
        .join(refund, refund.c.payment_id == payment.c.id)
        .where(refund.c.id == refund_id)
    ).scalar_one_or_none()


def _refund(row: Row[Any]) -> Refund:
    return Refund(
        id=row.id,
        payment_id=row.payment_id,
        kind=row.kind,
        amount=Money(row.amount_minor, row.currency),
        state=RefundLife(row.state),
        forgive=row.forgive,
        reason=row.reason,
        actor=row.actor,
        created_at=row.created_at,
        provider_ref=row.provider_ref,
        provider_reason=row.provider_reason,
        sending_at=row.sending_at,
        settled_at=row.settled_at,
        look_ups=row.look_ups,
        next_look_up_at=row.next_look_up_at,
    )
