"""Weights that are learned one observation at a time and wander slowly.

Each weight is believed to be normal around ``mean`` with ``variance``, independent of the others.
An observation corrects it by a step of the extended Kalman filter: with the sum s = sum x w, its
variance v = sum x^2 variance, an error e (the derivative of the log-likelihood by s) and the
information i (minus the second derivative, expected),

    mean += variance x e / (1 + i v)        variance -= (variance x)^2 i / (1 + i v).

So the steps adapt by themselves: large while little is known of a weight, small later. Between
two observations every weight wanders as an Ornstein-Uhlenbeck process about its prior mean with
its prior variance (with r = 0.5 ^ (1 / half-life) for each observation gone by):

    mean -> m0 + r (mean - m0)              variance -> v0 - r^2 (v0 - variance).

That is both the forgetting of old days and the L2 penalty: what is no longer seen returns to m0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Active = Iterable[tuple[int, float]]
LARGE = 50.0
"""No weight is ever near this; a stored one beyond it is garbage."""


class BadState(ValueError):
    """What was stored is not a state of this model: it begins anew."""


@dataclass(frozen=True, slots=True)
class Prior:
    """Where a weight begins and returns to, and after how many observations it is half way."""

    mean: float
    spread: float
    half_life: float


class Weights:
    """A vector of weights with their variances."""

    def __init__(self, priors: Sequence[Prior]) -> None:
        self._start = [one.mean for one in priors]
        self._wide = [one.spread * one.spread for one in priors]
        self._log_keep = [math.log(0.5) / one.half_life for one in priors]
        self._mean = list(self._start)
        self._variance = list(self._wide)
        self._at = [0] * len(priors)
        """How many observations had been before the one that wrote the weight last."""
        self.seen = 0

    def look(self, active: Active) -> tuple[float, float]:
        """The sum of these cells' weights, and its variance."""
        total = variance = 0.0
        for cell, x in active:
            mean, wide = self._now(cell)
            total += x * mean
            variance += x * x * wide
        return total, variance

    def learn(self, active: Active, error: float, information: float) -> None:
        """One observation (see above). ``information`` is not negative."""
        known = [(cell, x, *self._now(cell)) for cell, x in active]
        total = sum(x * x * wide for _, x, _, wide in known)
        gain = 1.0 / (1.0 + information * total)
        for cell, x, mean, wide in known:
            step = wide * x
            self._mean[cell] = mean + step * error * gain
            self._variance[cell] = wide - step * step * information * gain
            self._at[cell] = self.seen
        self.seen += 1

    def _now(self, cell: int) -> tuple[float, float]:
        """Mean and variance as they have wandered since they were last written."""
        keep = math.exp(self._log_keep[cell] * (self.seen - self._at[cell]))
        start, wide = self._start[cell], self._wide[cell]
        mean = start + keep * (self._mean[cell] - start)
        return mean, wide - keep * keep * (wide - self._variance[cell])

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values; weights of which nothing is known are left out."""
        written = [c for c, wide in enumerate(self._variance) if wide != self._wide[c]]
        return {
            "size": len(self._at),
            "seen": self.seen,
            "weights": [
                [cell, round(mean, 6), round(wide, 8)]
                for cell, (mean, wide) in ((cell, self._now(cell)) for cell in written)
            ],
        }

    def restore(self, state: Any) -> None:
        """Take over what ``to_json`` gave. Raises BadState; then nothing is changed."""
        entry = fields(state, "size", "seen", "weights")
        if entry["size"] != len(self._at):
            raise BadState(f"weights of {entry['size']} cells, where there are {len(self._at)}")
        seen = number(entry["seen"], "seen", 0.0, 1e15)
        if not isinstance(entry["weights"], list):
            raise BadState("weights are no list")
        mean, variance, at = list(self._start), list(self._wide), [0] * len(self._at)
        for row in entry["weights"]:
            if not isinstance(row, list) or len(row) != 3:
                raise BadState(f"not a cell with mean and variance: {str(row)[:60]}")
            cell = int(number(row[0], "cell", 0, len(at) - 1))
            mean[cell] = number(row[1], "mean", -LARGE, LARGE)
            variance[cell] = number(row[2], "variance", 0.0, self._wide[cell] + 1e-6)
            at[cell] = int(seen)
        self._mean, self._variance, self._at, self.seen = mean, variance, at, int(seen)


def fields(state: Any, *names: str) -> dict[str, Any]:
    """A mapping with at least these keys. Raises BadState."""
    if not isinstance(state, dict):
        raise BadState(f"not a mapping: {str(state)[:60]}")
    missing = [name for name in names if name not in state]
    if missing:
        raise BadState(f"without {', '.join(missing)}")
    return state


def number(value: Any, name: str, least: float, most: float) -> float:
    """A finite number within bounds. Raises BadState."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadState(f"{name} is no number: {str(value)[:60]}")
    if not least <= value <= most:  # also false for what is not a number
        raise BadState(f"{name} is out of bounds: {value}")
    return float(value)
