"""A day of calls to debtors, as discrete events: the world that a pacer is measured in.

Agents talk, wrap up and are free; calls ring and are answered or not; a caller who answers waits
at most ``hold`` seconds for an agent, first come, first served. The pacer is asked every ``tick``
seconds. All chance of call number i comes from a generator of its own (``seed``, i), so that two
pacers on one seed meet the same debtors: their days are paired.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from dialer.domain.pacing import (
    AgentSeat,
    Floor,
    Limits,
    Line,
    LineEnded,
    Outcome,
    Pacer,
    TalkEnded,
    WrapEnded,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """Calls of one segment: their share, their odds against the load's p, their ringing."""

    name: str
    share: float = 1.0
    odds: float = 1.0
    shape: float = 4.0
    scale: float = 3.13


@dataclass(frozen=True, slots=True)
class Load:
    """What a day is like. ``p``: chance of an answer by the second of the day."""

    name: str
    p: Callable[[float], float] = lambda at: 0.30
    kinds: tuple[Kind, ...] = (Kind(""),)
    talk: Callable[[random.Random], float] = lambda dice: log_normal(dice, 180.0, 0.8)
    wrap: Callable[[random.Random], float] = lambda dice: dice.gammavariate(4.0, 5.0)
    named: bool = True
    """Whether the pacer is told the segment of each line."""
    detect: float = 0.0
    """Seconds that machine detection takes, out of the caller's ``hold``."""
    false_machine: float = 0.0
    """Share of live answers taken for machines: gone, without anybody knowing."""
    machine: float = 0.0
    """Share of unanswered calls that a machine answers, taken for live: ten seconds of an agent."""
    guests: float = 0.0
    """Calls a second that come to the agents from elsewhere (a flow, a transfer) and wait for one.
    The pacer sees the agents they take, and nothing else of them."""


def log_normal(dice: random.Random, mean: float, sigma: float) -> float:
    return dice.lognormvariate(math.log(mean) - sigma * sigma / 2.0, sigma)


@dataclass(slots=True)
class Day:
    """What came out of a day."""

    agents: int
    seconds: float
    placed: int = 0
    answered: int = 0
    abandoned: int = 0
    served: int = 0
    given_up: int = 0
    busy: float = 0.0
    decisions: int = 0
    deciding: float = 0.0
    slowest: float = 0.0

    @property
    def occupancy(self) -> float:
        """Talk and wrap-up over logged-in time."""
        return self.busy / max(1.0, self.agents * self.seconds)

    @property
    def abandoned_share(self) -> float:
        return self.abandoned / max(1, self.answered)


@dataclass(slots=True)
class _Call:
    line: Line
    answers: bool
    ring: float
    talk: float
    wrap: float
    live: bool = True
    gone: bool = False
    answered_at: float = 0.0


@dataclass(slots=True)
class World:
    """One day of one load for one pacer."""

    load: Load
    agents: int
    seconds: float
    seed: int
    pacer: Pacer
    limits: Limits = Limits()
    tick: float = 1.0
    origin: float = 0.0
    now: float = 0.0
    day: Day = field(init=False)
    seats: dict[int, AgentSeat] = field(init=False)
    lines: dict[str, _Call] = field(default_factory=dict)
    free_at: dict[int, float] = field(default_factory=dict)
    waiting: deque[_Call] = field(default_factory=deque)
    guests: deque[_Call] = field(default_factory=deque)
    _events: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = field(
        default_factory=list
    )
    _order: itertools.count[int] = field(default_factory=itertools.count)
    _idle: deque[int] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.day = Day(self.agents, self.seconds)
        self.seats = {a: AgentSeat("available", self.origin) for a in range(self.agents)}
        self._idle.extend(range(self.agents))

    def run(self) -> Day:
        self._at(0.0, self._decide)
        if self.load.guests:
            self._expect_guest(random.Random(self.seed))
        while self._events and self._events[0][0] < self.seconds:
            self.now, _, act, what = heapq.heappop(self._events)
            act(*what)
        return self.day

    def clock(self) -> float:
        return self.origin + self.now

    def floor(self) -> Floor:
        waiting = len(self.waiting)
        lines = tuple(call.line for call in self.lines.values())
        return Floor(self.clock(), tuple(self.seats.values()), lines, waiting, self.limits)

    def _at(self, when: float, act: Callable[..., None], *what: object) -> None:
        heapq.heappush(self._events, (when, next(self._order), act, what))

    def _decide(self) -> None:
        floor = self.floor()
        began = time.thread_time()
        decision = self.pacer.decide(floor)
        took = time.thread_time() - began
        day = self.day
        day.decisions += 1
        day.deciding += took
        day.slowest = max(day.slowest, took)
        for name in decision.shed:
            call = self.lines[name]
            self._ended(call, answered=False)
            day.given_up += 1
        for _ in range(decision.place):
            self._place()
        self._at(self.now + self.tick, self._decide)

    def _place(self) -> None:
        number = self.day.placed
        self.day.placed += 1
        dice = random.Random(self.seed * 1_000_003 + number)
        kind = dice.choices(self.load.kinds, [k.share for k in self.load.kinds])[0]
        p = self.load.p(self.now)
        p = p * kind.odds / (1.0 - p + p * kind.odds)
        luck, ring = dice.random(), dice.gammavariate(kind.shape, kind.scale)
        while ring > self.limits.ring_max:
            ring = dice.gammavariate(kind.shape, kind.scale)
        answers = luck < p
        live = answers
        talk, wrap = self.load.talk(dice), self.load.wrap(dice)
        if answers and dice.random() < self.load.false_machine:
            answers = False
        elif not answers and dice.random() < self.load.machine:
            answers, live, talk, wrap = True, False, 10.0, 2.0
        if not live and not answers:
            ring = self.limits.ring_max
        elif self.load.detect:
            ring += self.load.detect
        line = Line(f"{number}", self.clock(), kind.name if self.load.named else "")
        call = _Call(line, answers, ring, talk, wrap, live)
        self.lines[line.id] = call
        self._at(self.now + ring, self._rung, call)

    def _expect_guest(self, dice: random.Random) -> None:
        self._at(self.now + dice.expovariate(self.load.guests), self._guest_comes, dice)

    def _guest_comes(self, dice: random.Random) -> None:
        line = Line("", self.clock(), "")
        talk, wrap = self.load.talk(dice), self.load.wrap(dice)
        self.guests.append(_Call(line, answers=True, ring=0.0, talk=talk, wrap=wrap))
        self._match()
        self._expect_guest(dice)

    def _rung(self, call: _Call) -> None:
        if call.gone:
            return
        self._ended(call, answered=call.answers)
        if not call.answers:
            return
        self.day.answered += 1
        call.answered_at = self.now
        self.waiting.append(call)
        self._match()
        if call in self.waiting:
            self._at(self.now + self.limits.hold - self.load.detect, self._patience_ends, call)

    def _ended(self, call: _Call, answered: bool) -> None:
        call.gone = True
        del self.lines[call.line.id]
        self.pacer.observe(LineEnded(self.clock(), self.clock() - call.line.since, answered))

    def _match(self) -> None:
        while self._idle and (self.waiting or self.guests):
            guest = not self.waiting
            call, agent = (self.guests if guest else self.waiting).popleft(), self._idle.popleft()
            self.seats[agent] = AgentSeat("talking", self.clock())
            self.free_at[agent] = self.now + call.talk + call.wrap
            if not guest:
                self.day.served += 1
                self.pacer.observe(Outcome(self.clock(), False))
            self._at(self.now + call.talk, self._talked, agent, call)
            self._count_busy(call.talk + call.wrap)

    def _count_busy(self, seconds: float) -> None:
        self.day.busy += min(seconds, self.seconds - self.now)

    def _patience_ends(self, call: _Call) -> None:
        if call in self.waiting:
            self.waiting.remove(call)
            self.day.abandoned += 1
            self.pacer.observe(Outcome(self.clock(), True))

    def _talked(self, agent: int, call: _Call) -> None:
        self.pacer.observe(TalkEnded(self.clock(), call.talk))
        if call.wrap <= 0.0:
            self._free(agent, call)
            return
        self.seats[agent] = AgentSeat("wrap", self.clock())
        self._at(self.now + call.wrap, self._free, agent, call)

    def _free(self, agent: int, call: _Call) -> None:
        if call.wrap > 0.0:
            self.pacer.observe(WrapEnded(self.clock(), call.wrap))
        self.seats[agent] = AgentSeat("available", self.clock())
        self._idle.append(agent)
        self._match()
