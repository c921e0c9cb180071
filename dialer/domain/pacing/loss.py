"""How many callers would find no agent, if so many more calls were placed now.

For ``K`` moments ahead, ``X(t) = answers by t - agents who come free by t + hold`` is a sum of
independent yes-or-no variables with unlike chances (Poisson-binomial). Its generating function is
the product of one factor for each line and each agent; its values at the ``M``-th roots of unity
give the whole distribution by an inverse Fourier transform (Fernandez and Williams 2010,
"Closed-form expression for the Poisson-binomial probability density function").

A caller who answers at ``t`` is lost when the *others* have taken all agents:
``X without him >= idle``. The expected number of lost callers weighs that with each line's chance
to answer then, each line left out of its own state by dividing its factor out.

Cost: one complex product over (rows x K x M/2), where a row stands for lines dialled together or
agents of about one age, and ``M`` covers six standard deviations of ``X`` on either side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]
Counts = NDArray[np.int64]

SPREAD = 6.0
"""Standard deviations of X that are told apart; what lies beyond has a chance of 1e-8."""


@dataclass(frozen=True, slots=True)
class Chances:
    """Chances by moment ahead: ``by`` (rows x K), to have answered by then; ``within`` (rows x K),
    to answer in the stretch of time around it. ``counts``: lines (or agents) that a row stands
    for."""

    by: Array
    within: Array
    counts: Counts


class ExpectedLoss:
    """The expected number of lost callers as a function of extra calls placed now.

    ``idle``: agents free now less callers waiting. ``lines``: those in the air. ``free`` (rows x
    K), each row standing for ``busy`` agents: chance to be free by t + hold. ``fresh``: one row, a
    call placed now. ``most``: the largest number of extra calls that will be asked about.
    """

    def __init__(
        self, idle: int, lines: Chances, free: Array, busy: Counts, fresh: Chances, most: int
    ) -> None:
        low, high = _window(lines, free, busy, fresh, most)
        matter = high >= idle  # at the other moments nobody can be lost
        self._none = not matter.any()
        if self._none:
            return
        lowest = min(0, int(low[matter].min()))
        size = 16
        while size <= int(high.max()) - lowest:
            size *= 2
        self._within = lines.within[:, matter]
        self._fresh_within = fresh.within[0][matter][:, None]
        z = np.exp(2j * np.pi / size * np.arange(size // 2 + 1))
        turn = z - 1.0
        by = lines.by[:, matter]
        by = np.where(np.abs(by - 0.5) < 1e-6, 0.5 + 1e-6, by)  # no factor is 0
        self._factors: Complex = 1.0 + by[:, :, None] * turn
        of_agents = 1.0 + free[:, matter][:, :, None] * np.conj(turn)
        state = _product(self._factors, lines.counts) * _product(of_agents, busy)
        self._state: Complex = state * _tail(z, size, idle, lowest)
        each = (lines.counts[:, None] * self._within)[:, :, None]
        self._arrivals: Complex = (each / self._factors).sum(axis=0)
        self._step: Complex = 1.0 + fresh.by[0][matter][:, None] * turn

    def current(self) -> float:
        """Expected lost callers, of the lines in the air."""
        return 0.0 if self._none else float((self._state * self._arrivals).real.sum())

    def marginal(self, extra: int) -> float:
        """Expected lost callers that the last of ``extra`` calls placed now would add."""
        if self._none:
            return 0.0
        with_one = self._step * self._arrivals + self._fresh_within
        if extra == 1:
            return float((self._state * (with_one - self._arrivals)).real.sum())
        others: Complex = self._state * self._step ** (extra - 2)
        before = with_one + (extra - 2) * self._fresh_within
        after = self._step * (before + self._fresh_within)
        return float((others * (after - before)).real.sum())

    def without(self, rows: list[int]) -> Array:
        """Expected lost callers if one line of a row were given up, for each of ``rows``."""
        if self._none:
            return np.zeros(len(rows))
        factors = self._factors[rows]
        arrivals = self._arrivals - self._within[rows][:, :, None] / factors
        left: Array = (self._state / factors * arrivals).real.sum(axis=(1, 2))
        return left

    def give_up(self, row: int) -> None:
        """One line of a row is in the air no more."""
        if not self._none:
            factor = self._factors[row]
            self._state = self._state / factor
            self._arrivals = self._arrivals - self._within[row][:, None] / factor


def enough_calls(idle: int, lines: Chances, free: Array, busy: Counts, fresh: Chances) -> int:
    """More extra calls than can be worth it: their answers would exceed the agents by 3 sigma."""
    agents = idle + float(busy @ free[:, -1])
    by = lines.by[:, -1]
    spread = float(lines.counts @ (by * (1.0 - by))) + float(
        busy @ (free[:, -1] * (1 - free[:, -1]))
    )
    room = agents - float(lines.counts @ by) + 3.0 * np.sqrt(spread + max(0.0, agents)) + 3.0
    return max(4, int(room / max(float(fresh.by[0, -1]), 1e-3)))


def most_calls(loss: ExpectedLoss, chance: float, theta: float, most: int) -> int:
    """The most extra calls that each lose at most ``theta`` callers for each answer they bring.

    The marginal loss rises with every call, so that the first that costs too much ends the search:
    doubling steps, then halving.
    """

    def worth(calls: int) -> bool:
        return loss.marginal(calls) <= theta * chance

    if most <= 0 or not worth(1):
        return 0
    good, bad = 1, 2
    while bad <= most and worth(bad):
        good, bad = bad, bad * 2
    bad = min(bad, most + 1)
    while bad - good > 1:
        middle = (good + bad) // 2
        if worth(middle):
            good = middle
        else:
            bad = middle
    return good


def _window(
    lines: Chances, free: Array, busy: Counts, fresh: Chances, most: int
) -> tuple[Array, Array]:
    """Between which whole numbers X lies at each moment, but for a chance of some 1e-8."""
    extra = most * fresh.by[0]
    answers, frees = lines.counts @ lines.by, busy @ free
    variance = lines.counts @ (lines.by * (1.0 - lines.by)) + busy @ (free * (1.0 - free))
    low = answers - frees - SPREAD * np.sqrt(variance) - 2.0
    variance = variance + extra * (1.0 - fresh.by[0])
    high = answers - frees + extra + SPREAD * np.sqrt(variance) + 2.0
    least, greatest = -float(busy.sum()), float(lines.counts.sum() + most)
    return np.maximum(np.floor(low), least), np.minimum(np.ceil(high), greatest)


def _product(factors: Complex, counts: Counts) -> Complex:
    """The product over the rows, each to the power of its count (by repeated squaring)."""
    product: Complex = np.prod(factors, axis=0)
    left = counts - 1
    while left.any():
        rows = left > 0
        factors, left = factors[rows], left[rows]
        odd = left % 2 == 1
        if odd.any():
            product = product * np.prod(factors[odd], axis=0)
        factors, left = factors * factors, left // 2
    return product


def _tail(z: Complex, size: int, idle: int, low: int) -> Complex:
    """Weights c with ``P(X >= idle) = Re sum(generating function * c)`` over half the roots.

    The sum of ``z^-x / size`` over ``x = idle .. low + size - 1``, a geometric series.
    """
    first = max(idle, low)
    weights = np.empty(len(z), dtype=np.complex128)
    weights[0] = low + size - first
    weights[1:] = (z[1:] ** -first - z[1:] ** -low) / (1.0 - 1.0 / z[1:])
    weights[1 : len(z) - 1] *= 2.0  # the other half of the roots are the conjugates
    found: Complex = weights / size
    return found
