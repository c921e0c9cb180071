"""What Mercado Pago tells by itself: notices that name a payment, to be fetched."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from datetime import datetime
from typing import Any

from dialer.payments.gateway import Asked, BadWebhook, EventKind, WebhookEvent
from dialer.payments.gateways import mercadopago_words as words


def verified(secret: str, asked: Asked) -> dict[str, Any]:
    """The body of a genuine notice. Raises BadWebhook.

    `x-signature: ts=...,v1=<HMAC-SHA256 of "id:<data.id>;request-id:<x-request-id>;ts:<ts>;">`.
    """
    headers = {name.lower(): value for name, value in asked.headers.items()}
    parts = dict(
        (part.strip().split("=", 1)) for part in headers.get("x-signature", "").split(",")
        if "=" in part
    )  # fmt: skip
    try:
        told = json.loads(asked.body)
        ref = str(told["data"]["id"])
        signed = f"id:{ref.lower()};"
        if headers.get("x-request-id"):
            signed += f"request-id:{headers['x-request-id']};"
        signed += f"ts:{parts['ts']};"
        mine = hmac.new(secret.encode(), signed.encode(), hashlib.sha256)
        genuine = hmac.compare_digest(mine.hexdigest().encode(), parts["v1"].encode())
    except (ValueError, KeyError, TypeError):
        genuine, told, ref = False, {}, ""
    if not genuine or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", ref):
        raise BadWebhook("not signed by Mercado Pago with this application's secret")
    return dict(told)


def event(event_id: str, at: datetime, payment: dict[str, Any]) -> WebhookEvent:
    """What a payment, fetched because of a notice, says of itself."""
    status, detail = payment.get("status"), payment.get("status_detail")
    currency = payment.get("currency_id")
    reply = words.reply(payment)
    kind, amount, given_id = EventKind.OTHER, payment.get("transaction_amount"), None
    refunds = [one for one in payment.get("refunds") or [] if isinstance(one, dict)]
    if status == "refunded" or detail == "partially_refunded":
        if refunds:
            kind, amount = EventKind.REFUNDED, refunds[-1].get("amount")
            given_id = refund_id(refunds[-1])
    elif status == "charged_back":
        kind = EventKind.DISPUTED
    elif status in ("approved", "authorized"):
        kind = EventKind.APPROVED
    elif status == "rejected":
        kind = EventKind.DECLINED
    return WebhookEvent(
        event_id=event_id,
        kind=kind,
        at=at,
        payment_id=words.code(payment.get("external_reference")),
        provider_ref=words.code(payment.get("id")),
        refund_id=given_id,
        amount=words.money(amount, currency),
        reply=reply if kind in (EventKind.APPROVED, EventKind.DECLINED) else None,
    )


def refund_id(refund: Any) -> str | None:
    """The id that we gave a refund; None for one that was not made here."""
    metadata = refund.get("metadata") if isinstance(refund, dict) else None
    return words.code(metadata.get("refund_id")) if isinstance(metadata, dict) else None
