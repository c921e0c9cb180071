"""Made-up cards whose number says how the simulated bank treats them. Pure.

A number is <six digits of the brand><two digits of behaviour><digits of its own><Luhn>. The six
digits are those of numbers that card schemes and gateways publish for tests, so that no card of a
living person is met.
"""

from __future__ import annotations

import hashlib
from datetime import date
from enum import StrEnum

from dialer.domain.payment import Brand

BINS: dict[Brand, tuple[str, int]] = {
    Brand.VISA: ("400000", 16),
    Brand.MASTERCARD: ("555555", 16),
    Brand.AMEX: ("378282", 15),
    Brand.MAESTRO: ("675964", 16),
    Brand.DISCOVER: ("601111", 16),
    Brand.JCB: ("353011", 16),
    Brand.DINERS_CLUB: ("360066", 14),
    Brand.UNIONPAY: ("620000", 16),
}
"""First six digits and length of the made-up cards of a brand."""


class Behaviour(StrEnum):
    """How the simulated bank treats a submission. *charged* below: money has moved."""

    APPROVE = "approve"  # charged
    INSUFFICIENT_FUNDS = "insufficient_funds"  # soft decline
    DO_NOT_HONOUR = "do_not_honour"  # soft decline
    SOFT_THEN_APPROVE = "soft_then_approve"  # first time insufficient funds, then charged
    STOLEN = "stolen"  # hard decline
    LOST = "lost"  # hard decline
    NEEDS_ACTION = "needs_action"  # 3-D Secure is asked for; not charged
    SLOW = "slow"  # charged, answered after 8 s
    SILENT = "silent"  # charged, answered when nobody waits any more (20 s)
    LATE = "late"  # charged only after 20 s, if the key was not closed meanwhile
    DROPPED_AFTER = "dropped_after"  # charged, then the connection is cut
    DROPPED_BEFORE = "dropped_before"  # the connection is cut; not charged
    RUBBISH = "rubbish"  # charged, answered with nonsense
    RUBBISH_UNCHARGED = "rubbish_uncharged"  # nonsense; not charged
    ERROR_500 = "error_500"  # not charged
    ERROR_500_CHARGED = "error_500_charged"  # charged
    BUSY = "busy"  # 429; not charged
    CONFIGURATION = "configuration"  # the merchant may not do this; not charged
    TWICE = "twice"  # charged, every webhook comes twice
    DISORDERED = "disordered"  # charged, webhooks come in the wrong order
    WEBHOOK_LATE = "webhook_late"  # charged, webhooks come late
    WEBHOOK_NEVER = "webhook_never"  # charged, no webhook comes


CODES: dict[str, Behaviour] = {
    "00": Behaviour.APPROVE,
    "10": Behaviour.INSUFFICIENT_FUNDS,
    "11": Behaviour.DO_NOT_HONOUR,
    "12": Behaviour.SOFT_THEN_APPROVE,
    "20": Behaviour.STOLEN,
    "21": Behaviour.LOST,
    "30": Behaviour.NEEDS_ACTION,
    "40": Behaviour.SLOW,
    "41": Behaviour.SILENT,
    "42": Behaviour.LATE,
    "50": Behaviour.DROPPED_AFTER,
    "51": Behaviour.DROPPED_BEFORE,
    "60": Behaviour.RUBBISH,
    "61": Behaviour.RUBBISH_UNCHARGED,
    "70": Behaviour.ERROR_500,
    "71": Behaviour.ERROR_500_CHARGED,
    "72": Behaviour.BUSY,
    "73": Behaviour.CONFIGURATION,
    "80": Behaviour.TWICE,
    "81": Behaviour.DISORDERED,
    "82": Behaviour.WEBHOOK_LATE,
    "83": Behaviour.WEBHOOK_NEVER,
}
"""Digits seven and eight of the number -> behaviour; any other two approve."""

_CODE_OF = {behaviour: code for code, behaviour in CODES.items()}


def card_number(brand: Brand, behaviour: str, unique: str | int) -> str:
    """A number with a right Luhn digit that is treated so; equal arguments give equal numbers.

    ``unique`` as an int is in the number itself (different ints, up to 99,999 for Diners Club and
    999,999 for the others, never give the same number); text is hashed into it. Raises ValueError
    for an unknown behaviour.
    """
    start, length = BINS[brand]
    body = start + _CODE_OF[Behaviour(behaviour)]
    room = length - len(body) - 1
    body += f"{_as_int(unique) % 10**room:0{room}d}"
    return body + str(luhn_digit(body))


def behaviour_of(number: str) -> Behaviour:
    """How the bank treats this number."""
    return CODES.get(number[6:8], Behaviour.APPROVE)


def brand_of(number: str) -> Brand | None:
    """The brand of a made-up card, by its first six digits."""
    return next((one for one, (start, _) in BINS.items() if number.startswith(start)), None)


def security_code(unique: str | int, brand: Brand = Brand.VISA) -> str:
    """A security code of the right length, never all zeros: those the bank calls wrong."""
    most = 9999 if brand is Brand.AMEX else 999
    return f"{_as_int(f'code {unique}') % most + 1:0{len(str(most))}d}"


def wrong_security_code(brand: Brand = Brand.VISA) -> str:
    """The security code that the bank calls wrong on any card."""
    return "0000" if brand is Brand.AMEX else "000"


def expiry(today: date) -> tuple[int, int]:
    """Month and four-digit year of a card that is good for some years."""
    return 12, today.year + 3


def luhn_digit(body: str) -> int:
    """The digit that makes ``body`` + it right."""
    total = 0
    for place, digit in enumerate(reversed(body)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return -total % 10


def _as_int(unique: str | int) -> int:
    if isinstance(unique, int):
        return unique
    return int.from_bytes(hashlib.sha256(unique.encode()).digest()[:8])
