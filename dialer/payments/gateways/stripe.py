"""Stripe, by its official library, for orders by telephone (MOTO).

A payment intent is made without a card first, so that its name is in our books before the card
leaves (``prepare``). The card goes to Stripe alone, as a payment method; a lost answer there is
harmless. What charges is the confirmation, which names that method and holds no card. An intent
that did not charge is canceled when it is looked up: then it can charge no more.

Stripe has to allow an account both MOTO and card numbers from a server (docs.stripe.com/payments/
payment-intents/moto); until it does, every payment ends as a configuration error.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

import stripe
from stripe import _util as stripe_util

from dialer.config import ConfigError, Settings
from dialer.domain.model import Money
from dialer.domain.payment import Brand, FieldUse, PaymentMode, PaymentOutcome
from dialer.payments.gateway import (
    Asked,
    Capabilities,
    Card,
    Found,
    GatewayError,
    LookUp,
    Order,
    RefundReply,
    RefundState,
    Reply,
    WebhookEvent,
)
from dialer.payments.gateways.http import Trouble, exchange, quiet
from dialer.payments.gateways.stripe_events import read_event
from dialer.payments.gateways.stripe_words import (
    AmountError,
    Failure,
    auth_code,
    declined,
    to_stripe,
)
from dialer.switch import names

_CHARGED = ("succeeded", "requires_capture")
_BRANDS = (
    Brand.VISA, Brand.MASTERCARD, Brand.AMEX, Brand.DISCOVER, Brand.JCB, Brand.DINERS_CLUB,
    Brand.UNIONPAY, Brand.MAESTRO,
)  # fmt: skip
_REFUND_STATES = {
    "succeeded": RefundState.DONE,
    "pending": RefundState.PENDING,
    "requires_action": RefundState.PENDING,
    "failed": RefundState.REFUSED,
    "canceled": RefundState.REFUSED,
}


class StripeGateway:
    """See ``dialer.payments.gateway.Gateway``."""

    name = "stripe"

    def __init__(self, api_key: str, webhook_secret: str, base: str, seconds: float) -> None:
        """``base``: address in place of Stripe's, or empty. ``seconds``: the longest that one
        method here waits."""
        _silence()
        self._key = api_key
        self._webhook_secret = webhook_secret
        self._base = base
        self._seconds = seconds

    def __repr__(self) -> str:
        return f"<gateway {self.name}>"

    def capabilities(self) -> Capabilities:
        """Charges and authorisations; an authorisation can be voided, a charge only refunded."""
        return Capabilities(
            modes=frozenset({PaymentMode.CHARGE, PaymentMode.AUTHORISE}),
            brands=frozenset(_BRANDS),
            security_code=FieldUse.OPTIONAL,
            postal_code=FieldUse.OPTIONAL,
        )

    def prepare(self, order: Order) -> str | None:
        """Make the intent, once for each payment. Raises GatewayError."""
        if order.mode is PaymentMode.TOKENISE:
            raise GatewayError("Stripe is not used to keep cards here", passing=False)
        try:
            amount = to_stripe(order.amount)
        except AmountError as error:
            raise GatewayError(f"an amount for Stripe: {error}", passing=False) from None
        manual = order.mode is PaymentMode.AUTHORISE
        params: dict[str, Any] = {
            "amount": amount,
            "currency": order.amount.currency.lower(),
            "payment_method_types": ["card"],
            "capture_method": "manual" if manual else "automatic",
            "description": order.description,
            "metadata": {"payment_id": order.payment_id, "order_ref": order.order_ref},
        }
        made = self._call(
            lambda api: api.v1.payment_intents.create(
                cast("Any", params), {"idempotency_key": f"{order.payment_id}-prepare"}
            ),
            again=1,
        )
        if isinstance(made, Failure):
            raise _error("a payment intent", made)
        return str(made["id"])

    def submit(self, order: Order, provider_ref: str | None, card: Card) -> Reply:
        """Hand over the card, then confirm."""
        if provider_ref is None:
            return Reply(PaymentOutcome.CONFIGURATION_ERROR, reason="not-prepared")
        deadline = time.monotonic() + self._seconds
        method = self._hand_over(order, card)
        if isinstance(method, Failure):
            # Nothing was asked to charge: whatever went wrong, no money has moved.
            if method.declined:
                return declined(method, provider_ref)
            reason = "unreachable" if method.trouble is Trouble.NEVER_LEFT else method.word
            return Reply(PaymentOutcome.CONFIGURATION_ERROR, provider_ref, reason=reason)
        left = deadline - time.monotonic()
        if left < 0.2:
            return Reply(PaymentOutcome.CONFIGURATION_ERROR, provider_ref, reason="no-answer")
        params: dict[str, Any] = {
            "payment_method": str(method["id"]),
            "payment_method_options": {"card": {"moto": True}},
            "expand": ["latest_charge"],
        }
        key = {"idempotency_key": f"{order.payment_id}-confirm"}
        confirmed = self._call(
            lambda api: api.v1.payment_intents.confirm(
                provider_ref, cast("Any", params), cast("Any", key)
            ),
            seconds=left,
        )
        if isinstance(confirmed, Failure):
            return _not_confirmed(confirmed, provider_ref)
        if confirmed.get("status") == "requires_action":
            self._cancel(provider_ref)
        return _reply(confirmed)

    def look_up(self, order: Order, provider_ref: str | None) -> LookUp:
        """What became of the intent; canceled where it did not charge. Raises GatewayError.

        Without a reference, the same key finds the intent that was made, or makes the one to be
        canceled: a card is never sent before the reference is in our books.
        """
        ref = provider_ref or self.prepare(order)
        assert ref is not None
        for _ in range(2):  # a second time where it was charged between our two questions
            intent = self._retrieve(ref)
            status = intent.get("status")
            error = intent.get("last_payment_error")
            if status in _CHARGED:
                return LookUp(Found.APPROVED, _reply(intent))
            if status == "processing":
                return LookUp(Found.PENDING)
            if status != "canceled":
                canceled = self._cancel(ref)
                if isinstance(canceled, Failure):
                    if canceled.code == "payment_intent_unexpected_state":
                        continue
                    raise _error("the end of a payment intent", canceled)
            if status == "requires_action":
                return LookUp(Found.DECLINED, _reply(intent))
            if isinstance(error, Mapping):
                return LookUp(Found.DECLINED, declined(error, ref))
            return LookUp(Found.CLOSED)
        return LookUp(Found.PENDING)

    def capture(self, order: Order, provider_ref: str, amount: Money) -> Reply:
        """Take what was authorised, or a part; the rest is released."""
        try:
            params = {"amount_to_capture": to_stripe(amount), "expand": ["latest_charge"]}
        except AmountError:
            return Reply(PaymentOutcome.CONFIGURATION_ERROR, provider_ref, reason="amount")
        key = {"idempotency_key": f"{order.payment_id}-capture"}
        done = self._call(
            lambda api: api.v1.payment_intents.capture(
                provider_ref, cast("Any", params), cast("Any", key)
            ),
            again=1,
        )
        return _not_confirmed(done, provider_ref) if isinstance(done, Failure) else _reply(done)

    def refund(self, order: Order, provider_ref: str, refund_id: str, amount: Money) -> RefundReply:
        """Give back, once for each ``refund_id``. Raises GatewayError."""
        try:
            minor = to_stripe(amount)
        except AmountError:
            return RefundReply(RefundState.REFUSED, reason="amount")
        metadata = {"refund_id": refund_id, "payment_id": order.payment_id}
        params = {"payment_intent": provider_ref, "amount": minor, "metadata": metadata}
        made = self._call(
            lambda api: api.v1.refunds.create(cast("Any", params), {"idempotency_key": refund_id}),
            again=1,
        )
        return _not_given_back(made) if isinstance(made, Failure) else _given_back(made)

    def void(self, order: Order, provider_ref: str, refund_id: str) -> RefundReply:
        """Release an authorisation; what was charged can only be refunded. Raises GatewayError."""
        intent = self._retrieve(provider_ref)
        if intent.get("status") == "succeeded":
            return RefundReply(RefundState.REFUSED, reason="already_captured")
        canceled = self._cancel(provider_ref)
        if isinstance(canceled, Failure):
            return _not_given_back(canceled)
        return RefundReply(RefundState.DONE, provider_ref=provider_ref)

    def look_up_refund(self, order: Order, provider_ref: str, refund_id: str) -> RefundReply | None:
        """What became of a refund or void. Raises GatewayError."""
        found = self._call(
            lambda api: api.v1.refunds.list(
                cast("Any", {"payment_intent": provider_ref, "limit": 100})
            ),
            again=1,
        )
        if isinstance(found, Failure):
            raise _error("a list of refunds", found)
        for one in found.get("data", []):
            if (one.get("metadata") or {}).get("refund_id") == refund_id:
                return _given_back(one)
        if self._retrieve(provider_ref).get("status") == "canceled":
            return RefundReply(RefundState.DONE, provider_ref=provider_ref)
        return None

    def payment_link(self, order: Order, expires: datetime, return_url: str) -> str | None:
        """None: links lead to the page of this installation."""
        return None

    def read_webhook(self, asked: Asked) -> WebhookEvent:
        """Verified by the library, at most five minutes old. Raises BadWebhook."""
        return read_event(asked, self._webhook_secret)

    # --- inside --------------------------------------------------------------------------

    def _hand_over(self, order: Order, card: Card) -> dict[str, Any] | Failure:
        """The card becomes a payment method, without a key: a lost one is never used."""
        details: dict[str, Any] = {
            "number": card.number.reveal_str(),
            "exp_month": card.month,
            "exp_year": card.year,
        }
        if card.security_code:
            details["cvc"] = card.security_code.reveal_str()
        params: dict[str, Any] = {"type": "card", "card": details}
        if card.postal_code:
            params["billing_details"] = {"address": {"postal_code": card.postal_code}}
        return self._call(lambda api: api.v1.payment_methods.create(cast("Any", params)))

    def _retrieve(self, ref: str) -> dict[str, Any]:
        found = self._call(
            lambda api: api.v1.payment_intents.retrieve(
                ref, cast("Any", {"expand": ["latest_charge"]})
            ),
            again=1,
        )
        if isinstance(found, Failure):
            raise _error("a look-up of a payment intent", found)
        return found

    def _cancel(self, ref: str) -> dict[str, Any] | Failure:
        return self._call(lambda api: api.v1.payment_intents.cancel(ref), again=1)

    def _call(
        self,
        what: Callable[[stripe.StripeClient], Any],
        *,
        again: int = 0,
        seconds: float | None = None,
    ) -> dict[str, Any] | Failure:
        """The answer as plain values, or why there is none. No exception of the library leaves:
        its frames may hold the card.

        ``again``: how often the library may repeat; never for what holds a card or charges, whose
        time is short and whose look-up finds out anyway.
        """
        _silence()
        wire = _Wire(seconds or self._seconds)
        try:
            client = stripe.StripeClient(
                self._key,
                base_addresses=cast("Any", {"api": self._base} if self._base else {}),
                max_network_retries=again,
                http_client=wire,
            )
            found: dict[str, Any] = what(client).to_dict()
        except stripe.APIConnectionError:
            return Failure(trouble=wire.trouble or Trouble.NO_ANSWER)
        except stripe.StripeError as error:
            return _failure(error)
        except Exception:  # noqa: BLE001
            # What the library makes of an answer that is none (no JSON, other types) is not
            # written down anywhere, and its text may hold the request. The charge may have been
            # made: that is doubt, never a failure.
            return Failure(trouble=Trouble.NOT_UNDERSTOOD)
        # Every object of Stripe's has an id, and every list says that it is one.
        whole = isinstance(found.get("id"), str) or found.get("object") == "list"
        return found if whole else Failure(trouble=Trouble.NOT_UNDERSTOOD)


class _Wire(stripe.HTTPClient):
    """Carries the library's requests by ``http.exchange``, whose errors hold no request."""

    name = "httpx"

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._patience = seconds
        self.trouble: Trouble | None = None

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        """One exchange. Raises APIConnectionError without a cause."""
        body = post_data.encode() if isinstance(post_data, str) else post_data
        got = exchange(
            method.upper(), url, seconds=self._patience, body=body, headers=headers or {}
        )
        self.trouble = got.trouble
        if got.trouble is not None:
            raise stripe.APIConnectionError(  # type: ignore[no-untyped-call]
                got.trouble.value, should_retry=True
            )
        return got.body.decode("utf-8", "replace"), got.status, got.headers

    def close(self) -> None:
        """Nothing is held open."""


def from_settings(settings: Settings) -> StripeGateway:
    """Raises ConfigError where Stripe itself is to be asked without a key of Stripe's."""
    base = settings.stripe_api_base.rstrip("/")
    key, webhook_secret = secrets_of(settings)
    if not base and not key.startswith(("sk_", "rk_")):
        raise ConfigError(
            "the gateway stripe has no key: set STRIPE_API_KEY, or write it to the file"
            f" {names.SECRET_STRIPE_KEY} in DIALER_SECRETS_DIR (a secret or restricted key, sk_..."
            " or rk_...), and the webhook's secret likewise"
            f" (STRIPE_WEBHOOK_SECRET, {names.SECRET_STRIPE_WEBHOOK})"
        )
    return StripeGateway(key, webhook_secret, base, settings.gateway_seconds)


def secrets_of(settings: Settings) -> tuple[str, str]:
    """API key and webhook secret: environment, then files, then made up (for a double)."""
    key = os.environ.get("STRIPE_API_KEY") or settings.secret(names.SECRET_STRIPE_KEY)
    hook = os.environ.get("STRIPE_WEBHOOK_SECRET") or settings.secret(names.SECRET_STRIPE_WEBHOOK)
    return key, hook


def _silence() -> None:
    """The library writes what it sends to its logger and, told by STRIPE_LOG, to standard error."""
    quiet()
    stripe.log = None
    stripe_util.STRIPE_LOG = None


def _failure(error: stripe.StripeError) -> Failure:
    """The codes of an error; its texts may repeat what was sent."""
    body = error.json_body if isinstance(error.json_body, dict) else {}
    told = body.get("error")
    told = told if isinstance(told, dict) else {}
    status = error.http_status or 0
    if not told:  # not Stripe's kind of answer
        return Failure(status=status, trouble=Trouble.NOT_UNDERSTOOD)
    words = {
        name: value if isinstance(value := told.get(name), str) else None
        for name in ("type", "code", "decline_code", "advice_code")
    }
    return Failure(
        status, words["type"] or "", words["code"], words["decline_code"], words["advice_code"]
    )


def _error(what: str, failure: Failure) -> GatewayError:
    return GatewayError(f"{what} at Stripe: {failure.word}", passing=failure.passing)


def _reply(intent: Mapping[str, Any]) -> Reply:
    """What an intent's status means."""
    ref, status = str(intent.get("id")), intent.get("status")
    if status in _CHARGED:
        return Reply(PaymentOutcome.APPROVED, ref, auth_code=auth_code(intent))
    if status == "requires_action":
        return Reply(PaymentOutcome.NEEDS_ACTION, ref, reason="requires_action")
    error = intent.get("last_payment_error")
    if status == "requires_payment_method" and isinstance(error, Mapping):
        return declined(error, ref)
    return Reply(PaymentOutcome.UNKNOWN, ref, reason=f"status-{status}"[:60])


def _not_confirmed(failure: Failure, ref: str) -> Reply:
    """What a failed confirmation (or capture) means."""
    if failure.declined:
        return declined(failure, ref)
    if failure.trouble is Trouble.NEVER_LEFT:
        return Reply(PaymentOutcome.CONFIGURATION_ERROR, ref, reason="unreachable")
    # An intent in another state, or a key used before: an earlier confirmation may have charged.
    earlier = failure.kind == "idempotency_error" or "unexpected_state" in (failure.code or "")
    if failure.refused and not earlier:
        return Reply(PaymentOutcome.CONFIGURATION_ERROR, ref, reason=failure.word)
    return Reply(PaymentOutcome.UNKNOWN, ref, reason=failure.word)


def _given_back(refund: Mapping[str, Any]) -> RefundReply:
    state = _REFUND_STATES.get(str(refund.get("status")), RefundState.UNKNOWN)
    reason = refund.get("failure_reason")
    return RefundReply(state, str(refund.get("id")), reason=str(reason)[:60] if reason else None)


def _not_given_back(failure: Failure) -> RefundReply:
    if failure.trouble is Trouble.NEVER_LEFT or failure.status == 429:
        raise _error("a refund", failure)
    if failure.refused and failure.kind != "idempotency_error":
        return RefundReply(RefundState.REFUSED, reason=failure.word)
    return RefundReply(RefundState.UNKNOWN, reason=failure.word)
