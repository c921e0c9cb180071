"""Webhooks of Stripe: verified by its library, understood here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import stripe

from dialer.domain.model import Money
from dialer.domain.payment import PaymentOutcome
from dialer.payments.gateway import Asked, BadWebhook, EventKind, Reply, WebhookEvent
from dialer.payments.gateways.stripe_words import AmountError, auth_code, declined, from_stripe

TOLERANCE = 300  # seconds, Stripe's own recommendation

_INTENTS = {
    "payment_intent.succeeded": EventKind.APPROVED,
    "payment_intent.amount_capturable_updated": EventKind.APPROVED,
    "payment_intent.payment_failed": EventKind.DECLINED,
}
_REFUND_STATES = {
    "succeeded": EventKind.REFUNDED,
    "failed": EventKind.REFUND_FAILED,
    "canceled": EventKind.REFUND_FAILED,
}


def read_event(asked: Asked, secret: str) -> WebhookEvent:
    """The event of a request whose ``Stripe-Signature`` is right and not older than five minutes.

    Raises BadWebhook.
    """
    given = {name.lower(): value for name, value in asked.headers.items()}
    why = "it cannot be understood"
    try:
        stripe.Webhook.construct_event(
            asked.body.decode(), given.get("stripe-signature", ""), secret, TOLERANCE
        )
        return _event(json.loads(asked.body))
    except stripe.SignatureVerificationError:
        why = "its signature is not Stripe's, or older than five minutes"
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise BadWebhook(why)


def _event(data: Mapping[str, Any]) -> WebhookEvent:
    kind_name, thing = str(data["type"]), data["data"]["object"]
    metadata = thing.get("metadata") or {}
    kind = EventKind.OTHER
    reply: Reply | None = None
    ref = thing.get("payment_intent")
    refund_id: str | None = None
    if kind_name.startswith("payment_intent."):
        kind, ref = _INTENTS.get(kind_name, EventKind.OTHER), thing["id"]
        reply = _reply(kind, thing)
    elif thing.get("object") == "refund":
        kind = _REFUND_STATES.get(thing.get("status"), EventKind.OTHER)
        refund_id = metadata.get("refund_id")
    elif kind_name == "charge.dispute.created":
        kind = EventKind.DISPUTED
    return WebhookEvent(
        event_id=str(data["id"]),
        kind=kind,
        at=datetime.fromtimestamp(int(data["created"]), UTC),
        payment_id=metadata.get("payment_id"),
        order_ref=metadata.get("order_ref"),
        provider_ref=str(ref) if ref else None,
        refund_id=refund_id,
        amount=_amount(thing),
        reply=reply,
    )


def _reply(kind: EventKind, intent: Mapping[str, Any]) -> Reply | None:
    if kind is EventKind.APPROVED:
        return Reply(PaymentOutcome.APPROVED, intent["id"], auth_code=auth_code(intent))
    if kind is EventKind.DECLINED:
        return declined(intent.get("last_payment_error") or {}, intent["id"])
    return None


def _amount(thing: Mapping[str, Any]) -> Money | None:
    try:
        return from_stripe(int(thing["amount"]), str(thing["currency"]))
    except (KeyError, TypeError, ValueError, AmountError):
        return None
