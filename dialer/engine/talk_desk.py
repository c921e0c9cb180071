"""What an agent does while a debtor is with them: end, hold, mute, keys, conclude, hand over.

Each command names no call: it means the one at this desk. A transfer moves legs between
conferences: the debtor is never without somebody, music or a message.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from dialer.config import Settings
from dialer.desk.models import CommandName
from dialer.desk.wire import Command, Refused, Reply
from dialer.domain import agents, queueing
from dialer.domain import events as ev
from dialer.domain.agents import Seat
from dialer.domain.model import AgentCallKind, AgentState, Outcome
from dialer.engine.conclusions import Conclusions
from dialer.engine.desks import (
    AWAY_CONSULT,
    AWAY_HOLD,
    AWAY_PAYMENT,
    THIRD_RING,
    THIRD_SECONDS,
)
from dialer.engine.floor import Floor, Talk
from dialer.logs import get_logger
from dialer.switch import names, talking

log = get_logger(__name__)


class TalkDesk:
    """Handlers for ``Desk``. ``dial``: (number) -> dial string and caller ID of the trunk."""

    def __init__(
        self,
        settings: Settings,
        floor: Floor,
        conclusions: Conclusions,
        dial: Callable[[str], tuple[str, str]],
        reported: Callable[[ev.CallEvent], None],
    ) -> None:
        self._settings = settings
        self._floor = floor
        self._conclusions = conclusions
        self._dial = dial
        self._reported = reported
        self.handlers = {
            CommandName.HANG_UP: self._hang_up,
            CommandName.HOLD: self._hold,
            CommandName.RESUME: self._resume,
            CommandName.MUTE: self._mute,
            CommandName.UNMUTE: self._mute,
            CommandName.DTMF: self._dtmf,
            CommandName.RECORD_PAUSE: self._record,
            CommandName.RECORD_RESUME: self._record,
            CommandName.TRANSFER: self._transfer,
            CommandName.COMPLETE_TRANSFER: self._complete,
            CommandName.CANCEL_TRANSFER: self._cancel,
            CommandName.DISPOSITION: self._disposition,
            CommandName.CALLBACK: self._callback,
            CommandName.PROMISE: self._promise,
            CommandName.LINK: self._link,
            CommandName.LISTEN: self._listen,
            CommandName.WHISPER: self._listen,
            CommandName.BARGE: self._listen,
        }

    # --- which call ----------------------------------------------------------------------

    def seat(self, command: Command) -> Seat:
        """The seat that a command comes from. Raises Refused."""
        seat = self._floor.seats.get(command.session or "")
        if seat is None:
            raise Refused("no_session", "the session has ended: log in again")
        return seat

    def talk(self, command: Command) -> tuple[Seat, str, Talk]:
        """The talk at this desk. Raises Refused where there is none."""
        seat = self.seat(command)
        talk = self._floor.talks.get(seat.call or "")
        if seat.call is None or talk is None or talk.joined is None:
            raise Refused("no_call", "nobody is on the line")
        if talk.session != seat.session:
            raise Refused("no_call", "it is the call of the colleague who asked you")
        return seat, seat.call, talk

    async def _do(self, action: talking.Action) -> None:
        if not await self._floor.hands.switch.perform(action):
            raise Refused("switch_refused", "Asterisk could not do it: the line may be gone")

    # --- plain ---------------------------------------------------------------------------

    async def _hang_up(self, command: Command) -> Reply:
        seat = self.seat(command)
        talk = self._floor.talks.get(seat.call or "")
        if talk is not None and seat.leg in talk.third:
            # A colleague's call: who was asked into it leaves, and it goes on.
            leg = seat.leg or ""
            self._floor.third_gone(leg)
            await self._do(talking.move(leg, names.CONTEXT_AGENT_LEG))
            return Reply.done()
        _, attempt_id, _ = self.talk(command)
        await self._floor.hands.switch.hangup(attempt_id)
        return Reply.done()

    async def _hold(self, command: Command) -> Reply:
        _, attempt_id, talk = self.talk(command)
        if talk.away is not None:
            raise Refused("not_now", f"the debtor is away: {talk.away}")
        await self._away(attempt_id, talk, AWAY_HOLD)
        return Reply.done()

    async def _away(self, attempt_id: str, talk: Talk, why: str) -> None:
        """Out of the conference and into the music; an event that comes meanwhile is no loss."""
        talk.away = why
        try:
            await self._do(talking.move(attempt_id, names.CONTEXT_HOLD))
        except Refused:
            talk.away = None
            raise

    async def _back(self, seat: Seat, attempt_id: str, talk: Talk) -> None:
        """Out of the music again; where that fails they are on hold, and the agent can try it."""
        talk.away = AWAY_HOLD
        await self._do(talking.into_conference(attempt_id, seat.session))

    async def _resume(self, command: Command) -> Reply:
        seat, attempt_id, talk = self.talk(command)
        if talk.away != AWAY_HOLD:
            raise Refused("not_held", "the debtor is not on hold")
        await self._do(talking.into_conference(attempt_id, seat.session))
        return Reply.done()

    async def _mute(self, command: Command) -> Reply:
        seat, _, _ = self.talk(command)
        channel = self._floor.channels.get(seat.leg or "")
        if channel is None:
            raise Refused("no_leg", "your line is not up")
        muted = command.name is CommandName.MUTE
        await self._do(talking.mute(seat.session, channel, muted=muted))
        return Reply.done(muted=muted)

    async def _dtmf(self, command: Command) -> Reply:
        _, attempt_id, _ = self.talk(command)
        channel = self._floor.channels.get(attempt_id)
        if channel is None:
            raise Refused("not_now", "the debtor is not in the talk")
        for key in command.args["keys"]:
            await self._do(talking.press(channel, key))
        return Reply.done()

    async def _record(self, command: Command) -> Reply:
        _, attempt_id, talk = self.talk(command)
        if talk.away == AWAY_PAYMENT:
            raise Refused("not_now", "a card is being keyed in: nothing is recorded")
        channel = self._floor.channels.get(attempt_id)
        if channel is None:
            raise Refused("not_now", "the debtor is not in the talk")
        muted = command.name is CommandName.RECORD_PAUSE
        # Told first: what ends a payment's own silence looks there.
        paused = talking.set_variable(channel, names.VAR_RECORDING_PAUSED, "1" if muted else "")
        await self._do(paused)
        await self._do(talking.record_mute(channel, muted=muted))
        return Reply.done(recording=not muted)

    # --- conclusions ---------------------------------------------------------------------

    async def _disposition(self, command: Command) -> Reply:
        self._concluding(command)
        seat = self.seat(command)
        assert seat.call is not None
        code, notes = command.args["code"], command.args.get("notes", "")
        attempt_id = seat.call
        outcome = await self._conclusions.outcome_of(code, attempt_id)
        # Also in the wrap-up, which goes on until its end is said or comes.
        self._floor.hands.notes.said(attempt_id, code, notes)
        await self._conclusions.conclude(attempt_id, outcome, self._floor.hands.now())
        self._report(attempt_id, outcome)
        return Reply.done()

    async def _promise(self, command: Command) -> Reply:
        attempt_id = self._concluding(command)
        due = date.fromisoformat(command.args["due"])
        await self._conclusions.promise(attempt_id, due, self._floor.hands.now())
        self._report(attempt_id, Outcome.PROMISE)
        return Reply.done()

    async def _link(self, command: Command) -> Reply:
        attempt_id = self._concluding(command)
        await self._conclusions.link(attempt_id, self._floor.hands.now())
        self._report(attempt_id, Outcome.LINK_SENT)
        return Reply.done()

    async def _callback(self, command: Command) -> Reply:
        seat, attempt_id = self.seat(command), self._concluding(command)
        booked = await self._conclusions.callback(
            attempt_id,
            datetime.fromisoformat(command.args["due_at"]),
            agent_id=seat.agent_id if command.args.get("own") else None,
            note=command.args.get("note", ""),
            made_by=f"agent:{seat.agent_id}",
            now=self._floor.hands.now(),
        )
        self._report(attempt_id, Outcome.CALLBACK)
        return Reply.done(callback=booked)

    def _concluding(self, command: Command) -> str:
        """The call that goes on, or is being wrapped up. Raises Refused."""
        seat = self.seat(command)
        if seat.call is None or seat.state not in (AgentState.TALKING, AgentState.WRAP_UP):
            raise Refused("no_call", "there is no call to conclude")
        return seat.call

    def _report(self, attempt_id: str, outcome: Outcome) -> None:
        if self._floor.hands.about(attempt_id) is not None:
            self._reported(ev.OutcomeReported(attempt_id, self._floor.hands.now(), outcome))

    # --- handing over --------------------------------------------------------------------

    async def _transfer(self, command: Command) -> Reply:
        seat, attempt_id, talk = self.talk(command)
        if talk.away is not None or talk.third:
            raise Refused("not_now", "finish what is going on first")
        to, kind = command.args["to"], command.args["kind"]
        if kind == "blind":
            return await self._blind(seat, attempt_id, talk, to)
        if "skill" in to:
            raise Refused("not_possible", "a talk of three needs a person: an agent or a number")
        whom = self._whom(seat, to)
        if kind == "attended":
            await self._away(attempt_id, talk, AWAY_CONSULT)
        try:
            await self._bring(seat, talk, whom)
        except Refused:
            if kind == "attended":
                await self._back(seat, attempt_id, talk)
            raise
        self._said(seat, "calling", kind)
        return Reply.done()

    async def _blind(self, seat: Seat, attempt_id: str, talk: Talk, to: dict[str, Any]) -> Reply:
        if "number" in to:
            raise Refused("not_possible", "an outside number is asked first: attended")
        caller = replace(
            talk.caller,
            kind=AgentCallKind.TRANSFER,
            priority=queueing.TRANSFERRED,
            since=self._floor.hands.now(),
            deadline=None,
            skill=to.get("skill", ""),
            only=to.get("agent"),
            prefer=None,
        )
        if not any(queueing.fits(one, caller) for one in self._others(seat)):
            raise Refused("nobody", "nobody who works now can take it")
        talk.away = "transfer"
        try:
            await self._do(talking.move(attempt_id, names.CONTEXT_QUEUE))
        except Refused:
            talk.away = None
            raise
        self._floor.end_talk(attempt_id, "transferred")
        self._floor.enqueue(caller, "transfer")
        return Reply.done()

    def _others(self, seat: Seat) -> list[Seat]:
        there = (AgentState.LOGGED_OUT, AgentState.PAUSED)
        seats = self._floor.seats.values()
        return [one for one in seats if one.session != seat.session and one.state not in there]

    def _whom(self, seat: Seat, to: dict[str, Any]) -> Seat | tuple[str, str]:
        """Who is to come: a colleague, or how to dial somebody outside. Raises Refused, before the
        debtor is moved for nobody."""
        if "agent" not in to:
            return self._dial(to["number"])
        other = next((one for one in self._floor.free() if one.agent_id == to["agent"]), None)
        if other is None or other.leg is None or other.session == seat.session:
            raise Refused("nobody", "that agent is not free")
        return other

    async def _bring(self, seat: Seat, talk: Talk, whom: Seat | tuple[str, str]) -> None:
        """Somebody else into this conference. Raises Refused."""
        talk.third_by = self._floor.hands.now() + timedelta(seconds=THIRD_SECONDS)
        if isinstance(whom, Seat):
            consulted = self._floor.change(whom.session, agents.Reserve(seat.call or ""))
            if consulted is None or consulted.call != seat.call or whom.leg is None:
                raise Refused("nobody", "that agent is not free")
            talk.third.append(whom.leg)
            self._floor.hands.tell(
                whom.session, {"type": "transfer", "state": "consulted", "from": seat.name}
            )
            await self._do(talking.move(whom.leg, names.CONTEXT_THIRD, seat.session))
            return
        dial_string, caller_id = whom
        channel = f"third-{uuid.uuid4().hex}"
        talk.third.append(channel)
        await self._do(
            talking.call_into(
                channel, dial_string, caller_id, names.CONTEXT_THIRD, seat.session, THIRD_RING
            )
        )

    async def _complete(self, command: Command) -> Reply:
        """The debtor and the third stay together; this agent is free."""
        seat, attempt_id, talk = self.talk(command)
        if not talk.third:
            raise Refused("not_now", "nobody else is in the talk")
        third = talk.third[0]
        if third not in self._floor.channels:
            raise Refused("not_now", "the other party has not answered yet")
        other = self._floor.seat_by_leg(third)
        if other is None:
            # An outside party: the two go on in a conference of their own.
            await self._apart(seat, attempt_id, talk, third)
            return Reply.done()
        talk.third = []
        caller = replace(
            talk.caller,
            kind=AgentCallKind.TRANSFER,
            priority=queueing.TRANSFERRED,
            only=other.agent_id,
            deadline=None,
        )
        talk.away = "transfer"
        self._floor.end_talk(attempt_id, "transferred")
        self._floor.hand_to(caller, other)
        await self._do(talking.move(other.leg or "", names.CONTEXT_AGENT_LEG))
        await self._do(talking.into_conference(attempt_id, other.session))
        return Reply.done()

    async def _apart(self, seat: Seat, attempt_id: str, talk: Talk, third: str) -> None:
        conference, away = uuid.uuid4().hex, talk.away
        talk.third, talk.away = [], "transfer"
        try:
            await self._do(talking.move(third, names.CONTEXT_THIRD, conference))
        except Refused:  # hung up in this very moment: as if they had before
            talk.third, talk.away = [third], away
            self._floor.third_gone(third)
            raise
        await self._do(talking.move(attempt_id, names.CONTEXT_APART, conference))
        self._floor.end_talk(attempt_id, "transferred")
        self._said(seat, "completed", "attended")

    async def _cancel(self, command: Command) -> Reply:
        """The third goes, the debtor comes back."""
        seat, attempt_id, talk = self.talk(command)
        third, talk.third = talk.third, []
        for channel in third:
            await self._floor.let_go(channel, attempt_id)
        if talk.away == AWAY_CONSULT:
            await self._back(seat, attempt_id, talk)
        self._said(seat, "cancelled", None)
        return Reply.done()

    def _said(self, seat: Seat, state: str, kind: str | None) -> None:
        self._floor.hands.tell(seat.session, {"type": "transfer", "state": state, "kind": kind})

    # --- supervisors ---------------------------------------------------------------------

    async def _listen(self, command: Command) -> Reply:
        """A supervisor's telephone is called, and hears, whispers or joins."""
        seat = self.seat(command)
        if seat.leg is None:
            raise Refused("no_leg", "the agent's line is not up")
        by = command.args["by"]
        if by.startswith("sip:"):
            dial_string, caller_id = talking.sip_dial_string(by), ""
        else:
            dial_string, caller_id = self._dial(by)
        context, exten = {
            CommandName.LISTEN: (names.CONTEXT_LISTEN, seat.session),
            CommandName.WHISPER: (names.CONTEXT_WHISPER, seat.leg),
            CommandName.BARGE: (names.CONTEXT_THIRD, seat.session),
        }[command.name]
        await self._do(
            talking.call_into(f"super-{uuid.uuid4().hex}", dial_string, caller_id, context, exten)
        )
        return Reply.done()
