"""What a simulated agent decides: when to be ready, how long to talk, how to conclude. Pure.

A mind hears events of its desk and says what to do and when; whoever has it does that over the API
and tells it what was refused. Times are seconds of any one clock; chance comes in.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

AGAIN_SECONDS = 0.5
"""After which something that was refused for the moment is tried again."""
CONSULT_SECONDS = 2.0
"""How long two agents talk before the debtor is handed over."""
MOST_TRIES = 12
PAY_SECONDS = 120.0
"""After which an agent no longer waits for a card."""
OWN_PAUSE = "break"
LEGLESS_TRIES = 8
"""After so many refusals for want of a line the agent has the telephone called again."""


class Do(StrEnum):
    """What an agent does."""

    READY = "ready"
    FINISH = "finish"  # conclude, and hang up
    CONCLUDE = "conclude"
    WRAP_DONE = "wrap_done"
    BLIND = "blind"
    ATTENDED = "attended"
    COMPLETE = "complete"
    CANCEL = "cancel"
    PAY = "pay"
    PREVIEW_CALL = "preview_call"
    NEW_LEG = "new_leg"


class How(StrEnum):
    """How a talk is concluded."""

    SPOKE = "spoke"
    PROMISE = "promise"
    CALLBACK = "callback"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Habits:
    """``talk_mean``, ``wrap_mean``: seconds, of a lognormal whose logarithm has that ``sigma``.
    Shares are of all talks: passed on (``blind``, ``attended``), asked to pay (``pay``)."""

    talk_mean: float = 8.0
    talk_sigma: float = 0.6
    wrap_mean: float = 2.0
    wrap_sigma: float = 0.4
    blind: float = 0.0
    attended: float = 0.0
    pay: float = 0.0


def lognormal(chance: random.Random, mean: float, sigma: float) -> float:
    """A number drawn from the lognormal of that mean."""
    if mean <= 0:
        return 0.0
    return chance.lognormvariate(math.log(mean) - sigma * sigma / 2, sigma)


@dataclass(frozen=True, slots=True, order=True)
class Plan:
    """Something to be done. ``whom``: the agent whom a call is passed to. ``tried``: how often it
    was refused."""

    at: float
    serial: int
    do: Do = field(compare=False)
    whom: int | None = field(default=None, compare=False)
    tried: int = field(default=0, compare=False)


@dataclass(slots=True)
class Notes:
    """What an agent measured. ``seconds``: by state. ``gaps``: seconds from the news of a call to
    its voice; ``talks``: of each that was joined."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    counts: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    gaps: list[float] = field(default_factory=list)
    talks: list[float] = field(default_factory=list)


class Mind:
    """Of one agent. ``others``: ids of colleagues, to pass calls on to."""

    def __init__(self, habits: Habits, chance: random.Random, others: Sequence[int] = ()) -> None:
        self.habits = habits
        self.state = "logged_out"
        self.notes = Notes()
        self._chance = chance
        self._others = list(others)
        self._plans: list[Plan] = []
        self._serial = itertools.count()
        self._since: float | None = None
        self._called: dict[str, float] = {}
        self._call: str | None = None
        self._joined: float | None = None
        self._concluded: str | None = None

    # --- what is to be done -------------------------------------------------------------

    def next_at(self) -> float | None:
        """When the next thing is to be done."""
        return self._plans[0].at if self._plans else None

    def take(self, now: float) -> list[Plan]:
        """What is to be done by now; it is the caller's to do."""
        taken = []
        while self._plans and self._plans[0].at <= now:
            taken.append(heapq.heappop(self._plans))
        return taken

    def _plan(self, at: float, do: Do, whom: int | None = None, tried: int = 0) -> None:
        heapq.heappush(self._plans, Plan(at, next(self._serial), do, whom, tried))

    def _forget(self, *which: Do) -> None:
        self._plans = [one for one in self._plans if which and one.do not in which]
        heapq.heapify(self._plans)

    def how(self) -> How:
        """How this talk is concluded."""
        ways = {How.SPOKE: 6, How.PROMISE: 2, How.CALLBACK: 1, How.LINK: 1}
        return self._chance.choices(list(ways), list(ways.values()))[0]

    # --- what happens --------------------------------------------------------------------

    def heard(self, kind: str, data: Mapping[str, Any], now: float) -> None:
        """An event of the desk."""
        match kind:
            case "state":
                self._state(data, now)
            case "call":
                self._called[data["attempt"]] = now
                self.notes.counts["calls"] += 1
            case "joined":
                self._joins(data["attempt"], now)
            case "left":
                self._left(data["attempt"], now)
            case "payment" if data.get("result"):
                self.notes.counts[f"payment_{data['result']}"] += 1
                if self.state == "talking":
                    self._forget()
                    self._plan(now + lognormal(self._chance, 2.0, 0.3), Do.FINISH)
            case "preview":
                self._plan(now + lognormal(self._chance, 1.0, 0.3), Do.PREVIEW_CALL)
            case "error" | "gap":
                self.notes.counts[kind] += 1

    def _state(self, data: Mapping[str, Any], now: float) -> None:
        self.tick(now)
        self.state = str(data["state"])
        match self.state:
            case "paused" if data.get("pause_code") != OWN_PAUSE:
                self._forget()
                self._plan(now, Do.READY)
            case "talking":
                self._talks(str(data.get("attempt")), now)
            case "wrap_up":
                self._wrap_up(data.get("attempt"), now)
            case "available" | "paused" | "logged_out":
                self._forget()

    def tick(self, now: float) -> None:
        """Count the time in the present state up to now."""
        if self._since is not None:
            self.notes.seconds[self.state] += now - self._since
        self._since = now

    def _talks(self, attempt: str, now: float) -> None:
        """With somebody, or still with them: after an engine died the talk goes on, and nothing
        but the state says so."""
        if self._joined is None or self._call != attempt:
            self._joins(attempt, now)
        elif not self._plans:
            habits = self.habits
            self._plan(
                now + lognormal(self._chance, habits.talk_mean, habits.talk_sigma), Do.FINISH
            )

    def _joins(self, attempt: str, now: float) -> None:
        if self._joined is not None and self._call == attempt:
            return  # back from hold, or from paying
        self._call, self._joined, self._concluded = attempt, now, None
        self.notes.counts["joined"] += 1
        called = self._called.pop(attempt, None)
        if called is not None:
            self.notes.gaps.append(now - called)
        self._forget()
        habits, drawn = self.habits, self._chance.random()
        talk = self._talk()
        whom = self._chance.choice(self._others) if self._others else None
        for share, do in ((habits.blind, Do.BLIND), (habits.attended, Do.ATTENDED)):
            if whom is not None and 0 <= drawn < share:
                self._plan(now + talk, do, whom)
                return
            drawn -= share
        self._plan(now + talk, Do.PAY if 0 <= drawn < habits.pay else Do.FINISH)

    def _talk(self) -> float:
        return lognormal(self._chance, self.habits.talk_mean, self.habits.talk_sigma)

    def _left(self, attempt: str, now: float) -> None:
        self._called.pop(attempt, None)
        if self._joined is not None and self._call == attempt:
            self.notes.talks.append(now - self._joined)
            self._joined = None
        if self.state == "talking":
            self._forget()

    def _wrap_up(self, attempt: str | None, now: float) -> None:
        self._forget()
        if self._concluded != (attempt or self._call):
            self._plan(now, Do.CONCLUDE)
        self._plan(
            now + lognormal(self._chance, self.habits.wrap_mean, self.habits.wrap_sigma),
            Do.WRAP_DONE,
        )

    # --- what became of what was done ------------------------------------------------------

    def done(self, plan: Plan, now: float) -> None:
        """The desk took it."""
        self.notes.counts[plan.do.value] += 1
        match plan.do:
            case Do.FINISH | Do.CONCLUDE:
                self._concluded = self._call
            case Do.ATTENDED:
                self._plan(now + CONSULT_SECONDS, Do.COMPLETE)
            case Do.CANCEL:
                self._plan(now + 1.0, Do.FINISH)
            case Do.PAY:
                self._plan(now + PAY_SECONDS, Do.FINISH)
            case _:
                pass

    def refused(self, plan: Plan, code: str, now: float) -> None:
        """It did not: again in a moment, or the talk goes on some other way."""
        self.notes.refusals[f"{plan.do.value}:{code}"] += 1
        match plan.do:
            case Do.BLIND | Do.ATTENDED | Do.PAY if self.state == "talking":
                self._plan(now + 1.0, Do.FINISH)
            case Do.COMPLETE if self.state == "talking":
                again = plan.tried < MOST_TRIES
                self._plan(
                    now + AGAIN_SECONDS, Do.COMPLETE if again else Do.CANCEL, None, plan.tried + 1
                )
            case Do.READY if self.state == "paused":
                if code == "no_leg" and plan.tried % LEGLESS_TRIES == LEGLESS_TRIES - 1:
                    self._plan(now, Do.NEW_LEG)
                self._plan(now + AGAIN_SECONDS, Do.READY, None, plan.tried + 1)
            case Do.FINISH if self.state == "talking":
                self._plan(now + AGAIN_SECONDS, Do.FINISH, None, plan.tried + 1)
            case Do.WRAP_DONE if self.state == "wrap_up":
                self._plan(now + AGAIN_SECONDS, Do.WRAP_DONE, None, plan.tried + 1)
            case Do.CONCLUDE if self.state == "wrap_up" and plan.tried < MOST_TRIES:
                self._plan(now + AGAIN_SECONDS, Do.CONCLUDE, None, plan.tried + 1)
            case _:
                pass
