"""Payments: what was charged, without anything of a card but brand and last four digits."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from dialer.domain.api import Scope
from dialer.domain.payment import PaymentState
from dialer.payments import refunding
from dialer.store import api_views
from web.api.paging import cursor_of, keys_of
from web.api.registry import Asked, operation
from web.api.scoping import not_found
from web.api.shapes import Answer, Feed, Paged, fields_of


class Payment(Answer):
    """A submission to a gateway. ``amount_minor`` in minor units."""

    id: str
    order_ref: str
    company_id: int
    debtor_id: int
    reference: str
    campaign_id: int | None
    attempt_id: str | None
    source: str
    gateway: str
    mode: str
    amount_minor: int
    refunded_minor: int
    currency: str
    state: PaymentState
    outcome: str | None
    brand: str | None
    last_four: str | None
    created_at: datetime
    settled_at: datetime | None
    captured_at: datetime | None


class OnePayment(Payment):
    """``refundable_minor``: what can still be asked back, less what waits for a second person."""

    refundable_minor: int


class PaymentsAsked(Paged):
    """Which payments."""

    state: PaymentState | None = Field(None, description="As they stand now.")


class PaymentFeed(Feed[Payment]):
    """Payments in the order they were made."""


@operation("GET", "/payments", Scope.PAYMENTS_READ, PaymentFeed, "Payments", query=PaymentsAsked)
def list_payments(ask: Asked) -> PaymentFeed:
    """In the order they were made, each as it stands now: one in doubt is settled later, and one
    that was approved may be given back."""
    after = keys_of(ask.query.cursor, datetime, str)
    rows = api_views.payments(
        ask.connection,
        ask.token.company_id,
        after,
        ask.query.limit + 1,
        ask.query.state.value if ask.query.state else None,
    )
    kept = rows[: ask.query.limit]
    end = cursor_of(kept[-1].created_at, kept[-1].id) if kept else ask.query.cursor
    return PaymentFeed(
        items=[Payment(**fields_of(row, Payment)) for row in kept],
        next=end or cursor_of("0001-01-01T00:00:00+00:00", ""),
        more=len(rows) > len(kept),
    )


@operation("GET", "/payments/{payment_id}", Scope.PAYMENTS_READ, OnePayment, "One payment")
def get_payment(ask: Asked, payment_id: str) -> OnePayment:
    """As it stands now."""
    rows = api_views.payments(ask.connection, ask.token.company_id, None, 1, only=payment_id)
    if not rows:
        raise not_found("payment")
    left = refunding.left(ask.connection, payment_id)
    return OnePayment(**fields_of(rows[0], Payment), refundable_minor=left)
