"""Which calls in the air will be answered, and when: learned online, by segment.

For calls of one segment, ``p`` is the chance of a live answer, ``F`` the distribution of the time
from dialling to it, ``G`` that of the time at which the others end by themselves (busy, refused,
given up at ``ring_max``). A line that has rung for ``a`` seconds is answered within ``t`` more
with chance

    q(t) = p (F(a + t) - F(a)) / S(a),   S(a) = 1 - p F(a) - (1 - p) G(a).

``F`` and ``G`` come from a table of competing risks (Aalen and Johansen 1978; ``risks``), ``p``
from the base level ``b`` times the segment's ratio ``r``, each by maximum likelihood with
forgetting. A line that still rings, or that the pacer gave up, has been tried in part only,

    D = 1 - (1 - F(a)) / S(a),   so that   b = answers / sum(r D)   with D = 1 for ended lines.

Without that, the first calls of a day, of which the answered end first, would make every p look
like 1, and giving up lines would make it look like 0. Weights fall with the number of calls
*dialled* since, not ended since, for the same reason. How fast to forget is not set but learned:
``b`` is the mean of levels of several half-lives, weighed by how likely each thought what then
happened (dynamic model averaging, Raftery and others 2010): days without drift get a steady
level, days with drift a quick one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dialer.domain.pacing.loss import Chances
from dialer.domain.pacing.risks import Risks

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

HALF_LIVES = np.array([100.0, 300.0, 1000.0, 3000.0])
"""Calls dialled that halve the weight of an old one in ``b``: a level for each, weighed by how well
it foretold the calls that ended lately."""
SCORE_KEEP = 0.5 ** (1.0 / 1000.0)
DRAWN = 20.0
"""Calls' worth by which the faster levels are drawn to the slowest."""
GUESS_CALLS, GUESS_P = 6.0, 0.4
"""First guess of ``b``, rather too high (cautious) than too low, and the calls that it weighs."""
RATIO_PRIOR = 5.0
"""Expected answers that a segment's ratio 1 weighs."""
RATIO_HALF_LIFE = 1000.0


class Answers:
    """What is known about answering. Rows stand for segments; row 0 for all of them."""

    def __init__(self, ring_max: float) -> None:
        self._risks = Risks(ring_max)
        self._rows: dict[str, int] = {}
        self._got = np.zeros(len(HALF_LIVES))  # answers, weighed for each half-life
        self._tried = np.zeros(len(HALF_LIVES))  # sum of r D
        self._score = np.zeros(len(HALF_LIVES))
        self.levels = np.full(len(HALF_LIVES), GUESS_P)
        self._dialled = 0
        self._seg_got: list[float] = [0.0]
        self._seg_expected: list[float] = [0.0]
        self._mix = np.zeros(1)
        self.base = GUESS_P

    def cell(self, age: float) -> int:
        """The cell of the table of risks that an age falls in."""
        return self._risks.cell(age)

    def row(self, segment: str | None) -> int:
        """The row of a segment; a new one while there is room, else that of all."""
        if segment is None:
            return 0
        known = self._rows.get(segment)
        if known is None:
            known = self._risks.new_row()
            self._rows[segment] = known
            if known == len(self._seg_got):
                self._seg_got.append(0.0)
                self._seg_expected.append(0.0)
                self._mix = np.append(self._mix, 0.0)
        return known

    def dialled(self, rows: Sequence[int]) -> int:
        """New lines in the air; returns their number in the order of dialling."""
        if rows:
            self._dialled += len(rows)
            fade = 0.5 ** (len(rows) / HALF_LIVES)
            self._got *= fade
            self._tried *= fade
            for row in rows:
                self._mix *= 0.97
                self._mix[row] += 0.03
        return self._dialled

    def ended(
        self,
        row: int,
        number: int,
        levels: Array,
        cell: int,
        age: float,
        answered: bool,
        given_up: bool,
    ) -> None:
        """One line has ended at ``age``; up to ``cell`` its ringing has been counted (-1: not).

        ``levels``: as they were when it was dialled.
        """
        part = 1.0
        if given_up and not answered:
            part = self.part(row, age)
        else:
            foretold = _chance(levels * self.ratio(row))
            self._score = self._score * SCORE_KEEP + np.log(foretold if answered else 1 - foretold)
        weight = 0.5 ** ((self._dialled - number) / HALF_LIVES)
        self._got += weight * answered
        self._tried += weight * part * self.ratio(row)
        if row:
            keep = 0.5 ** (1.0 / RATIO_HALF_LIFE)
            self._seg_got[row] = self._seg_got[row] * keep + answered
            self._seg_expected[row] = self._seg_expected[row] * keep + part * self.base
        self._risks.ended(row, cell, age, answered, given_up)

    def ringing(self, rows: Rows, first: Rows, last: Rows, counts: Rows) -> None:
        """Lines of each row came into the cells ``first .. last`` since the last decision."""
        self._risks.ringing(rows, first, last, counts)

    def chances(
        self, rows: Rows, numbers: Rows, ages: Array, counts: Rows, moments: Array
    ) -> tuple[Chances, Chances, float]:
        """Chances of the lines in the air, of a call placed now (one row), and p of the latter.

        ``numbers``: in the order of dialling; ``counts``: lines of each row; ``moments`` (K + 1):
        the edges of the stretches ahead, the first of them 0. Works out ``base`` on the way.
        """
        mix = np.flatnonzero(self._mix > 0.003)
        if not len(mix):
            mix = np.zeros(1, dtype=np.int64)
        lines, every = len(rows), np.concatenate((rows, mix))
        ages = np.concatenate((ages, np.zeros(len(mix))))
        ratio = self._ratios()[every]
        f = self._risks.answered_by(every, ages[:, None] + moments)
        f_now, g_now = f[:, 0], self._risks.refused_by(every, ages)
        p = _chance(self.base * ratio)
        self._set_base(numbers, counts, (_part(p, f_now, g_now) * ratio)[:lines])
        p = _chance(self.base * ratio * self._caution())
        alive = np.maximum(1.0 - p * f_now - (1.0 - p) * g_now, 1e-3)
        by = (p / alive)[:, None] * (f - f[:, :1])
        by = np.minimum(by, 1.0)
        middle, within = (by[:, :-1] + by[:, 1:]) / 2.0, by[:, 1:] - by[:, :-1]
        weights = self._mix[mix] if self._mix[mix].sum() > 0 else np.ones(1)
        weights = weights / weights.sum()
        one = np.ones(1, dtype=np.int64)
        fresh = Chances((weights @ middle[lines:])[None], (weights @ within[lines:])[None], one)
        return Chances(middle[:lines], within[:lines], counts), fresh, float(weights @ p[lines:])

    def _caution(self) -> float:
        """What p is raised by: one and a half standard errors of the count of answers known."""
        return 1.0 + 1.5 / math.sqrt(self._got[-1] + 3.0)

    def _set_base(self, numbers: Rows, counts: Rows, parts: Array) -> None:
        """``base``, from what has ended and the parts of trials that still ring."""
        tried = self._tried
        if len(numbers):
            weights = 0.5 ** ((self._dialled - numbers)[:, None] / HALF_LIVES)
            tried = tried + (counts * parts * self._risks.trust()) @ weights
        tried = np.maximum(tried, 0.0)
        slow = (self._got[-1] + GUESS_CALLS * GUESS_P) / (tried[-1] + GUESS_CALLS)
        self.levels = (self._got + DRAWN * slow) / (tried + DRAWN)
        weights = np.exp(self._score - self._score.max())
        self.base = float(weights @ self.levels / weights.sum())

    def ratio(self, row: int) -> float:
        """How much more (or less) often calls of the segment are answered than the base level."""
        if row == 0 or len(self._seg_got) < 3:
            return 1.0
        return (self._seg_got[row] + RATIO_PRIOR) / (self._seg_expected[row] + RATIO_PRIOR)

    def _ratios(self) -> Array:
        return np.array([self.ratio(row) for row in range(len(self._seg_got))])

    def part(self, row: int, age: float) -> float:
        """D of one line that is still unanswered at ``age``."""
        rows, ages = np.array([row]), np.array([age])
        f = self._risks.answered_by(rows, ages[:, None])[:, 0]
        p = _chance(np.array([self.base * self.ratio(row)]))
        return float(_part(p, f, self._risks.refused_by(rows, ages))[0])


def _chance(p: Array) -> Array:
    return np.minimum(np.maximum(p, 1e-3), 0.98)


def _part(p: Array, f: Array, g: Array) -> Array:
    """D = 1 - (1 - F) / S: the part of a trial that lines unanswered so far stand for."""
    alive = np.maximum(1.0 - p * f - (1.0 - p) * g, 1e-3)
    part: Array = np.minimum(np.maximum(1.0 - (1.0 - f) / alive, -1.0), 1.0)
    return part
