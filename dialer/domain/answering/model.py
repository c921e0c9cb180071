"""The model: a logistic regression learned online, calibrated, and a sense of when.

    z = sum x w,   z' = z / sqrt(1 + pi v / 8)      (v: variance of z; MacKay 1992)
    y = z' + a + b (z' - c)                         (Platt 1999, learned on what was foretold)
    p = 1 / (1 + exp(-y)), within 0.005 ... 0.95.

``w``, and ``a`` and ``b``, are weights that wander (``weights``). Taking the weights for
independent makes z too sure of itself where features come together; ``b`` takes that back.

A call given up while it still rang has been tried in part only. Its label is not 0 but the chance
q = p (1 - F) / (1 - p F) that it would have been answered later, F being the share of answers that
come by then: so the error q - p is exactly the derivative of its log-likelihood ln(1 - p F).

When: the logarithm of the seconds to an answer by linear regression on the same cells.
"""

from __future__ import annotations

import math
from typing import Any

from dialer.domain.answering import features as f
from dialer.domain.answering.features import Features, cells
from dialer.domain.answering.segments import log_odds
from dialer.domain.answering.weights import BadState, Prior, Weights, fields, number

LEAST, MOST = 0.005, 0.95
GUESS_P = 0.3
GUESS_SECONDS = 12.0
HALF_LIFE = 100_000.0
"""Calls after which half of what was learned of a feature is forgotten: some weeks. Forgetting
faster costs more in noise than it gains: what changes within days is the level, not who answers."""
TODAY_HALF_LIFE = 1000.0
CALIBRATION = Prior(0.0, 0.1, 20_000.0), Prior(0.0, 0.3, 20_000.0)
"""Of ``a`` and of ``b``."""
TIME_SPREAD = 0.5
"""Of the weights for the time, in parts of those for the chance."""
MEMORY = 2000.0
"""Observations that running means (of z, of the time and of its error) look back over."""
UNUSUAL = 0.2
"""Difference in the logarithm of the time that makes an answer quick or slow: a fifth."""
FORMAT = 1


def _priors(level: float, scale: float) -> list[Prior]:
    found = [
        Prior(0.0, scale * block.spread, HALF_LIFE)
        for block in f.BLOCKS.values()
        for _ in range(block.size)
    ]
    found[f.LEVEL] = Prior(level, scale * f.BLOCKS["level"].spread, HALF_LIFE)
    found[f.TODAY] = Prior(0.0, scale * f.BLOCKS["today"].spread, TODAY_HALF_LIFE)
    return found


class AnswerModel:
    """Of one company. Changed by ``learn`` alone."""

    def __init__(self) -> None:
        self._weights = Weights(_priors(log_odds(GUESS_P), 1.0))
        self._platt = Weights(CALIBRATION)
        self._times = Weights(_priors(math.log(GUESS_SECONDS), TIME_SPREAD))
        self._centre = log_odds(GUESS_P)
        self._usual = math.log(GUESS_SECONDS)
        self._noise = 0.25

    @property
    def calls(self) -> int:
        """How many calls it has learned from."""
        return self._weights.seen

    def probability(self, one: Features) -> float:
        """The chance that a person answers this call, from 0.005 to 0.95."""
        return self._calibrated(self._raw(cells(one)))

    def seconds(self, one: Features) -> float:
        """The median time from placing to an answer, if one comes."""
        return math.exp(min(max(self._times.look(cells(one))[0], -3.0), 6.0))

    def time_class(self, one: Features) -> str:
        """``quick``, ``usual`` or ``slow``, against all calls of late."""
        apart = math.log(self.seconds(one)) - self._usual
        return "usual" if abs(apart) < UNUSUAL else "quick" if apart < 0.0 else "slow"

    def learn(
        self, one: Features, answered: bool, seconds: float, *, given_up: bool = False
    ) -> None:
        """What became of a call that was placed with these features.

        ``answered``: by a person. ``seconds``: from placing to the answer, or to the end.
        ``given_up``: we hung up before the usual time to ring was over. Raises ValueError for a
        time that is none.
        """
        if not 0.0 <= seconds < math.inf:
            raise ValueError(f"not a time: {seconds}")
        active = cells(one)
        raw = self._raw(active)
        heard = 1.0 if answered or not given_up else self._answered_by(active, seconds)
        self._learn_calibration(raw, answered, heard)
        p = _logistic(raw)
        self._weights.learn(active, _label(p, answered, heard) - p, p * (1.0 - p) * heard)
        if answered:
            self._learn_time(active, seconds)

    def _raw(self, active: list[tuple[int, float]]) -> float:
        total, variance = self._weights.look(active)
        return total / math.sqrt(1.0 + math.pi * variance / 8.0)

    def _platt_cells(self, raw: float) -> list[tuple[int, float]]:
        return [(0, 1.0), (1, raw - self._centre)]

    def _calibrated(self, raw: float) -> float:
        shift, _ = self._platt.look(self._platt_cells(raw))
        return min(max(_logistic(raw + shift), LEAST), MOST)

    def _learn_calibration(self, raw: float, answered: bool, heard: float) -> None:
        p = self._calibrated(raw)
        error = _label(p, answered, heard) - p
        self._platt.learn(self._platt_cells(raw), error, p * (1.0 - p) * heard)
        self._centre += (raw - self._centre) / min(self._weights.seen + 20.0, MEMORY)

    def _answered_by(self, active: list[tuple[int, float]], seconds: float) -> float:
        """F: the share of answers that come within so many seconds (log-normal)."""
        middle, _ = self._times.look(active)
        apart = (math.log(max(seconds, 0.05)) - middle) / math.sqrt(2.0 * self._noise)
        return 0.5 * (1.0 + math.erf(apart))

    def _learn_time(self, active: list[tuple[int, float]], seconds: float) -> None:
        log = math.log(min(max(seconds, 0.5), 300.0))
        middle, _ = self._times.look(active)
        error = log - middle
        self._times.learn(active, error / self._noise, 1.0 / self._noise)
        part = 1.0 / min(self._times.seen + 20.0, MEMORY)
        self._usual += part * (log - self._usual)
        self._noise = max(self._noise + part * (error * error - self._noise), 0.01)

    def to_json(self) -> dict[str, Any]:
        """All that it knows as plain values, a few thousand characters."""
        return {
            "format": FORMAT,
            "weights": self._weights.to_json(),
            "platt": self._platt.to_json(),
            "times": self._times.to_json(),
            "centre": self._centre,
            "usual": self._usual,
            "noise": self._noise,
        }

    @classmethod
    def from_json(cls, state: Any) -> AnswerModel:
        """The model that gave this state. Raises BadState for anything else."""
        entry = fields(state, "format", "weights", "platt", "times", "centre", "usual", "noise")
        if entry["format"] != FORMAT:
            raise BadState(f"format {str(entry['format'])[:20]}, where this one is {FORMAT}")
        model = cls()
        model._weights.restore(entry["weights"])
        model._platt.restore(entry["platt"])
        model._times.restore(entry["times"])
        model._centre = number(entry["centre"], "centre", -20.0, 20.0)
        model._usual = number(entry["usual"], "usual", -5.0, 10.0)
        model._noise = number(entry["noise"], "noise", 0.01, 100.0)
        return model


def _logistic(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(max(z, -30.0), 30.0)))


def _label(p: float, answered: bool, heard: float) -> float:
    """1 and 0, or what may still be hoped of a call that was tried in part."""
    if answered:
        return 1.0
    return p * (1.0 - heard) / max(1.0 - p * heard, 1e-9)
