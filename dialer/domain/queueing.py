"""Who waits for an agent, and which agent they get.

Longest idle first among the agents who have the skill, those who speak the debtor's language
before the others. The order of the waiting: priority, then time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from dialer.domain.agents import Seat
from dialer.domain.model import AgentCallKind

LIVE = 100
"""Answered, and may not wait: two seconds, then the message."""
CUT_OFF = 90
"""Was talking with an agent whose line broke."""
TRANSFERRED = 80
BOOKED = 70
"""A callback that was agreed upon."""
ASKED = 50
"""Asked for a person, or calls us."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A debtor on the line who waits.

    ``since``: from when they wait. ``skill``: "" for any agent. ``language``: two letters.
    ``deadline``: when it is too late for an agent (a live answer's hold). ``only``: this agent and
    nobody else (a transfer to a person); ``prefer``: rather this one.
    """

    attempt_id: str
    kind: AgentCallKind
    company_id: int
    since: datetime
    skill: str = ""
    language: str = ""
    priority: int = ASKED
    deadline: datetime | None = None
    only: int | None = None
    prefer: int | None = None
    campaign_id: int | None = None

    @property
    def rank(self) -> tuple[int, datetime, str]:
        """Their place in the queue; the smallest is next."""
        return (-self.priority, self.since, self.attempt_id)


def in_order(callers: Iterable[Caller]) -> list[Caller]:
    """The queue, first served first."""
    return sorted(callers, key=lambda one: one.rank)


def assign(
    callers: Iterable[Caller], seats: Iterable[Seat], now: datetime
) -> list[tuple[Caller, Seat]]:
    """Who is connected to whom now. Each caller and each seat at most once; who is past the
    deadline is not given to anybody (the message has begun)."""
    free = [seat for seat in seats if seat.usable(now)]
    pairs: list[tuple[Caller, Seat]] = []
    for caller in in_order(callers):
        if not free:
            break
        if caller.deadline is not None and now >= caller.deadline:
            continue
        fitting = [seat for seat in free if fits(seat, caller)]
        if not fitting:
            continue
        chosen = min(fitting, key=lambda seat: _preference(seat, caller))
        free.remove(chosen)
        pairs.append((caller, chosen))
    return pairs


def fits(seat: Seat, caller: Caller) -> bool:
    """Whether this agent may take this caller at all."""
    if seat.company_id != caller.company_id:
        return False
    if caller.deadline is not None and seat.ringing:
        return False  # a telephone that has to ring first takes longer than they may wait
    if caller.only is not None:
        return seat.agent_id == caller.only
    return not caller.skill or caller.skill in seat.skills


def _preference(seat: Seat, caller: Caller) -> tuple[bool, bool, datetime, str]:
    foreign = bool(caller.language and seat.languages and caller.language not in seat.languages)
    return (seat.agent_id != caller.prefer, foreign, seat.since, seat.session)


def position(callers: Iterable[Caller], attempt_id: str) -> int | None:
    """1 for who is next; None for who does not wait."""
    ranked = in_order(callers)
    return next((n for n, one in enumerate(ranked, 1) if one.attempt_id == attempt_id), None)
