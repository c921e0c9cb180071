"""Two pacers that know what nobody can: what knowing it would be worth.

Both decide as the predictive pacer does, with the chances of what they know replaced by certainty.
``KnowsFrees`` is told when each busy agent will be free; ``KnowsAnswers`` which ringing lines will
answer, and when (not which calls yet to be placed will).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pacing_world import World

from dialer.domain.pacing import Floor
from dialer.domain.pacing.answers import Answers
from dialer.domain.pacing.loss import Chances
from dialer.domain.pacing.predictive import Predictive, _Groups

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
NEARLY = 1.0 - 1e-7
"""Certainty, but for what keeps the quotients of the generating function finite."""


class KnowsFrees(Predictive):
    """Told when each busy agent will be free."""

    world: World

    def _free(self, floor: Floor, ahead: Array) -> tuple[Array, Counts]:
        left = [
            self.world.free_at[agent] - self.world.now
            for agent, seat in self.world.seats.items()
            if seat.state != "available"
        ]
        free = np.array(left, dtype=np.float64).reshape(-1, 1) <= ahead
        return free.astype(np.float64), np.ones(len(left), dtype=np.int64)


class KnowsAnswers(Predictive):
    """Told which ringing lines will answer, and when."""

    world: World

    def _chances(self, answers: Answers, moments: Array) -> tuple[Chances, Chances, float]:
        _, fresh, p = super()._chances(answers, moments)
        alone = _Groups()
        alone.lines = [line for members in self._groups.members for line in members]
        alone.members = [[line] for line in alone.lines]
        self._groups = alone
        by = np.zeros((len(alone.lines), len(moments)))
        for row, line in zip(by, alone.lines, strict=True):
            call = self.world.lines[line.id]
            if call.answers:
                row[:] = (moments >= line.since + call.ring - self.world.clock()) * NEARLY
        ones = np.ones(len(by), dtype=np.int64)
        lines = Chances((by[:, :-1] + by[:, 1:]) / 2.0, np.diff(by, axis=1), ones)
        return lines, fresh, p
