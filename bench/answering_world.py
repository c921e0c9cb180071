"""Debtors as a list of a campaign knows them: who answers when, and what is seen of it.

The chance of an answer is made of smooth curves and hidden traits, not of the cells that the model
in dialer.domain.answering has: each line type has its own curve over the day, each debtor a habit
and a favourite hour that nobody is told, retries select those who do not answer, the network and
the days drift. So the truth is out of the model's reach, as it is in life.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from dialer.domain.answering import Features
from dialer.domain.model import Disposition, LineType

OPEN, CLOSE = 9.0, 20.0
MOST_ATTEMPTS = 8
RING_MAX = 25.0

LINES = {
    # share, level in log-odds, ring (gamma shape and scale), (hour, width, height) of its bumps
    LineType.MOBILE: (0.55, -0.6, (3.0, 3.0), ((13.5, 1.5, 0.7), (19.0, 2.0, 0.9))),
    LineType.FIXED: (0.30, -1.1, (6.0, 2.3), ((11.0, 2.0, 0.9), (20.0, 1.5, 0.8))),
    LineType.FIXED_OR_MOBILE: (0.10, -0.9, (4.0, 2.7), ((12.0, 3.0, 0.5),)),
    LineType.UNKNOWN: (0.05, -2.0, (4.0, 3.13), ()),
}
ZONES = (("Europe/Madrid", 0.65, 0.0), ("Atlantic/Canary", 0.25, -1.0), ("Africa/Ceuta", 0.10, 0.0))
"""Name, share, hours ahead of the campaign's clock."""
WEEKDAY = (-0.10, 0.0, 0.05, 0.0, -0.15, 0.35, 0.35)
CAMPAIGNS = {1: 0.3, 2: 0.0, 3: -0.4}
UNANSWERED = ((Disposition.NO_ANSWER, 0.66, 3.5), (Disposition.MACHINE, 0.18, 22.0),
              (Disposition.BUSY, 0.11, 0.4), (Disposition.REJECTED, 0.05, 20.0))  # fmt: skip
"""How calls that nobody answered end: share, hours to the next attempt."""
GONE = 0.55
"""Share of answers after which the debtor is not called again."""


@dataclass(frozen=True, slots=True)
class Strength:
    """How much there is to know, by source: 0 takes it away."""

    line: float = 1.0
    hour: float = 1.0
    habit: float = 0.8
    drift: float = 1.0


@dataclass(slots=True)
class Debtor:
    """A lead; ``habit``, ``peak`` and ``campaign``'s level are what nobody is told."""

    line: LineType
    zone: str
    ahead: float
    habit: float
    peak: float
    campaign: int
    attempts: int = 0
    answered: int = 0
    last: Disposition | None = None
    last_at: float | None = None


@dataclass(frozen=True, slots=True)
class Called:
    """One call: when (hours since the first midnight), what was known, the truth, what came."""

    at: float
    features: Features
    p: float
    answered: bool
    seconds: float


@dataclass(slots=True)
class World:
    """A list that is called day by day; deterministic by ``seed``."""

    seed: int
    strength: Strength = Strength()
    leads: int = 4000
    dice: random.Random = field(init=False)
    drift: float = 0.0
    _due: list[tuple[float, float, Debtor]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        for _ in range(self.leads):
            self._put(0.0, self.debtor())

    def debtor(self) -> Debtor:
        """Somebody new on the list."""
        dice = self.dice
        line = dice.choices(list(LINES), [one[0] for one in LINES.values()])[0]
        zone, _, ahead = dice.choices(ZONES, [one[1] for one in ZONES])[0]
        habit = dice.gauss(0.0, self.strength.habit)
        return Debtor(line, zone, ahead, habit, dice.uniform(9.0, 21.0), dice.randrange(1, 4))

    def days(self, count: int, calls: int) -> Iterator[Called]:
        """So many calls on each of so many days (no Sundays)."""
        for day in range(count):
            if day % 7 == 6:
                continue
            self.drift += self.strength.drift * self.dice.gauss(0.0, 0.12)
            self.drift *= 0.95
            for number in range(calls):
                at = day * 24.0 + OPEN + (CLOSE - OPEN) * number / calls
                yield self._call(at)

    def p(self, who: Debtor, at: float) -> float:
        """The truth."""
        _, level, _, bumps = LINES[who.line]
        strength, local = self.strength, at % 24.0 + who.ahead
        z = -0.9 + strength.line * (level + 0.9 + CAMPAIGNS[who.campaign])
        for hour, width, height in bumps:
            z += strength.hour * height * math.exp(-(((local - hour) / width) ** 2))
        z += strength.hour * (0.4 * math.cos((local - who.peak) * math.pi / 12.0) - 0.2)
        z += strength.hour * WEEKDAY[int(at // 24.0) % 7] + who.habit
        z += self.drift + 0.4 * strength.drift * math.sin(at * 2.0 * math.pi / 3.7)
        if who.last_at is not None:
            since = at - who.last_at
            z -= 0.4 * strength.habit * math.exp(-since / 6.0)
            if who.last is Disposition.BUSY:
                z += 1.2 * strength.habit * math.exp(-since / 2.0)
            elif who.last is Disposition.REJECTED:
                z -= 0.9 * strength.habit
        return 1.0 / (1.0 + math.exp(-z))

    def features(self, who: Debtor, at: float) -> Features:
        """What the dialer knows."""
        return Features(
            hour=(at % 24.0 + who.ahead) % 24.0,
            weekday=int(at // 24.0) % 7,
            attempt=who.attempts + 1,
            line_type=who.line,
            last=who.last,
            since_hours=None if who.last_at is None else at - who.last_at,
            answered=who.answered,
            zone=who.zone,
            campaign=who.campaign,
        )

    def due(self, at: float) -> Debtor:
        """Whose turn it is; somebody new where nobody is due."""
        if self._due and self._due[0][0] <= at:
            return heapq.heappop(self._due)[2]
        return self.debtor()

    def _put(self, due: float, who: Debtor) -> None:
        heapq.heappush(self._due, (due, self.dice.random(), who))

    def _call(self, at: float) -> Called:
        who, dice = self.due(at), self.dice
        p, known = self.p(who, at), self.features(who, at)
        answered = dice.random() < p
        who.attempts, who.last_at = who.attempts + 1, at
        seconds = ring(dice, who.line) if answered else RING_MAX
        if answered:
            who.answered += 1
            who.last, wait = Disposition.ANSWERED_ABANDONED, 20.0
            gone = dice.random() < GONE
        else:
            who.last, _, wait = dice.choices(UNANSWERED, [one[1] for one in UNANSWERED])[0]
            gone = who.attempts >= MOST_ATTEMPTS
        if gone:
            who = self.debtor()
            wait = 0.0
        self._put(at + wait * dice.uniform(0.8, 1.3), who)
        return Called(at, known, p, answered, seconds)


def ring(dice: random.Random, line: LineType) -> float:
    """Seconds to an answer."""
    shape, scale = LINES[line][2]
    while (seconds := dice.gammavariate(shape, scale)) > RING_MAX:
        pass
    return seconds
