"""What Redsys tells by itself: online notifications, and the values they share with answers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from dialer.domain.model import Money
from dialer.domain.payment import PaymentOutcome
from dialer.payments.gateway import BadWebhook, EventKind, Reply, WebhookEvent
from dialer.payments.gateways import redsys_codes as codes
from dialer.payments.gateways import redsys_wire as wire

_MADRID = ZoneInfo("Europe/Madrid")
_BY_LINK = {wire.PAYGOLD, "15", "38"}
"""Types under which payments by a PayGold link are reported."""


def read(key: str, shop: str, form: Mapping[str, str]) -> WebhookEvent:
    """Verify a notification and understand it. Raises BadWebhook."""
    try:
        told = wire.read_signed(key, form)
    except wire.BadAnswer:
        raise BadWebhook("not signed by Redsys with this shop's key") from None
    if told.get("Ds_MerchantCode", "").lstrip("0") != shop.lstrip("0"):
        raise BadWebhook("for another shop")
    order, kind = told.get("Ds_Order", ""), told.get("Ds_TransactionType", "")
    code = number(told.get("Ds_Response"))
    event, reply = _event(kind, code), None
    if event in (EventKind.APPROVED, EventKind.DECLINED) and code is not None:
        approved = event is EventKind.APPROVED
        reply = Reply(
            codes.response_outcome(code),
            order,
            auth_code=word(told) if approved else None,
            reason=None if approved else f"{code:04d}",
        )
    return WebhookEvent(
        event_id=hashlib.sha256(form["Ds_MerchantParameters"].encode()).hexdigest(),
        kind=event,
        at=_moment(told),
        order_ref=order,
        provider_ref=order,
        refund_id=told.get("Ds_MerchantData") or None if kind == wire.REFUND else None,
        amount=money(told),
        reply=reply,
    )


def _event(kind: str, code: int | None) -> EventKind:
    if code is None:
        return EventKind.OTHER
    if kind == wire.REFUND:
        done = code == codes.REFUND_DONE
        return EventKind.REFUNDED if done else EventKind.REFUND_FAILED
    if kind not in (wire.CHARGE, wire.PREAUTHORISE) and kind not in _BY_LINK:
        return EventKind.OTHER
    outcome = codes.response_outcome(code)
    if outcome is PaymentOutcome.APPROVED:
        return EventKind.APPROVED
    # A link that was declined can still be paid with another card.
    declined = outcome in (PaymentOutcome.DECLINED_HARD, PaymentOutcome.DECLINED_SOFT)
    return EventKind.DECLINED if declined and kind not in _BY_LINK else EventKind.OTHER


def number(text: str | None) -> int | None:
    """A field of digits; None for anything else."""
    return int(text) if text is not None and text.strip().isdigit() else None


def word(told: Mapping[str, str]) -> str | None:
    """The authorisation code, where there is one."""
    return told.get("Ds_AuthorisationCode", "").strip() or None


def money(told: Mapping[str, str]) -> Money | None:
    """Amount and currency, where both can be read."""
    minor, letters = number(told.get("Ds_Amount")), number(told.get("Ds_Currency"))
    currency = wire.LETTERS.get(letters) if letters is not None else None
    return Money(minor, currency) if minor is not None and currency is not None else None


def spanish_time(moment: datetime) -> str:
    """As Redsys writes a moment: 2026-12-26-16.31.35.318, in Spain."""
    return moment.astimezone(_MADRID).strftime("%Y-%m-%d-%H.%M.%S.000")


def _moment(told: Mapping[str, str]) -> datetime:
    """`Ds_Date` and `Ds_Hour`, Spanish time; now, where they cannot be read."""
    text = f"{told.get('Ds_Date', '')} {told.get('Ds_Hour', '')}"
    try:
        return datetime.strptime(text, "%d/%m/%Y %H:%M").replace(tzinfo=_MADRID).astimezone(UTC)
    except ValueError:
        return datetime.now(UTC)
