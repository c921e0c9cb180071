"""Webhooks: who is told of what, and what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from dialer.domain.api import DeliveryState, EventType, Scope
from dialer.store import webhook_events, webhooks
from dialer.webhooks.addresses import LONGEST, AddressError, check_url
from dialer.webhooks.signing import SECRET_SIGNING, secret_of
from web.api.paging import cursor_of, keys_of
from web.api.registry import Asked, operation
from web.api.scoping import company_of, not_found
from web.api.shapes import Answer, Done, Given, Id, Page, Paged, fields_of
from web.problems import Problem, invalid_fields


class NewWebhook(Given):
    """``company_id``: for a key that opens every company."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST)] = Field(
        description="By https, to a public address."
    )
    events: list[EventType] = Field(min_length=1, max_length=20)
    company_id: Id | None = None


class Webhook(Answer):
    """An address that is told."""

    id: int
    company_id: int
    url: str
    events: list[str]
    created_at: datetime


class WebhookMade(Webhook):
    """``secret``: what deliveries are signed with; told this once."""

    secret: str


class Delivery(Answer):
    """An event on its way to a webhook."""

    id: int
    event_id: str
    type: str
    state: DeliveryState
    tries: int
    next_at: datetime = Field(description="Of one that waits: when it is tried.")
    status: int | None = Field(description="That the webhook answered last.")
    error: str | None
    created_at: datetime
    delivered_at: datetime | None


class DeliveriesAsked(Paged):
    """Which deliveries."""

    state: DeliveryState | None = None


class WebhookPage(Page[Webhook]):
    """Webhooks."""


class DeliveryPage(Page[Delivery]):
    """Deliveries, the newest first."""


@operation(
    "POST",
    "/webhooks",
    Scope.WEBHOOKS_WRITE,
    WebhookMade,
    "Set a webhook up",
    body=NewWebhook,
    status=201,
    secret=True,
    example={"url": "https://crm.example.com/dialer", "events": ["promise.made"]},
)
def create_webhook(ask: Asked) -> WebhookMade:
    """It is told of what happens from now on. A repeat is refused (409): an address is set up
    once."""
    given: NewWebhook = ask.body
    company = company_of(ask, given.company_id)
    try:
        check_url(given.url, ask.settings.webhook_private)
    except AddressError as error:
        raise invalid_fields([("url", str(error))]) from error
    row = webhooks.create_endpoint(
        ask.connection,
        company_id=company.id,
        url=given.url,
        events=given.events,
        cursors=webhook_events.start(ask.connection, ask.now),
        actor=ask.actor,
        now=ask.now,
    )
    secret = secret_of(ask.settings.secret(SECRET_SIGNING), row.id, row.salt)
    return WebhookMade(**fields_of(row, Webhook), secret=secret)


@operation("GET", "/webhooks", Scope.WEBHOOKS_WRITE, WebhookPage, "Webhooks")
def list_webhooks(ask: Asked) -> WebhookPage:
    """All of them in one page."""
    rows = webhooks.endpoints(ask.connection, ask.token.company_id)
    return WebhookPage(items=[Webhook(**fields_of(row, Webhook)) for row in rows], next=None)


@operation("DELETE", "/webhooks/{endpoint_id}", Scope.WEBHOOKS_WRITE, Done, "Take a webhook away")
def remove_webhook(ask: Asked, endpoint_id: int) -> Done:
    """Nothing more is sent there, also of what waits."""
    webhooks.remove_endpoint(ask.connection, _webhook(ask, endpoint_id).id, ask.actor, ask.now)
    return Done()


@operation(
    "GET",
    "/webhooks/{endpoint_id}/deliveries",
    Scope.WEBHOOKS_WRITE,
    DeliveryPage,
    "What came of the deliveries",
    query=DeliveriesAsked,
)
def list_deliveries(ask: Asked, endpoint_id: int) -> DeliveryPage:
    """The newest first, of the last thirty days."""
    below = keys_of(ask.query.cursor, int)
    rows = webhooks.deliveries(
        ask.connection,
        _webhook(ask, endpoint_id).id,
        below[0] if below else None,
        ask.query.limit + 1,
        ask.query.state.value if ask.query.state else None,
    )
    kept = rows[: ask.query.limit]
    return DeliveryPage(
        items=[Delivery(**fields_of(row, Delivery)) for row in kept],
        next=cursor_of(kept[-1].id) if len(rows) > len(kept) else None,
    )


@operation(
    "POST",
    "/webhooks/{endpoint_id}/deliveries/{delivery_id}/again",
    Scope.WEBHOOKS_WRITE,
    Done,
    "Send it again",
)
def send_again(ask: Asked, endpoint_id: int, delivery_id: int) -> Done:
    """One that was delivered, or that failed. 404 for one that waits anyway."""
    one = _webhook(ask, endpoint_id)
    if not webhooks.send_again(ask.connection, one.id, delivery_id, ask.now):
        raise Problem(404, "not_found", "There is no such delivery that is over")
    return Done()


def _webhook(ask: Asked, endpoint_id: int) -> Any:
    row = webhooks.endpoint(ask.connection, endpoint_id)
    if row is None or not ask.token.sees(row.company_id):
        raise not_found("webhook")
    return row
