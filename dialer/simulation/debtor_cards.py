"""Which card a simulated debtor keys in: it follows from the number of its telephone.

The carrier's dialplan works the same out by itself (context ``card`` of its extensions); a test
holds the two against each other. Pure.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date

from dialer.domain.payment import Brand
from dialer.simulation.cards import BINS, CODES, Behaviour, expiry, luhn_digit

_CODE_OF = {behaviour: code for code, behaviour in CODES.items()}
PADDING = "1234567890"


@dataclass(frozen=True, slots=True)
class CardKind:
    """``serial`` tells the first card of a debtor from the second; ``luhn`` is added to the last
    digit (0: right)."""

    brand: Brand = Brand.VISA
    behaviour: Behaviour = Behaviour.APPROVE
    serial: int = 1
    luhn: int = 0

    @property
    def start(self) -> str:
        """The first eight digits."""
        return BINS[self.brand][0] + _CODE_OF[self.behaviour]

    @property
    def room(self) -> int:
        """How many digits are the debtor's own."""
        return BINS[self.brand][1] - len(self.start) - 1

    @property
    def code_length(self) -> int:
        """Digits of the security code."""
        return 4 if self.brand is Brand.AMEX else 3


@dataclass(frozen=True, slots=True)
class KeyedCard:
    """What is keyed in. ``expiry`` MMYY."""

    number: str
    expiry: str
    code: str


def card_of(phone: str, kind: CardKind, today: date) -> KeyedCard:
    """The card of the debtor who answers at ``phone``."""
    own = phone[-9:]
    body = kind.start + _digits(f"{own}-{kind.serial}")[: kind.room]
    code = _digits(f"{own}-{kind.serial}-code")[: kind.code_length]
    if int(code) == 0:
        code = "1" + code[1:]
    return KeyedCard(body + str((luhn_digit(body) + kind.luhn) % 10), expiry_keys(today), code)


def expiry_keys(today: date) -> str:
    """The expiry date as it is keyed: MMYY."""
    month, year = expiry(today)
    return f"{month:02d}{year % 100:02d}"


def _digits(text: str) -> str:
    found = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return "".join(one for one in found if one.isdigit()) + PADDING
