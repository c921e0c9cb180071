"""How the numbers of a pool do: whether one is answered so much less than its fellows that it is
likely shown as unwanted on telephones.

A number wears out: with many calls from it, telephones and networks begin to mark it. What shows
from here is the share of answers, and that of rejections, beside the other numbers of the pool,
which call the same debtors at the same hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dialer.domain.intervals import Interval, wilson

FEWEST = 50
"""Calls of a number, and of its fellows together, below which nothing is said."""


class Health(StrEnum):
    """What can be said of a number. ``worn``: answered less than its fellows, beyond chance;
    ``rejected``: refused more often, beyond chance."""

    NEW = "new"
    GOOD = "good"
    WORN = "worn"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Used:
    """Calls of a number in a period: all ``calls`` that reached a telephone or could have,
    ``answered`` and ``rejected`` of them, when it was last shown."""

    number: str
    calls: int = 0
    answered: int = 0
    rejected: int = 0
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """``share`` of answers with its interval (None: no calls); ``fellows``: the share of the rest
    of the pool."""

    used: Used
    share: float | None
    interval: Interval | None
    fellows: float | None
    health: Health


def judge(pool: Sequence[Used]) -> list[Judged]:
    """Each number against the others of its pool, in the order given."""
    return [_judge(one, [other for other in pool if other is not one]) for one in pool]


def _judge(one: Used, others: Sequence[Used]) -> Judged:
    calls = sum(other.calls for other in others)
    answered = sum(other.answered for other in others)
    rejected = sum(other.rejected for other in others)
    health = Health.NEW
    if one.calls >= FEWEST:
        health = Health.GOOD
        if calls >= FEWEST:
            if _below(one.answered, one.calls, answered, calls):
                health = Health.WORN
            elif _below(rejected, calls, one.rejected, one.calls):
                health = Health.REJECTED
    return Judged(
        one,
        one.answered / one.calls if one.calls else None,
        wilson(one.answered, one.calls),
        answered / calls if calls else None,
        health,
    )


def _below(part: int, whole: int, other_part: int, other_whole: int) -> bool:
    """Whether the first share is lower beyond chance: the intervals do not meet, which asks for
    more than a difference of one in twenty, as should be where many numbers are looked at."""
    mine, theirs = wilson(part, whole), wilson(other_part, other_whole)
    return mine is not None and theirs is not None and mine.high < theirs.low
