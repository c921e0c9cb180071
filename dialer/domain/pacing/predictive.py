"""Predictive pacing: call ahead of agents who are not free yet, within the legal share.

Each decision computes the expected number of callers that would find no agent (``loss``) from the
chances of lines to be answered (``answers``) and of busy agents to come free (``durations``), and
places calls while one more costs at most ``theta`` lost callers for each answer it brings
(``budget``). When nothing may be placed, lines that have rung ``ring_min`` or longer are given up
while one costs more than that. See docs/pacing.md.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialer.domain.pacing.answers import Answers
from dialer.domain.pacing.budget import Budget
from dialer.domain.pacing.durations import Durations, Freeing
from dialer.domain.pacing.floor import (
    Decision,
    Event,
    Floor,
    LineEnded,
    Outcome,
    TalkEnded,
    WrapEnded,
    idle_agents,
    within_cap,
)
from dialer.domain.pacing.loss import Chances, ExpectedLoss, enough_calls, most_calls
from dialer.domain.pacing.rules import require

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Key = tuple[str, float]

MOMENTS = np.array([0.0, 1, 2, 3, 4, 5.5, 7, 9, 11, 13, 15, 17.5, 20, 22.5, 25]) / 25.0
"""Edges of the stretches of time ahead, in parts of ``ring_max``."""
REFRESH = 60.0
"""Seconds after which the distributions of talk and wrap-up are worked out anew."""
PATIENCE = 3.0
"""A line in the air is given up only when it costs so many times what a new one may: giving up
uses up the debtor's attempt, and what is given up today cannot be had back in the next second."""
SHED_LEAST, SHED_OF = 3, 25
"""So many lines, or one of so many in the air if that is more, may be given up in one decision."""
SAME = 1.5
"""Seconds by which a line's start and the start of a line that ended may differ."""


@dataclass(slots=True)
class _Seen:
    """A line in the air: its segment's row, its number in the order of dialling, the levels of p
    then, up to which cell its ringing has been counted (-1: not yet), and whether the pacer gave
    it up."""

    id: str
    since: float
    row: int
    number: int
    levels: Array
    cell: int = -1
    given_up: bool = False

    def when(self) -> tuple[int, Array, int]:
        return self.number, self.levels, self.cell


class _Groups:
    """Lines in the air, those of one segment dialled at one moment in one row."""

    def __init__(self) -> None:
        self._index: dict[tuple[int, float], int] = {}
        self.members: list[list[_Seen]] = []
        self.lines: list[_Seen] = []

    def add(self, line: _Seen) -> None:
        where = self._index.setdefault((line.row, line.since), len(self.lines))
        if where == len(self.lines):
            self.lines.append(line)
            self.members.append([])
        self.members[where].append(line)


class Predictive:
    """``answered`` and ``abandoned``: what the window's budget already holds (after a restart)."""

    def __init__(self, answered: int = 0, abandoned: int = 0) -> None:
        require("answered", answered, 0)
        require("abandoned", abandoned, 0, answered)
        self._budget = Budget(int(answered), int(abandoned))
        self._answers: Answers | None = None
        self._ring_max = 0.0
        self._talk = Durations(mean=150.0, sigma=1.0, weight=20.0, half_life=300.0, bandwidth=0.2)
        self._wrap = Durations(mean=20.0, sigma=0.8, weight=10.0, half_life=300.0, bandwidth=0.12)
        self._freeing: Freeing | None = None
        self._refresh_at = 0.0
        self._limit = 0.03
        self._ended: list[LineEnded] = []
        self._seen: dict[Key, _Seen] = {}
        self._groups = _Groups()
        self._talks = self._wraps = 0.0

    def observe(self, event: Event) -> None:
        match event:
            case Outcome(abandoned=abandoned):
                self._budget.learn(abandoned, self._limit)
            case LineEnded():
                self._ended.append(event)
            case TalkEnded(seconds=seconds):
                self._talk.learn(seconds)
                self._talks += 1
            case WrapEnded(seconds=seconds):
                self._wrap.learn(seconds)
                self._wraps += 1

    def decide(self, floor: Floor) -> Decision:
        limits = floor.limits
        self._limit = limits.max_abandoned
        answers = self._learn_lines(floor)
        idle = idle_agents(floor)
        if not floor.agents:
            return Decision(0)
        sure = within_cap(idle - len(floor.lines), floor)
        reason = self._budget.reason(limits.max_abandoned)
        if reason and not floor.lines:
            return Decision(sure, (), reason)
        moments = MOMENTS * self._ring_max
        lines, fresh, p = self._chances(answers, moments)
        free, busy = self._free(floor, (moments[:-1] + moments[1:]) / 2.0 + limits.hold)
        self._budget.in_the_air(float(lines.counts @ lines.by[:, -1]))
        theta = self._budget.theta(limits.max_abandoned, p)
        cap = 0 if reason else within_cap(enough_calls(idle, lines, free, busy, fresh), floor)
        most = min(cap, 4)
        loss = ExpectedLoss(idle, lines, free, busy, fresh, most)
        place = most_calls(loss, p, theta, most)
        if place == most < cap:
            loss = ExpectedLoss(idle, lines, free, busy, fresh, cap)
            place = most_calls(loss, p, theta, cap)
        place = max(place, sure)
        if place:
            return Decision(place, (), reason)
        return Decision(0, self._shed(floor, loss, lines.within, theta), reason)

    def _chances(self, answers: Answers, moments: Array) -> tuple[Chances, Chances, float]:
        """Chances of the lines in the air, of a call placed now, and the latter's p."""
        return answers.chances(*self._columns, moments)

    def _shed(
        self, floor: Floor, loss: ExpectedLoss, within: Array, theta: float
    ) -> tuple[str, ...]:
        """Lines past ``ring_min`` to give up, the costliest first, while one costs too much."""
        latest = floor.now - floor.limits.ring_min
        lines, members = self._groups.lines, self._groups.members
        old = [row for row, line in enumerate(lines) if line.since <= latest]
        brings = np.maximum(within[old].sum(axis=1), 1e-9)
        chosen: list[str] = []
        most = max(SHED_LEAST, len(floor.lines) // SHED_OF)
        while old and len(chosen) < most:
            cost = (loss.current() - loss.without(old)) / brings
            worst = int(np.argmax(cost))
            if cost[worst] <= PATIENCE * theta:
                break
            line = members[old[worst]].pop()
            line.given_up = True
            chosen.append(line.id)
            loss.give_up(old[worst])
            if not members[old[worst]]:
                brings = np.delete(brings, worst)
                del old[worst]
        return tuple(chosen)

    def _free(self, floor: Floor, ahead: Array) -> tuple[Array, Counts]:
        """Chances of busy agents to be free by each moment ahead (rows x K), and agents a row."""
        talking = [floor.now - s.since for s in floor.agents if s.state == "talking"]
        wrapping = [floor.now - s.since for s in floor.agents if s.state == "wrap"]
        if self._freeing is None or not 0 <= floor.now - self._refresh_at < REFRESH:
            without = max(0.0, self._talks - self._wraps - len(wrapping))
            no_wrap = without / (without + self._wraps + 10.0)
            self._freeing = Freeing(
                self._talk.survival(talking), self._wrap.survival(wrapping), no_wrap, ahead
            )
            self._refresh_at = floor.now
        return self._freeing.chances(np.array(talking), np.array(wrapping))

    def _learn_lines(self, floor: Floor) -> Answers:
        """Match the lines that ended since the last decision with those no longer in the air."""
        answers = self._answers
        ring_max = max(1.0, floor.limits.ring_max)
        if answers is None or self._ring_max != ring_max:
            answers = self._answers = Answers(ring_max)
            self._ring_max = ring_max
            self._freeing = None
            self._seen = {}
        now = {(line.id, line.since) for line in floor.lines}
        gone = [seen for key, seen in self._seen.items() if key not in now]
        vanished = sorted(gone, key=lambda seen: seen.since)
        for event in self._ended:
            near = _take_nearest(vanished, event.at - event.age)
            if near is not None:
                row = near.row if event.segment is None else answers.row(event.segment)
                answers.ended(row, *near.when(), event.age, event.answered, near.given_up)
            else:
                row = answers.row(event.segment)
                when = answers.dialled([row]), answers.levels, -1
                answers.ended(row, *when, event.age, event.answered, given_up=False)
        self._ended.clear()
        self._see(floor, answers)
        return answers

    def _see(self, floor: Floor, answers: Answers) -> None:
        """Take note of the lines now in the air."""
        new = [line for line in floor.lines if (line.id, line.since) not in self._seen]
        rows = [answers.row(line.segment) for line in new]
        number = answers.dialled(rows)
        for line, row in zip(new, rows, strict=True):
            self._seen[line.id, line.since] = _Seen(
                line.id, line.since, row, number, answers.levels
            )
        groups, seen = _Groups(), {}
        for line in floor.lines:
            key = line.id, line.since
            seen[key] = one = self._seen[key]
            groups.add(one)
        self._groups, self._seen = groups, seen
        ages = [max(0.0, floor.now - one.since) for one in groups.lines]
        last = [answers.cell(age) for age in ages]
        rows_, numbers, first, lasts, counts = (
            np.array(column, dtype=np.int64)
            for column in (
                [one.row for one in groups.lines],
                [one.number for one in groups.lines],
                [one.cell + 1 for one in groups.lines],
                last,
                [len(members) for members in groups.members],
            )
        )
        answers.ringing(rows_, first, lasts, counts)
        for cell, members in zip(last, groups.members, strict=True):
            for one in members:
                one.cell = cell
        self._columns = rows_, numbers, np.array(ages, dtype=np.float64), counts


def _take_nearest(vanished: list[_Seen], start: float) -> _Seen | None:
    """The line, of those sorted by their start, that started then; it is taken from the list."""
    place = bisect_left(vanished, start, key=lambda seen: seen.since)
    near = range(max(0, place - 1), min(len(vanished), place + 1))
    best = min(near, key=lambda one: abs(vanished[one].since - start), default=None)
    if best is None or abs(vanished[best].since - start) > SAME:
        return None
    return vanished.pop(best)
