"""What agents wish from their desks, done: sessions, pauses, wrap-up.

What they do within a talk is ``dialer.engine.talk_desk``. A command that makes no sense now is
refused with a code that a page can tell in its own words.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from dialer.config import Settings
from dialer.desk.models import CommandName
from dialer.desk.wire import Command, Refused, Reply
from dialer.domain import agents
from dialer.domain.agents import Seat
from dialer.domain.model import AgentState
from dialer.engine.database import Database
from dialer.engine.floor import Floor
from dialer.logs import get_logger
from dialer.store import agent_sessions
from dialer.store.agents import Agent, load_agent
from dialer.switch import names, talking
from dialer.switch.talking import Action

log = get_logger(__name__)

DEFAULT_WRAP = 30.0
BEAT_EVERY = timedelta(seconds=10)
"""How often a heartbeat is written down; the engine itself knows of each."""
LEG_RING = 30.0

Handler = Callable[[Command], Awaitable[Reply]]


class Desk:
    """Sessions and states; ``more`` handles what belongs to a talk."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        floor: Floor,
        more: Mapping[CommandName, Handler],
    ) -> None:
        self._settings = settings
        self._database = database
        self._floor = floor
        self._beaten: dict[str, Any] = {}
        self._handlers: dict[CommandName, Handler] = {
            CommandName.LOG_IN: self._log_in,
            CommandName.LOG_OUT: self._log_out,
            CommandName.HEARTBEAT: self._heartbeat,
            CommandName.READY: self._ready,
            CommandName.PAUSE: self._pause,
            CommandName.WRAP_DONE: self._wrap_done,
            CommandName.NEW_LEG: self._new_leg,
            CommandName.FLOOR: self._snapshot,
            **more,
        }

    async def handle(self, command: Command) -> Reply:
        """Do it. Raises Refused."""
        handler = self._handlers.get(command.name)
        if handler is None:
            raise Refused("not_possible", "this installation does not do that")
        return await handler(command)

    # --- sessions ------------------------------------------------------------------------

    async def _log_in(self, command: Command) -> Reply:
        agent_id, now = command.args["agent_id"], self._floor.hands.now()
        there = self._seat_of(agent_id)
        if there is not None and there.state in (
            AgentState.RESERVED,
            AgentState.TALKING,
            AgentState.WRAP_UP,
        ):
            # The page was loaded anew: back into the talk that goes on.
            self._floor.change(there.session, agents.Beat())
            return await self._leg(there)
        session, token = uuid.uuid4().hex, uuid.uuid4().hex

        def open_it(connection: Connection) -> tuple[Agent, list[str]]:
            found = load_agent(connection, agent_id)
            if found is None or not found.active:
                raise Refused("unknown_agent", "there is no such agent, or they are not active")
            ended = agent_sessions.open_session(
                connection,
                session_id=session,
                agent_id=agent_id,
                node=self._settings.node,
                leg_token=token,
                now=now,
            )
            return found, ended

        found, ended = await self._database.once(open_it)
        for one in ended:
            self._floor.change(one, agents.LogOut())
        seat = self._made(found, session, command, now)
        self._floor.take_seat(seat)
        if not seat.ringing:
            self._floor.hands.beside(self._floor.ring(seat))
        return self._logged_in(seat, token)

    def _made(self, found: Agent, session: str, command: Command, now: Any) -> Seat:
        asked = command.args.get("skills")
        skills = frozenset(found.skills)
        return Seat(
            session=session,
            agent_id=found.id,
            company_id=found.company_id,
            name=found.name,
            since=now,
            beat_at=now,
            skills=skills if asked is None else skills & set(asked),
            languages=found.languages,
            station=found.station,
            ringing=command.args.get("ringing", found.ringing),
            wrap=DEFAULT_WRAP if found.wrap_seconds is None else found.wrap_seconds,
            own_wrap=found.wrap_seconds is not None,
            heartbeat=self._settings.agent_heartbeat_seconds,
        )

    def _logged_in(self, seat: Seat, token: str) -> Reply:
        if seat.station != agents.BROWSER:
            return Reply.done(session=seat.session, leg_token=token, sip=None)
        s = self._settings
        ws = s.browser_socket
        host = ws.split("://", 1)[1].split("/", 1)[0].rsplit(":", 1)[0]
        sip = {
            "url": f"sip:{token}@{host}",
            "user": names.ENDPOINT_BROWSER,
            "password": s.secret(names.SECRET_BROWSER_SIP),
            "ws": ws,
        }
        return Reply.done(session=seat.session, leg_token=token, sip=sip)

    async def _leg(self, seat: Seat) -> Reply:
        token = uuid.uuid4().hex
        await self._database.once(
            lambda connection: agent_sessions.new_leg_token(connection, seat.session, token)
        )
        if seat.station != agents.BROWSER and seat.leg is None:
            self._floor.hands.beside(self._floor.ring(seat))
        return self._logged_in(seat, token)

    async def _new_leg(self, command: Command) -> Reply:
        return await self._leg(self.seat(command))

    async def _log_out(self, command: Command) -> Reply:
        seat = self.seat(command)
        if seat.state is AgentState.TALKING:
            raise Refused("talking", "end the call or pass it on first")
        self._floor.change(seat.session, agents.LogOut())
        return Reply.done()

    async def _heartbeat(self, command: Command) -> Reply:
        now = self._floor.hands.now()
        seat = self._floor.change(self.seat(command).session, agents.Beat())
        assert seat is not None
        before = self._beaten.get(seat.session)
        if before is None or now - before >= BEAT_EVERY:
            self._beaten[seat.session] = now
            self._floor.hands.notes.beat(seat.session, now)
        return Reply.done(state=seat.state.value, leg=seat.leg is not None)

    async def _ready(self, command: Command) -> Reply:
        seat = self.seat(command)
        if seat.leg is None and not seat.ringing:
            raise Refused("no_leg", "your line is not up yet")
        self._floor.change(seat.session, agents.Beat())
        return self._said(self._floor.change(seat.session, agents.Ready()), assign=True)

    async def _pause(self, command: Command) -> Reply:
        seat = self.seat(command)
        return self._said(self._floor.change(seat.session, agents.Pause(command.args["code"])))

    async def _wrap_done(self, command: Command) -> Reply:
        seat = self.seat(command)
        if seat.state is not AgentState.WRAP_UP:
            raise Refused("not_in_wrap_up", "there is nothing to wrap up")
        return self._said(self._floor.change(seat.session, agents.WrapDone()), assign=True)

    def _said(self, seat: Seat | None, *, assign: bool = False) -> Reply:
        assert seat is not None
        if assign:
            self._floor.assign()
        now = self._floor.seats.get(seat.session, seat)
        return Reply.done(state=now.state.value, pause_code=now.pause_code or now.next_pause)

    # --- what there is -------------------------------------------------------------------

    def seat(self, command: Command) -> Seat:
        """The seat that a command comes from. Raises Refused."""
        seat = self._floor.seats.get(command.session or "")
        if seat is None:
            raise Refused("no_session", "the session has ended: log in again")
        return seat

    def _seat_of(self, agent_id: int) -> Seat | None:
        seats = self._floor.seats.values()
        return next((one for one in seats if one.agent_id == agent_id), None)

    async def _snapshot(self, _command: Command) -> Reply:
        floor, now = self._floor, self._floor.hands.now()
        return Reply.done(
            agents=[
                {
                    "session": one.session,
                    "agent_id": one.agent_id,
                    "name": one.name,
                    "state": one.state.value,
                    "since": one.since,
                    "pause_code": one.pause_code,
                    "next_pause": one.next_pause,
                    "present": one.present(now),
                    "attempt": one.call,
                }
                for one in floor.seats.values()
            ],
            queue=[
                {
                    "attempt": one.attempt_id,
                    "kind": one.kind.value,
                    "skill": one.skill,
                    "priority": one.priority,
                    "since": one.since,
                }
                for one in sorted(floor.queue.values(), key=lambda caller: caller.rank)
            ],
            talks=[
                {
                    "attempt": attempt_id,
                    "session": one.session,
                    "joined": one.joined,
                    "away": one.away,
                }
                for attempt_id, one in floor.talks.items()
            ],
        )


async def take_over(database: Database, floor: Floor, settings: Settings) -> None:
    """Sessions that a dead engine left open go on: their legs are still in their conferences, and
    tell of themselves when the switch is asked. Nobody is thrown into a call: they are paused
    until their desk says something."""
    now = floor.hands.now()

    def load(connection: Connection) -> list[tuple[agent_sessions.Session, Agent | None]]:
        found = agent_sessions.open_sessions(connection, settings.node)
        return [(one, load_agent(connection, one.agent_id)) for one in found]

    for one, agent in await database.until_done(load):
        if agent is None or one.id in floor.seats:
            continue
        seat = Seat(
            session=one.id,
            agent_id=agent.id,
            company_id=agent.company_id,
            name=agent.name,
            since=now,
            beat_at=one.heartbeat_at,
            skills=frozenset(agent.skills),
            languages=agent.languages,
            station=agent.station,
            ringing=agent.ringing,
            wrap=DEFAULT_WRAP if agent.wrap_seconds is None else agent.wrap_seconds,
            own_wrap=agent.wrap_seconds is not None,
            heartbeat=settings.agent_heartbeat_seconds,
            state=one.state,
            pause_code=one.pause_code,
        )
        if seat.state in (AgentState.RESERVED, AgentState.TALKING, AgentState.AVAILABLE):
            seat = replace(seat, state=AgentState.PAUSED, pause_code=agents.CODE_AWAY)
            floor.hands.notes.state(seat)
        floor.take_seat(seat)


def leg_action(
    settings: Settings, dial: Callable[[str, str], tuple[str, str]]
) -> Callable[[Seat], Action | None]:
    """How an agent's telephone is called. ``dial``: (number, ...) -> dial string, caller ID."""

    def action(seat: Seat) -> Action | None:
        if seat.station == agents.BROWSER:
            return None
        if seat.station.startswith("sip:"):
            return talking.call_leg(
                seat.session, talking.sip_dial_string(seat.station), "", LEG_RING
            )
        dial_string, caller_id = dial(seat.station, settings.node)
        return talking.call_leg(seat.session, dial_string, caller_id, LEG_RING)

    return action
