"""Objects, errors and events as Stripe's API shows them."""

from __future__ import annotations

import hmac
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify

from dialer.simulation.bank.hooks import Hook, Signed
from dialer.simulation.bank.records import Charge, Refund

NAME = "stripe"
API_VERSION = "2026-10-28.endive"
OWN_CODES = frozenset(
    "incorrect_cvc incorrect_number expired_card invalid_cvc invalid_expiry_month"
    " invalid_expiry_year processing_error".split()
)
"""Declines whose ``code`` is the reason itself; the others are ``card_declined``."""

Form = Mapping[str, str]


def fresh(kind: str) -> str:
    """An id as Stripe makes them: ``pi_...``."""
    return f"{kind}_{uuid.uuid4().hex[:24]}"


def metadata_of(form: Form) -> dict[str, str]:
    """What came as ``metadata[...]``."""
    return {k[9:-1]: v for k, v in form.items() if k.startswith("metadata[")}


def new_intent(form: Form, amount: int, at: float) -> dict[str, Any]:
    """A payment intent without a card."""
    ref = fresh("pi")
    return {
        "id": ref,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_received": 0,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": form.get("capture_method", "automatic"),
        "client_secret": f"{ref}_secret_{uuid.uuid4().hex[:25]}",
        "confirmation_method": "automatic",
        "created": int(at),
        "currency": form["currency"].lower(),
        "description": form.get("description"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": metadata_of(form),
        "next_action": None,
        "payment_method": None,
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
        "tries": 0,
    }


def shown(intent: dict[str, Any], charge: Charge | None, expand: bool) -> dict[str, Any]:
    """The intent as it is answered; ``expand``: with its latest charge."""
    plain = {name: value for name, value in intent.items() if name != "tries"}
    if expand and charge is not None:
        plain["latest_charge"] = charge_object(charge, intent)
    return plain


def charge_object(charge: Charge, intent: Mapping[str, Any]) -> dict[str, Any]:
    """A charge of an intent."""
    paid = charge.auth_code is not None
    return {
        "id": charge.ref,
        "object": "charge",
        "amount": charge.minor,
        "amount_captured": charge.captured_minor,
        "amount_refunded": charge.refunded_minor,
        "authorization_code": charge.auth_code,
        "captured": charge.state.moved,
        "created": int(charge.at),
        "currency": charge.currency,
        "failure_code": None if paid else error_code(charge.reason or ""),
        "livemode": False,
        "metadata": intent["metadata"],
        "paid": paid,
        "payment_intent": intent["id"],
        "payment_method_details": {
            "type": "card",
            "card": {
                "authorization_code": charge.auth_code,
                "brand": (charge.brand or "unknown").replace("diners-club", "diners"),
                "last4": charge.last_four,
                "moto": True,
            },
        },
        "receipt_number": None,
        "refunded": charge.held_minor == 0 and paid,
        "status": "succeeded" if paid else "failed",
    }


def refund_object(refund: Refund, charge: Charge, asked: Mapping[str, Any]) -> dict[str, Any]:
    """A refund of a charge."""
    return {
        "id": refund.ref,
        "object": "refund",
        "amount": refund.minor,
        "charge": charge.ref,
        "created": int(refund.at),
        "currency": charge.currency,
        "metadata": asked["metadata"],
        "payment_intent": asked["payment_intent"],
        "reason": None,
        "status": "succeeded",
    }


def error_code(reason: str) -> str:
    """``code`` of a card error."""
    return reason if reason in OWN_CODES else "card_declined"


def problem(
    status: int, kind: str, code: str | None = None, **more: Any
) -> tuple[int, dict[str, Any]]:
    """Status and body of an error."""
    told = {"type": kind, "message": f"{code or kind} ({status}).", **more}
    if code is not None:
        told["code"] = code
        told["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
    return status, {"error": told}


def card_problem(reason: str, **more: Any) -> tuple[int, dict[str, Any]]:
    """A card that is declined."""
    code = error_code(reason)
    decline = {} if code == reason and "charge" not in more else {"decline_code": reason}
    return problem(402, "card_error", code, **decline, **more)


def answer(status: int, body: Mapping[str, Any], replayed: bool = False) -> Response:
    """As a response."""
    response = jsonify(body)
    response.status_code = status
    response.headers["Request-Id"] = fresh("req")
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def event(secret: str, kind: str, thing: Mapping[str, Any]) -> Hook:
    """A signed event about an object (docs.stripe.com/webhooks: ``Stripe-Signature``)."""
    event_id = fresh("evt")
    values = {
        "id": event_id,
        "object": "event",
        "api_version": API_VERSION,
        "created": int(time.time()),
        "data": {"object": thing},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }
    body = json.dumps(values, indent=2).encode()

    def sign() -> Signed:
        stamp = str(int(time.time()))
        code = hmac.new(secret.encode(), stamp.encode() + b"." + body, "sha256").hexdigest()
        return body, {
            "Content-Type": "application/json",
            "Stripe-Signature": f"t={stamp},v1={code}",
        }

    return Hook(NAME, event_id, sign)
