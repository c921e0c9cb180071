"""When a field that is keyed in is complete: pure rules, asked after every key."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Verdict(StrEnum):
    """What the last key means for the field."""

    MORE = "more"
    DONE = "done"
    AGAIN = "again"  # `*`: the debtor wants to key the field anew
    LEAVE = "leave"  # `**`: the debtor wants out


Rule = Callable[[bytes | bytearray, int], Verdict]
"""(digits so far, the last key included where it was a digit; the last key as its ASCII code)."""
