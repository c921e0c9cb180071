"""The floor: agents, who waits for them, who talks with whom, moved on by what the switch says.

Lives in the engine's loop. Events come through ``observe``, time through ``tick``, the wishes of
desks through ``dialer.engine.desk``. Seats and queue are ``dialer.engine.desks``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from dialer.domain import agents, queueing
from dialer.domain import events as ev
from dialer.domain.agents import Seat
from dialer.domain.model import (
    AgentCallKind,
    AgentCallResult,
    AgentState,
    Attempt,
    DetectionResult,
)
from dialer.domain.queueing import Caller
from dialer.engine.campaigns import RunningCampaign
from dialer.engine.desks import AWAY_PAYMENT, AWAY_RETURNING, Desks, FloorHands, Switch, Talk, Tell
from dialer.logs import get_logger
from dialer.store.agent_calls import AgentCall
from dialer.switch import names, talking

__all__ = ["Floor", "FloorHands", "Switch", "Talk", "Tell"]

log = get_logger(__name__)

MARGIN = timedelta(milliseconds=100)
"""So long before the hold is over nobody is given any more: the message is about to begin."""


class Floor(Desks):
    """One for each engine."""

    # --- events --------------------------------------------------------------------------

    def observe(self, event: ev.SwitchEvent) -> None:
        """What the switch says; the attempt itself was moved on before."""
        match event:
            case ev.ConferenceJoined():
                self._joined(event)
            case ev.ConferenceLeft():
                self._left(event)
            case ev.Answered():
                self._answered(event)
            case ev.Escalated():
                self._escalated(event)
            case ev.QueueEnded():
                self.forget_caller(event.attempt_id, event.result)
            case ev.AbandonedPlayed():
                self._abandoned(event)
            case ev.Detected():
                self._detected(event)
            case ev.PaymentProgress():
                self._payment(event)
            case ev.HangupRequested() | ev.Ended() | ev.Vanished() | ev.OriginateFailed():
                self._over(event)
            case _:
                pass

    def tick(self) -> None:
        """Time has passed."""
        now = self.hands.now()
        self.kept = {call: one for call, one in self.kept.items() if now < one.until}
        super().tick()
        for attempt_id in self.overdue():
            self._agent_lost(attempt_id, self.talks[attempt_id])
        for attempt_id in self.forsaken():
            self.hands.beside(self._to_queue(attempt_id))
            self._agent_lost(attempt_id, self.talks[attempt_id])

    # --- conferences ---------------------------------------------------------------------

    def _joined(self, event: ev.ConferenceJoined) -> None:
        self.channels[event.attempt_id] = event.channel
        seat = self.seats.get(event.conference)
        talk = self.talks.get(event.attempt_id)
        if talk is None:
            if seat is not None and self._is_leg(event, seat):
                self._leg_up(seat, event.attempt_id)
                return
            # Paid while there was no engine, and comes back to the agent who looked on.
            about = self.hands.about(event.attempt_id)
            if seat is None or seat.call is not None or about is None:
                return
            talk = self._adopt(seat, *about)
        talk.away = None
        first = talk.joined is None
        talk.joined = talk.joined or event.at
        self.change(talk.session, agents.CallJoined(event.attempt_id))
        if first:
            if (at_desk := self.seats.get(talk.session)) is not None:
                self.hands.notes.joined(event.attempt_id, at_desk, event.at)
            self._pace(talk.caller, event.at)
        self.hands.tell(talk.session, {"type": "joined", "attempt": event.attempt_id})

    def _is_leg(self, event: ev.ConferenceJoined, seat: Seat) -> bool:
        """The agent's own: never taken for it is a debtor whose call this engine does not know
        (yet), for a leg that is replaced is hung up."""
        if any(event.attempt_id in talk.third for talk in self.talks.values()):
            return False
        telephone = event.attempt_id == names.LEG_PREFIX + seat.session
        return telephone or event.channel.startswith(f"PJSIP/{names.ENDPOINT_BROWSER}-")

    def _leg_up(self, seat: Seat, channel: str) -> None:
        old = seat.leg
        if old != channel:
            self.hands.notes.leg_token_used(seat.session)
        changed = self.change(seat.session, agents.LegUp(channel))
        if old is not None and old != channel:
            self.hands.beside(self._hang_up(old))  # the page was loaded anew
        # Whose page had the old line knows by that that another has it now.
        why = "replaced" if old not in (None, channel) else ""
        self.hands.tell(seat.session, {"type": "leg", "up": True, "why": why})
        if changed is None:
            return
        if changed.state is AgentState.RESERVED and changed.call in self.talks:
            caller = self.talks[changed.call or ""].caller
            self.hands.beside(self._send(caller.attempt_id, seat.session, caller))
        self.assign()

    def _left(self, event: ev.ConferenceLeft) -> None:
        self.channels.pop(event.attempt_id, None)
        seat = self.seats.get(event.conference)
        if seat is not None and seat.leg == event.attempt_id:
            if self._moved(seat):
                return
            self.change(seat.session, agents.LegDown(event.attempt_id))
            self.hands.tell(seat.session, {"type": "leg", "up": False})
            return
        if self._third_left(event):
            return
        talk = self.talks.get(event.attempt_id)
        if talk is None or talk.away is not None or talk.session != event.conference:
            return
        # Hung up, or the agent's leg went and the dialplan sends them to the queue: the next
        # event, or the debtor's presence in a moment, tells which.
        self.hands.beside(self._after_leaving(event.attempt_id))

    def _third_left(self, event: ev.ConferenceLeft) -> bool:
        """Somebody who was brought into a talk has left it without being asked to."""
        channel = event.attempt_id
        if not any(
            channel in one.third and one.session == event.conference for one in self.talks.values()
        ):
            return False
        if (colleague := self.seat_by_leg(channel)) is not None:
            # Hung up, most likely; else it tells of itself in its own conference in a moment.
            self.change(colleague.session, agents.LegDown(channel))
        self.third_gone(channel)
        return True

    def _moved(self, seat: Seat) -> bool:
        """The leg has left its conference on purpose: for another agent's, or to coach a debtor
        who keys a card in."""
        talk = self.talks.get(seat.call or "")
        coaching = (
            talk is not None
            and talk.session == seat.session
            and talk.away in (AWAY_PAYMENT, AWAY_RETURNING)
        )
        return coaching or any(seat.leg in one.third for one in self.talks.values())

    async def _after_leaving(self, attempt_id: str) -> None:
        await asyncio.sleep(0.3)
        talk = self.talks.get(attempt_id)
        if talk is None or talk.away is not None or attempt_id in self.channels:
            return
        if self.hands.about(attempt_id) is None:
            self.end_talk(attempt_id, "hung_up")
            return
        self._agent_lost(attempt_id, talk)

    def _agent_lost(self, attempt_id: str, talk: Talk) -> None:
        """The debtor is alive, and not in the conference any more: to the head of the queue, where
        the dialplan has sent them."""
        caller = talk.caller
        self.end_talk(attempt_id, "agent_lost")
        log.warning("agent_lost_in_talk", attempt=attempt_id)
        self.enqueue(
            replace(
                caller,
                priority=queueing.CUT_OFF,
                deadline=None,
                only=None,
                kind=AgentCallKind.TRANSFER,
                since=self.hands.now(),
            ),
            "agent_lost",
        )

    async def _to_queue(self, attempt_id: str) -> None:
        """From the music of a hold to that of the queue, where there is a way out."""
        await self.hands.switch.perform(talking.move(attempt_id, names.CONTEXT_QUEUE))

    # --- calls ---------------------------------------------------------------------------

    def _answered(self, event: ev.Answered) -> None:
        """A call that was placed for agents was picked up: two seconds."""
        kept = self.kept.pop(event.attempt_id, None) is not None
        about = self.hands.about(event.attempt_id)
        if about is None or event.attempt_id in self.talks or event.attempt_id in self.queue:
            return
        attempt, running = about
        if not attempt.mode.needs_agents or attempt.inbound:
            return
        terms = running.plan.agents
        promised = self.promised.get(attempt.id)
        seat = self.seats.get(promised) if promised else None
        kind = AgentCallKind.PREVIEW if promised else AgentCallKind.PREDICTIVE
        caller = Caller(
            attempt_id=attempt.id,
            kind=kind,
            company_id=running.company_id,
            since=event.at,
            skill=terms.skill,
            language=running.plan.language[:2],
            priority=queueing.LIVE,
            deadline=event.at + timedelta(seconds=terms.hold) - MARGIN,
            campaign_id=running.id,
            kept=kept,
        )
        if seat is not None and seat.call == attempt.id and seat.leg is not None:
            self.talks[attempt.id] = Talk(caller, seat.session, self.hands.now())
            self.hands.notes.queued(caller, attempt, "")
            self.hands.notes.offered(attempt.id, seat, self.hands.now())
            self.hands.tell(
                seat.session,
                {"type": "call", "attempt": attempt.id, "kind": kind.value, "skill": terms.skill},
            )
            self.hands.beside(self._send(attempt.id, seat.session, caller))
            return
        self.enqueue(caller)

    def _escalated(self, event: ev.Escalated) -> None:
        about = self.hands.about(event.attempt_id)
        if about is None:
            log.warning("escalation_of_unknown_call", attempt=event.attempt_id)
            return
        attempt, running = about
        self.enqueue(
            Caller(
                attempt_id=attempt.id,
                kind=AgentCallKind.INBOUND if attempt.inbound else AgentCallKind.ESCALATION,
                company_id=running.company_id,
                since=event.at,
                skill=event.skill,
                language=running.plan.language[:2],
                priority=event.priority or queueing.ASKED,
                campaign_id=running.id,
            ),
            event.reason,
        )

    def _abandoned(self, event: ev.AbandonedPlayed) -> None:
        caller = self.queue.get(event.attempt_id)
        self.forget_caller(event.attempt_id, AgentCallResult.ABANDONED)
        about = self.hands.about(event.attempt_id)
        if caller is None and about is not None:  # this engine was not there when they answered
            self.hands.notes.never_served(about[0], about[1].company_id, event.at)
        if about is not None and about[0].mode.needs_agents:
            self.hands.paced(about[1].id, event.at, True)

    def _detected(self, event: ev.Detected) -> None:
        """A machine: the agent is freed of it at once, and nobody was abandoned."""
        if event.result not in (DetectionResult.MACHINE, DetectionResult.FAX):
            return
        self.forget_caller(event.attempt_id, AgentCallResult.MACHINE)
        talk = self.talks.get(event.attempt_id)
        if talk is not None:
            self.end_talk(event.attempt_id, "machine")
            self.change(talk.session, agents.WrapDone())

    def _over(self, event: ev.CallEvent) -> None:
        attempt_id = event.attempt_id
        self.kept.pop(attempt_id, None)
        self.forget_caller(attempt_id, AgentCallResult.GAVE_UP)
        session = self.promised.pop(attempt_id, None)
        if attempt_id in self.talks:
            self.end_talk(attempt_id, "hung_up")
        elif session is not None:
            self.change(session, agents.CallGone(attempt_id))
        if not isinstance(event, ev.HangupRequested) and self.hands.about(attempt_id) is not None:
            # Whatever event was lost: who has hung up waits for nobody.
            self.hands.notes.close(attempt_id, self.hands.now())
        for seat in list(self.seats.values()):
            if seat.leg == attempt_id:  # a leg that died without leaving its conference
                self.change(seat.session, agents.LegDown(attempt_id))
        self.third_gone(attempt_id)

    def _payment(self, event: ev.PaymentProgress) -> None:
        talk = self.talks.get(event.attempt_id)
        if talk is None:
            return
        if event.result and talk.away == AWAY_PAYMENT:
            talk.away, talk.away_at, talk.pay_session = AWAY_RETURNING, event.at, None
        self.hands.tell(
            talk.session,
            {
                "type": "payment",
                "at": event.at,
                "attempt": event.attempt_id,
                "step": event.step,
                "digits": event.digits,
                "error": event.error,
                "result": event.result,
            },
        )

    def _pace(self, caller: Caller, at: datetime) -> None:
        if caller.campaign_id is not None and caller.kind is AgentCallKind.PREDICTIVE:
            self.hands.paced(caller.campaign_id, at, False)

    # --- after an interruption -----------------------------------------------------------

    def resync(self, members: dict[str, list[tuple[str, str]]]) -> None:
        """Who is in which conference now, as Asterisk lists it: (unique id, channel) by name. What
        happened while nobody listened is made good, as if its events had come."""
        now = self.hands.now()
        for conference, present in members.items():
            seat = self.seats.get(conference)
            if seat is None:
                continue
            for unique_id, channel in present:
                about = self.hands.about(unique_id)
                adopted = about is not None and unique_id not in self.talks
                if adopted and about is not None:
                    self._adopt(seat, about[0], about[1])
                if adopted or self.channels.get(unique_id) != channel:
                    self.hands.report(ev.ConferenceJoined(unique_id, now, conference, channel))
        there = {one for present in members.values() for one, _ in present}
        for attempt_id, talk in list(self.talks.items()):
            if talk.joined and talk.away is None and attempt_id not in there:
                self.hands.beside(self._after_leaving(attempt_id))

    def resume(self, open_calls: list[AgentCall], paying: Collection[str]) -> None:
        """Who waited when an engine died waits on: the IVR still entertains them. A live answer
        does not; the switch has told them that nobody came. ``paying``: who keys a card in is left
        to it, and comes back into the conference by the dialplan."""
        for one in open_calls:
            about = self.hands.about(one.attempt_id)
            known = one.attempt_id in self.talks or one.attempt_id in self.queue
            if about is None or known or one.attempt_id in paying:
                continue
            attempt, running = about
            if one.joined_at is not None:
                self._left_behind(one, running)
                continue
            if one.kind is AgentCallKind.PREDICTIVE:
                continue
            self.hands.notes.adopted(attempt.id)
            self.enqueue(
                Caller(
                    attempt_id=attempt.id,
                    kind=one.kind,
                    company_id=running.company_id,
                    since=one.queued_at,
                    skill=one.skill,
                    language=running.plan.language[:2],
                    priority=one.priority or queueing.ASKED,
                    campaign_id=running.id,
                ),
                one.reason,
            )

    def _left_behind(self, one: AgentCall, running: RunningCampaign) -> None:
        """They were with an agent, and are in no conference: on hold, or their agent has gone."""
        self.hands.notes.adopted(one.attempt_id)
        self.hands.notes.left(one.attempt_id, self.hands.now())
        self.hands.beside(self._to_queue(one.attempt_id))
        self.enqueue(
            Caller(
                attempt_id=one.attempt_id,
                kind=AgentCallKind.TRANSFER,
                company_id=running.company_id,
                since=self.hands.now(),
                language=running.plan.language[:2],
                priority=queueing.CUT_OFF,
                prefer=one.agent_id,
                campaign_id=running.id,
            ),
            "agent_lost",
        )

    def _adopt(self, seat: Seat, attempt: Attempt, running: RunningCampaign) -> Talk:
        """A talk that a dead engine left behind goes on."""
        now = self.hands.now()
        caller = Caller(
            attempt_id=attempt.id,
            kind=AgentCallKind.ESCALATION,
            company_id=running.company_id,
            since=attempt.answered_at or now,
            campaign_id=running.id,
        )
        self.queue.pop(attempt.id, None)
        self.talks[attempt.id] = talk = Talk(caller, seat.session, now, joined=now)
        self.seats[seat.session] = taken = replace(
            seat, state=AgentState.TALKING, since=now, call=attempt.id, pause_code=None
        )
        self.hands.notes.adopted(attempt.id)
        self.hands.notes.state(taken)
        self.tell_state(taken)
        return talk

    def legs_gone(self, channels: set[str]) -> None:
        """The switch was away: only ``channels`` are still alive."""
        for seat in list(self.seats.values()):
            if seat.leg is not None and seat.leg not in channels:
                self.change(seat.session, agents.LegDown(seat.leg))
                self.hands.tell(seat.session, {"type": "leg", "up": False, "why": "switch"})
        for attempt_id in [*self.talks, *self.queue]:
            if attempt_id not in channels:
                self.forget_caller(attempt_id, AgentCallResult.LOST)
                self.end_talk(attempt_id, "lost")
