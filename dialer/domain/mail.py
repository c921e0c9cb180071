"""The life of a message by e-mail, and which addresses are any."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from enum import StrEnum

MOST_ADDRESSES = 20
EXPIRES = timedelta(days=2)
"""So long it is tried; then it has failed."""
_DELAYS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))
_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
"""What the HTML standard takes for an address (4.10.5.1.5): no line's end, no second header."""


class SendingState(StrEnum):
    """``HANDED``: the text has left, and the server's answer is not known. SMTP has no way to ask
    (RFC 1047), so it is not sent again by itself: a person decides."""

    PENDING = "pending"
    SENDING = "sending"  # a worker has it, and its text has not left
    HANDED = "handed"
    SENT = "sent"
    FAILED = "failed"


def next_try(tries: int, created_at: datetime, now: datetime) -> datetime | None:
    """When to try again after so many tries; None: not any more."""
    at = now + _DELAYS[min(max(tries, 1), len(_DELAYS)) - 1]
    return at if at <= created_at + EXPIRES else None


def addresses_of(text: str) -> tuple[list[str], list[str]]:
    """Addresses of a text (apart by spaces, commas or lines), each once; and what is none."""
    good: dict[str, str] = {}
    bad: list[str] = []
    for one in re.split(r"[\s,;]+", text.strip()):
        if not one:
            continue
        if len(one) <= 254 and _ADDRESS.fullmatch(one):
            good.setdefault(one.lower(), one)
        else:
            bad.append(one)
    return list(good.values()), bad
