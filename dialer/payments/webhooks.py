"""What a gateway tells by itself: out of order, repeated, before our own answer, for payments that
nobody knows (yet), of refunds that were made elsewhere. Every event is kept."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine

from dialer.config import Settings
from dialer.domain.ledger import Book
from dialer.domain.model import Money
from dialer.domain.payment import PaymentOutcome, PaymentState
from dialer.domain.payment_states import News, RefundLife
from dialer.logs import get_logger
from dialer.payments.booking import Settled, apply, hold, unpaid_news
from dialer.payments.gateway import (
    EventKind,
    RefundReply,
    RefundState,
    Reply,
    WebhookEvent,
)
from dialer.payments.reversals import settle_refund, standing_in
from dialer.store import ledger
from dialer.store import payments as rows
from dialer.store import refunds as store
from dialer.store.refunds import REFUND, VOID, Refund

log = get_logger(__name__)

STRAYS_TRIED = timedelta(hours=6)
"""So long a payment is looked for to which a webhook belongs: its reference is written down within
seconds, unless the database is away. The event itself is kept for good."""

OUTSIDE = "gateway"
"""The actor of a refund that nobody asked for here."""


def settle_webhook(
    connection: Connection, event: WebhookEvent, gateway: str, now: datetime, settings: Settings
) -> Settled | None:
    """Keep a verified event and do what it says; None where its payment is not known (it is kept,
    and applied by ``adopt_strays`` once it is). A repeat changes nothing."""
    one = _payment_of(connection, event, gateway)
    fresh = rows.note_event(
        connection, "webhook", f"webhook:{gateway}:{event.event_id}", now,
        payment_id=one.id if one is not None else None, detail=_detail(event, gateway),
    )  # fmt: skip
    if one is None:
        if fresh:
            log.warning(
                "webhook of an unknown payment kept", gateway=gateway, kind=event.kind.value
            )
        return None
    if not fresh:
        return Settled(one.state, False)
    return _do(connection, one.id, event, now, settings)


def adopt_strays(engine: Engine, now: datetime, settings: Settings) -> list[Settled]:
    """Apply the events that came before anybody knew their payment, where it is known now.

    Events of payments that were never ours (another shop on the same merchant account) stay as
    they are, and cost three queries for all of them.
    """
    with engine.connect().execution_options(dialer_readonly=True) as connection:
        found = _known_strays(connection, now)
    done = []
    for event_id, payment_id, event in found:
        with engine.begin() as connection:
            hold(connection, payment_id)
            if rows.adopt(connection, event_id, payment_id):
                done.append(_do(connection, payment_id, event, now, settings))
    return done


def _known_strays(connection: Connection, now: datetime) -> list[tuple[int, str, WebhookEvent]]:
    """(id of the event, payment, event) of each that has a payment now."""
    kept: dict[str, list[tuple[int, WebhookEvent]]] = defaultdict(list)
    for row in rows.strays(connection, now - STRAYS_TRIED):
        kept[row.detail["gateway"]].append((row.id, _event(row.detail)))
    found = []
    for gateway, events in kept.items():
        names = {name for _, event in events for name in _names(event)}
        known = rows.known_names(connection, gateway, names)
        for event_id, event in events:
            if known.isdisjoint(_names(event)):
                continue
            one = _payment_of(connection, event, gateway)
            if one is not None:
                found.append((event_id, one.id, event))
    return found


def _names(event: WebhookEvent) -> list[str]:
    names = (event.payment_id, event.order_ref, event.provider_ref)
    return [name for name in names if name is not None]


def _payment_of(connection: Connection, event: WebhookEvent, gateway: str) -> rows.Payment | None:
    return rows.find_payment(
        connection,
        gateway,
        payment_id=event.payment_id,
        order_ref=event.order_ref,
        provider_ref=event.provider_ref,
    )


def _do(
    connection: Connection, payment_id: str, event: WebhookEvent, now: datetime, settings: Settings
) -> Settled:
    held = hold(connection, payment_id)
    match event.kind:
        case EventKind.APPROVED:
            _compare(connection, held, event, now)
            return apply(
                connection, held, News.APPROVED, now, settings, source="webhook",
                reply=_reply(event, PaymentOutcome.APPROVED),
            )  # fmt: skip
        case EventKind.DECLINED:
            return apply(
                connection, held, unpaid_news(event.reply), now, settings, source="webhook",
                reply=_reply(event, PaymentOutcome.DECLINED_SOFT),
            )  # fmt: skip
        case EventKind.REFUNDED | EventKind.REFUND_FAILED:
            return _refund_news(connection, held, event, now)
        case EventKind.DISPUTED:
            # The acquirer holds the money until the dispute is decided: no book moves before it
            # says that the money went back.
            if held.disputed_at is None:
                rows.update_payment(connection, held.id, disputed_at=event.at)
                log.error("payment disputed", payment=held.id)
        case EventKind.OTHER:
            pass
    return Settled(held.state, False)


def _compare(
    connection: Connection, held: rows.Payment, event: WebhookEvent, now: datetime
) -> None:
    """An amount that is not ours is for people: our books keep what the debtor agreed to."""
    if event.amount is not None and event.amount != held.amount and held.amount.minor:
        _contradiction(connection, held, "amount", event, now)


def _refund_news(
    connection: Connection, held: rows.Payment, event: WebhookEvent, now: datetime
) -> Settled:
    done = event.kind is EventKind.REFUNDED
    settled = Settled(held.state, False)
    if done and held.state is not PaymentState.APPROVED:
        # What was given back had been taken; a receipt for it would be one too many.
        settled = apply(connection, held, News.APPROVED, now, None, source="webhook")
        held = hold(connection, held.id)
    one = _refund_of(connection, held, event)
    if one is None and done:
        one = _made_outside(connection, held, event, now)
    if one is None:
        _contradiction(connection, held, "refund", event, now)
        return settled
    state = RefundState.DONE if done else RefundState.REFUSED
    settle_refund(connection, one.id, RefundReply(state), now)
    rows.note_event(
        connection, "refund", _confirmed(one, event.kind), now,
        payment_id=held.id, detail={"refund": one.id},
    )  # fmt: skip
    return settled


def _refund_of(connection: Connection, held: rows.Payment, event: WebhookEvent) -> Refund | None:
    """The refund an event tells of: by its id, else the first of that amount that no event has
    told of yet, those in doubt before those that are done."""
    ours = store.refunds_of(connection, held.id)
    if event.refund_id is not None:
        ids = (event.refund_id, _outside_id(held.gateway, event.refund_id))
        named = [one for one in ours if one.id in ids or one.provider_ref == event.refund_id]
        return named[0] if named else None
    told = {row.key for row in rows.events_of(connection, held.id) if row.kind == "refund"}
    fits = [
        one
        for one in ours
        if (event.amount is None or event.amount == one.amount)
        and _confirmed(one, event.kind) not in told
        and (one.state.open or one.state is RefundLife.DONE)
    ]
    return min(fits, key=lambda one: not one.state.open, default=None)


def _made_outside(
    connection: Connection, held: rows.Payment, event: WebhookEvent, now: datetime
) -> Refund | None:
    """A refund that was made in the gateway's own pages, as a row; at most what was taken."""
    source = standing_in(held)
    stands = ledger.books_of_payment(connection, held.id).get(source, 0)
    asked = event.amount.minor if event.amount is not None else stands
    if asked > stands or (event.amount and event.amount.currency != held.amount.currency):
        _contradiction(connection, held, "refund", event, now)
    minor = min(asked, stands)
    if minor <= 0:
        return None
    new = Refund(
        id=_outside_id(held.gateway, event.refund_id or event.event_id),
        payment_id=held.id,
        kind=REFUND if source is Book.PAID else VOID,
        amount=Money(minor, held.amount.currency),
        state=RefundLife.CREATED,
        forgive=False,
        reason="made at the gateway, not here",
        actor=OUTSIDE,
        created_at=now,
    )
    store.insert_refund(connection, new)
    log.warning("refund made outside", payment=held.id, refund=new.id)
    return new


def _outside_id(gateway: str, name: str) -> str:
    return hashlib.sha256(f"{gateway}:{name}".encode()).hexdigest()[:32]


def _confirmed(one: Refund, kind: EventKind) -> str:
    return f"told:{one.id}:{kind.value}"


def _contradiction(
    connection: Connection, held: rows.Payment, what: str, event: WebhookEvent, now: datetime
) -> None:
    rows.note_event(
        connection, "contradiction", f"contradiction:{held.id}:{what}:{event.event_id}", now,
        payment_id=held.id, detail=_detail(event, held.gateway),
    )  # fmt: skip
    log.error("webhook does not fit the payment", payment=held.id, what=what)


def _reply(event: WebhookEvent, outcome: PaymentOutcome) -> Reply:
    return event.reply or Reply(outcome, provider_ref=event.provider_ref)


# --- events as they are kept -------------------------------------------------------------


def _detail(event: WebhookEvent, gateway: str) -> dict[str, Any]:
    reply = event.reply
    return {
        "gateway": gateway,
        "event_id": event.event_id,
        "kind": event.kind.value,
        "at": event.at.isoformat(),
        "payment_id": event.payment_id,
        "order_ref": event.order_ref,
        "provider_ref": event.provider_ref,
        "refund_id": event.refund_id,
        "minor": event.amount.minor if event.amount else None,
        "currency": event.amount.currency if event.amount else None,
        "reply": None
        if reply is None
        else {
            "outcome": reply.outcome.value,
            "provider_ref": reply.provider_ref,
            "auth_code": reply.auth_code,
            "reason": reply.reason,
            "token": reply.token,
        },
    }


def _event(detail: dict[str, Any]) -> WebhookEvent:
    reply = detail["reply"]
    return WebhookEvent(
        event_id=detail["event_id"],
        kind=EventKind(detail["kind"]),
        at=datetime.fromisoformat(detail["at"]),
        payment_id=detail["payment_id"],
        order_ref=detail["order_ref"],
        provider_ref=detail["provider_ref"],
        refund_id=detail["refund_id"],
        amount=None if detail["minor"] is None else Money(detail["minor"], detail["currency"]),
        reply=reply and Reply(**reply | {"outcome": PaymentOutcome(reply["outcome"])}),
    )
