"""Days of predictive dialling where each line has a chance of its own: what knowing it is worth.

The world is bench/pacing_world.py; its debtors are those of bench/answering_world.py after some
days of calls, from which the model has learned. All policies meet the same debtors.
"""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, field

import numpy as np
from answering_world import RING_MAX, UNANSWERED, Debtor, ring
from answering_world import World as Leads
from numpy.typing import NDArray
from pacing_world import Day, Load, World, _Call

from dialer.domain.answering import AnswerModel, Features, segment
from dialer.domain.model import Disposition, LineType
from dialer.domain.pacing import Line, Pacer, make_pacer
from dialer.domain.pacing.answers import Answers
from dialer.domain.pacing.loss import Chances
from dialer.domain.pacing.predictive import Predictive, _Groups

Array = NDArray[np.float64]
POLICIES = (
    "no segments",
    "by hour",
    "model",
    "model, no times",
    "model of each line",
    "truth",
    "chance of each line",
)
TITLES = {
    "no segments": "no segments",
    "by hour": "by campaign and two hours (what was before)",
    "model": "segments of the model",
    "model, no times": "segments of the model, by chance alone",
    "model of each line": "told the model's chance and time of each line",
    "truth": "segments of the true chances",
    "chance of each line": "told the true chance and time of each line",
}


@dataclass(slots=True)
class Trained:
    """A list after some days, and the model that has seen them."""

    leads: Leads
    model: AnswerModel
    begins: float
    who: list[Debtor]


def trained(seed: int, days: int, calls: int) -> Trained:
    """``begins``: 10 h of the day after (hours since the first midnight)."""
    leads = Leads(seed, leads=8000)
    model = AnswerModel()
    for call in leads.days(days, calls):
        model.learn(call.features, call.answered, call.seconds)
    who = [one for _, _, one in leads._due if one.last_at is None or one.attempts < 8]
    return Trained(leads, model, days * 24.0 + 10.0, who)


@dataclass(slots=True)
class _Known:
    """What a pacer that asks is told: the chance, and the median time (None: the true times)."""

    features: Features
    p: float
    seconds: float | None = None
    given_up: bool = True


@dataclass(slots=True)
class ListDay(World):
    """The pacing world with the debtors of a list. ``load`` gives talk and wrap-up alone."""

    about: Trained | None = None
    policy: str = ""
    known: dict[str, _Known] = field(default_factory=dict)
    foretold: float = 0.0

    def _place(self) -> None:
        assert self.about is not None
        number = self.day.placed
        self.day.placed += 1
        dice = random.Random(self.seed * 1_000_003 + number)
        who = self.about.who[number * 7919 % len(self.about.who)]
        at = self.about.begins + self.now / 3600.0
        p, features = self.about.leads.p(who, at), self.about.leads.features(who, at)
        answers = dice.random() < p
        seconds = ring(dice, who.line) if answers else _unanswered(dice)
        name = self._segment(features, p)
        line = Line(f"{number}", self.clock(), name)
        call = _Call(line, answers, seconds, self.load.talk(dice), self.load.wrap(dice))
        model = self.about.model
        self.known[line.id] = (
            _Known(features, model.probability(features), model.seconds(features))
            if self.policy == "model of each line"
            else _Known(features, p)
        )
        self.lines[line.id] = call
        self._at(self.now + seconds, self._rung, call)

    def _segment(self, features: Features, p: float) -> str:
        assert self.about is not None
        model = self.about.model
        if self.policy == "by hour":
            return f"{features.campaign}|{int(features.hour) // 2}"
        if self.policy == "model":
            return segment(model.probability(features), model.time_class(features))
        if self.policy == "model, no times":
            return segment(model.probability(features))
        if self.policy == "truth":
            return f"{segment(p)} {features.line_type}"
        return ""

    def _rung(self, call: _Call) -> None:
        self.known[call.line.id].given_up = False
        # Named, since this is a dataclass with slots: it is not the class that super() knows.
        World._rung(self, call)

    def _ended(self, call: _Call, answered: bool) -> None:
        World._ended(self, call, answered)
        known = self.known[call.line.id]
        if self.about is not None and self.policy.startswith("model"):
            age = self.clock() - call.line.since
            self.about.model.learn(known.features, answered, age, given_up=known.given_up)


def _unanswered(dice: random.Random) -> float:
    """Seconds to the end of a call that nobody answers."""
    how = dice.choices([one[0] for one in UNANSWERED], [one[1] for one in UNANSWERED])[0]
    if how is Disposition.BUSY:
        return dice.uniform(2.0, 5.0)
    return dice.uniform(3.0, 15.0) if how is Disposition.REJECTED else RING_MAX


class KnowsChances(Predictive):
    """Told the chance of each line in the air, and the distribution of its time."""

    world: ListDay

    def __init__(self) -> None:
        super().__init__()
        dice = random.Random(7)
        self._rings = {
            line: np.sort([ring(dice, line) for _ in range(4000)])
            for line in (LineType.MOBILE, LineType.FIXED, LineType.FIXED_OR_MOBILE,
                         LineType.UNKNOWN)
        }  # fmt: skip

    def _chances(self, answers: Answers, moments: Array) -> tuple[Chances, Chances, float]:
        _, fresh, p = super()._chances(answers, moments)
        alone = _Groups()
        alone.lines = [line for members in self._groups.members for line in members]
        alone.members = [[line] for line in alone.lines]
        self._groups = alone
        by = np.zeros((len(alone.lines), len(moments)))
        for row, line in zip(by, alone.lines, strict=True):
            row[:] = self._by(line.id, self.world.clock() - line.since, moments)
        ones = np.ones(len(by), dtype=np.int64)
        lines = Chances((by[:, :-1] + by[:, 1:]) / 2.0, np.diff(by, axis=1), ones)
        return lines, fresh, p

    def _by(self, name: str, age: float, moments: Array) -> Array:
        """Chance of an answer by each moment ahead; busy and refused lines are gone by 15 s."""
        known = self.world.known[name]
        rings = self._rings[known.features.line_type]
        if known.seconds is not None:
            middle = float(rings[len(rings) // 2])
            rings = np.sort(np.minimum(rings * known.seconds / middle, RING_MAX))
        f = np.searchsorted(rings, age + moments) / len(rings)
        early = 0.11 * min(max((age - 2.0) / 3.0, 0.0), 1.0)
        early += 0.05 * min(max((age - 3.0) / 12.0, 0.0), 1.0)
        alive = 1.0 - known.p * f[0] - (1.0 - known.p) * early
        chance: Array = np.minimum(known.p * (f - f[0]) / max(alive, 1e-6), 1.0 - 1e-7)
        return chance


def run_day(about: Trained, policy: str, agents: int, hours: float, seed: int, load: Load) -> Day:
    """One day of one policy; the model learns on a copy of its own."""
    mine = Trained(about.leads, copy.deepcopy(about.model), about.begins, about.who)
    pacer: Pacer = make_pacer("predictive")
    if policy.endswith("of each line"):
        pacer = KnowsChances()
    world = ListDay(load, agents, hours * 3600.0, seed, pacer, about=mine, policy=policy)
    if isinstance(pacer, KnowsChances):
        pacer.world = world
    return world.run()
