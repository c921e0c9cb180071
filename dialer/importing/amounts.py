"""Amounts of money as people and spreadsheets write them, without ever guessing.

``1.234,56`` and ``1,234.56`` can be read in one way only. ``1.234`` has two readings a thousand
times apart: which one is meant is said by the user (``--decimal``) or proven by other amounts of
the same file (``1.234.567`` proves that ``.`` groups, ``12,50`` that ``,`` is decimal). What stays
open is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dialer.domain.currency import MINOR_DIGITS
from dialer.domain.model import Money
from dialer.importing.currencies import SIGNS
from dialer.importing.errors import CellError

LARGEST_MINOR = 10**14
LONGEST = 48  # characters of a cell
PROOF_SHARE = 100  # one proving amount is needed for so many open ones

_SPACES = re.compile("[\u00a0\u2007\u2009\u202f\u3000]")
_APOSTROPHES = re.compile("[\u2019\u00b4`]")
_MARK = re.compile(r"([.,' ])")
_SIGN = "|".join(re.escape(sign) for sign in sorted(SIGNS, key=len, reverse=True))
_AMOUNT = re.compile(
    rf"(?P<before>{_SIGN}|[A-Z]{{3}})? *(?P<number>[0-9.,' ]*[0-9]) *(?P<after>{_SIGN}|[A-Z]{{3}})?"
)


@dataclass(frozen=True, slots=True)
class Notation:
    """Which sign is decimal in a file.

    ``decimal`` is ``.``, ``,`` or None (unknown). ``told``: the user said so, and an amount that
    cannot be read that way is refused. ``mixed``: the file proves both.
    """

    decimal: str | None = None
    told: bool = False
    mixed: bool = False


@dataclass(frozen=True, slots=True)
class Digits:
    """An amount's text taken apart: its readings, and the currencies its sign allows.

    ``grouped``: the digits if every mark groups thousands, None if they cannot. ``split``: whole
    part and fraction if the last mark is decimal, None if it cannot be. ``mark`` is that mark.
    """

    grouped: str | None
    split: tuple[str, str] | None
    mark: str
    currencies: frozenset[str] | None

    @property
    def open(self) -> bool:
        """Two readings."""
        return self.grouped is not None and self.split is not None

    @property
    def proves(self) -> str | None:
        """The decimal sign that this amount proves its writer to use."""
        if self.open or self.mark not in (".", ","):
            return None
        if self.split is not None:
            return self.mark
        return "." if self.mark == "," else ","


class Proofs:
    """Counts, over a file, what its amounts prove."""

    def __init__(self) -> None:
        self._proven = {".": 0, ",": 0}
        self._open = 0

    @property
    def counts(self) -> tuple[int, int, int]:
        """(amounts that prove a decimal point, those that prove a decimal comma, open ones)."""
        return self._proven["."], self._proven[","], self._open

    def add(self, text: str) -> Digits | None:
        """Take one amount into account; what cannot be read counts for nothing."""
        try:
            digits = take_apart(text)
        except CellError:
            return None
        if digits.open:
            self._open += 1
        elif digits.proves is not None:
            self._proven[digits.proves] += 1
        return digits

    def notation(self) -> Notation:
        """What follows for the file; too little proof is none, since it may be a typing error."""
        point, comma = self._proven["."], self._proven[","]
        if point and comma:
            return Notation(mixed=True)
        if (point or comma) * PROOF_SHARE < self._open or not (point or comma):
            return Notation()
        return Notation("." if point else ",")


def take_apart(text: str) -> Digits:
    """The readings of an amount. Raises CellError where there is none or it is negative."""
    if len(text) > LONGEST:
        raise CellError("the amount is not a number")
    clean = _APOSTROPHES.sub("'", _SPACES.sub(" ", text)).strip().upper()
    if clean[:1] in ("-", "\u2212", "(") or clean[-1:] in ("-", "\u2212"):
        raise CellError("the amount is negative: only debts are imported")
    match = _AMOUNT.fullmatch(clean)
    if match is None:
        raise CellError("the amount is not a number")
    currencies = _currencies(match["before"], match["after"])
    parts = _MARK.split(match["number"])
    digits, marks = parts[0::2], parts[1::2]
    if not marks:
        return Digits(_plain(digits[0]), None, "", currencies)
    grouped = "".join(digits) if _groups(digits, marks) else None
    split = _split(digits, marks)
    if grouped is None and split is None:
        raise CellError("the amount's groups of digits make no sense")
    points = [mark for mark in marks if mark in ".,"]
    return Digits(grouped, split, points[-1] if points else "", currencies)


def _currencies(*signs: str | None) -> frozenset[str] | None:
    allowed: frozenset[str] | None = None
    for sign in signs:
        if sign is None:
            continue
        meant = SIGNS.get(sign) or frozenset({sign} & MINOR_DIGITS.keys())
        if not meant:
            raise CellError("the amount has letters that are no currency")
        allowed = meant if allowed is None else allowed & meant
    return allowed


def _plain(digits: str) -> str:
    # A COBOL field 0000012345 is 123.45: zeros in front are not a way to write money.
    if len(digits) > 1 and digits[0] == "0":
        raise CellError("the amount begins with zeros: is it in cents, of a fixed width?")
    return digits


def _groups(digits: list[str], marks: list[str]) -> bool:
    """Whether the marks group thousands: 1.234.567, 1 234 567, or Mexico's 1'234,567."""
    kinds = set(marks) - {"'"}
    if len(kinds) > 1 or (" " in kinds and "'" in marks) or not 1 <= len(digits[0]) <= 3:
        return False
    return digits[0][0] != "0" and all(len(group) == 3 for group in digits[1:])


def _split(digits: list[str], marks: list[str]) -> tuple[str, str] | None:
    *before, last = marks
    if last not in ".," or last in before:
        return None
    whole, fraction = digits[:-1], digits[-1]
    if before:
        return ("".join(whole), fraction) if _groups(whole, before) else None
    if len(whole[0]) > 1:
        _plain(whole[0])
    return whole[0] or "0", fraction


def parse_amount(text: str, currency: str | None, notation: Notation) -> Money:
    """The amount of a cell. ``currency``: of its row, None where only the sign can tell.

    Raises CellError with the reason where it cannot be read, can be read in two ways, is not
    positive, has more decimals than the currency, or carries the sign of another currency.
    """
    digits = take_apart(text)
    currency = _currency(digits, currency)
    whole, fraction = _read(digits, MINOR_DIGITS[currency], notation)
    return to_money(whole, fraction, currency)


def _currency(digits: Digits, currency: str | None) -> str:
    if currency is None:
        if digits.currencies is None or len(digits.currencies) != 1:
            raise CellError("no currency: the row names none")
        return next(iter(digits.currencies))
    if digits.currencies is not None and currency not in digits.currencies:
        raise CellError(f"the amount's sign is not that of {currency}")
    return currency


def _read(digits: Digits, minor_digits: int, notation: Notation) -> tuple[str, str]:
    grouped, split, decimal = digits.grouped, digits.split, notation.decimal
    if notation.told and digits.proves not in (None, decimal):
        raise CellError(f"the amount is not written with {decimal!r} as its decimal sign")
    if split is None:
        assert grouped is not None
        return grouped, ""
    if grouped is None:
        return split
    if decimal is not None:
        if digits.mark != decimal:
            return grouped, ""
        if notation.told or minor_digits >= 3:
            return split
    elif minor_digits == 0 and not notation.mixed:
        return grouped, ""  # a currency without decimals has no other reading
    raise CellError(
        f"{grouped} or {split[0]}{digits.mark}{split[1]}? The amount can be read in two ways:"
        " say which sign is decimal with --decimal"
    )


def to_money(whole: str, fraction: str, currency: str) -> Money:
    """Money of digits; decimals beyond the currency's may only be zeros. Raises CellError."""
    places = MINOR_DIGITS[currency]
    kept, beyond = fraction[:places].ljust(places, "0"), fraction[places:]
    if beyond.strip("0"):
        raise CellError(f"the amount has {len(fraction)} decimals; {currency} has {places}")
    if len(whole) > 18:
        raise CellError("the amount is too large to be true")
    minor = int(whole + kept)
    if minor <= 0:
        raise CellError("the amount is zero: nothing is owed")
    if minor > LARGEST_MINOR:
        raise CellError("the amount is too large to be true")
    return Money(minor, currency)


def money_of_number(value: int | float, currency: str) -> Money:
    """Money of a spreadsheet's number cell, which has 15 significant digits. Raises CellError."""
    if isinstance(value, bool) or value != value or abs(value) > 1e15:
        raise CellError("the amount is not a number")
    if value < 0:
        raise CellError("the amount is negative: only debts are imported")
    text = format(value, ".15g") if isinstance(value, float) else str(value)
    if "e" in text:
        text = format(value, ".12f")
    whole, _, fraction = text.partition(".")
    return to_money(whole, fraction, currency)
