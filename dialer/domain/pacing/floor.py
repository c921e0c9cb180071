"""What a pacer sees, is told and answers. All times are seconds on one clock, of any origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

AgentState = Literal["available", "talking", "wrap"]


@dataclass(frozen=True, slots=True)
class AgentSeat:
    """One logged-in agent who is not paused, and since when in this state."""

    state: AgentState
    since: float


@dataclass(frozen=True, slots=True)
class Line:
    """One call in the air, from the moment it was decided until it is answered or ends.

    ``segment`` names the kind of lead (hour, attempt number, line type ...): calls of one
    segment are taken to answer alike. Any text will do, also an empty one.
    """

    id: str
    since: float
    segment: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the law and the campaign allow.

    ``max_abandoned``: share of live answers that may find no agent within ``hold`` seconds.
    ``ring_min``: a call rings that long before it may be given up. ``ring_max``: when the engine
    gives it up. ``max_lines``: calls in the air at once, None for no cap.
    """

    max_abandoned: float = 0.03
    hold: float = 2.0
    ring_min: float = 15.0
    ring_max: float = 25.0
    max_lines: int | None = None


@dataclass(frozen=True, slots=True)
class Floor:
    """The campaign now. ``waiting``: live callers who answered and have no agent yet."""

    now: float
    agents: tuple[AgentSeat, ...]
    lines: tuple[Line, ...]
    waiting: int = 0
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Decision:
    """Calls to place, lines to give up, and why predictive dialling holds back ('' if not)."""

    place: int
    shed: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LineEnded:
    """A call left the air ``age`` seconds after it was dialled: by a live answer, or without.

    With no ``segment`` the pacer finds the line among those it saw last.
    """

    at: float
    age: float
    answered: bool
    segment: str | None = None


@dataclass(frozen=True, slots=True)
class TalkEnded:
    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class WrapEnded:
    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one live answer: an agent had it in time, or it was abandoned."""

    at: float
    abandoned: bool


Event = LineEnded | TalkEnded | WrapEnded | Outcome


class Pacer(Protocol):
    """One dial mode at work for one campaign over one legal window."""

    def observe(self, event: Event) -> None:
        """Take note of what happened, in the order it happened."""

    def decide(self, floor: Floor) -> Decision:
        """What to do now."""


def idle_agents(floor: Floor) -> int:
    """Agents free to take a call, less callers who already wait for one (may be negative)."""
    return sum(seat.state == "available" for seat in floor.agents) - floor.waiting


def within_cap(calls: int, floor: Floor) -> int:
    """``calls``, cut to what ``max_lines`` leaves, never negative; none when nobody is there."""
    if not floor.agents:
        return 0
    if floor.limits.max_lines is not None:
        calls = min(calls, floor.limits.max_lines - len(floor.lines))
    return max(0, calls)
