"""Webhooks: who is told, the outbox, and what came of each delivery.

What is told is found in the rows that are there anyway (``dialer.store.webhook_events``). The
outbox has a row for each event and endpoint before anything leaves; a delivery is claimed with one
conditional update, so that two workers send none twice at a time.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from dialer.domain.api import DeliveryState, EventType, next_try
from dialer.domain.sending_says import Undelivered
from dialer.store import audit
from dialer.store.companies import NotPossible
from dialer.store.refusals import Why
from dialer.store.tables import webhook_delivery, webhook_endpoint
from dialer.store.upsert import insert_ignore

MOST_ENDPOINTS = 20
"""Of one company."""
CLAIM = timedelta(minutes=2)
"""A worker that died over a delivery holds it for so long."""
KEPT = timedelta(days=30)
"""Deliveries that are over are remembered for so long."""
LOOSE_PURGE = 5_000


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. ``key`` says what, once and for all."""

    key: str
    type: EventType
    at: datetime
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is to be sent."""

    id: int
    endpoint_id: int
    url: str
    salt: str
    event_id: str
    body: str
    tries: int
    next_at: datetime


# --- endpoints ------------------------------------------------------------------------------


def create_endpoint(
    connection: Connection,
    *,
    company_id: int,
    url: str,
    events: Collection[EventType],
    cursors: dict[str, Any],
    actor: str,
    now: datetime,
) -> Row[Any]:
    """Make one; it is told of what happens from now on. Raises NotPossible."""
    there = [row.url for row in endpoints(connection, company_id)]
    if url in there:
        raise NotPossible(Why.WEBHOOK_TAKEN.say())
    if len(there) >= MOST_ENDPOINTS:
        raise NotPossible(Why.MANY_WEBHOOKS.say(most=MOST_ENDPOINTS))
    row = connection.execute(
        insert(webhook_endpoint)
        .values(
            company_id=company_id,
            url=url,
            events=[one.value for one in EventType if one in events],
            salt=secrets.token_hex(16),
            cursors=cursors,
            created_by=actor[:100],
            created_at=now,
        )
        .returning(webhook_endpoint)
    ).one()
    after = {"company_id": company_id, "events": row.events}
    _note(connection, "webhook.create", row.id, actor, now, after)
    return row


def remove_endpoint(connection: Connection, endpoint_id: int, actor: str, now: datetime) -> None:
    """Nothing is sent there any more, also of what waits."""
    connection.execute(
        update(webhook_endpoint).where(webhook_endpoint.c.id == endpoint_id).values(removed_at=now)
    )
    connection.execute(
        update(webhook_delivery)
        .where(
            webhook_delivery.c.endpoint_id == endpoint_id,
            webhook_delivery.c.state == DeliveryState.PENDING.value,
        )
        .values(state=DeliveryState.FAILED.value, error=str(Undelivered.TAKEN_AWAY))
    )
    _note(connection, "webhook.remove", endpoint_id, actor, now, None)


def pause_endpoint(
    connection: Connection, endpoint_id: int, paused: bool, actor: str, now: datetime
) -> None:
    """Nothing is sent there until it goes on: what happens meanwhile waits in the outbox."""
    connection.execute(
        update(webhook_endpoint)
        .where(webhook_endpoint.c.id == endpoint_id)
        .values(paused_at=now if paused else None)
    )
    action = "webhook.pause" if paused else "webhook.resume"
    _note(connection, action, endpoint_id, actor, now, None)


def counts(connection: Connection, endpoint_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Webhook -> state -> how many of its deliveries, of those that are remembered."""
    columns = webhook_delivery.c
    found: dict[int, dict[str, int]] = {one: {} for one in endpoint_ids}
    for endpoint_id, state, count in connection.execute(
        select(columns.endpoint_id, columns.state, func.count())
        .where(columns.endpoint_id.in_(endpoint_ids))
        .group_by(columns.endpoint_id, columns.state)
    ):
        found[endpoint_id][state] = count
    return found


def endpoints(connection: Connection, company_id: int | None = None) -> Sequence[Row[Any]]:
    """Those that are in use, of one company or of all."""
    query = select(webhook_endpoint).where(webhook_endpoint.c.removed_at.is_(None))
    if company_id is not None:
        query = query.where(webhook_endpoint.c.company_id == company_id)
    return connection.execute(query.order_by(webhook_endpoint.c.id)).all()


def endpoint(connection: Connection, endpoint_id: int) -> Row[Any] | None:
    """One that is in use."""
    return connection.execute(
        select(webhook_endpoint).where(
            webhook_endpoint.c.id == endpoint_id, webhook_endpoint.c.removed_at.is_(None)
        )
    ).first()


# --- the outbox -----------------------------------------------------------------------------


def put(
    connection: Connection,
    of: Row[Any],
    events: Sequence[Event],
    cursors: dict[str, Any],
    now: datetime,
) -> int:
    """Events into the outbox of an endpoint, and how far was looked; how many were new."""
    rows = [
        {
            "endpoint_id": of.id,
            "event_id": event_id(one.key),
            "key": one.key,
            "type": one.type.value,
            "body": _body(of.company_id, one),
            "state": DeliveryState.PENDING.value,
            "tries": 0,
            "next_at": now,
            "created_at": now,
        }
        for one in events
    ]
    made = insert_ignore(connection, webhook_delivery, rows)
    connection.execute(
        update(webhook_endpoint).where(webhook_endpoint.c.id == of.id).values(cursors=cursors)
    )
    return made


def event_id(key: str) -> str:
    """The same for each endpoint and each try."""
    return "evt_" + hashlib.sha256(key.encode()).hexdigest()[:32]


def _body(company_id: int, one: Event) -> str:
    whole = {
        "id": event_id(one.key),
        "type": one.type.value,
        "at": one.at.isoformat(timespec="microseconds"),
        "company_id": company_id,
        "data": one.data,
    }
    return json.dumps(whole, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    return value.isoformat()  # a date or a time; all else is JSON by itself


# --- deliveries -----------------------------------------------------------------------------


def due(connection: Connection, now: datetime, limit: int = 500) -> list[Delivery]:
    """What is to be sent now, the longest due first."""
    columns = webhook_delivery.c
    rows = connection.execute(
        select(webhook_delivery, webhook_endpoint.c.url, webhook_endpoint.c.salt)
        .join(webhook_endpoint, webhook_endpoint.c.id == columns.endpoint_id)
        .where(
            columns.state == DeliveryState.PENDING.value,
            columns.next_at <= now,
            # Taken away while a worker was looking for what happened.
            webhook_endpoint.c.removed_at.is_(None),
            webhook_endpoint.c.paused_at.is_(None),
        )
        .order_by(columns.next_at, columns.id)
        .limit(limit)
    )
    return [
        Delivery(
            row.id, row.endpoint_id, row.url, row.salt, row.event_id, row.body, row.tries,
            row.next_at,
        )
        for row in rows
    ]  # fmt: skip


def claim(connection: Connection, one: Delivery, now: datetime) -> bool:
    """Whether it is ours to send."""
    columns = webhook_delivery.c
    changed = connection.execute(
        update(webhook_delivery)
        .where(
            columns.id == one.id,
            columns.state == DeliveryState.PENDING.value,
            columns.next_at == one.next_at,
        )
        .values(next_at=now + CLAIM, tries=columns.tries + 1)
    )
    return changed.rowcount == 1


def settle(
    connection: Connection, one: Delivery, now: datetime, status: int | None, error: str
) -> DeliveryState:
    """What came of the try that was claimed; ``error`` empty: it was taken."""
    values: dict[str, Any] = {"status": status, "error": error[:100] or None}
    if not error:
        values |= {"state": DeliveryState.DELIVERED.value, "delivered_at": now}
    else:
        again = next_try(one.tries + 1, now)
        values |= (
            {"state": DeliveryState.FAILED.value}
            if again is None
            else {"state": DeliveryState.PENDING.value, "next_at": again}
        )
    connection.execute(
        update(webhook_delivery)
        .where(
            webhook_delivery.c.id == one.id,
            webhook_delivery.c.state == DeliveryState.PENDING.value,
        )
        .values(values)
    )
    return DeliveryState(values["state"])


def send_again(connection: Connection, endpoint_id: int, delivery_id: int, now: datetime) -> bool:
    """A delivery that is over, from the beginning; False where there is none such."""
    changed = connection.execute(
        update(webhook_delivery)
        .where(
            webhook_delivery.c.id == delivery_id,
            webhook_delivery.c.endpoint_id == endpoint_id,
            webhook_delivery.c.state != DeliveryState.PENDING.value,
        )
        .values(state=DeliveryState.PENDING.value, tries=0, next_at=now, error=None, status=None)
    )
    return changed.rowcount == 1


def deliveries(
    connection: Connection, endpoint_id: int, below: int | None, limit: int, state: str | None
) -> Sequence[Row[Any]]:
    """The newest first, of ids below ``below``."""
    columns = webhook_delivery.c
    query = select(webhook_delivery).where(columns.endpoint_id == endpoint_id)
    if below is not None:
        query = query.where(columns.id < below)
    if state is not None:
        query = query.where(columns.state == state)
    return connection.execute(query.order_by(columns.id.desc()).limit(limit)).all()


def purge(connection: Connection, now: datetime) -> int:
    """Forget what was over long ago; how many."""
    columns = webhook_delivery.c
    old = (
        select(columns.id)
        .where(columns.state != DeliveryState.PENDING.value, columns.next_at < now - KEPT)
        .limit(LOOSE_PURGE)
    )
    return connection.execute(delete(webhook_delivery).where(columns.id.in_(old))).rowcount


def waiting(connection: Connection, before: datetime) -> int:
    """How many should have been tried before that moment."""
    columns = webhook_delivery.c
    found: int = connection.execute(
        select(func.count())
        .join(webhook_endpoint, webhook_endpoint.c.id == columns.endpoint_id)
        .where(
            columns.state == DeliveryState.PENDING.value,
            columns.next_at < before,
            webhook_endpoint.c.removed_at.is_(None),
            webhook_endpoint.c.paused_at.is_(None),
        )
    ).scalar_one()
    return found


def _note(
    connection: Connection,
    action: str,
    endpoint_id: int,
    actor: str,
    now: datetime,
    after: dict[str, Any] | None,
) -> None:
    target = f"webhook:{endpoint_id}"
    audit.record(connection, actor=actor, action=action, target=target, now=now, after=after)
