"""Reasons why a campaign calls nobody: what stands in the way, with its figures.

``str()`` says it in English, for a terminal and for programs; pages have words of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from dialer.domain.model import CampaignState, Refusal

_STATE_SAYS = {
    CampaignState.DRAFT: "it was never started: `dialer campaign start {name}`",
    CampaignState.PAUSED: "it is paused: `dialer campaign resume {name}`",
    CampaignState.STOPPED: "it was stopped, and that is final",
    CampaignState.FINISHED: "it is finished: every lead is done",
}
_REFUSAL_SAYS = {
    Refusal.OUTSIDE_WINDOW: "outside the calling window",
    Refusal.DAILY_CAP: "at the most contacts a day",
    Refusal.WEEKLY_CAP: "at the most contacts in 7 days",
    Refusal.DO_NOT_CALL: "on the do-not-call list (closed when their turn comes)",
    Refusal.OPTED_OUT: "opted out (closed when their turn comes)",
    Refusal.ABANDONED_LOCKOUT: "abandoned a short while ago: left alone unless an agent is certain",
    Refusal.NO_PHONE: "without a usable phone (closed when their turn comes)",
}


@dataclass(frozen=True, slots=True)
class NotRunning:
    """It is in another state."""

    name: str
    state: CampaignState

    def __str__(self) -> str:
        return _STATE_SAYS[self.state].format(name=self.name)


@dataclass(frozen=True, slots=True)
class NoLeads:
    """It has none."""

    name: str

    def __str__(self) -> str:
        return (
            f"it has no leads: `dialer import FILE`, then `dialer campaign add-leads {self.name}`"
        )


@dataclass(frozen=True, slots=True)
class AllDone:
    """Every lead is done. ``closed``: why -> how many, most first."""

    closed: Mapping[str, int]

    def __str__(self) -> str:
        said = ", ".join(f"{count} {why or '-'}" for why, count in self.closed.items())
        return f"all leads are done: {said}"


@dataclass(frozen=True, slots=True)
class NoCallerId:
    """No number to show."""

    def __str__(self) -> str:
        return "it has no caller ID: `dialer pool add`"


@dataclass(frozen=True, slots=True)
class NoEngine:
    """Nobody holds its lease."""

    def __str__(self) -> str:
        return "no engine runs it: start one with `dialer engine` (or `dialer up`)"


@dataclass(frozen=True, slots=True)
class Full:
    """As many calls as it may have at once."""

    calls: int
    most: int

    def __str__(self) -> str:
        return f"{self.calls} calls are going on, and max_concurrent is {self.most}"


@dataclass(frozen=True, slots=True)
class TrunkFull:
    """As many as the trunk carries."""

    trunk: str
    calls: int
    most: int

    def __str__(self) -> str:
        return f"the trunk {self.trunk} is full: {self.calls} of {self.most} calls"


@dataclass(frozen=True, slots=True)
class Looked:
    """How many of the waiting leads were looked at."""

    at: int
    waiting: int

    @property
    def whole(self) -> bool:
        """All of them."""
        return self.at >= self.waiting


@dataclass(frozen=True, slots=True)
class Waits:
    """Leads that may not be called now. ``until``: of the first of them; ``zone``: the campaign's.

    ``refused``: what stands against them; None: it is not their turn yet, after a call that ended
    as ``after`` (None: they were never called).
    """

    count: int
    refused: Refusal | None
    after: str | None
    until: datetime | None
    zone: ZoneInfo
    looked: Looked

    def __str__(self) -> str:
        if self.refused is not None:
            said = _REFUSAL_SAYS.get(self.refused, self.refused.value)
        else:
            said = f"waiting for their next try after {self.after or 'their import'}"
        if self.until is not None:
            said += f", the first until {self.until.astimezone(self.zone):%a %Y-%m-%d %H:%M %Z}"
        if not self.looked.whole:
            said += f" (looked at {self.looked.at} of {self.looked.waiting} waiting)"
        return f"{self.count} {said}"


@dataclass(frozen=True, slots=True)
class NoAgent:
    """None is logged in who could take its calls."""

    skill: str | None
    mode: str

    def __str__(self) -> str:
        return f"no agent{_with(self.skill)} is logged in, and it dials in mode {self.mode}"


@dataclass(frozen=True, slots=True)
class NoneFree:
    """None of them is free. ``doing``: state -> how many."""

    skill: str | None
    doing: Mapping[str, int]

    def __str__(self) -> str:
        doing = ", ".join(f"{count} {state}" for state, count in self.doing.items())
        return f"no agent{_with(self.skill)} is free: {doing}"


@dataclass(frozen=True, slots=True)
class TooManyAbandoned:
    """The law leaves no room for one more."""

    abandoned: int
    answered: int
    days: float
    share: float
    limit: float
    mode: str

    def __str__(self) -> str:
        over = f"{self.days:g} days" if self.days > 1 else f"{self.days * 24:g} hours"
        return (
            f"{self.abandoned} of {self.answered} live answers of the last {over} were abandoned"
            f" ({self.share:.1%}, the limit is {self.limit:.1%}): {self.mode} dialling"
            " stands still; `dialer campaign mode NAME progressive` abandons nobody"
        )


Reason = (
    NotRunning
    | NoLeads
    | AllDone
    | NoCallerId
    | NoEngine
    | Full
    | TrunkFull
    | Waits
    | NoAgent
    | NoneFree
    | TooManyAbandoned
)


def _with(skill: str | None) -> str:
    return f" with the skill {skill}" if skill else ""
