"""Agents at their desks, debtors who wait for one, and the giving of one to the other.

The part of ``dialer.engine.floor.Floor`` that hears nothing of the switch. Decisions are
``dialer.domain.agents`` and ``dialer.domain.queueing``; a decision acts at once (an answered debtor
hears an agent within 100 ms) and is written down behind it, in order, by
``dialer.engine.floor_notes``.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from dialer.domain import agents, queueing
from dialer.domain import events as ev
from dialer.domain.agents import Seat, SeatEvent
from dialer.domain.model import (
    AgentCallResult,
    AgentState,
    Attempt,
)
from dialer.domain.queueing import Caller, Kept
from dialer.engine.campaigns import RunningCampaign
from dialer.engine.floor_notes import Notes
from dialer.logs import get_logger
from dialer.switch import names, talking
from dialer.switch.talking import Action

log = get_logger(__name__)

AWAY_PAYMENT = "payment"
AWAY_RETURNING = "returning"
"""The payment is over; the switch brings debtor and agent together again."""
RETURN_SECONDS = 8.0
"""After this the debtor has not come back: the agent's leg was lost meanwhile."""
AWAY_HOLD, AWAY_CONSULT = "hold", "consult"
HELD_SECONDS = 10.0
"""So long a debtor on hold waits for an agent whose leg was lost; a page that is loaded anew is
back before."""
STORY_SECONDS = 1.0
"""How long a story may take to be read before its debtor comes without it."""
THIRD_RING = 30.0
THIRD_SECONDS = THIRD_RING + 5.0
"""Whoever was asked and is not there by then will not come: a call that could not even be placed
tells of no end."""

Tell = Callable[[str, dict[str, Any]], None]
"""(session, event): never waits."""


class Switch(Protocol):
    """What the floor asks of the AMI link."""

    async def perform(self, action: Action) -> bool:
        """Whether Asterisk did it."""
        ...

    async def hangup(self, attempt_id: str, cause: int = 16) -> bool:
        """End a channel."""
        ...


@dataclass(slots=True)
class Talk:
    """A debtor who was given to an agent.

    ``joined``: they hear each other (or did). ``away``: why the debtor is out of the conference on
    purpose (hold, payment, transfer). ``channel``: its name, for muting. ``pay_session``: of the
    card being keyed in. ``third``: channel ids of other people in the conference, or asked to
    come; ``third_by``: when they have to be there.
    """

    caller: Caller
    session: str
    given_at: datetime
    joined: datetime | None = None
    away: str | None = None
    away_at: datetime | None = None
    pay_session: str | None = None
    third: list[str] = field(default_factory=list)
    third_by: datetime | None = None


@dataclass(frozen=True, slots=True)
class Whisper:
    """A file (its path without the ending) that takes so many seconds."""

    path: str
    seconds: float


@dataclass(frozen=True, slots=True)
class FloorHands:
    """What the floor acts with.

    ``about``: the live attempt and its campaign. ``beside``: runs a coroutine on its own. ``paced``
    tells a campaign's pacer what became of a live answer, ``seat_changed`` all of them.
    ``report``: puts an event on the consumer's queue. ``whisper``: what the agent is told in the
    ear before the debtor joins, None for nothing.
    """

    switch: Switch
    notes: Notes
    about: Callable[[str], tuple[Attempt, RunningCampaign] | None]
    beside: Callable[[Coroutine[Any, Any, None]], None]
    tell: Tell
    tell_floor: Callable[[dict[str, Any]], None]
    paced: Callable[[int, datetime, bool], None]
    seat_changed: Callable[[Seat, Seat], None]
    report: Callable[[ev.CallEvent], None]
    whisper: Callable[[Caller], Whisper | None]
    now: Callable[[], datetime]


class Desks:
    """Seats, queue, and the giving of one to the other."""

    def __init__(self, hands: FloorHands) -> None:
        self.hands = hands
        self.seats: dict[str, Seat] = {}
        self.queue: dict[str, Caller] = {}
        self.talks: dict[str, Talk] = {}
        self.channels: dict[str, str] = {}
        """Unique id -> name of every channel in a conference of ours."""
        self.promised: dict[str, str] = {}
        """Attempts that are placed for one agent (preview, own callbacks): the session."""
        self.kept: dict[str, Kept] = {}
        """Calls that ring, or are about to be placed, with an agent kept for each."""

    # --- seats ---------------------------------------------------------------------------

    def change(self, session: str, event: SeatEvent) -> Seat | None:
        """Apply an event to a seat; tells and writes what changed. None: there is none."""
        before = self.seats.get(session)
        if before is None:
            return None
        after = agents.apply(before, event, self.hands.now())
        if after is before:
            return before
        self.seats[session] = after
        self.hands.seat_changed(before, after)
        if before.state is AgentState.WRAP_UP is not after.state and before.call is not None:
            self.hands.notes.wrapped(before.call, self.hands.now())
        if (after.state, after.since, after.pause_code) != (
            before.state,
            before.since,
            before.pause_code,
        ):
            self.hands.notes.state(after)
            self.tell_state(after)
        if after.state in (AgentState.PAUSED, AgentState.LOGGED_OUT):
            self._anybodys(after.agent_id)
        if after.state is AgentState.LOGGED_OUT:
            self._logged_out(after)
        return after

    def _anybodys(self, agent_id: int) -> None:
        """The agent takes no calls (any more): who waits for nobody else may go to anybody."""
        for caller in list(self.queue.values()):
            if caller.only == agent_id:
                self.queue[caller.attempt_id] = replace(caller, only=None, prefer=agent_id)

    def tell_state(self, seat: Seat) -> None:
        """The desk and the supervisors hear how it is."""
        said: dict[str, Any] = {
            "state": seat.state.value,
            "since": seat.since,
            "attempt": seat.call,
            "pause_code": seat.pause_code or seat.next_pause,
        }
        self.hands.tell(seat.session, {"type": "state", **said})
        about = {"session": seat.session, "agent_id": seat.agent_id, "name": seat.name}
        self.hands.tell_floor({"type": "agent", **about, **said})

    def take_seat(self, seat: Seat) -> None:
        """A session begins, or is taken over from an engine that died."""
        self.seats[seat.session] = seat
        self.tell_state(seat)

    def _logged_out(self, seat: Seat) -> None:
        self.seats.pop(seat.session, None)
        # Who fell silent was last here when the desk last said so: an outage is no working time.
        silent = (self.hands.now() - seat.beat_at).total_seconds() > seat.heartbeat
        if silent:
            self.hands.notes.end_session(seat, "silent", seat.beat_at)
        else:
            self.hands.notes.end_session(seat, "logged_out", self.hands.now())
        if seat.leg is not None:
            self.hands.beside(self._hang_up(seat.leg))
        # The debtor's leg falls out of the conference then, and into the queue.

    async def let_go(self, channel: str, attempt_id: str) -> None:
        """Somebody who was brought into a talk leaves it: a colleague's leg goes back to its own
        conference, anybody else's call ends."""
        colleague = self.seat_by_leg(channel)
        if colleague is None:
            await self._hang_up(channel)
            return
        self.change(colleague.session, agents.CallGone(attempt_id))
        await self.hands.switch.perform(talking.move(channel, names.CONTEXT_AGENT_LEG))

    def third_gone(self, channel: str) -> None:
        """Somebody who was asked into a talk did not come, or has left it: a debtor who was on hold
        meanwhile comes back."""
        found = next((one for one in self.talks.items() if channel in one[1].third), None)
        if found is None:
            return
        attempt_id, talk = found
        talk.third.remove(channel)
        self.hands.tell(talk.session, {"type": "transfer", "state": "gone", "kind": None})
        if (colleague := self.seat_by_leg(channel)) is not None:
            self.change(colleague.session, agents.CallGone(attempt_id))
        if talk.away == AWAY_CONSULT:
            self.hands.beside(self._send(attempt_id, talk.session))

    def seat_by_leg(self, channel: str) -> Seat | None:
        """Whose leg it is."""
        return next((one for one in self.seats.values() if one.leg == channel), None)

    async def _hang_up(self, channel: str) -> None:
        await self.hands.switch.hangup(channel)

    def tick(self) -> None:
        """Time has passed."""
        now = self.hands.now()
        self._watch_thirds(now)
        for seat in list(self.seats.values()):
            if agents.ripened(seat, now):
                call = seat.call if seat.state is AgentState.RESERVED else None
                self.change(seat.session, agents.Ripened())
                if call is not None:
                    self._give_back(call)
        self.assign()

    def _watch_thirds(self, now: datetime) -> None:
        """A consultation takes as long as it takes; who never comes is not waited for."""
        for attempt_id, talk in self.talks.items():
            for channel in list(talk.third):
                if channel not in self.channels:
                    if talk.third_by is not None and now > talk.third_by:
                        self.third_gone(channel)
                elif (colleague := self.seat_by_leg(channel)) is not None:
                    self.change(colleague.session, agents.Kept(attempt_id))

    def forsaken(self) -> list[str]:
        """Debtors on hold whose agent's line is gone and does not come back."""
        now = self.hands.now()

        def gone(seat: Seat | None) -> bool:
            if seat is None or seat.leg is not None:
                return seat is None
            lost = seat.leg_lost_at
            return lost is None or (now - lost).total_seconds() > HELD_SECONDS

        return [
            attempt_id
            for attempt_id, talk in self.talks.items()
            if talk.away in (AWAY_HOLD, AWAY_CONSULT) and gone(self.seats.get(talk.session))
        ]

    def overdue(self) -> list[str]:
        """Debtors who should have come back from a payment."""
        now = self.hands.now()
        return [
            attempt_id
            for attempt_id, talk in self.talks.items()
            if talk.away == AWAY_RETURNING
            and talk.away_at is not None
            and (now - talk.away_at).total_seconds() > RETURN_SECONDS
        ]

    def assign(self) -> None:
        """Give whoever waits to whoever is free."""
        if not self.queue:
            return
        for caller, seat in queueing.assign(
            self.queue.values(), self.seats.values(), self.hands.now(), self.kept.values()
        ):
            self._give(caller, seat)

    def free(self) -> list[Seat]:
        """Agents who could be given a call now."""
        now = self.hands.now()
        return [seat for seat in self.seats.values() if seat.usable(now)]

    def spare(self) -> list[Seat]:
        """Free agents, their line up, whom no call that rings needs."""
        now, free = self.hands.now(), self.free()
        ringing = [one for one in self.kept.values() if now < one.until]
        return queueing.spare(free, ringing, [seat for seat in free if seat.leg])

    def enqueue(self, caller: Caller, reason: str = "") -> None:
        """Somebody waits; they may be given to an agent before this returns."""
        self.queue[caller.attempt_id] = caller
        about = self.hands.about(caller.attempt_id)
        if about is not None:
            self.hands.notes.queued(caller, about[0], reason)
        self.assign()

    def hand_to(self, caller: Caller, seat: Seat) -> None:
        """They are with this agent already, who is reserved for them."""
        now = self.hands.now()
        self.talks[caller.attempt_id] = Talk(caller, seat.session, now)
        about = self.hands.about(caller.attempt_id)
        if about is not None:
            self.hands.notes.queued(caller, about[0], "transfer")
        self.hands.tell(
            seat.session,
            {
                "type": "call",
                "attempt": caller.attempt_id,
                "kind": caller.kind.value,
                "skill": caller.skill,
            },
        )
        self.hands.notes.offered(caller.attempt_id, seat, now)

    def forget_caller(self, attempt_id: str, result: AgentCallResult) -> None:
        """They wait no more."""
        if self.queue.pop(attempt_id, None) is not None:
            self.hands.notes.result(attempt_id, result, self.hands.now())

    # --- giving --------------------------------------------------------------------------

    def _give(self, caller: Caller, seat: Seat) -> None:
        within = agents.RING if seat.ringing else agents.RESERVE
        about = self.hands.about(caller.attempt_id)
        wrap = about[1].plan.agents.wrap if about is not None else None
        reserved = self.change(seat.session, agents.Reserve(caller.attempt_id, within, wrap))
        if reserved is None or reserved.call != caller.attempt_id:
            return
        self.queue.pop(caller.attempt_id, None)
        self.talks[caller.attempt_id] = Talk(caller, seat.session, self.hands.now())
        # The desk hears of it before the voice arrives; the story follows by itself.
        self.hands.tell(
            seat.session,
            {
                "type": "call",
                "attempt": caller.attempt_id,
                "kind": caller.kind.value,
                "skill": caller.skill,
                "ring": seat.ringing and seat.leg is None,
            },
        )
        known = self.hands.notes.offered(caller.attempt_id, seat, self.hands.now())
        if seat.leg is not None:
            self.hands.beside(self._introduce(caller, seat.session, known))
        else:
            self.hands.beside(self.ring(seat))

    async def ring(self, seat: Seat) -> None:
        """Call an agent's telephone; a browser is told by its events and calls in by itself."""
        if seat.station == agents.BROWSER:
            return
        action = self.hands.notes.leg_action(seat)
        if action is not None and not await self.hands.switch.perform(action):
            self.hands.tell(seat.session, {"type": "leg", "up": False, "why": "not placed"})

    async def _introduce(self, caller: Caller, session: str, known: asyncio.Event) -> None:
        """Who waits with music waits until the agent's page knows who they are; a live answer, for
        whom every tenth of a second counts, is there when it is there."""
        if caller.deadline is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(known.wait(), STORY_SECONDS)
            if caller.attempt_id not in self.talks:
                return  # they hung up meanwhile
        await self._send(caller.attempt_id, session, caller)

    async def _send(self, attempt_id: str, session: str, caller: Caller | None = None) -> None:
        """Redirect the debtor; where that fails, the next event or the reservation's end says
        what has become of them. ``caller``: to be whispered about before."""
        if caller is not None and (whisper := self.hands.whisper(caller)) is not None:
            await self._whisper(session, caller, whisper)
            if attempt_id not in self.talks:
                return  # they hung up meanwhile
        if not await self.hands.switch.perform(talking.into_conference(attempt_id, session)):
            log.warning("debtor_not_redirected", attempt=attempt_id)

    async def _whisper(self, session: str, caller: Caller, whisper: Whisper) -> None:
        """Into the agent's conference, while nobody else is there; never longer than who waits may
        wait."""
        seconds = whisper.seconds
        if caller.deadline is not None:
            seconds = min(seconds, (caller.deadline - self.hands.now()).total_seconds())
        channel = f"say-{uuid.uuid4().hex}"
        said = await self.hands.switch.perform(talking.say(channel, session, whisper.path))
        if said and seconds > 0:
            await asyncio.sleep(seconds)

    def _give_back(self, attempt_id: str) -> None:
        """The agent did not take them (no answer, lost leg): back into the queue, at its head."""
        talk = self.talks.get(attempt_id)
        if talk is None or talk.joined is not None:
            return
        del self.talks[attempt_id]
        self.hands.notes.taken_back(attempt_id)
        caller = replace(talk.caller, priority=queueing.CUT_OFF, deadline=None, only=None)
        if self.hands.about(attempt_id) is not None:
            self.enqueue(caller, "not_taken")

    def end_talk(self, attempt_id: str, why: str) -> None:
        """The debtor is no longer this agent's."""
        talk = self.talks.pop(attempt_id, None)
        if talk is None:
            return
        self.channels.pop(attempt_id, None)
        now = self.hands.now()
        self.hands.notes.left(attempt_id, now)
        self.change(talk.session, agents.CallGone(attempt_id))
        self.hands.tell(talk.session, {"type": "left", "attempt": attempt_id, "why": why})
        for channel in talk.third:
            self.hands.beside(self.let_go(channel, attempt_id))
        self.assign()
