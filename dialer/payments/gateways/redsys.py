"""Redsys, the acquirer of most Spanish banks: payments by telephone over its REST interface.

Operations (`DS_MERCHANT_TRANSACTIONTYPE`): 0 charge, 1 preauthorisation, 2 confirmation, 3 refund,
9 cancellation of a preauthorisation, 45 cancellation of a payment, F PayGold link. Everything is
named by the order's number (``Order.order_ref``), which is the reference here too.

What Redsys does not have, and what follows:

- **No idempotency key.** A repeated order is refused (SIS0051, 0913): the number of the order is
  the key, and such an answer means that an earlier request arrived, so it is ``UNKNOWN``.
- **Looking up** is the SOAP query `consultaOperaciones`, which a shop may have to have switched on
  (XML0041 otherwise, a GatewayError). The signature of its answer is not verified, since no
  document at hand says over what it is made: the answer is taken from Redsys's TLS address only,
  and has to name our order and amount. Operations are kept a year.
- **No closing.** An order that Redsys has never heard of may still arrive: ``ABSENT``.
- **Refunds carry no name of ours.** Two refunds of one order cannot be told apart, so only one is
  made of an order, and partial refunds are not offered. A refund of more than is left is refused
  (SIS0057), so that repeating it gives nothing back twice.
- **Tokens** are not offered: they need an operation that the cardholder confirms.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

import httpx

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
from dialer.payments.gateways import redsys_codes as codes
from dialer.payments.gateways import redsys_notice as notice
from dialer.payments.gateways import redsys_wire as wire
from dialer.payments.gateways.http import LOOPBACK, Trouble, ask_json, quiet
from dialer.switch import names
from dialer.tls import trusted

NAME = "redsys"
PAYGOLD_DONE = "9998"
"""`Ds_Response` of a link that was made and not paid yet."""

_TYPES = {PaymentMode.CHARGE: wire.CHARGE, PaymentMode.AUTHORISE: wire.PREAUTHORISE}
_LANGUAGES = {"es": "1", "en": "2", "ca": "3", "fr": "4", "de": "5", "it": "7", "pt": "9"}


class _NeverLeft(Exception):
    """The request certainly did not reach Redsys."""


class _NoAnswer(Exception):
    """It may have; the message is a code."""


def from_settings(settings: Settings) -> Redsys:
    """Set up from REDSYS_API_BASE (Redsys's own address by default), REDSYS_MERCHANT_CODE (the
    FUC), REDSYS_TERMINAL and REDSYS_SECRET_KEY. Raises ConfigError naming what is wrong."""
    shop, terminal = wire.shop_of(settings), settings.redsys_terminal
    if not (shop.isdigit() and len(shop) <= 9):
        raise ConfigError(
            "REDSYS_MERCHANT_CODE: the number of the shop (FUC) that the bank gave, at most"
            " nine digits"
        )
    if not (terminal.isdigit() and 1 <= int(terminal) <= 999):
        raise ConfigError("REDSYS_TERMINAL: the number of the terminal, 1 to 999")
    return Redsys(
        base=settings.redsys_api_base or wire.PRODUCTION,
        shop=shop,
        terminal=terminal,
        key=wire.shop_key(settings),
        seconds=settings.gateway_seconds,
        notify=f"{settings.web_url}{names.HOOK_GATEWAY}{NAME}" if settings.public_url else None,
    )


class Redsys:
    """See the module. ``notify``: where Redsys reports the result, None: as set in its portal."""

    def __init__(
        self, *, base: str, shop: str, terminal: str, key: str, seconds: float, notify: str | None
    ) -> None:
        self._base = base.rstrip("/")
        self._shop = shop
        self._terminal = terminal
        self._key = key
        self._seconds = seconds
        self._notify = notify

    def __repr__(self) -> str:
        return f"<gateway {NAME}>"

    @property
    def name(self) -> str:
        """``redsys``."""
        return NAME

    def capabilities(self) -> Capabilities:
        """What Redsys can do. Which brands and which currency a terminal takes is agreed with the
        bank; others are refused as declines or configuration errors."""
        return Capabilities(
            modes=frozenset(_TYPES),
            brands=frozenset(
                {Brand.VISA, Brand.MASTERCARD, Brand.MAESTRO, Brand.AMEX, Brand.JCB}
                | {Brand.DINERS_CLUB}
            ),
            security_code=FieldUse.OPTIONAL,
            postal_code=FieldUse.FORBIDDEN,
            currencies=frozenset(wire.NUMBERS),
            partial_refunds=False,
            links=True,
        )

    def prepare(self, order: Order) -> str | None:
        """Redsys has no such step; the order's number is the reference from the start."""
        return order.order_ref

    def submit(self, order: Order, provider_ref: str | None, card: Card) -> Reply:
        """Charge or preauthorise as an order by telephone. See the protocol."""
        kind = _TYPES.get(order.mode)
        if kind is None or order.amount.currency not in wire.NUMBERS:
            return Reply(PaymentOutcome.CONFIGURATION_ERROR, reason="not-offered")
        fields = {
            "DS_MERCHANT_DIRECTPAYMENT": "moto",
            "DS_MERCHANT_PAN": card.number.reveal_str(),
            "DS_MERCHANT_EXPIRYDATE": f"{card.year % 100:02d}{card.month:02d}",
            "DS_MERCHANT_PRODUCTDESCRIPTION": order.description[:125],
        }
        if card.security_code:
            fields["DS_MERCHANT_CVV2"] = card.security_code.reveal_str()
        try:
            return self._paid(order, self._rest(order, kind, order.amount, fields))
        except _NeverLeft:
            return Reply(PaymentOutcome.CONFIGURATION_ERROR, reason="unreachable")
        except _NoAnswer as lost:
            return Reply(PaymentOutcome.UNKNOWN, order.order_ref, reason=str(lost))
        finally:
            fields.clear()

    def look_up(self, order: Order, provider_ref: str | None) -> LookUp:
        """Ask for the operation by the order's number. See the module for what it is worth."""
        operations = self._operations(order, _TYPES.get(order.mode, wire.CHARGE))
        if not operations:
            return LookUp(Found.ABSENT)
        for one in operations:
            if one.minor != order.amount.minor or one.currency != order.amount.currency:
                raise GatewayError("Redsys has another amount under this order", passing=False)
        finished = [
            one for one in operations if one.state == wire.FINISHED and one.response is not None
        ]
        replies = [self._reply(order, one.response or 0, one.auth_code) for one in finished]
        for reply in replies:
            if reply.outcome is PaymentOutcome.APPROVED:
                return LookUp(Found.APPROVED, reply)
        settled = [one for one in replies if one.outcome is not PaymentOutcome.UNKNOWN]
        if len(settled) < len(operations):
            return LookUp(Found.PENDING)
        return LookUp(Found.DECLINED, settled[-1])

    def capture(self, order: Order, provider_ref: str, amount: Money) -> Reply:
        """Confirm a preauthorisation, within seven days of it."""
        try:
            answer = self._rest(order, wire.CONFIRM, amount, {})
        except _NeverLeft:
            return Reply(PaymentOutcome.CONFIGURATION_ERROR, reason="unreachable")
        except _NoAnswer as lost:
            return Reply(PaymentOutcome.UNKNOWN, order.order_ref, reason=str(lost))
        if answer.get("errorCode") == "SIS0060":  # confirmed before
            return Reply(PaymentOutcome.APPROVED, order.order_ref, reason="SIS0060")
        code = notice.number(answer.get("Ds_Response"))
        if code == codes.REFUND_DONE or code in codes.APPROVED:
            return Reply(PaymentOutcome.APPROVED, order.order_ref, notice.word(answer))
        return self._paid(order, answer)

    def refund(self, order: Order, provider_ref: str, refund_id: str, amount: Money) -> RefundReply:
        """Give the whole back. Of a part it makes sure first that none was given back before."""
        if amount != order.amount:
            earlier = self.look_up_refund(order, provider_ref, refund_id)
            if earlier is not None and earlier.state is not RefundState.REFUSED:
                return earlier
        return self._reverse(order, wire.REFUND, amount, refund_id, codes.REFUND_DONE)

    def void(self, order: Order, provider_ref: str, refund_id: str) -> RefundReply:
        """Cancel a preauthorisation, or a charge of today."""
        kind = wire.CANCEL if order.mode is PaymentMode.AUTHORISE else wire.CANCEL_CHARGE
        return self._reverse(order, kind, order.amount, refund_id, codes.CANCEL_DONE)

    def look_up_refund(self, order: Order, provider_ref: str, refund_id: str) -> RefundReply | None:
        """The refund or the cancellation of this order; Redsys knows them by nothing else."""
        cancel = wire.CANCEL if order.mode is PaymentMode.AUTHORISE else wire.CANCEL_CHARGE
        refused = None
        for kind, done in ((wire.REFUND, codes.REFUND_DONE), (cancel, codes.CANCEL_DONE)):
            for one in self._operations(order, kind):
                if one.state != wire.FINISHED or one.response is None:
                    return RefundReply(RefundState.PENDING, order.order_ref)
                if one.response == done:
                    return RefundReply(RefundState.DONE, order.order_ref)
                refused = RefundReply(RefundState.REFUSED, order.order_ref, f"{one.response:04d}")
        return refused

    def payment_link(self, order: Order, expires: datetime, return_url: str) -> str | None:
        """A PayGold link. The link is ours to send: Redsys is given neither number nor address of
        the debtor."""
        if order.amount.currency not in wire.NUMBERS:
            raise GatewayError(f"Redsys takes no {order.amount.currency}", passing=False)
        fields = {
            "DS_MERCHANT_PRODUCTDESCRIPTION": order.description[:125],
            "DS_MERCHANT_P2F_EXPIRYDATE": notice.spanish_time(expires),
            "DS_MERCHANT_CONSUMERLANGUAGE": _LANGUAGES.get(order.language[:2], "0"),
            "DS_MERCHANT_URLOK": return_url,
            "DS_MERCHANT_URLKO": return_url,
        }
        answer: Mapping[str, str] | None = None
        try:
            answer = self._rest(order, wire.PAYGOLD, order.amount, fields)
        except (_NeverLeft, _NoAnswer):
            pass
        if answer is None:
            raise GatewayError("Redsys did not answer the request for a link", passing=True)
        link = answer.get("Ds_UrlPago2Fases")
        if answer.get("Ds_Response") != PAYGOLD_DONE or not link:
            code = answer.get("errorCode") or answer.get("Ds_Response") or "no code"
            raise GatewayError(f"Redsys made no link ({code})", passing=False)
        return link

    def read_webhook(self, asked: Asked) -> WebhookEvent:
        """An online notification: the same three signed fields, as a form."""
        return notice.read(self._key, self._shop, asked.form)

    # --- inside --------------------------------------------------------------------------

    def _rest(
        self, order: Order, kind: str, amount: Money, fields: Mapping[str, str]
    ) -> dict[str, str]:
        """The signed answer's parameters, or ``errorCode`` alone. Raises _NeverLeft, _NoAnswer."""
        parameters = {
            "DS_MERCHANT_MERCHANTCODE": self._shop,
            "DS_MERCHANT_TERMINAL": self._terminal,
            "DS_MERCHANT_TRANSACTIONTYPE": kind,
            "DS_MERCHANT_ORDER": order.order_ref,
            "DS_MERCHANT_AMOUNT": str(amount.minor),
            "DS_MERCHANT_CURRENCY": str(wire.NUMBERS[amount.currency]),
            **({"DS_MERCHANT_MERCHANTURL": self._notify} if self._notify else {}),
            **fields,
        }
        body = wire.envelope(self._key, order.order_ref, parameters)
        answer = ask_json(
            "POST", f"{self._base}{wire.REST_PATH}", seconds=self._seconds, values=body
        )
        if answer.trouble is Trouble.NEVER_LEFT:
            raise _NeverLeft
        if not answer.ok:
            raise _NoAnswer(answer.trouble.value if answer.trouble else f"http-{answer.status}")
        if "Ds_MerchantParameters" not in answer.data:
            error = answer.data.get("errorCode")
            if not isinstance(error, str) or not error.isalnum():
                raise _NoAnswer(Trouble.NOT_UNDERSTOOD)
            return {"errorCode": error}
        try:
            told = wire.read_signed(self._key, answer.data)
        except wire.BadAnswer:
            raise _NoAnswer("bad-signature") from None
        if told.get("Ds_Order") != order.order_ref or notice.money(told) not in (amount, None):
            raise _NoAnswer("another-order")
        return told

    def _paid(self, order: Order, answer: Mapping[str, str]) -> Reply:
        error = answer.get("errorCode")
        if error is not None:
            outcome = codes.error_outcome(error)
            return Reply(outcome, order.order_ref, reason=error)
        code = notice.number(answer.get("Ds_Response"))
        if code is None:  # what an issuer asks of its customer comes in place of a code
            asked = "Ds_EMV3DS" in answer
            outcome = PaymentOutcome.NEEDS_ACTION if asked else PaymentOutcome.UNKNOWN
            return Reply(outcome, order.order_ref, reason="no-code")
        return self._reply(order, code, notice.word(answer))

    def _reply(self, order: Order, code: int, word: str | None) -> Reply:
        outcome = codes.response_outcome(code)
        approved = outcome is PaymentOutcome.APPROVED
        return Reply(
            outcome,
            order.order_ref,
            auth_code=word if approved else None,
            reason=None if approved else f"{code:04d}",
        )

    def _reverse(
        self, order: Order, kind: str, amount: Money, refund_id: str, done: int
    ) -> RefundReply:
        ref = order.order_ref
        answer: Mapping[str, str] | None = None
        try:
            answer = self._rest(order, kind, amount, {"DS_MERCHANT_MERCHANTDATA": refund_id})
        except _NeverLeft:
            pass
        except _NoAnswer as lost:
            return RefundReply(RefundState.UNKNOWN, ref, str(lost))
        if answer is None:
            raise GatewayError("Redsys cannot be reached", passing=True)
        error = answer.get("errorCode")
        if error is not None:
            # More than is left, or cancelled before: perhaps by an earlier try of this one.
            before = error in ("SIS0057", "SIS0222") or (
                codes.error_outcome(error) is PaymentOutcome.UNKNOWN
            )
            state = RefundState.UNKNOWN if before else RefundState.REFUSED
            return RefundReply(state, ref, error)
        code = notice.number(answer.get("Ds_Response"))
        if code == done:
            return RefundReply(RefundState.DONE, ref)
        if code is None or codes.response_outcome(code) is PaymentOutcome.UNKNOWN:
            return RefundReply(RefundState.UNKNOWN, ref, answer.get("Ds_Response"))
        return RefundReply(RefundState.REFUSED, ref, f"{code:04d}")

    def _query(
        self, body: bytes, headers: Mapping[str, str]
    ) -> tuple[str | None, list[wire.Operation]] | None:
        """The query's error or operations; None: no answer that can be understood."""
        local = urlsplit(self._base).hostname in LOOPBACK
        url = f"{self._base}{wire.QUERY_PATH}"
        try:
            with httpx.Client(
                timeout=self._seconds, trust_env=not local, verify=trusted(trust_env=not local)
            ) as client:
                answer = client.post(url, content=body, headers=dict(headers))
            return wire.read_query(answer.content) if answer.is_success else None
        except (httpx.HTTPError, httpx.InvalidURL, wire.BadAnswer):
            return None

    def _operations(self, order: Order, kind: str) -> list[wire.Operation]:
        """Raises GatewayError."""
        quiet()
        body = wire.query(self._key, self._shop, self._terminal, order.order_ref, kind)
        headers = {
            "Content-Type": "text/xml;charset=utf-8",
            "SOAPAction": wire.QUERY_ACTION,
        }
        read = self._query(body, headers)
        if read is None:
            raise GatewayError("Redsys's query did not answer", passing=True)
        error, operations = read
        if error == wire.ABSENT:
            return []
        if error is not None or not operations:
            code = error if error and error.isalnum() else "no code"
            raise GatewayError(f"Redsys's query refused to answer ({code})", passing=False)
        if any(one.order != order.order_ref or one.kind != kind for one in operations):
            raise GatewayError("Redsys's query answered for another order", passing=False)
        return operations
