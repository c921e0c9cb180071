"""The three plain dial modes: progressive, power (fixed ratio), adaptive (a moving level)."""

from __future__ import annotations

import math
from collections import deque

from dialer.domain.pacing.floor import Decision, Event, Floor, Outcome, idle_agents, within_cap


def require(name: str, value: float, low: float, high: float = math.inf) -> float:
    """``value`` if it is a number from ``low`` to ``high``; else a ValueError that says so."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high:
        upto = "" if math.isinf(high) else f" and at most {high:g}"
        raise ValueError(f"{name} is a number of at least {low:g}{upto}, not {value!r}")
    return float(value)


class Progressive:
    """One call in the air for each idle agent: ``place = idle - waiting - lines``.

    Nobody who answers can be without an agent, unless an agent leaves meanwhile.
    """

    def observe(self, event: Event) -> None:
        """Nothing to learn."""

    def decide(self, floor: Floor) -> Decision:
        return Decision(within_cap(idle_agents(floor) - len(floor.lines), floor))


class Power:
    """A fixed ratio of calls in the air for each idle agent: ``floor(ratio * idle) - lines``.

    It does not look at the abandoned share: the ratio is the supervisor's to answer for.
    """

    def __init__(self, ratio: float = 2.0) -> None:
        self._ratio = require("ratio", ratio, 0.0)

    def observe(self, event: Event) -> None:
        """Nothing to learn."""

    def decide(self, floor: Floor) -> Decision:
        wanted = math.floor(self._ratio * max(0, idle_agents(floor)) + 1e-9)
        return Decision(within_cap(wanted - len(floor.lines), floor))


class Adaptive:
    """A dial level raised while agents idle and lowered while callers wait, as older dialers do.

    Every ``interval`` seconds, over the samples since the last change:
    ``m = intensity * (mean idle - mean waiting + target) / mean logged in`` and
    ``level = clamp(level * (1 + m), 1, max_level)``; the level is halved when more than half of
    the last minute's live answers were abandoned, and is 1 while the abandoned share of all
    exceeds the limit. Every ``every`` seconds it places ``round(level * agents) - lines``, where
    agents are those logged in less those talking (``count='idle'``, those ready or wrapping up),
    or all that are logged in less calls being talked on (``count='all'``, the classic rule:
    a call being talked on is a call in progress).
    """

    def __init__(
        self,
        max_level: float = 3.0,
        target: float = 0.0,
        intensity: float = 1.0,
        interval: float = 15.0,
        every: float = 2.5,
        count: str = "idle",
    ) -> None:
        self._max = require("max_level", max_level, 1.0)
        self._target = require("target", target, -math.inf)
        self._intensity = require("intensity", intensity, 0.0)
        self._interval = require("interval", interval, 0.0)
        self._every = require("every", every, 0.0)
        if count not in ("idle", "all"):
            raise ValueError(f"count is 'idle' or 'all', not {count!r}")
        self._all = count == "all"
        self.level = 1.0
        self._changed: float | None = None
        self._placed = -math.inf
        self._samples: list[tuple[int, int, int]] = []
        self._minute: deque[Outcome] = deque()
        self._answered = self._abandoned = 0

    def observe(self, event: Event) -> None:
        if isinstance(event, Outcome):
            self._answered += 1
            self._abandoned += event.abandoned
            self._minute.append(event)

    def decide(self, floor: Floor) -> Decision:
        ready = sum(seat.state == "available" for seat in floor.agents)
        talking = sum(seat.state == "talking" for seat in floor.agents)
        self._samples.append((ready, floor.waiting, len(floor.agents)))
        if self._changed is None:
            self._changed = floor.now
        if floor.now - self._changed >= self._interval:
            self._change_level(floor)
        if floor.now - self._placed < self._every:
            return Decision(0)
        self._placed = floor.now
        logged_in = len(floor.agents)
        wanted = round(self.level * (logged_in if self._all else ready)) - floor.waiting
        in_progress = len(floor.lines) + (talking if self._all else 0)
        return Decision(within_cap(wanted - in_progress, floor))

    def _change_level(self, floor: Floor) -> None:
        ready, waiting, logged_in = (
            sum(column) / len(self._samples) for column in zip(*self._samples, strict=True)
        )
        self._samples.clear()
        self._changed = floor.now
        if logged_in > 0:
            m = self._intensity * (ready - waiting + self._target) / logged_in
            self.level = min(self._max, max(1.0, self.level * (1.0 + m)))
        while self._minute and self._minute[0].at < floor.now - 60.0:
            self._minute.popleft()
        if sum(outcome.abandoned for outcome in self._minute) * 2 > len(self._minute):
            self.level = max(1.0, self.level / 2.0)
        if self._abandoned > floor.limits.max_abandoned * self._answered:
            self.level = 1.0
