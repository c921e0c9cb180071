"""Stripe's words: amounts in its units, decline codes, what a failed call means. Pure.

Sources: docs.stripe.com/currencies (minor units, special cases), docs.stripe.com/declines/codes,
docs.stripe.com/error-handling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dialer.domain.currency import MINOR_DIGITS
from dialer.domain.model import Money
from dialer.domain.payment import PaymentOutcome
from dialer.payments.gateway import Reply
from dialer.payments.gateways.http import Trouble

ZERO_DECIMAL = frozenset("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split())
TWO_DECIMALS_IN_WHOLES = frozenset({"ISK", "UGX"})
"""Without a minor unit, but told in hundredths that must be whole."""
THREE_DECIMAL = frozenset("BHD JOD KWD OMR TND".split())
"""The last digit must be 0."""

HARD_CODES = frozenset(
    """card_not_supported currency_not_supported do_not_try_again expired_card fraudulent
    invalid_account lost_card merchant_blacklist new_account_information_available
    no_action_taken not_permitted pickup_card restricted_card revocation_of_all_authorizations
    revocation_of_authorization security_violation service_not_allowed stolen_card
    stop_payment_order testmode_decline transaction_not_allowed""".split()
)
"""Declines after which this card must not be tried again; every other one may work later, with
the right data, or is the issuer's secret (``generic_decline``, ``do_not_honor``)."""
NEVER_AGAIN = "do_not_try_again"
"""The ``advice_code`` of the network that makes any decline a hard one."""
NEEDS_ACTION_CODES = frozenset({"authentication_required", "authentication_not_handled"})


class AmountError(ValueError):
    """Stripe cannot take this amount."""


def to_stripe(money: Money) -> int:
    """The amount in Stripe's units. Raises AmountError; nothing is ever rounded."""
    digits, theirs = _digits(money.currency)
    if theirs >= digits:
        minor = money.minor * int(10 ** (theirs - digits))
    else:
        minor, rest = divmod(money.minor, int(10 ** (digits - theirs)))
        if rest:
            raise AmountError(f"{money.currency} has no such small unit at Stripe")
    if money.currency in THREE_DECIMAL and minor % 10:
        raise AmountError(f"{money.currency} is charged in units of 10 at Stripe")
    return minor


def from_stripe(amount: int, currency: str) -> Money:
    """Money of an amount that Stripe names. Raises AmountError."""
    code = currency.upper()
    digits, theirs = _digits(code)
    if digits >= theirs:
        return Money(amount * 10 ** (digits - theirs), code)
    minor, rest = divmod(amount, 10 ** (theirs - digits))
    if rest:
        raise AmountError(f"{code} in parts of its smallest unit")
    return Money(minor, code)


def _digits(currency: str) -> tuple[int, int]:
    """Digits of the minor unit, ours (ISO 4217) and Stripe's."""
    if currency not in MINOR_DIGITS:
        raise AmountError("unknown currency")
    if currency in ZERO_DECIMAL:
        return MINOR_DIGITS[currency], 0
    if currency in TWO_DECIMALS_IN_WHOLES:
        return MINOR_DIGITS[currency], 2
    return MINOR_DIGITS[currency], 3 if currency in THREE_DECIMAL else 2


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call to Stripe did not succeed: codes only, never a text of Stripe's."""

    status: int = 0
    kind: str = ""  # the error's type: card_error, invalid_request_error, idempotency_error, ...
    code: str | None = None
    decline_code: str | None = None
    advice_code: str | None = None
    trouble: Trouble | None = None

    @property
    def word(self) -> str:
        """One word for the books."""
        told = self.decline_code or self.code or self.trouble or self.kind
        return str(told or f"http-{self.status}")[:60]

    @property
    def declined(self) -> bool:
        """The card was refused (HTTP 402)."""
        return self.status == 402

    @property
    def passing(self) -> bool:
        """Asking again later may help."""
        return self.trouble is not None or self.status in (409, 429) or self.status >= 500

    @property
    def refused(self) -> bool:
        """It was certainly not done, and the reason is neither the card nor the network."""
        return not self.declined and not self.passing and 400 <= self.status < 500


def declined(error: Mapping[str, Any] | Failure, provider_ref: str | None) -> Reply:
    """The reply for a declined card; ``error`` may be an intent's ``last_payment_error``."""
    if isinstance(error, Failure):
        codes = (error.decline_code, error.code, error.advice_code)
    else:
        codes = (_word(error, "decline_code"), _word(error, "code"), _word(error, "advice_code"))
    decline, code, advice = codes
    reason = decline or code or "card_declined"
    if reason in NEEDS_ACTION_CODES or code in NEEDS_ACTION_CODES:
        outcome = PaymentOutcome.NEEDS_ACTION
    elif reason in HARD_CODES or code in HARD_CODES or advice == NEVER_AGAIN:
        outcome = PaymentOutcome.DECLINED_HARD
    else:
        outcome = PaymentOutcome.DECLINED_SOFT
    return Reply(outcome, provider_ref=provider_ref, reason=reason[:60])


def auth_code(intent: Mapping[str, Any]) -> str | None:
    """What the debtor is told: the issuer's code, else the number of Stripe's receipt, else the end
    of the intent's name (which the dashboard finds)."""
    charge = intent.get("latest_charge")
    if isinstance(charge, Mapping):
        card = (charge.get("payment_method_details") or {}).get("card") or {}
        told = charge.get("authorization_code") or card.get("authorization_code")
        told = told or charge.get("receipt_number")
        if told:
            return str(told)[:40]
    ref = intent.get("id")
    return str(ref)[-6:].upper() if ref else None


def _word(data: Mapping[str, Any], name: str) -> str | None:
    value = data.get(name)
    return value if isinstance(value, str) and value else None
