"""What is asked of the simulated bank, and what any bank checks before it decides. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from dialer.domain.payment import Brand
from dialer.simulation.bank.conduct import Conduct, Verdict
from dialer.simulation.cards import brand_of, luhn_digit


class Refusal(Exception):
    """The bank will not; ``reason`` is a code in Stripe's words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Conflict(Refusal):
    """The same key with something else."""

    def __init__(self) -> None:
        super().__init__("idempotency_conflict")


@dataclass(frozen=True, slots=True, repr=False)
class Presented:
    """A card as it was sent; never kept. ``moto``: flagged as an order by telephone."""

    number: str
    month: int
    year: int
    security_code: str | None
    moto: bool

    @property
    def sha256(self) -> str:
        """What stands for the number in the books."""
        return hashlib.sha256(self.number.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Asking:
    """A submission. ``key`` is what makes it one and the same, ``ref`` the face's own id (None: the
    bank makes one); ``mode`` a ``PaymentMode``."""

    face: str
    key: str
    order_ref: str
    minor: int
    currency: str
    mode: str
    ref: str | None = None
    details: dict[str, Any] | None = None


def after_checks(conduct: Conduct, asking: Asking, card: Presented, today: date) -> Conduct:
    """The conduct after what any bank checks first. Raises Refusal for what is asked wrongly."""
    if asking.minor < 0 or (asking.minor == 0 and asking.mode != "tokenise"):
        raise Refusal("amount_invalid")
    if not card.moto:
        raise Refusal("moto_required")
    digits = card.number
    if not digits.isdigit() or not 13 <= len(digits) <= 19:
        return replace(conduct, verdict=Verdict.DECLINE, reason="incorrect_number")
    if luhn_digit(digits[:-1]) != int(digits[-1]):
        return replace(conduct, verdict=Verdict.DECLINE, reason="incorrect_number")
    if not 1 <= card.month <= 12:
        return replace(conduct, verdict=Verdict.DECLINE, reason="invalid_expiry_month")
    if (card.year, card.month) < (today.year, today.month):
        return replace(conduct, verdict=Verdict.DECLINE, reason="expired_card")
    amex = (brand_of(digits) or other_brand(digits)) is Brand.AMEX
    code = card.security_code
    if code is not None and (len(code) != (4 if amex else 3) or not code.strip("0")):
        return replace(conduct, verdict=Verdict.DECLINE, reason="incorrect_cvc")
    return conduct


def other_brand(number: str) -> Brand | None:
    """The brand of a card that is not one of the made-up ones."""
    if number.startswith(("34", "37")):
        return Brand.AMEX
    if number.startswith("4"):
        return Brand.VISA
    if 51 <= int(number[:2] or 0) <= 55 or 2221 <= int(number[:4] or 0) <= 2720:
        return Brand.MASTERCARD
    return None
