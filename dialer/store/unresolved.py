"""Payments and refunds of which it is not known whether money moved, and authorisations that
nobody took: what must not be forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, func, or_, select, update

from dialer.domain.payment import PaymentMode, PaymentState
from dialer.domain.payment_states import RefundLife
from dialer.store.tables import payment, refund

IN_FLIGHT = timedelta(minutes=2)
"""So long a payment may be under way without being in doubt."""
WORRYING = timedelta(hours=1)
"""A payment in doubt for longer is for people to look at."""
AGES: tuple[tuple[str, timedelta], ...] = (
    ("minutes", IN_FLIGHT),
    ("hour", WORRYING),
    ("day", timedelta(days=1)),
)
"""Names of how long something has been in doubt at least, the oldest last."""

_OPEN = [state.value for state in PaymentState if state.open]
_REFUND_OPEN = [state.value for state in RefundLife if state.open]


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Counts by age (keys of ``AGES``), and the age of the oldest."""

    payments: dict[str, int]
    refunds: dict[str, int]
    oldest: timedelta | None = None

    @property
    def worrying(self) -> int:
        """How many are older than ``WORRYING``."""
        return sum(
            counts[name]
            for counts in (self.payments, self.refunds)
            for name, age in AGES
            if age >= WORRYING
        )

    @property
    def count(self) -> int:
        """All of them."""
        return sum(self.payments.values()) + sum(self.refunds.values())


def unresolved(connection: Connection, now: datetime) -> Unresolved:
    """What is in doubt now, in two queries by index."""
    payments = _since(connection, payment, _OPEN, now)
    refunds = _since(connection, refund, _REFUND_OPEN, now)
    first = min([*payments, *refunds], default=None)
    return Unresolved(
        payments=_by_age(payments, now),
        refunds=_by_age(refunds, now),
        oldest=None if first is None else now - first,
    )


def _since(
    connection: Connection, table: Table, states: list[str], now: datetime
) -> list[datetime]:
    made = table.c.created_at
    return list(
        connection.scalars(select(made).where(table.c.state.in_(states), made <= now - IN_FLIGHT))
    )


def _by_age(made: list[datetime], now: datetime) -> dict[str, int]:
    counts = dict.fromkeys((name for name, _ in AGES), 0)
    for at in made:
        counts[[name for name, age in AGES if now - at >= age][-1]] += 1
    return counts


def uncaptured(connection: Connection) -> int:
    """Authorisations that were neither captured nor voided: money that is only held, and lapses
    after some days."""
    return connection.execute(
        select(func.count()).select_from(payment).where(not_captured())
    ).scalar_one()


def not_captured() -> Any:
    """The condition of such a payment."""
    voided = (
        select(refund.c.id)
        .where(refund.c.payment_id == payment.c.id, refund.c.state == RefundLife.DONE.value)
        .exists()
    )
    return (
        (payment.c.state == PaymentState.APPROVED.value)
        & (payment.c.mode == PaymentMode.AUTHORISE.value)
        & payment.c.captured_at.is_(None)
        & ~voided
    )


def take_look_up(
    connection: Connection, payment_id: str, due: datetime | None, until: datetime
) -> bool:
    """Have the look-up of a payment for oneself until then; False where another worker has it, it
    is not due at ``due``, or nothing is to be looked up any more. None: due or not, and of a
    payment that waits for the debtor (a link) too."""
    states = [PaymentState.UNKNOWN.value]
    if due is None:
        states.append(PaymentState.NEEDS_ACTION.value)
    return _take(connection, payment, payment_id, states, due, until)


def take_refund(
    connection: Connection, refund_id: str, due: datetime | None, until: datetime
) -> bool:
    """The same for a refund."""
    return _take(connection, refund, refund_id, _REFUND_OPEN, due, until)


def _take(
    connection: Connection,
    table: Table,
    key: str,
    states: list[str],
    due: datetime | None,
    until: datetime,
) -> bool:
    wanted = [table.c.id == key, table.c.state.in_(states)]
    if due is not None:
        wanted.append(or_(table.c.next_look_up_at.is_(None), table.c.next_look_up_at <= due))
    taken = connection.execute(update(table).where(*wanted).values(next_look_up_at=until))
    return taken.rowcount == 1
