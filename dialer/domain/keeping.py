"""Whether a promise was kept."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo


class Kept(StrEnum):
    """What became of a promise to pay."""

    KEPT = "kept"
    PARTLY = "partly"  # the day is over and a part of it came
    BROKEN = "broken"
    OPEN = "open"  # its day is not over


def kept(
    minor: int,
    made_at: datetime,
    due: date,
    zone: str,
    payments: Iterable[tuple[datetime, int]],
    now: datetime,
) -> Kept:
    """``minor`` units promised until the end of ``due``, a day of ``zone``; ``payments``: when, and
    how much of it stayed. Only what came after the promise and in time keeps it."""
    ends = datetime.combine(due + timedelta(days=1), time(), ZoneInfo(zone))
    came = sum(part for at, part in payments if made_at <= at < ends)
    if came >= minor:
        return Kept.KEPT
    if now < ends:
        return Kept.OPEN
    return Kept.PARTLY if came > 0 else Kept.BROKEN
