"""Who waits for an agent, and which agent they get.

Longest idle first among the agents who have the skill, those who speak the debtor's language
before the others. The order of the waiting: priority, then time.

A call that was placed on the promise of an agent (one line for each free agent) has one kept for it
as long as it rings: whoever else comes is given an agent only where enough are left. They wait for
no longer than such a call may ring.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    nobody else (a transfer to a person); ``prefer``: rather this one. ``kept``: an agent was kept
    for them while their call rang.
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
    kept: bool = False

    @property
    def rank(self) -> tuple[int, datetime, str]:
        """Their place in the queue; the smallest is next."""
        return (-self.priority, self.since, self.attempt_id)


@dataclass(frozen=True, slots=True)
class Kept:
    """A call that rings, or is about to be placed, with an agent kept for it until ``until`` at the
    latest. ``skill``: "" for any agent."""

    company_id: int
    skill: str
    until: datetime


def in_order(callers: Iterable[Caller]) -> list[Caller]:
    """The queue, first served first."""
    return sorted(callers, key=lambda one: one.rank)


def assign(
    callers: Iterable[Caller], seats: Iterable[Seat], now: datetime, kept: Iterable[Kept] = ()
) -> list[tuple[Caller, Seat]]:
    """Who is connected to whom now. Each caller and each seat at most once; who is past the
    deadline is not given to anybody (the message has begun). For each of ``kept`` an agent stays
    free, as far as there are any."""
    free = [seat for seat in seats if seat.usable(now)]
    ringing = [one for one in kept if now < one.until]
    pairs: list[tuple[Caller, Seat]] = []
    for caller in in_order(callers):
        if not free:
            break
        if caller.deadline is not None and now >= caller.deadline:
            continue
        fitting = [seat for seat in free if fits(seat, caller)]
        if ringing and not caller.kept:
            fitting = spare(free, ringing, fitting)
        if not fitting:
            continue
        chosen = min(fitting, key=lambda seat: _preference(seat, caller))
        free.remove(chosen)
        pairs.append((caller, chosen))
    return pairs


def spare(free: Sequence[Seat], ringing: Sequence[Kept], wanted: Iterable[Seat]) -> list[Seat]:
    """Those of ``wanted`` (all of them in ``free``) who can be given away without leaving one more
    of the calls that ring without an agent."""
    seat_of = _pairing(free, ringing)
    left = set(range(len(free))) - set(seat_of.values())
    look = list(left)
    while look:  # who could take the call of another sets that other free
        one = free[look.pop()]
        for call, holder in seat_of.items():
            if holder not in left and _keeps(one, ringing[call]):
                left.add(holder)
                look.append(holder)
    sessions = {free[number].session for number in left}
    return [seat for seat in wanted if seat.session in sessions]


def _pairing(free: Sequence[Seat], ringing: Sequence[Kept]) -> dict[int, int]:
    """Call -> seat, by number: as many calls with an agent each as can be (augmenting paths)."""
    call_of: dict[int, int] = {}

    def place(call: int, tried: set[int]) -> bool:
        able = [n for n, seat in enumerate(free) if _keeps(seat, ringing[call]) and n not in tried]
        for number in sorted(able, key=lambda n: n in call_of):
            if number in tried:
                continue
            tried.add(number)
            if number not in call_of or place(call_of[number], tried):
                call_of[number] = call
                return True
        return False

    hopeless: set[tuple[int, str]] = set()
    for call, one in enumerate(ringing):
        needs = one.company_id, one.skill
        if needs not in hopeless and not place(call, set()):
            hopeless.add(needs)
    return {call: number for number, call in call_of.items()}


def _keeps(seat: Seat, one: Kept) -> bool:
    """Whether the agent could take this call when it is answered; they are never rung for it."""
    return _able(seat, one.company_id, one.skill, at_once=True)


def fits(seat: Seat, caller: Caller) -> bool:
    """Whether this agent may take this caller at all."""
    if caller.only is not None and seat.agent_id != caller.only:
        return False
    skill = caller.skill if caller.only is None else ""
    return _able(seat, caller.company_id, skill, at_once=caller.deadline is not None)


def _able(seat: Seat, company_id: int, skill: str, *, at_once: bool) -> bool:
    """Of the company, with the skill; a telephone that has to ring first is not there at once."""
    if seat.company_id != company_id or (at_once and seat.ringing):
        return False
    return not skill or skill in seat.skills


def _preference(seat: Seat, caller: Caller) -> tuple[bool, bool, datetime, str]:
    foreign = bool(caller.language and seat.languages and caller.language not in seat.languages)
    return (seat.agent_id != caller.prefer, foreign, seat.since, seat.session)


def position(callers: Iterable[Caller], attempt_id: str) -> int | None:
    """1 for who is next; None for who does not wait."""
    ranked = in_order(callers)
    return next((n for n, one in enumerate(ranked, 1) if one.attempt_id == attempt_id), None)
