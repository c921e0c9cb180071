"""Which number to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

_NEVER = timedelta.max


def choose(
    pool: Sequence[str],
    shown: Mapping[str, datetime],
    now: datetime,
    *,
    unseen_for: timedelta | None = None,
    spread: int = 0,
) -> str | None:
    """A caller ID of the pool for one phone: the one that it has not seen for longest.

    ``shown`` gives when this phone last saw each number. With ``unseen_for`` a number shown more
    recently is out, and None is the answer when none is left (the redial's rule: a debtor who
    hung up on a number does not pick up the same one again). ``spread`` (any integer, say the
    lead's id) spreads the first choice over numbers that are equally unseen.
    """
    if not pool:
        return None
    turned = list(pool[spread % len(pool) :]) + list(pool[: spread % len(pool)])
    age = {number: now - shown[number] if number in shown else _NEVER for number in turned}
    if unseen_for is not None:
        turned = [number for number in turned if age[number] >= unseen_for]
    return max(turned, key=lambda number: age[number], default=None)
