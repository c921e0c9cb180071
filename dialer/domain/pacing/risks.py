"""When calls are answered and when they end otherwise: a table of competing risks.

For each segment and each cell of the time since dialling: how many lines came into the cell, how
many were answered in it, how many ended otherwise. The quotients are the two hazards; from them
follow the shares that were answered (and that ended otherwise) by each age, and, divided by their
totals, ``F`` and ``G``. A line that rings on or was given up counts for the cells it has been
through, so that neither distorts the shape (Aalen and Johansen 1978).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

CELLS = 52
"""50 up to ``ring_max``, two for what comes a little later."""
KEEP = 0.5 ** (1.0 / 1500.0)
"""Weight that a cell keeps when one more line comes into it."""
GUESS_LINES, GUESS_P = 40.0, 0.3
SHRINK = 60.0
"""Lines by which a segment's table is drawn to that of all (scaled to its own frequency)."""
TRUST = 50.0
"""Answers seen at which F is half trusted."""
MOST_ROWS = 300
REFRESH = 8
"""Look-ups of a new time between two workings-out of the tables."""


class Risks:
    """Row 0 holds all lines, every further row one segment."""

    def __init__(self, ring_max: float) -> None:
        self.width = ring_max / (CELLS - 2)
        self._answered = np.zeros((1, CELLS))
        self._refused = np.zeros((1, CELLS))
        self._entered = np.zeros((1, CELLS))
        # First guess: answers spread evenly up to ring_max, which is rather too late (an old line
        # counts for more, so that fewer are placed) than too early; the rest end at ring_max.
        x = (np.arange(CELLS) + 0.5) / (CELLS - 2)
        shape = np.where((x > 0.06) & (x < 1.0), 1.0, 0.0)
        share = GUESS_P * shape / shape.sum()
        alive = 1.0 - np.concatenate(([0.0], np.cumsum(share)[:-1]))
        self._guess_answer = GUESS_LINES * share
        self._guess_refuse = np.where(x > 0.98, GUESS_LINES * alive * 0.7, 0.0)
        self._guess_enter = GUESS_LINES * alive
        self._fresh = False
        self._calls = 0
        self._f = self._g = np.zeros((1, CELLS + 1))

    def new_row(self) -> int:
        """A row for a new segment, or row 0 when there are too many."""
        rows = len(self._answered)
        if rows >= MOST_ROWS:
            return 0
        none = np.zeros((1, CELLS))
        self._answered = np.concatenate((self._answered, none))
        self._refused = np.concatenate((self._refused, none))
        self._entered = np.concatenate((self._entered, none))
        self._fresh = False
        return rows

    def cell(self, age: float) -> int:
        """The cell that an age falls in."""
        return min(max(int(age / self.width), 0), CELLS - 1)

    def ringing(self, rows: Rows, first: Rows, last: Rows, counts: Rows) -> None:
        """Lines of each row rang on through the cells ``first .. last``."""
        if len(rows):
            self._enter(rows, first, last, counts)
        self._calls += 1
        if self._calls % REFRESH == 0:
            self._fresh = False

    def ended(self, row: int, cell: int, age: float, answered: bool, given_up: bool) -> None:
        """A line that was counted up to ``cell`` ended at ``age``."""
        last = max(self.cell(age), cell)
        came = slice(cell + 1, last + 1)
        for which in {0, row}:
            self._answered[which, came] *= KEEP
            self._refused[which, came] *= KEEP
            self._entered[which, came] *= KEEP
            self._entered[which, came] += 1.0
            if answered:
                self._answered[which, last] += 1.0
            elif not given_up:
                self._refused[which, last] += 1.0

    def trust(self) -> float:
        """How far F rests on answers seen, from 0 (the first guess only) to 1."""
        seen = float(self._answered[0].sum())
        return seen / (seen + TRUST)

    def answered_by(self, rows: Rows, ages: Array) -> Array:
        """F of each row at ``ages`` (rows x K)."""
        if not self._fresh:
            self._work_out()
        return _between(self._f, rows[:, None], ages / self.width)

    def refused_by(self, rows: Rows, ages: Array) -> Array:
        """G of each row at one age each."""
        if not self._fresh:
            self._work_out()
        return _between(self._g, rows, ages / self.width)

    def _enter(self, rows: Rows, first: Rows, last: Rows, counts: Rows) -> None:
        """Lines came into the cells ``first .. last`` of their rows, and of row 0."""
        moved = last >= first
        if not moved.any():
            return
        rows, counts = rows[moved], counts[moved].astype(np.float64)
        change = np.zeros((len(self._entered), CELLS + 1))
        np.add.at(change, (rows, first[moved]), counts)
        np.add.at(change, (rows, last[moved] + 1), -counts)
        came = np.cumsum(change, axis=1)[:, :CELLS]
        came[0] = came.sum(axis=0)
        fade = KEEP**came
        self._answered *= fade
        self._refused *= fade
        self._entered = self._entered * fade + came

    def _work_out(self) -> None:
        """F and G of all rows from the hazards."""
        entered = self._entered[:1] + self._guess_enter
        answer = (self._answered[:1] + self._guess_answer) / entered
        refuse = (self._refused[:1] + self._guess_refuse) / entered
        if len(self._answered) > 2:
            expected = (self._entered[1:] * answer).sum(axis=1, keepdims=True) + 2.0
            ratio = (self._answered[1:].sum(axis=1, keepdims=True) + 2.0) / expected
            entered = self._entered[1:] + SHRINK
            own_answer = (self._answered[1:] + SHRINK * np.minimum(ratio * answer, 1)) / entered
            own_refuse = (self._refused[1:] + SHRINK * refuse) / entered
            answer = np.concatenate((answer, own_answer))
            refuse = np.concatenate((refuse, own_refuse))
        elif len(self._answered) == 2:
            answer, refuse = np.repeat(answer, 2, axis=0), np.repeat(refuse, 2, axis=0)
        self._f, self._g = _shares(answer, refuse)
        self._fresh = True


def _shares(answer: Array, refuse: Array) -> tuple[Array, Array]:
    """The distributions of the time to an answer, and to another end, from the two hazards."""
    leave = np.clip(answer + refuse, 0.0, 1.0)
    alive = np.cumprod(1.0 - leave, axis=1)
    alive = np.concatenate((np.ones((len(alive), 1)), alive[:, :-1]), axis=1)
    found = []
    for hazard in (answer, refuse):
        by = np.cumsum(alive * hazard, axis=1)
        by = by / np.maximum(by[:, -1:], 1e-9)
        found.append(np.concatenate((np.zeros((len(by), 1)), by), axis=1))
    return found[0], found[1]


def _between(table: Array, rows: Rows, place: Array) -> Array:
    """``table[row]`` at ``place``, in units of cells, between its entries."""
    place = np.minimum(np.maximum(place, 0.0), CELLS - 1e-6)
    below = place.astype(np.int64)
    low: Array = table[rows, below]
    found: Array = low + (place - below) * (table[rows, below + 1] - low)
    return found
