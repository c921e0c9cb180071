"""What webhooks are told of, found in the rows that are there anyway: the engine knows of none.

Each endpoint has cursors. Numbers of rows are given before a transaction is committed, so a row
may appear below one that was seen: every look goes back over the last rows, and leaves out what
is in the outbox. Of calls the cursor stays before the oldest one that goes on: however long it
lasts and whenever its end is written, it is seen. No name and no number is told; ids, codes and
the company's own references are.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, String, and_, cast, func, literal, or_, select

from dialer.domain.api import EventType
from dialer.domain.ledger import Book
from dialer.domain.model import AttemptState, CampaignState
from dialer.store.suppressions import IMPORT
from dialer.store.tables import (
    account,
    attempt,
    campaign,
    debtor,
    lead,
    ledger_entry,
    payment,
    phone,
    promise,
    suppression,
    webhook_delivery,
)
from dialer.store.webhooks import Event

MOST = 500
"""New events of one kind for one endpoint in one look."""
LAG = 1_000
"""So many rows back a look begins."""
LAG_TIME = timedelta(days=2)
COMMITTED_WITHIN = timedelta(minutes=5)
"""Between a call's beginning, as its row has it, and the moment that the row is there for all."""
LONGEST_CALL = timedelta(days=1)
REMEMBERED = timedelta(days=20)
"""Less than what the outbox keeps: what ended before it is not told again."""

Look = Callable[[Connection, Row[Any], Any, datetime], tuple[list[Event], Any]]


def start(connection: Connection, now: datetime) -> dict[str, Any]:
    """The cursors of an endpoint that is told of what happens from now on."""
    found: dict[str, Any] = {EventType.ATTEMPT_ENDED.value: (now - LONGEST_CALL).isoformat()}
    for kind, table in _NUMBERED.items():
        found[kind.value] = _last(connection, table)
    return found


def look(connection: Connection, of: Row[Any], now: datetime) -> tuple[list[Event], dict[str, Any]]:
    """What an endpoint has not been told of yet, and its cursors after it."""
    cursors = dict(of.cursors)
    found: list[Event] = []
    for kind in EventType:
        if kind.value in of.events:
            events, cursors[kind.value] = _LOOKS[kind](connection, of, cursors.get(kind.value), now)
            found += events
    return found, cursors


# --- each kind ------------------------------------------------------------------------------


def _attempts(
    connection: Connection, of: Row[Any], cursor: Any, now: datetime
) -> tuple[list[Event], Any]:
    since = datetime.fromisoformat(cursor)
    ours = attempt.c.campaign_id.in_(
        select(campaign.c.id).where(campaign.c.company_id == of.company_id)
    )
    # Before the ended ones: a call that ends in between is seen now, or holds the cursor.
    oldest = connection.execute(
        select(func.min(attempt.c.placed_at)).where(
            ours,
            attempt.c.placed_at >= max(since, now - LONGEST_CALL),
            attempt.c.state != AttemptState.ENDED.value,
        )
    ).scalar_one()
    rows = connection.execute(
        select(
            attempt.c.id, attempt.c.campaign_id, campaign.c.name.label("campaign"),
            attempt.c.lead_id, attempt.c.debtor_id, account.c.reference, attempt.c.disposition,
            attempt.c.outcome, attempt.c.inbound, attempt.c.follows, attempt.c.placed_at,
            attempt.c.answered_at, attempt.c.ended_at,
        )
        .join(campaign, campaign.c.id == attempt.c.campaign_id)
        .join(lead, lead.c.id == attempt.c.lead_id)
        .join(account, account.c.id == lead.c.account_id)
        .where(
            ours,
            attempt.c.placed_at >= since,
            attempt.c.state == AttemptState.ENDED.value,
            attempt.c.ended_at >= of.created_at,
            _new(of, literal("attempt:") + attempt.c.id),
        )
        .order_by(attempt.c.placed_at)
        .limit(MOST)
    ).all()  # fmt: skip
    events = [_event(EventType.ATTEMPT_ENDED, f"attempt:{r.id}", r.ended_at, r) for r in rows]
    if len(rows) == MOST:
        return events, cursor
    until = now - COMMITTED_WITHIN
    until = until if oldest is None else min(until, oldest)
    return events, max(since, until).isoformat()


def _promises(
    connection: Connection, of: Row[Any], cursor: Any, now: datetime
) -> tuple[list[Event], Any]:
    last = _last(connection, promise)
    rows = connection.execute(
        select(
            promise.c.id, promise.c.attempt_id, attempt.c.campaign_id, account.c.debtor_id,
            account.c.reference, promise.c.due, promise.c.amount_minor, promise.c.currency,
            promise.c.made_at,
        )
        .join(account, account.c.id == promise.c.account_id)
        .join(attempt, attempt.c.id == promise.c.attempt_id)
        .where(
            account.c.company_id == of.company_id,
            _after(promise, cursor, promise.c.made_at, now),
            promise.c.made_at >= of.created_at,
            _new(of, literal("promise:") + cast(promise.c.id, String)),
        )
        .order_by(promise.c.id)
        .limit(MOST)
    ).all()  # fmt: skip
    events = [_event(EventType.PROMISE_MADE, f"promise:{r.id}", r.made_at, r) for r in rows]
    return events, rows[-1].id if len(rows) == MOST else last


def _payments(
    connection: Connection, of: Row[Any], cursor: Any, now: datetime
) -> tuple[list[Event], Any]:
    last = _last(connection, ledger_entry)
    key = literal("payment:") + ledger_entry.c.transaction
    rows = connection.execute(
        select(
            ledger_entry.c.id.label("entry"), ledger_entry.c.transaction, payment.c.id,
            payment.c.order_ref, payment.c.attempt_id, payment.c.source, account.c.debtor_id,
            account.c.reference, ledger_entry.c.minor.label("amount_minor"),
            ledger_entry.c.currency, ledger_entry.c.at.label("settled_at"),
        )
        .join(payment, payment.c.id == ledger_entry.c.payment_id)
        .join(account, account.c.id == ledger_entry.c.account_id)
        .where(
            payment.c.company_id == of.company_id,
            ledger_entry.c.book == Book.PAID.value,
            ledger_entry.c.minor > 0,
            or_(*(ledger_entry.c.transaction.startswith(one) for one in _SETTLES)),
            _after(ledger_entry, cursor, ledger_entry.c.at, now),
            ledger_entry.c.at >= of.created_at,
            _new(of, key),
        )
        .order_by(ledger_entry.c.id)
        .limit(MOST)
    ).all()  # fmt: skip
    events = [
        _event(EventType.PAYMENT_SETTLED, f"payment:{r.transaction}", r.settled_at, r) for r in rows
    ]
    return events, rows[-1].entry if len(rows) == MOST else last


_SETTLES = ("settle:", "late:", "capture:")


def _campaigns(
    connection: Connection, of: Row[Any], _cursor: Any, now: datetime
) -> tuple[list[Event], Any]:
    rows = connection.execute(
        select(campaign.c.id, campaign.c.name, campaign.c.state, campaign.c.ended_at).where(
            campaign.c.company_id == of.company_id,
            campaign.c.state.in_([CampaignState.FINISHED.value, CampaignState.STOPPED.value]),
            campaign.c.ended_at >= max(of.created_at, now - REMEMBERED),
        )
    ).all()
    keys = {f"campaign:{row.id}:{row.ended_at.isoformat()}": row for row in rows}
    told = set(
        connection.execute(
            select(webhook_delivery.c.key).where(
                webhook_delivery.c.endpoint_id == of.id, webhook_delivery.c.key.in_(list(keys))
            )
        ).scalars()
    )
    return [
        _event(EventType.CAMPAIGN_FINISHED, key, row.ended_at, row)
        for key, row in keys.items()
        if key not in told
    ], None


def _opt_outs(
    connection: Connection, of: Row[Any], cursor: Any, now: datetime
) -> tuple[list[Event], Any]:
    last = _last(connection, suppression)
    rows = connection.execute(
        select(suppression.c.id, suppression.c.number, suppression.c.reason, suppression.c.at)
        .where(
            suppression.c.company_id == of.company_id,
            suppression.c.reason != IMPORT,
            _after(suppression, cursor, suppression.c.at, now),
            suppression.c.at >= of.created_at,
            _new(of, literal("optout:") + cast(suppression.c.id, String)),
        )
        .order_by(suppression.c.id)
        .limit(MOST)
    ).all()
    whose: dict[str, list[int]] = {}
    for number, debtor_id in connection.execute(
        select(phone.c.number, phone.c.debtor_id)
        .join(debtor, debtor.c.id == phone.c.debtor_id)
        .where(
            phone.c.number.in_([row.number for row in rows]),
            debtor.c.company_id == of.company_id,
        )
        .order_by(phone.c.debtor_id)
    ):
        whose.setdefault(number, []).append(debtor_id)
    events = [
        Event(
            f"optout:{row.id}",
            EventType.OPTOUT_MADE,
            row.at,
            {
                "id": row.id, "reason": row.reason, "at": row.at,
                "debtor_ids": whose.get(row.number, []),
            },
        )
        for row in rows
    ]  # fmt: skip
    return events, rows[-1].id if len(rows) == MOST else last


_NUMBERED: dict[EventType, Any] = {
    EventType.PROMISE_MADE: promise,
    EventType.PAYMENT_SETTLED: ledger_entry,
    EventType.OPTOUT_MADE: suppression,
}
_LOOKS: dict[EventType, Look] = {
    EventType.ATTEMPT_ENDED: _attempts,
    EventType.PROMISE_MADE: _promises,
    EventType.PAYMENT_SETTLED: _payments,
    EventType.CAMPAIGN_FINISHED: _campaigns,
    EventType.OPTOUT_MADE: _opt_outs,
}


# --- what they share ------------------------------------------------------------------------


def _event(kind: EventType, key: str, at: datetime, row: Any) -> Event:
    data = {
        name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for name, value in row._mapping.items()
        if name not in ("entry", "transaction")
    }
    return Event(key, kind, at, data)


def _last(connection: Connection, table: Any) -> int:
    return connection.execute(select(func.max(table.c.id))).scalar_one() or 0


def _after(table: Any, cursor: Any, at: Any, now: datetime) -> Any:
    """Rows beyond the cursor, and the young ones shortly before it."""
    seen = cursor or 0
    lately = and_(table.c.id > seen - LAG, at >= now - LAG_TIME)
    return and_(table.c.id > seen - LAG, or_(table.c.id > seen, lately))


def _new(of: Row[Any], key: Any) -> Any:
    """Not in the outbox of the endpoint."""
    told = select(webhook_delivery.c.id).where(
        webhook_delivery.c.endpoint_id == of.id, webhook_delivery.c.key == key
    )
    return ~told.exists()
