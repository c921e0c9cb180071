"""What is known of a call before it is placed, and how the model is told.

Each feature is a cell of a fixed table that is 1 for this call (the hour: two neighbours that
share the 1), so that a weight is by how much the log-odds of an answer are raised there.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

from dialer.domain.model import Disposition, LineType

SPREAD = 16
"""Cells that time zones, and campaigns, are spread over (by a hash that is the same everywhere)."""
MOST_ATTEMPTS = 8
AGES = (0.25, 1.0, 3.0, 8.0, 20.0, 30.0, 72.0, 168.0)
"""Hours since the last attempt: the upper edges of its cells."""
TRIES = (1, 2, 4)
"""Earlier attempts: the upper edges of the cells of the lead's own record."""
SHARES = (0.0, 0.34, 0.67)
"""Share of earlier attempts that were answered: likewise."""

_LASTS: tuple[str, ...] = ("none", *(one.value for one in Disposition))
_LINES: tuple[str, ...] = tuple(one.value for one in LineType)
_BANDS, _DAYS = 6, 7


@dataclass(frozen=True, slots=True)
class Features:
    """One call to be placed. ``hour``: local, 0 to 24; ``weekday``: local, 0 is Monday.

    ``attempt``: its number for this lead, from 1. ``last``: how the attempt before ended, None
    when there was none or it is not known; ``since_hours``: how long that is ago. ``answered``:
    how many of the lead's earlier attempts were answered by a person. ``zone``: the time zone's
    name or any other word for the region. Raises ValueError for what no call can have.
    """

    hour: float
    weekday: int
    attempt: int = 1
    line_type: LineType = LineType.UNKNOWN
    last: Disposition | None = None
    since_hours: float | None = None
    answered: int = 0
    zone: str = ""
    campaign: int = 0

    def __post_init__(self) -> None:
        if not (0.0 <= self.hour <= 24.0 and 0 <= self.weekday < _DAYS):
            raise ValueError(f"no such hour of the week: {self.weekday}, {self.hour}")
        if self.attempt < 1 or self.answered < 0:
            raise ValueError("attempts are counted from 1, answers from 0")
        if self.since_hours is not None and not self.since_hours >= 0.0:
            raise ValueError("the attempt before was not after this one")


@dataclass(frozen=True, slots=True)
class Block:
    """Cells of one kind, from ``start`` on, ``spread`` their weights' prior standard deviation."""

    start: int
    size: int
    spread: float


def _table(*kinds: tuple[str, int, float]) -> dict[str, Block]:
    blocks, start = {}, 0
    for name, size, spread in kinds:
        blocks[name] = Block(start, size, spread)
        start += size
    return blocks


BLOCKS = _table(
    ("level", 1, 1.0),  # always 1: the base rate, over weeks
    ("today", 1, 0.2),  # always 1, and forgets fast: what differs from that these hours
    ("hour", 24, 0.3),
    ("weekday", _DAYS, 0.15),
    ("attempt", MOST_ATTEMPTS, 0.2),
    ("line", len(_LINES), 0.3),
    ("last", len(_LASTS), 0.4),
    ("age", len(AGES) + 2, 0.2),
    ("record", (len(TRIES) + 1) * (len(SHARES) + 1), 0.4),
    ("line and band", len(_LINES) * _BANDS, 0.2),  # bands of four hours
    ("weekend and band", _BANDS, 0.15),
    ("zone", SPREAD, 0.2),
    ("campaign", SPREAD, 0.3),
)
SIZE = sum(block.size for block in BLOCKS.values())
LEVEL, TODAY = BLOCKS["level"].start, BLOCKS["today"].start


def cells(one: Features) -> list[tuple[int, float]]:
    """The cells that are not 0 for this call, with their values."""
    line = _LINES.index(one.line_type.value)
    band = min(int(one.hour / 24.0 * _BANDS), _BANDS - 1)
    found = [
        (LEVEL, 1.0),
        (TODAY, 1.0),
        *_hours(one.hour),
        _cell("weekday", one.weekday),
        _cell("attempt", min(one.attempt, MOST_ATTEMPTS) - 1),
        _cell("line", line),
        _cell("last", _LASTS.index(one.last.value if one.last is not None else "none")),
        _cell("age", _age(one)),
        _cell("line and band", line * _BANDS + band),
        _cell("zone", zlib.crc32(one.zone.encode()) % SPREAD),
        _cell("campaign", zlib.crc32(b"%d" % one.campaign) % SPREAD),
    ]
    if one.attempt > 1:
        found.append(_cell("record", _record(one)))
    if one.weekday >= 5:
        found.append(_cell("weekend and band", band))
    return found


def _cell(kind: str, place: int) -> tuple[int, float]:
    return BLOCKS[kind].start + place, 1.0


def _hours(hour: float) -> list[tuple[int, float]]:
    """Two neighbouring hours, by nearness: what is learned at one is half known at the next."""
    below = math.floor(hour)
    near = hour - below
    start = BLOCKS["hour"].start
    return [(start + below % 24, 1.0 - near), (start + (below + 1) % 24, near)]


def _age(one: Features) -> int:
    if one.since_hours is None:
        return len(AGES) + 1
    return _step(one.since_hours, AGES)


def _record(one: Features) -> int:
    earlier = one.attempt - 1
    share = min(one.answered / earlier, 1.0)
    return _step(earlier, TRIES) * (len(SHARES) + 1) + _step(share, SHARES)


def _step(value: float, edges: tuple[float, ...]) -> int:
    """Which cell of those that end at ``edges`` (the last one is open)."""
    return next((place for place, edge in enumerate(edges) if value <= edge), len(edges))
