"""What Mercado Pago's words mean for a payment, and its numbers read exactly.

Sources: the OpenAPI description that Mercado Pago publishes (payments, refunds, webhooks), and
"Why is a payment rejected?" and "Data entry errors" of its developer documentation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from dialer.domain.model import Money
from dialer.domain.payment import PaymentOutcome
from dialer.payments.gateway import RefundReply, RefundState, Reply

DECIMALS = {"MXN": 2}
"""Currencies that are offered, with their digits after the point. Only Mexico: in the other
countries Mercado Pago asks for the cardholder's identity document, which nobody keys in."""

_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?")

_PAID = {"approved", "authorized", "refunded", "charged_back", "in_mediation"}
"""Money moved (or is held) in all of these; giving back is told apart from it."""
_HARD = {
    "cc_rejected_blacklist",
    "cc_rejected_card_disabled",
    "cc_rejected_card_type_not_allowed",
    "cc_rejected_duplicated_payment",
    "cc_rejected_high_risk",
    "cc_rejected_max_attempts",
}
_ACTION = {"cc_rejected_3ds_challenge", "cc_rejected_3ds_mandatory", "pending_challenge"}

KEYED_WRONG = {"205", "208", "209", "224", "E203", "E205", "E301", "E302", "325", "326"}
"""Causes in a card token's refusal that another try may mend: number, date, security code."""
IN_DOUBT = {"2001", "2004", "2007"}
"""Causes in a payment's refusal after which it may exist: repeated within a minute, or services
of Mercado Pago that did not hear each other."""


def amount_text(amount: Money) -> str:
    """The amount as a JSON number: 12.50."""
    digits = DECIMALS[amount.currency]
    return f"{Decimal(amount.minor).scaleb(-digits):.{digits}f}"


def money(value: object, currency: object) -> Money | None:
    """An amount of an answer; None where it is not exactly one of a currency that is offered."""
    digits = DECIMALS.get(str(currency))
    if digits is None or not _NUMBER.fullmatch(str(value)):
        return None
    minor = Decimal(str(value)).scaleb(digits)
    return Money(int(minor), str(currency)) if minor == minor.to_integral_value() else None


def reply(payment: Mapping[str, Any]) -> Reply:
    """Of a payment object."""
    status, detail = payment.get("status"), code(payment.get("status_detail"))
    ref = code(payment.get("id"))
    if status in _PAID:
        return Reply(
            PaymentOutcome.APPROVED, ref, auth_code=code(payment.get("authorization_code")) or ref
        )
    if status == "rejected":
        if detail in _ACTION:
            return Reply(PaymentOutcome.NEEDS_ACTION, ref, reason=detail)
        hard = detail in _HARD
        outcome = PaymentOutcome.DECLINED_HARD if hard else PaymentOutcome.DECLINED_SOFT
        return Reply(outcome, ref, reason=detail)
    if status == "cancelled":
        return Reply(PaymentOutcome.DECLINED_SOFT, ref, reason="cancelled")
    if detail == "pending_challenge":
        return Reply(PaymentOutcome.NEEDS_ACTION, ref, reason=detail)
    return Reply(PaymentOutcome.UNKNOWN, ref, reason=detail or "not-understood")


def refund_reply(refund: Mapping[str, Any]) -> RefundReply:
    """Of a refund object."""
    state = {
        "approved": RefundState.DONE,
        "in_process": RefundState.PENDING,
        "rejected": RefundState.REFUSED,
    }.get(str(refund.get("status")), RefundState.UNKNOWN)
    return RefundReply(state, code(refund.get("id")), code(refund.get("reason")))


def causes(data: Mapping[str, Any]) -> list[str]:
    """The codes in a refusal."""
    found = data.get("cause")
    listed = found if isinstance(found, list) else [found]
    return [
        text
        for one in listed
        if isinstance(one, dict) and (text := code(one.get("code"))) is not None
    ]


def code(value: object) -> str | None:
    """A code or a number of theirs; None for text, which may repeat what was sent."""
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    plain = text.replace("_", "").replace("-", "")
    return text if 0 < len(text) <= 60 and plain.isascii() and plain.isalnum() else None
