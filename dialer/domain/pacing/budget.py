"""The price of a lost caller, and the legal budget.

``theta`` is how many lost callers one more answer may cost. It follows what the budget still
holds. After ``n`` live answers, of which ``a`` were abandoned, the plan is to have lost

    T(n) = B^2 / (B + S),   B = limit n,   S = SLACK + (MORE_SLACK - SLACK) B / (B + HALF_WAY),

close to ``B - S`` once n is large: the share comes near the legal limit in the long run, stays a
few callers away from it, and is well below it in a small team's day. Callers are lost several at a
time, above all where few calls are answered and many are in the air, and a day that runs into the
hard stop loses far more than the callers that a wider berth leaves unused. With ``e = T(n) - a``:

    log theta = level + min(0, log(p / USUAL) / 2) + GAIN min(e, MOST_AHEAD) - OVER max(0, -1 - e)
    level += DRIFT e at each answer
    theta scaled by (n + YOUNG) / (n + 3 YOUNG), and by (left - 0.5) / TAPER, at most 1,
    where left = limit max(n, FEW) - a callers may still be lost

``GAIN`` makes it a dual control (each abandoned caller raises the price of the next); ``level``
takes up what this load's losses differ from those computed. Where few calls are answered (chance
``p``) the price is lower: after a stop, one line an idle agent earns a new budget only slowly. What
is decided shows only after the calls in the air have ended, so that with many of them all moves are
made slower, by ``delay``.

The hard stop: once the next abandoned caller could break the limit, one line an idle agent.
"""

from __future__ import annotations

import math

START, LEAST, MOST = 0.08, 0.003, 0.12
USUAL = 0.2
"""Chance of an answer from which on ``START`` is not lowered."""
GAIN, OVER, DRIFT = 0.15, 0.5, 0.0005
SLACK, MORE_SLACK, HALF_WAY = 3.0, 8.0, 40.0
"""Callers to stay away from the limit: at the start of a window, in a long one, and the budget at
which it is half way between."""
MOST_AHEAD = 3.0
"""Callers by which being behind the plan counts at most: a reserve spent at once is spent badly."""
YOUNG = 50.0
TAPER = 3.0
FEW = 100
"""Below so many answers, the share is taken as if there had been as many: the first abandoned
caller of a day is no breach of a share that is counted over weeks, the third of the first hundred
is."""


class Budget:
    """The window's answers so far, and the price that follows."""

    def __init__(self, answered: int = 0, abandoned: int = 0) -> None:
        self.answered = answered
        self.abandoned = abandoned
        self._delay = 1.0
        self._level = math.log(START)

    def learn(self, abandoned: bool, limit: float) -> None:
        """What became of one live answer."""
        self.answered += 1
        self.abandoned += abandoned
        error = min(max(self._error(limit), -4.0), 4.0)
        level = self._level + DRIFT / self._delay**2 * error
        self._level = min(max(level, math.log(LEAST)), math.log(MOST))

    def in_the_air(self, answers: float) -> None:
        """Answers to be expected of the lines in the air."""
        self._delay = 1.0 + max(0.0, answers - 5.0) / 15.0

    def theta(self, limit: float, p: float) -> float:
        """Lost callers that one more answer may cost now. ``p``: chance that a call is answered."""
        error = self._error(limit) / self._delay
        rare = 0.5 * min(0.0, math.log(max(p, 0.01) / USUAL))
        log = (
            self._level
            + rare
            + GAIN * min(max(error, -8.0), MOST_AHEAD)
            - OVER * max(0.0, -1.0 - error)
        )
        left = limit * max(self.answered, FEW) - self.abandoned
        taper = min(max((left - 0.5) / TAPER, 0.05), 1.0)
        young = (self.answered + YOUNG) / (self.answered + 3.0 * YOUNG)
        return min(max(math.exp(log), LEAST), MOST) * young * taper * limit / 0.03

    def spent(self, limit: float) -> bool:
        """Whether the next abandoned caller would break the limit."""
        return self.abandoned + 1 > limit * max(self.answered, FEW) + 1e-9

    def gone(self, limit: float) -> bool:
        """Whether the share has reached the limit."""
        return self.abandoned >= limit * max(self.answered, FEW) - 1e-9

    def reason(self, limit: float) -> str:
        """Why predictive dialling holds back; '' if it does not."""
        if self.gone(limit):
            word = "predictive dialling stopped: the legal limit is reached"
        elif self.spent(limit):
            word = "down to one line an idle agent: the next abandoned caller would break the limit"
        else:
            return ""
        share = 100.0 * self.abandoned / max(1, self.answered)
        return (
            f"{word} ({self.abandoned} of {self.answered} answered were abandoned, "
            f"{share:.2f} %, limit {100.0 * limit:.2f} %)"
        )

    def _error(self, limit: float) -> float:
        if limit <= 0.0:
            return -float(self.abandoned)
        budget = limit * self.answered
        slack = SLACK + (MORE_SLACK - SLACK) * budget / (budget + HALF_WAY)
        return budget * budget / (budget + slack) - self.abandoned
