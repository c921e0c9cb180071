"""The gateway of the simulated acquirer: the plain case of what gateways do.

A key that was looked up and not found is closed at the acquirer, so that a request still on its
way can charge no more: "not charged" is certain at once.
"""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from dialer.config import ConfigError, Settings
from dialer.domain.model import Money
from dialer.domain.payment import Brand, FieldUse, PaymentMode, PaymentOutcome
from dialer.payments.gateway import (
    Asked,
    BadWebhook,
    Capabilities,
    Card,
    EventKind,
    Found,
    LookUp,
    Order,
    RefundReply,
    RefundState,
    Reply,
    WebhookEvent,
)
from dialer.payments.gateways.http import Answer, Trouble, ask_json
from dialer.switch import names

SIGNATURE_HEADER = "X-Acquirer-Signature"
TOLERANCE = timedelta(minutes=5)

SOFT = frozenset({"insufficient_funds", "do_not_honor", "incorrect_cvc", "incorrect_number"})
"""Reasons after which another try may work; any other decline is hard."""

_OUTCOMES = {
    "approved": PaymentOutcome.APPROVED,
    "authorised": PaymentOutcome.APPROVED,
    "captured": PaymentOutcome.APPROVED,
    "tokenised": PaymentOutcome.APPROVED,
    "voided": PaymentOutcome.APPROVED,  # it was; the reversal is a matter of its own
    "needs_action": PaymentOutcome.NEEDS_ACTION,
    "refused": PaymentOutcome.CONFIGURATION_ERROR,
}
_EVENTS = {
    "payment.approved": EventKind.APPROVED,
    "payment.declined": EventKind.DECLINED,
    "refund.done": EventKind.REFUNDED,
    "payment.disputed": EventKind.DISPUTED,
}


class TestAcquirer:
    """See ``dialer.payments.gateway.Gateway``."""

    __test__ = False  # not a class of tests, whatever its name begins with
    name = "test"

    def __init__(self, base: str, secret: str, seconds: float) -> None:
        """``base`` without trailing slash; ``secret`` authorises us and signs webhooks."""
        self._base = f"{base}/test"
        self._secret = secret
        self._seconds = seconds

    def __repr__(self) -> str:
        return f"<gateway {self.name}>"

    def capabilities(self) -> Capabilities:
        """Everything but payment pages of its own."""
        return Capabilities(
            modes=frozenset(PaymentMode), brands=frozenset(Brand), security_code=FieldUse.OPTIONAL
        )

    def prepare(self, order: Order) -> str | None:
        """Nothing: the key is enough."""
        return None

    def submit(self, order: Order, provider_ref: str | None, card: Card) -> Reply:
        """Charge, authorise or tokenise."""
        values = {
            "order_ref": order.order_ref,
            "amount": order.amount.minor,
            "currency": order.amount.currency,
            "mode": order.mode.value,
            "moto": True,
            "description": order.description,
            "card": {
                "number": card.number.reveal_str(),
                "month": card.month,
                "year": card.year,
                "security_code": card.security_code.reveal_str() if card.security_code else None,
                "postal_code": card.postal_code,
            },
        }
        return _reply_to(self._ask("POST", "/payments", order.payment_id, values))

    def look_up(self, order: Order, provider_ref: str | None) -> LookUp:
        """What became of the key; it is closed if it was not used. Raises GatewayError."""
        answer = self._ask("POST", f"/payments/{order.payment_id}/close", order.payment_id, {})
        if not answer.ok:
            raise answer.failed("a look-up at the test acquirer")
        if answer.data.get("state") == "closed":
            return LookUp(Found.CLOSED)
        reply = _reply(answer.data)
        if reply.outcome is PaymentOutcome.UNKNOWN:
            raise Answer(trouble=Trouble.NOT_UNDERSTOOD).failed("a look-up at the test acquirer")
        approved = reply.outcome is PaymentOutcome.APPROVED
        return LookUp(Found.APPROVED if approved else Found.DECLINED, reply)

    def capture(self, order: Order, provider_ref: str, amount: Money) -> Reply:
        """Take what was authorised."""
        values = {"amount": amount.minor, "currency": amount.currency}
        path = f"/payments/{order.payment_id}/capture"
        return _reply_to(self._ask("POST", path, f"capture-{order.payment_id}", values))

    def refund(self, order: Order, provider_ref: str, refund_id: str, amount: Money) -> RefundReply:
        """Give back, once for each ``refund_id``."""
        values = {
            "payment": order.payment_id,
            "amount": amount.minor,
            "currency": amount.currency,
        }
        return self._given_back(self._ask("POST", "/refunds", refund_id, values))

    def void(self, order: Order, provider_ref: str, refund_id: str) -> RefundReply:
        """Reverse the whole, on the day it was charged."""
        return self._given_back(
            self._ask("POST", "/voids", refund_id, {"payment": order.payment_id})
        )

    def look_up_refund(self, order: Order, provider_ref: str, refund_id: str) -> RefundReply | None:
        """What became of a refund. Raises GatewayError."""
        answer = self._ask("GET", f"/refunds/{refund_id}", refund_id)
        if answer.status == 404 and answer.trouble is None:
            return None
        if not answer.ok:
            raise answer.failed("a look-up of a refund at the test acquirer")
        return self._given_back(answer)

    def payment_link(self, order: Order, expires: datetime, return_url: str) -> str | None:
        """None: it has no pages."""
        return None

    def read_webhook(self, asked: Asked) -> WebhookEvent:
        """Signed ``t=<Unix time>,v1=<HMAC-SHA256 of "<time>.<body>">``. Raises BadWebhook."""
        given = {name.lower(): value for name, value in asked.headers.items()}
        signature = given.get(SIGNATURE_HEADER.lower(), "")
        parts = dict(part.split("=", 1) for part in signature.split(",") if "=" in part)
        stamp = parts.get("t", "")
        if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
            raise BadWebhook("it is not signed")
        mine = hmac.new(self._secret.encode(), stamp.encode() + b"." + asked.body, "sha256")
        if not hmac.compare_digest(mine.hexdigest().encode(), parts.get("v1", "").encode()):
            raise BadWebhook("its signature is not the acquirer's")
        if abs(time.time() - int(stamp)) > TOLERANCE.total_seconds():
            raise BadWebhook("it is older than five minutes")
        try:
            return _event(json.loads(asked.body))
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        raise BadWebhook("it cannot be understood")

    def _ask(
        self, method: str, path: str, key: str, values: Mapping[str, Any] | None = None
    ) -> Answer:
        headers = {"Authorization": f"Bearer {self._secret}", "Idempotency-Key": key}
        return ask_json(
            method, self._base + path, seconds=self._seconds, values=values, headers=headers
        )

    def _given_back(self, answer: Answer) -> RefundReply:
        if answer.trouble is Trouble.NEVER_LEFT:
            raise answer.failed("a refund at the test acquirer")
        if answer.doubtful:
            return RefundReply(RefundState.UNKNOWN, reason=_why(answer))
        if answer.status == 429:
            raise answer.failed("a refund at the test acquirer")
        if not answer.ok:
            return RefundReply(RefundState.REFUSED, reason=_why(answer))
        return RefundReply(RefundState.DONE, provider_ref=_word(answer.data, "id"))


def from_settings(settings: Settings) -> TestAcquirer:
    """Raises ConfigError without an address."""
    base = settings.test_acquirer_api_base.rstrip("/")
    if not base:
        raise ConfigError(
            "the gateway test has no address: set TEST_ACQUIRER_API_BASE, for example to"
            f" http://127.0.0.1:{settings.acquirer_double_port} with `dialer acquirer-double` there"
        )
    secret = settings.secret(names.SECRET_TEST_ACQUIRER)
    return TestAcquirer(base, secret, settings.gateway_seconds)


def _reply_to(answer: Answer) -> Reply:
    """What an answer to a charge or a capture means."""
    if answer.trouble is Trouble.NEVER_LEFT:
        return Reply(PaymentOutcome.CONFIGURATION_ERROR, reason="unreachable")
    if answer.ok:
        return _reply(answer.data)
    if answer.doubtful or answer.status in (409, 429):
        # Also "another one of this key" and "too many requests": an earlier one may have gone
        # through.
        return Reply(PaymentOutcome.UNKNOWN, reason=_why(answer))
    return Reply(PaymentOutcome.CONFIGURATION_ERROR, reason=_why(answer))


def _reply(data: Mapping[str, Any]) -> Reply:
    state, reason = _word(data, "state"), _word(data, "reason")
    outcome = _OUTCOMES.get(state or "", PaymentOutcome.UNKNOWN)
    if state == "declined":
        soft = reason in SOFT
        outcome = PaymentOutcome.DECLINED_SOFT if soft else PaymentOutcome.DECLINED_HARD
    return Reply(
        outcome,
        provider_ref=_word(data, "id"),
        auth_code=_word(data, "auth_code"),
        reason=reason,
        token=_word(data, "token"),
    )


def _event(data: Mapping[str, Any]) -> WebhookEvent:
    payment, refund = data["payment"], data.get("refund") or {}
    kind = _EVENTS.get(data["type"], EventKind.OTHER)
    minor = refund.get("amount", payment["amount"])
    return WebhookEvent(
        event_id=str(data["id"]),
        kind=kind,
        at=datetime.fromtimestamp(float(data["created"]), UTC),
        payment_id=str(payment["key"]),
        order_ref=_word(payment, "order_ref"),
        provider_ref=_word(payment, "id"),
        refund_id=_word(refund, "key"),
        amount=Money(int(minor), str(payment["currency"])),
        reply=_reply(payment) if kind in (EventKind.APPROVED, EventKind.DECLINED) else None,
    )


def _word(data: Mapping[str, Any], name: str) -> str | None:
    """A short text of an answer; None for anything else."""
    value = data.get(name)
    return value if isinstance(value, str) and 0 < len(value) <= 60 else None


def _why(answer: Answer) -> str:
    if answer.trouble is not None:
        return answer.trouble.value
    return _word(answer.data, "error") or f"http-{answer.status}"
