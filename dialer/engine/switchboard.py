"""What of the engine has to do with agents, put together: floor, desks, pacers, inbound calls.

Looks on at the core's events; ``Placer`` asks it how many calls a campaign with agents may place.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from dialer.config import Settings
from dialer.desk.reader import Commands
from dialer.desk.wire import Command, Refused, Reply
from dialer.domain import events as ev
from dialer.domain import queueing
from dialer.domain.agents import Seat
from dialer.domain.model import Attempt
from dialer.domain.pacing import Decision
from dialer.domain.queueing import Caller, Kept
from dialer.engine import campaigns
from dialer.engine.assist import Assist
from dialer.engine.booked import CONNECTS, Booked
from dialer.engine.campaigns import RunningCampaign
from dialer.engine.clock import utc_now
from dialer.engine.conclusions import Conclusions
from dialer.engine.core import Core
from dialer.engine.desk import Desk, leg_action, take_over
from dialer.engine.desks import Whisper
from dialer.engine.floor import Floor, FloorHands
from dialer.engine.floor_notes import Notes
from dialer.engine.pace import Paces, Share, floor_of
from dialer.engine.talk_desk import TalkDesk
from dialer.logs import get_logger
from dialer.store import abandonment, agent_calls, attempts, pay_sessions
from dialer.store.agent_calls import AgentCall
from dialer.store.tables import attempt

log = get_logger(__name__)

WHISPER = "whisper_"
"""+ the kind of call: the prompt for the agent's ear."""
SHARE_LOOK = 0.25
SHARES_EVERY = 10.0
"""How often the shares of abandoned calls are read anew, seconds."""


class Switchboard:
    """The part for agents of one engine. ``tasks`` are its loops."""

    def __init__(self, settings: Settings, core: Core) -> None:
        self._settings = settings
        self._core = core
        self.paces = Paces()
        self._windows: dict[int, abandonment.SlidingWindow] = {}
        self.commands = Commands(settings.redis, settings.node, self._handle)
        self.notes = Notes(
            core.hands.database, self._tell, leg_action(settings, self._dial), utc_now
        )
        self.floor = Floor(
            FloorHands(
                switch=core.hands.link,
                notes=self.notes,
                about=self._about,
                beside=core.beside,
                tell=self._tell,
                tell_floor=lambda event: self.commands.publish(None, event),
                paced=lambda campaign, at, lost: self.paces.outcome(campaign, at, abandoned=lost),
                seat_changed=self._seat_changed,
                report=core.hands.link.events.put_nowait,
                whisper=self._whisper,
                now=utc_now,
            )
        )
        conclusions = Conclusions(settings, core.hands.database, core.hands.enqueue)
        talks = TalkDesk(
            settings, self.floor, conclusions, self._dial, core.hands.link.events.put_nowait
        )
        assist = Assist(settings, core.hands.database, self.floor, talks)
        self.booked = Booked(settings, core, self.floor)
        self._desk = Desk(
            settings,
            core.hands.database,
            self.floor,
            talks.handlers | assist.handlers | self.booked.handlers,
        )

    def tasks(self) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        """Its loops, by name."""
        return [
            ("desks", self.commands.run()),
            ("notes", self.notes.run()),
            ("shares", self._keep_shares()),
            ("booked", self.booked.run()),
        ]

    async def start(self) -> None:
        """Take over the sessions that an engine before left open."""
        await take_over(self._core.hands.database, self.floor, self._settings)

    async def leave(self) -> None:
        """Write what was decided and is not written yet."""
        await self.notes.write_rest()

    # --- looking on ----------------------------------------------------------------------

    def observe(self, event: ev.CallEvent) -> None:
        """See ``Observer``."""
        live = self._core.live.get(event.attempt_id)
        self.paces.observe(event, live.attempt if live is not None else None)
        if isinstance(event, ev.InboundCommitted) and live is None:
            self._core.beside(self._inbound(event.attempt_id))
        self.floor.observe(event)
        if isinstance(event, ev.Ended | ev.Vanished | ev.OriginateFailed) and live is not None:
            self._core.beside(self.booked.ended(live.attempt))

    def tick(self) -> None:
        """See ``Observer``."""
        self.floor.tick()

    async def switch_ready(self, _event: ev.SwitchReady) -> None:
        """Legs, talks and waits that the switch no longer has are over; what it has is known."""
        try:
            self.floor.legs_gone(set(await self._core.hands.link.live_channels()))
        except (OSError, TimeoutError) as error:
            log.warning("floor_not_reconciled", error=type(error).__name__)
        await self.adopted()

    async def adopted(self) -> None:
        """Who talks with whom, and who waits, as the switch and the database know it."""
        try:
            members = await self._core.hands.link.conference_members()
            self.floor.resync(members)
            waiting, paying = await self._core.hands.database.until_done(self._open_calls)
        except (OSError, TimeoutError) as error:
            log.warning("floor_not_reconciled", error=type(error).__name__)
            return
        self.floor.resume(waiting, paying)

    def _open_calls(self, connection: Connection) -> tuple[list[AgentCall], set[str]]:
        found = agent_calls.open_calls(connection, node=self._settings.node)
        return found, pay_sessions.under_way(connection, [one.attempt_id for one in found])

    async def _inbound(self, attempt_id: str) -> None:
        """A debtor calls: their attempt comes under the engine's eyes like any other."""

        def load(connection: Connection) -> tuple[Attempt | None, list[RunningCampaign]]:
            row = connection.execute(select(attempt).where(attempt.c.id == attempt_id)).first()
            one = None if row is None else attempts.attempt_of(row)
            if one is None or one.campaign_id in self._core.campaigns:
                return one, []
            return one, campaigns.load(connection, None, [one.campaign_id])

        one, found = await self._core.hands.database.until_done(load)
        if one is None or one.id in self._core.live:
            return
        for running in found:
            if running.id == one.campaign_id:
                self._core.campaigns.setdefault(running.id, running)
        if one.campaign_id in self._core.campaigns:
            self._core.admit(one, adopted=True)

    def _about(self, attempt_id: str) -> tuple[Attempt, RunningCampaign] | None:
        live = self._core.live.get(attempt_id)
        running = self._core.campaigns.get(live.attempt.campaign_id) if live is not None else None
        return None if live is None or running is None else (live.attempt, running)

    def _whisper(self, caller: Caller) -> Whisper | None:
        """Why somebody comes, for the agent's ear, where the campaign wants it and it was made."""
        running = self._core.campaigns.get(caller.campaign_id or 0)
        if running is None or not running.plan.agents.whisper:
            return None
        folder = self._settings.prompts_dir / running.plan.language[:2]
        path = folder / f"{WHISPER}{caller.kind.value}"
        try:
            size = path.with_suffix(".alaw").stat().st_size
        except OSError:
            return None
        return Whisper(str(path), size / 8000.0)

    def _seat_changed(self, before: Seat, after: Seat) -> None:
        self.paces.seat_changed(before, after)
        self._core.freed.set()  # somebody may be free: a call may be placed

    # --- desks ---------------------------------------------------------------------------

    async def _handle(self, command: Command) -> Reply:
        if not self._core.ready.is_set():
            raise Refused("switch_away", "Asterisk is not there at the moment")
        return await self._desk.handle(command)

    def _tell(self, session: str, event: dict[str, Any]) -> None:
        self.commands.publish(session, event)

    def _dial(self, number: str, _node: str = "") -> tuple[str, str]:
        """How an outside number is called: by the first trunk, with the first caller ID of a
        campaign that runs. Raises Refused."""
        for running in self._core.campaigns.values():
            plan = running.plan
            if self._core.hands.gate.knows(plan.trunk) and plan.caller_ids:
                trunk = self._core.hands.gate.trunk(plan.trunk)
                caller_id = plan.caller_ids[0]
                return trunk.dial_string(number, caller_id), trunk.caller_id_value(caller_id)
        raise Refused("no_trunk", "no campaign runs whose trunk could be used")

    # --- pacing --------------------------------------------------------------------------

    def wanted(self, running: RunningCampaign, max_lines: int) -> Decision:
        """How many calls a campaign may place now, and which lines to give up.

        Campaigns that share agents share their lines too: what one has in the air is answered
        by the same people. So are callbacks whose time has come.
        """
        pace = self.paces.get(running.id, running.plan)
        now = utc_now()
        terms = running.plan.agents
        seats = [
            one
            for one in self.floor.seats.values()
            if one.company_id == running.company_id
            and (not terms.skill or terms.skill in one.skills)
        ]
        waiting = sum(
            1
            for caller in self.floor.queue.values()
            if any(queueing.fits(one, caller) for one in seats)
        )
        waiting += self.booked.due.get(running.company_id, 0)
        lines = [
            line
            for campaign_id, other in self.paces.of.items()
            if self._shares(running, campaign_id)
            for line in other.lines.values()
        ]
        floor = floor_of(now, seats, lines, waiting, running.plan, max_lines)
        return pace.decide(floor, terms)

    def _shares(self, running: RunningCampaign, campaign_id: int) -> bool:
        other = self._core.campaigns.get(campaign_id)
        return other is not None and other.company_id == running.company_id

    def placed(self, running: RunningCampaign, one: Attempt, segment: str) -> None:
        """A call was decided: it is in the air from now on."""
        pace = self.paces.get(running.id, running.plan)
        pace.placed(one, segment)
        if pace.keeps:
            self.floor.kept[one.id] = self._kept(running)

    @contextmanager
    def keeping(self, running: RunningCampaign, count: int) -> Iterator[None]:
        """While so many calls are being claimed nobody else is given the agents they need."""
        needs = running.plan.agents.mode.needs_agents
        keeps = needs and self.paces.get(running.id, running.plan).keeps
        places = [f"claim-{running.id}-{number}" for number in range(count)] if keeps else []
        self.floor.kept.update((place, self._kept(running)) for place in places)
        try:
            yield
        finally:
            for place in places:
                self.floor.kept.pop(place, None)

    def _kept(self, running: RunningCampaign) -> Kept:
        longest = timedelta(seconds=running.plan.ring_timeout) + CONNECTS
        return Kept(running.company_id, running.plan.agents.skill, utc_now() + longest)

    async def give_up(self, line_ids: tuple[str, ...]) -> None:
        """Calls that ring and could not be served."""
        for one in line_ids:
            live = self._core.live.get(one)
            if live is not None and live.attempt.answered_at is None:
                await self._core.hands.link.hangup(one)

    async def _keep_shares(self) -> None:
        read: dict[int, float] = {}
        while True:
            now = time.monotonic()
            for campaign_id, pace in list(self.paces.of.items()):
                if pace.share is not None and now - read.get(campaign_id, 0.0) < SHARES_EVERY:
                    continue
                read[campaign_id] = now
                running = self._core.campaigns.get(campaign_id)
                if running is None or not running.plan.agents.mode.needs_agents:
                    self.paces.of.pop(campaign_id, None)
                    continue
                try:
                    pace.know(await self._share(running), running.plan.agents)
                except DBAPIError as error:
                    log.warning("share_not_read", error=type(error).__name__)
            await asyncio.sleep(SHARE_LOOK)

    async def _share(self, running: RunningCampaign) -> Share:
        days = running.plan.agents.window_days
        window = self._windows.get(running.id)
        if window is None or window.days != days:
            window = self._windows[running.id] = abandonment.SlidingWindow(running.id, days)
        counts = await self._core.hands.database.once(
            lambda connection: window.counts(connection, utc_now())
        )
        return Share(counts.answered, counts.abandoned)
