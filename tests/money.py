"""Money in a test's world: entries of the ledger and payments as the product leaves them."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert
from world import NOW, World

from dialer.domain import ledger
from dialer.domain.payment import PaymentMode, PaymentSource, PaymentState
from dialer.store import tables as t


def book(c: Connection, account_id: int, moved: ledger.Transaction, at: datetime = NOW) -> None:
    """The entries of a transaction."""
    c.execute(
        insert(t.ledger_entry),
        [
            {
                "transaction": moved.key, "account_id": account_id, "book": entry.book.value,
                "minor": entry.minor, "currency": "EUR", "at": at,
            }
            for entry in moved.entries
        ],
    )  # fmt: skip


def account_of(world: World, lead_id: int) -> int:
    """The account of a lead."""
    (row,) = world.rows(t.lead, id=lead_id)
    return int(row.account_id)


def make_pending(world: World, lead_id: int, minor: int = 12345) -> str:
    """A payment of a lead's debt that holds its reservation; its id."""
    key, account_id = uuid.uuid4().hex, account_of(world, lead_id)
    with world.engine.begin() as c:
        book(c, account_id, ledger.reserve(key, minor))
    return key


def make_paid(world: World, lead_id: int, minor: int = 12345) -> str:
    """A payment of a lead's debt that was charged; its id."""
    key, account_id = make_pending(world, lead_id, minor), account_of(world, lead_id)
    with world.engine.begin() as c:
        book(c, account_id, ledger.settle(key, minor))
    return key


def payment_row(world: World, lead_id: int, **changes: Any) -> str:
    """A row of ``payment`` alone: made half a minute ago, its card sent at once. Its id."""
    key = uuid.uuid4().hex
    at = changes.pop("at", NOW) - timedelta(seconds=30)
    values: dict[str, Any] = {
        "id": key,
        "order_ref": f"0000{key[:8]}",
        "company_id": world.company_id,
        "account_id": account_of(world, lead_id),
        "source": PaymentSource.CALL.value,
        "gateway": "test",
        "mode": PaymentMode.CHARGE.value,
        "amount_minor": 12345,
        "currency": "EUR",
        "state": PaymentState.UNKNOWN.value,
        "brand": "visa",
        "last_four": "4242",
        "number": "+34600000501",
        "created_at": at,
        "send_before": at + timedelta(seconds=20),
        "sending_at": at,
        "next_look_up_at": at,
    }
    with world.engine.begin() as c:
        c.execute(insert(t.payment).values(values | changes))
    return str((values | changes)["id"])
