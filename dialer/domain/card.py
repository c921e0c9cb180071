"""The rules of card numbers, expiry dates and security codes.

Everything takes the digits as ASCII codes in a ``bytearray`` and never makes a ``str`` or ``int``
of a whole number, because neither can be wiped; slices are of at most six digits, what PCI DSS
4.0.1 (3.4.1) lets be shown. What is wrong comes back as a ``PayError``, never with a digit in it.

Sources: ISO/IEC 7812-1:2017 (13 to 19 digits here, the first ones name the issuer, the last is the
check digit of annex B, "Luhn"); the ranges of brands are those the schemes publish, as in
Mastercard's "2-series" notice (222100-272099) and Visa's lengths of 13, 16 and 19; expiry by
ISO/IEC 7813 (good to the last day of the month).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Final

from dialer.domain.payment import Brand, FieldUse, PayError

Digits = bytes | bytearray

SHORTEST: Final = 13
LONGEST: Final = 19
EXPIRY_YEARS: Final = 20
"""An expiry further ahead than this is a slip of the finger."""
POSTAL_SHORTEST: Final = 3
POSTAL_LONGEST: Final = 10

# (first digits from, to, brand); equally long, both included; no two overlap.
_RANGES: tuple[tuple[bytes, bytes, Brand], ...] = (
    (b"4", b"4", Brand.VISA),
    (b"51", b"55", Brand.MASTERCARD),
    (b"2221", b"2720", Brand.MASTERCARD),
    (b"34", b"34", Brand.AMEX),
    (b"37", b"37", Brand.AMEX),
    (b"300", b"305", Brand.DINERS_CLUB),
    (b"36", b"36", Brand.DINERS_CLUB),
    (b"38", b"39", Brand.DINERS_CLUB),
    (b"3528", b"3589", Brand.JCB),
    (b"6011", b"6011", Brand.DISCOVER),
    (b"644", b"649", Brand.DISCOVER),
    (b"65", b"65", Brand.DISCOVER),
    (b"62", b"62", Brand.UNIONPAY),
    (b"81", b"81", Brand.UNIONPAY),
    (b"50", b"50", Brand.MAESTRO),
    (b"56", b"58", Brand.MAESTRO),
    (b"6304", b"6304", Brand.MAESTRO),
    (b"6390", b"6390", Brand.MAESTRO),
    (b"67", b"67", Brand.MAESTRO),
)

_LENGTHS: dict[Brand, frozenset[int]] = {
    Brand.VISA: frozenset({13, 16, 19}),
    Brand.MASTERCARD: frozenset({16}),
    Brand.AMEX: frozenset({15}),
    Brand.MAESTRO: frozenset(range(13, 20)),
    Brand.DISCOVER: frozenset(range(16, 20)),
    Brand.JCB: frozenset(range(16, 20)),
    Brand.DINERS_CLUB: frozenset(range(14, 20)),
    Brand.UNIONPAY: frozenset(range(16, 20)),
}


@dataclass(frozen=True, slots=True)
class Expiry:
    """The month a card is good to the last day of; ``year`` has four digits."""

    month: int
    year: int

    def __repr__(self) -> str:
        # Masked like the number: with the last four it would tell more than anybody needs.
        return "Expiry(<hidden>)"


# --- the number ------------------------------------------------------------------------------


def brand_of(digits: Digits) -> Brand | None:
    """The brand that the first digits tell; None while there are too few, or for no known one."""
    for first, last, brand in _RANGES:
        if len(digits) >= len(first) and first <= digits[: len(first)] <= last:
            return brand
    return None


def lengths_of(brand: Brand | None) -> frozenset[int]:
    """How many digits a number of that brand may have."""
    return frozenset(range(SHORTEST, LONGEST + 1)) if brand is None else _LENGTHS[brand]


def luhn(digits: Digits) -> bool:
    """Whether the check digit fits (ISO/IEC 7812-1, annex B). An empty number has none."""
    total = 0
    for place, code in enumerate(reversed(digits)):
        value = code - 48
        if place % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return bool(digits) and total % 10 == 0


def number_complete(digits: Digits) -> bool:
    """Whether the entry ends by itself here, without `#`.

    34 and 37: at 15; 36: at 14; Mastercard: at 16. Visa: at 16 where the check digit fits; where
    it does not, the number may be one of 19, and a slip is found out at `#` or the time-out. All
    others may have several lengths: only the longest ends by itself.
    """
    length = len(digits)
    if length >= LONGEST:
        return True
    match brand_of(digits):
        case Brand.AMEX:
            return length >= 15
        case Brand.MASTERCARD:
            return length >= 16
        case Brand.VISA:
            return length == 16 and luhn(digits)
        case Brand.DINERS_CLUB if digits[:2] == b"36":
            return length >= 14
    return False


def number_problem(digits: Digits, accepted: Collection[Brand]) -> PayError | None:
    """What is wrong with a whole number: length and check digit first, then the brand.

    ``accepted``: the brands that may be used; a number of none we know is of none of them.
    """
    brand = brand_of(digits)
    if len(digits) not in lengths_of(brand) or not luhn(digits):
        return PayError.INVALID_CARD_NUMBER
    return None if brand in accepted else PayError.INVALID_CARD_TYPE


def last_four(digits: Digits) -> str:
    """The last four digits: what may be said, stored and shown. Empty for anything shorter than a
    card number, of which four digits would be too much."""
    return bytes(digits[-4:]).decode("ascii") if len(digits) >= SHORTEST else ""


# --- the expiry ------------------------------------------------------------------------------


def expiry_of(digits: Digits, today: date) -> Expiry | PayError:
    """MMYY, or MYY for the first nine months (914 is September 14).

    ``today``: the debtor's own calendar day; a card that expires this month is good until its
    last day. INVALID_DATE for anything else than three or four digits, a month that is none, a
    month in the past, and one more than ``EXPIRY_YEARS`` years ahead.
    """
    if len(digits) not in (3, 4) or any(not 48 <= code <= 57 for code in digits):
        return PayError.INVALID_DATE
    month = _small(digits[:-2])
    year = _year(_small(digits[-2:]), today)
    now = (today.year, today.month)
    if not 1 <= month <= 12 or not now <= (year, month) <= (now[0] + EXPIRY_YEARS, now[1]):
        return PayError.INVALID_DATE
    return Expiry(month, year)


def _small(digits: Digits) -> int:
    value = 0
    for code in digits:
        value = value * 10 + code - 48
    return value


def _year(two: int, today: date) -> int:
    """The year of two digits that lies nearest: 05 said in 2098 is 2105."""
    year = today.year - today.year % 100 + two
    if year < today.year - 50:
        return year + 100
    return year - 100 if year > today.year + 50 else year


# --- the security code and the postal code ---------------------------------------------------


def security_code_length(brand: Brand | None) -> int:
    """Four on the front of an American Express card, three on the back of any other."""
    return 4 if brand is Brand.AMEX else 3


def security_code_problem(digits: Digits, brand: Brand | None, use: FieldUse) -> PayError | None:
    """What is wrong with a security code; where it is optional, none at all is right."""
    if not digits and use is FieldUse.OPTIONAL:
        return None
    right = len(digits) == security_code_length(brand)
    return None if right else PayError.INVALID_SECURITY_CODE


def postal_code_problem(digits: Digits, use: FieldUse) -> PayError | None:
    """What is wrong with a postal code as far as a keypad can tell: its digits alone."""
    if not digits and use is FieldUse.OPTIONAL:
        return None
    right = POSTAL_SHORTEST <= len(digits) <= POSTAL_LONGEST
    return None if right else PayError.INVALID_POSTAL_CODE
