"""Mercado Pago (Mexico): cards of shops that are certified for PCI DSS, over its REST interface.

A payment is two requests: the card becomes a token that is good for one payment
(`POST /v1/card_tokens`), and the token is charged (`POST /v1/payments`) under our key
(`X-Idempotency-Key`) and with our id as `external_reference`, by which it is found again. Nothing
is charged by the first: what fails there has certainly not been charged.

What Mercado Pago does not have, and what follows:

- **No mark for orders by telephone** (``moto`` is false) and no 3-D Secure over the telephone:
  Mercado Pago has to agree to it.
- **A cardholder's name and a payer's address are demanded**, and neither is keyed in: the settings
  say what is sent. Outside Mexico an identity document is demanded too, so only MXN is offered.
- **No closing**: a search that finds nothing says ``ABSENT``.
- **No pages** of its own are offered here (``links`` is false).
- `binary_mode` makes Mercado Pago decide at once, approved or rejected.
"""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from dialer.config import ConfigError, Settings
from dialer.domain.model import Money
from dialer.domain.payment import Brand, FieldUse, PaymentMode, PaymentOutcome
from dialer.payments.gateway import (
    Asked,
    Capabilities,
    Card,
    EventKind,
    Found,
    GatewayError,
    LookUp,
    Order,
    RefundReply,
    RefundState,
    Reply,
    WebhookEvent,
)
from dialer.payments.gateways import mercadopago_notice as notice
from dialer.payments.gateways import mercadopago_words as words
from dialer.payments.gateways.http import LOOPBACK, Answer, Trouble, ask, quiet
from dialer.switch import names
from dialer.tls import trusted

NAME = "mercadopago"
PRODUCTION = "https://api.mercadopago.com"
CARDS = {"credit_card", "debit_card", "prepaid_card"}
BIN_DIGITS = 8
LEAST_SECONDS = 1.0


def from_settings(settings: Settings) -> MercadoPago:
    """Set up from MERCADOPAGO_API_BASE (Mercado Pago's own by default), MERCADOPAGO_PAYER_EMAIL,
    MERCADOPAGO_CARDHOLDER and two secrets (see ``secrets_of``). Raises ConfigError."""
    base = settings.mercadopago_api_base.rstrip("/")
    local = urlsplit(base).hostname in LOOPBACK
    payer = settings.mercadopago_payer_email or ("pagos@example.com" if local else "")
    if "@" not in payer:
        raise ConfigError(
            "MERCADOPAGO_PAYER_EMAIL: an address of the company that is not that of its Mercado"
            " Pago account; Mercado Pago demands one with every payment"
        )
    token, webhook_secret = secrets_of(settings)
    if not base and not token.startswith(("APP_USR-", "TEST-")):
        raise ConfigError(
            "the gateway mercadopago has no access token: set MERCADOPAGO_ACCESS_TOKEN"
            f" (APP_USR-...), or write it to the file {names.SECRET_MERCADOPAGO_TOKEN} in"
            " DIALER_SECRETS_DIR, and the webhooks' secret likewise (MERCADOPAGO_WEBHOOK_SECRET,"
            f" {names.SECRET_MERCADOPAGO_WEBHOOK})"
        )
    return MercadoPago(
        base=base or PRODUCTION,
        token=token,
        webhook_secret=webhook_secret,
        payer=payer,
        cardholder=settings.mercadopago_cardholder,
        seconds=settings.gateway_seconds,
        telephone=settings.mercadopago_telephone,
    )


def secrets_of(settings: Settings) -> tuple[str, str]:
    """Access token and webhook secret: environment, then files, then made up (for a double)."""
    token, hook = names.SECRET_MERCADOPAGO_TOKEN, names.SECRET_MERCADOPAGO_WEBHOOK
    return (
        os.environ.get("MERCADOPAGO_ACCESS_TOKEN") or settings.secret(token),
        os.environ.get("MERCADOPAGO_WEBHOOK_SECRET") or settings.secret(hook),
    )


class MercadoPago:
    """See the module and ``dialer.payments.gateway.Gateway``."""

    name = NAME

    def __init__(
        self,
        *,
        base: str,
        token: str,
        webhook_secret: str,
        payer: str,
        cardholder: str,
        seconds: float,
        telephone: bool,
    ) -> None:
        self._telephone = telephone
        self._base = base.rstrip("/")
        self._token = token
        self._webhook_secret = webhook_secret
        self._payer = payer
        self._cardholder = cardholder
        self._seconds = seconds

    def __repr__(self) -> str:
        return f"<gateway {NAME}>"

    def capabilities(self) -> Capabilities:
        """Charges and authorisations in MXN; by telephone only where that was agreed, because
        nothing in a request says that it is such an order."""
        return Capabilities(
            modes=frozenset({PaymentMode.CHARGE, PaymentMode.AUTHORISE}),
            brands=frozenset({Brand.VISA, Brand.MASTERCARD, Brand.AMEX}),
            security_code=FieldUse.REQUIRED,
            postal_code=FieldUse.FORBIDDEN,
            currencies=frozenset(words.DECIMALS),
            moto=self._telephone,
        )

    def prepare(self, order: Order) -> str | None:
        """Nothing: the key is enough."""
        return None

    def submit(self, order: Order, provider_ref: str | None, card: Card) -> Reply:
        """A token of the card, then the payment. See the protocol."""
        if order.mode not in self.capabilities().modes:
            return _not_sent("not-offered")
        if order.amount.currency not in words.DECIMALS:
            return _not_sent("not-offered")
        until = time.monotonic() + self._seconds
        method = self._method_of(card.number.reveal_str()[:BIN_DIGITS])
        if isinstance(method, Reply):
            return method
        token = self._tokenise(card, _left(until))
        if isinstance(token, Reply):
            return token
        values = {
            "token": token,
            "installments": 1,
            "payment_method_id": method,
            "payer": {"email": self._payer},
            "external_reference": order.payment_id,
            "metadata": {"order_ref": order.order_ref},
            "description": order.description[:250],
            "capture": order.mode is PaymentMode.CHARGE,
            "binary_mode": True,
        }
        body = _with_amount(values, "transaction_amount", order.amount)
        answer = self._ask("POST", "/v1/payments", body, order.payment_id, _left(until))
        if answer.trouble is Trouble.NEVER_LEFT:
            return _not_sent("unreachable")
        if answer.doubtful or answer.status in (409, 429):
            return Reply(PaymentOutcome.UNKNOWN, reason=_why(answer))
        if not answer.ok:
            why = words.causes(answer.data)
            doubt = any(one in words.IN_DOUBT for one in why)
            reason = f"mp-{why[0]}" if why else f"http-{answer.status}"
            return Reply(PaymentOutcome.UNKNOWN, reason=reason) if doubt else _not_sent(reason)
        return self._about(order, answer.data)

    def look_up(self, order: Order, provider_ref: str | None) -> LookUp:
        """Search by our id. Raises GatewayError."""
        query = f"external_reference={order.payment_id}&sort=date_created&criteria=desc"
        answer = self._ask("GET", f"/v1/payments/search?{query}")
        results = answer.data.get("results")
        if not answer.ok or not isinstance(results, list):
            raise answer.failed("a search at Mercado Pago")
        replies = [
            self._about(order, one)
            for one in results
            if isinstance(one, dict) and one.get("external_reference") == order.payment_id
        ]
        if len(replies) != len(results):
            raise GatewayError("Mercado Pago answered for another payment", passing=False)
        for reply in replies:
            if reply.outcome is PaymentOutcome.APPROVED:
                return LookUp(Found.APPROVED, reply)
        if any(reply.outcome is PaymentOutcome.UNKNOWN for reply in replies):
            return LookUp(Found.PENDING)
        return LookUp(Found.DECLINED, replies[0]) if replies else LookUp(Found.ABSENT)

    def capture(self, order: Order, provider_ref: str, amount: Money) -> Reply:
        """Take what was authorised, or a part; again it changes nothing."""
        body = _with_amount({"capture": True}, "transaction_amount", amount)
        answer = self._ask("PUT", _payment(provider_ref), body, f"capture-{order.payment_id}")
        if answer.trouble is Trouble.NEVER_LEFT:
            return _not_sent("unreachable")
        if answer.doubtful or answer.status in (409, 429):
            return Reply(PaymentOutcome.UNKNOWN, provider_ref, reason=_why(answer))
        if not answer.ok:
            return Reply(
                PaymentOutcome.CONFIGURATION_ERROR, provider_ref, reason=f"http-{answer.status}"
            )
        if answer.data.get("status") != "approved":
            return Reply(PaymentOutcome.UNKNOWN, provider_ref, reason="not-understood")
        return words.reply(answer.data)

    def refund(self, order: Order, provider_ref: str, refund_id: str, amount: Money) -> RefundReply:
        """Give back, once for each ``refund_id``."""
        body = _with_amount({"metadata": {"refund_id": refund_id}}, "amount", amount)
        answer = self._ask("POST", f"{_payment(provider_ref)}/refunds", body, refund_id)
        return self._given_back(answer, lambda: words.refund_reply(answer.data))

    def void(self, order: Order, provider_ref: str, refund_id: str) -> RefundReply:
        """Cancel an authorisation. What is charged can only be refunded."""
        if order.mode is not PaymentMode.AUTHORISE:
            return RefundReply(RefundState.REFUSED, provider_ref, "refund-instead")
        body = json.dumps({"status": "cancelled"}).encode()
        answer = self._ask("PUT", _payment(provider_ref), body, refund_id)

        def cancelled() -> RefundReply:
            done = answer.data.get("status") == "cancelled"
            return RefundReply(RefundState.DONE if done else RefundState.UNKNOWN, provider_ref)

        return self._given_back(answer, cancelled)

    def look_up_refund(self, order: Order, provider_ref: str, refund_id: str) -> RefundReply | None:
        """Among the refunds of the payment the one that bears ``refund_id``. Raises GatewayError,
        also where there are refunds that do not say whose they are."""
        answer = self._ask("GET", _payment(provider_ref))
        refunds = answer.data.get("refunds")
        if not answer.ok or not isinstance(refunds, list):
            raise answer.failed("a look-up of a refund at Mercado Pago")
        if order.mode is PaymentMode.AUTHORISE and answer.data.get("status") == "cancelled":
            return RefundReply(RefundState.DONE, provider_ref)
        named = {notice.refund_id(one): one for one in refunds}
        if refund_id in named:
            return words.refund_reply(named[refund_id])
        if None in named:
            raise GatewayError(
                "the payment has refunds that were not made here: compare them in Mercado Pago's"
                " account",
                passing=False,
            )
        return None

    def payment_link(self, order: Order, expires: datetime, return_url: str) -> str | None:
        """None: its pages are not offered here."""
        return None

    def read_webhook(self, asked: Asked) -> WebhookEvent:
        """`x-signature: ts=...,v1=<HMAC-SHA256 of "id:...;request-id:...;ts:...;">`. A notice names
        a payment and nothing else, so the payment is fetched. Raises BadWebhook, and GatewayError
        where it cannot be fetched now."""
        told = notice.verified(self._webhook_secret, asked)
        ref, kind = str(told["data"]["id"]), told.get("type")
        event_id, at = str(told.get("id")), datetime.now(UTC)
        if kind != "payment":
            return WebhookEvent(event_id, EventKind.OTHER, at, provider_ref=ref)
        answer = self._ask("GET", _payment(ref))
        if not answer.ok:
            raise answer.failed("a payment that Mercado Pago told of")
        return notice.event(event_id, at, answer.data)

    # --- inside --------------------------------------------------------------------------

    def _about(self, order: Order, payment: dict[str, Any]) -> Reply:
        """The reply, if the payment is this order's."""
        amount = words.money(payment.get("transaction_amount"), payment.get("currency_id"))
        ours = payment.get("external_reference") == order.payment_id and amount == order.amount
        if not ours:
            return Reply(PaymentOutcome.UNKNOWN, reason="another-payment")
        return words.reply(payment)

    def _method_of(self, start: str) -> str | Reply:
        """Mercado Pago's word for the card (visa, debvisa, master), found in its own list of
        patterns, so that no digit of a card is in an address."""
        try:
            quiet()
            far = urlsplit(self._base).hostname not in LOOPBACK
            response = httpx.get(
                f"{self._base}/v1/payment_methods",
                headers={"Authorization": f"Bearer {self._token}"},
                timeout=self._seconds,
                trust_env=far,
                verify=trusted(trust_env=far),
            )
            listed = response.json() if response.status_code == httpx.codes.OK else None
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return _not_sent("unreachable")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            listed = None
        if not isinstance(listed, list):
            return _not_sent("no-payment-methods")
        for one in listed:
            if isinstance(one, dict) and _takes(one, start):
                needed = " ".join(str(word) for word in one.get("additional_info_needed") or [])
                return _not_sent("identity-needed") if "identification" in needed else one["id"]
        return Reply(PaymentOutcome.DECLINED_HARD, reason="card-not-taken")

    def _tokenise(self, card: Card, seconds: float) -> str | Reply:
        values = {
            "card_number": card.number.reveal_str(),
            "expiration_month": card.month,
            "expiration_year": card.year,
            "security_code": card.security_code.reveal_str() if card.security_code else None,
            "cardholder": {"name": self._cardholder},
        }
        answer = self._ask("POST", "/v1/card_tokens", json.dumps(values).encode(), None, seconds)
        values.clear()
        if answer.ok:
            return words.code(answer.data.get("id")) or _not_sent("no-token")
        why = words.causes(answer.data)
        if any(one in words.KEYED_WRONG for one in why):
            return Reply(PaymentOutcome.DECLINED_SOFT, reason=f"mp-{why[0]}")
        return _not_sent(f"mp-{why[0]}" if why else "no-token")

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        key: str | None = None,
        seconds: float | None = None,
    ) -> Answer:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        if key is not None:
            headers["X-Idempotency-Key"] = _as_uuid(key)
        url = f"{self._base}{path}"
        return ask(method, url, seconds=seconds or self._seconds, body=body, headers=headers)

    def _given_back(self, answer: Answer, read: Any) -> RefundReply:
        if answer.trouble is Trouble.NEVER_LEFT or answer.status == 429:
            raise answer.failed("a refund at Mercado Pago")
        if answer.doubtful or answer.status == 409:
            return RefundReply(RefundState.UNKNOWN, reason=_why(answer))
        if not answer.ok:
            why = words.causes(answer.data)
            reason = f"mp-{why[0]}" if why else f"http-{answer.status}"
            return RefundReply(RefundState.REFUSED, reason=reason)
        given: RefundReply = read()
        return given


def _takes(method: dict[str, Any], start: str) -> bool:
    """Whether a payment method of theirs is this card's."""
    if method.get("payment_type_id") not in CARDS or method.get("status") != "active":
        return False
    for setting in method.get("settings") or []:
        bins = setting.get("bin") or {}
        pattern, but_not = bins.get("pattern"), bins.get("exclusion_pattern")
        if pattern and re.match(pattern, start) and not (but_not and re.match(but_not, start)):
            return True
    return False


def _with_amount(values: dict[str, Any], name: str, amount: Money) -> bytes:
    """JSON with the amount as an exact decimal number, which no float is."""
    rest = json.dumps(values)
    return f'{{"{name}": {words.amount_text(amount)}, {rest[1:]}'.encode()


def _payment(ref: str) -> str:
    return f"/v1/payments/{quote(ref, safe='')}"


def _as_uuid(key: str) -> str:
    """Mercado Pago's keys are UUIDs; ours have 32 hex digits, or a word before them."""
    word, _, rest = key.rpartition("-")
    whole = uuid.UUID(rest)
    return str(uuid.uuid5(whole, word)) if word else str(whole)


def _left(until: float) -> float:
    return max(LEAST_SECONDS, until - time.monotonic())


def _not_sent(reason: str) -> Reply:
    """Nothing was charged and nothing will be; not the debtor's fault."""
    return Reply(PaymentOutcome.CONFIGURATION_ERROR, reason=reason)


def _why(answer: Answer) -> str:
    return answer.trouble.value if answer.trouble else f"http-{answer.status}"
