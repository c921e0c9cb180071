"""How long agents talk and wrap up, learned online; when the busy ones will be free.

A life table in the logarithm of the duration: in each cell, how many conversations ended and how
many were still going on. Both are smoothed with a Gaussian kernel and their quotient is the
hazard, so that conversations still going on count too (an estimate from finished ones alone
would take every talk for a short one in the first minutes). Old ones are forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CELL = 0.1
FIRST = 0.5
"""Upper end of the first cell, in seconds; each further cell is ``exp(CELL)`` times longer."""
CELLS = 104
_UPPER = FIRST * np.exp(CELL * np.arange(CELLS))
_EDGES = np.concatenate(([0.0], _UPPER))
_LOWER = _EDGES[:-1]


class Durations:
    """The distribution of one kind of duration.

    ``mean`` and ``sigma`` (of the logarithm) describe a lognormal first guess that weighs as much
    as ``weight`` durations; ``half_life`` is how many durations halve the weight of an old one;
    ``bandwidth`` is the kernel's, in units of the logarithm.
    """

    def __init__(
        self, mean: float, sigma: float, weight: float, half_life: float, bandwidth: float
    ) -> None:
        self._keep = 0.5 ** (1.0 / half_life)
        self._guess = math.log(mean) - sigma * sigma / 2.0, sigma, weight
        reach = np.arange(-4, 5) * CELL
        kernel = np.exp(-0.5 * (reach / bandwidth) ** 2)
        self._kernel = kernel / kernel.sum()
        self._ended = np.zeros(CELLS)
        self._at_risk = np.zeros(CELLS)
        self.seen = 0.0

    def learn(self, seconds: float) -> None:
        """One duration that has ended."""
        self._ended *= self._keep
        self._at_risk *= self._keep
        self.seen = self.seen * self._keep + 1.0
        self._ended[_cell(seconds)] += 1.0
        self._at_risk += _exposure(np.array(seconds))

    def survival(self, going_on: Sequence[float]) -> Array:
        """Chance to last longer than each cell's upper end; ``going_on``: ages not yet ended."""
        at_risk = self._at_risk + _exposure(np.array(going_on)[:, None]).sum(axis=0)
        location, sigma, weight = self._guess
        before = weight * _lognormal_tail(_LOWER, location, sigma)
        after = weight * _lognormal_tail(_UPPER, location, sigma)
        ended = _smooth(self._ended, self._kernel) + before - after
        exposed = _smooth(at_risk, self._kernel) + (before + after) / 2.0
        hazard = ended / np.maximum(exposed, 1e-9)
        lasting: Array = np.exp(-np.cumsum(hazard))
        return lasting


def tail_at(survival: Array, seconds: Array) -> Array:
    """Chance to last longer than ``seconds``, between the cells by interpolation."""
    values = np.concatenate(([1.0], survival))
    found: Array = np.maximum(np.interp(seconds, _EDGES, values), 1e-12)
    return found


def _cell(seconds: float) -> int:
    if seconds <= FIRST:
        return 0
    return min(CELLS - 1, math.ceil(math.log(seconds / FIRST) / CELL))


def _exposure(seconds: Array) -> Array:
    """The part of each cell that a duration of ``seconds`` went through."""
    share: Array = np.clip((seconds - _LOWER) / (_UPPER - _LOWER), 0.0, 1.0)
    return share


def _smooth(values: Array, kernel: Array) -> Array:
    padded = np.pad(values, len(kernel) // 2)
    smooth: Array = np.convolve(padded, kernel, mode="valid")
    return smooth


def _lognormal_tail(seconds: Array, location: float, sigma: float) -> Array:
    return np.array(
        [
            1.0 if s <= 0 else 0.5 * math.erfc((math.log(s) - location) / (sigma * math.sqrt(2.0)))
            for s in seconds
        ]
    )


class Freeing:
    """The chance that a busy agent is free within given times, by state and time in it.

    ``ahead`` (K): seconds from now. A talking agent at age ``a`` is free by ``u`` when the talk
    ends at some ``a + s`` and the wrap-up takes at most ``u - s``. ``no_wrap`` is the share of
    talks followed by none.
    """

    STEP = 1.0
    CROWD = 80

    def __init__(self, talk: Array, wrap: Array, no_wrap: float, ahead: Array) -> None:
        self._ages = np.concatenate(
            ([0.0], np.exp(np.linspace(math.log(2.0), math.log(7200.0), 100)))
        )
        steps = np.arange(0.0, float(ahead[-1]) + self.STEP, self.STEP)
        alive = tail_at(talk, self._ages[:, None] + steps[None, :])
        ends = (alive[:, :-1] - alive[:, 1:]) / alive[:, :1]
        left = ahead[None, :] - (steps[:-1, None] + self.STEP / 2.0)
        wrapped = 1.0 - (1.0 - no_wrap) * tail_at(wrap, np.maximum(left, 0.0))
        whole = np.clip(left / self.STEP + 0.5, 0.0, 1.0)  # the part of a step that is in time
        self._talking = np.clip(ends @ (wrapped * whole), 0.0, 1.0)
        gone = tail_at(wrap, self._ages[:, None] + ahead[None, :])
        self._wrapping = np.clip(1.0 - gone / tail_at(wrap, self._ages)[:, None], 0.0, 1.0)

    def chances(self, talking: Array, wrapping: Array) -> tuple[Array, NDArray[np.int64]]:
        """(rows x K) for the ages of those who talk, then of those who wrap up; and how many agents
        each row stands for: one, or with more than ``CROWD`` all whose ages round alike."""
        if len(talking) + len(wrapping) <= self.CROWD:
            both = (self._look_up(self._talking, talking), self._look_up(self._wrapping, wrapping))
            return np.concatenate(both), np.ones(len(talking) + len(wrapping), dtype=np.int64)
        tables, counts = [], []
        for table, ages in ((self._talking, talking), (self._wrapping, wrapping)):
            nearest = np.rint(np.interp(ages, self._ages, np.arange(float(len(self._ages)))))
            rows, count = np.unique(nearest.astype(np.int64), return_counts=True)
            tables.append(table[rows])
            counts.append(count)
        return np.concatenate(tables), np.concatenate(counts)

    def _look_up(self, table: Array, ages: Array) -> Array:
        last = len(self._ages) - 1
        place = np.interp(ages, self._ages, np.arange(last + 1.0))
        below = np.minimum(place.astype(np.int64), last - 1)
        part = (place - below)[:, None]
        found: Array = table[below] * (1.0 - part) + table[below + 1] * part
        return found
