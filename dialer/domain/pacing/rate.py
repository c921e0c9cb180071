"""How many calls to place now, for campaigns without agents."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class CallRate:
    """A token bucket over monotonic seconds: one token a call, ``per_second`` new ones.

    ``depth`` tokens at most are saved up, so that a pause is not followed by a burst. A redial
    may take a token that is not there yet (``tokens`` goes below zero): it goes out at once and
    the next ordinary calls wait the longer, so that the average holds.
    """

    per_second: float
    depth: float = 1.0
    tokens: float = 1.0
    at: float = 0.0

    def filled(self, now: float) -> CallRate:
        """The bucket as it stands at ``now``."""
        gained = max(0.0, now - self.at) * self.per_second
        return replace(self, tokens=min(self.depth, self.tokens + gained), at=now)

    def taken(self, calls: int = 1) -> CallRate:
        """After ``calls`` were placed."""
        return replace(self, tokens=self.tokens - calls)

    def wait(self) -> float:
        """Seconds until a whole token is there."""
        return max(0.0, (1.0 - self.tokens) / self.per_second)


def calls_to_claim(
    *,
    per_second: float,
    horizon: float,
    in_flight: int,
    claimed: int,
    max_concurrent: int,
    batch: int,
) -> int:
    """How many leads to claim now.

    Enough for ``horizon`` seconds of calls at the rate, less those ``claimed`` and not yet
    placed, never more than the concurrency cap leaves, nor than one ``batch``.
    """
    wanted = max(1, round(per_second * horizon)) - claimed
    room = max_concurrent - in_flight - claimed
    return max(0, min(wanted, room, batch))
