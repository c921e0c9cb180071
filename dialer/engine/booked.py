"""Calls that one agent makes: callbacks that were agreed upon, and leads seen before they are
called (preview).

The agent is reserved before the call is placed, so that nobody who answers is abandoned.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from dialer.config import Settings
from dialer.desk.models import CommandName
from dialer.desk.wire import Command, Refused, Reply
from dialer.domain import agents
from dialer.domain.agents import Seat
from dialer.domain.model import Attempt, CampaignState, DialMode
from dialer.engine.campaigns import RunningCampaign
from dialer.engine.claiming import Call, Wait, commit_attempts, decide
from dialer.engine.clock import utc_now
from dialer.engine.core import Core
from dialer.engine.floor import Floor
from dialer.logs import get_logger
from dialer.store import callbacks, in_the_air, leads
from dialer.store.callbacks import Callback
from dialer.store.contexts import load_contexts
from dialer.store.lead_story import lead_story
from dialer.store.tables import campaign, lead

log = get_logger(__name__)

LOOK_SECONDS = 2.0
NOT_NOW = timedelta(minutes=5)
SOON = timedelta(seconds=2)
"""Until a campaign that has finished is there again, or an agent who was free a moment ago."""
NOBODY_ANSWERED = timedelta(minutes=15)
MOST_TRIES = 3
"""A callback that nobody answers is tried so often."""
SKIPPED = timedelta(hours=4)
"""A lead that an agent skipped comes again after this."""
CONNECTS = timedelta(seconds=5)
PREVIEW_SECONDS = 120.0
"""How long an agent may look before the lead goes to somebody else."""


@dataclass(slots=True)
class Preview:
    """A lead before an agent's eyes."""

    campaign_id: int
    lead_id: int
    until: datetime


class Booked:
    """Callbacks and previews of one engine. ``run`` is its loop."""

    def __init__(self, settings: Settings, core: Core, floor: Floor) -> None:
        self._settings = settings
        self._core = core
        self._floor = floor
        self._previews: dict[str, Preview] = {}
        self.due: dict[int, int] = {}
        """Company -> callbacks whose time has come, and that wait for an agent: the pacers leave as
        many agents to them."""
        self.handlers = {
            CommandName.PREVIEW_CALL: self._preview_call,
            CommandName.PREVIEW_SKIP: self._preview_skip,
        }

    async def run(self) -> None:
        """For ever: place what is due, show leads, take back what was shown for too long."""
        await self._core.hands.database.until_done(
            lambda connection: callbacks.reopen(connection, self._settings.node)
        )
        while True:
            if self._core.ready.is_set():
                try:
                    await self._callbacks()
                    await self._show()
                except DBAPIError as error:
                    log.warning("booked_calls_waited", error=type(error.orig).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    # --- callbacks -----------------------------------------------------------------------

    async def _callbacks(self) -> None:
        now = utc_now()
        free, spare = self._floor.free(), self._floor.spare()
        for company_id in {one.company_id for one in spare}:
            ours = [one for one in spare if one.company_id == company_id]
            claimed = await self._claim(company_id, [one.agent_id for one in ours], now)
            for one in claimed:
                await self._call_back(one)
        self.due = {
            company_id: await self._still_due(
                company_id, [one.agent_id for one in free if one.company_id == company_id], now
            )
            for company_id in {one.company_id for one in self._floor.seats.values()}
        }

    async def _still_due(self, company_id: int, agent_ids: list[int], now: datetime) -> int:
        return await self._core.hands.database.once(
            lambda connection: callbacks.count_due(
                connection, now, company_id=company_id, agent_ids=agent_ids
            )
        )

    async def _claim(self, company_id: int, agent_ids: list[int], now: datetime) -> list[Callback]:
        def work(connection: Connection) -> list[Callback]:
            return callbacks.due(
                connection,
                now,
                len(agent_ids),
                node=self._settings.node,
                company_id=company_id,
                agent_ids=agent_ids,
            )

        return await self._core.hands.database.once(work)

    async def _call_back(self, one: Callback) -> None:
        """Reserve an agent, then call; else it is due again a little later."""
        now = utc_now()
        campaign_id, finished = await self._campaign_of(one)
        running = self._core.campaigns.get(campaign_id)
        if running is None and finished:
            self._core.summoned.add(campaign_id)  # a promise outlives the list it came from
            await self._put_off(one.id, now + SOON)
            return
        if running is None or one.lead_id is None or not (running.running or running.finished):
            await self._put_off(one.id, now + NOT_NOW)
            return
        seat = self._seat_for(one)
        if seat is None:
            await self._put_off(one.id, now + SOON)
            return
        attempt = await self._reserve_and_commit(running, one.lead_id, seat, one)
        if attempt is not None:
            await self._core.place(attempt)
        self._core.summoned.discard(campaign_id)

    async def _campaign_of(self, one: Callback) -> tuple[int, bool]:
        """The campaign of the lead, and whether it has finished; 0 for none."""
        query = (
            select(campaign.c.id, campaign.c.state)
            .join(lead, lead.c.campaign_id == campaign.c.id)
            .where(lead.c.id == one.lead_id)
        )
        row = await self._core.hands.database.once(
            lambda connection: connection.execute(query).first()
        )
        return (0, False) if row is None else (row.id, row.state == CampaignState.FINISHED.value)

    def _seat_for(self, one: Callback) -> Seat | None:
        """The agent who promised it; where they are late, whoever has been free the longest."""
        free = [seat for seat in self._floor.spare() if seat.company_id == one.company_id]
        own = [seat for seat in free if seat.agent_id == one.agent_id]
        return min(own or free, key=lambda seat: seat.since, default=None)

    async def _put_off(self, callback_id: int, until: datetime) -> None:
        await self._core.hands.database.once(
            lambda connection: callbacks.put_off(connection, callback_id, until)
        )

    async def ended(self, attempt: Attempt) -> None:
        """The call that was placed for a callback is over."""
        if attempt.mode is not DialMode.PREVIEW:
            return
        now = utc_now()

        def work(connection: Connection) -> None:
            found = callbacks.by_attempt(connection, attempt.id)
            if found is None:
                return
            if attempt.agent_joined_at is None and found.tries < MOST_TRIES:
                callbacks.put_off(connection, found.id, now + NOBODY_ANSWERED)
            else:
                callbacks.done(connection, found.id, now)

        await self._core.hands.database.until_done(work)

    async def _reserve_and_commit(
        self, running: RunningCampaign, lead_id: int, seat: Seat, booked: Callback | None
    ) -> Attempt | None:
        """The attempt, committed and under the engine's eyes, with its agent; None where the rules
        forbid it now."""
        attempt_id = self._core.hands.new_id()
        within = timedelta(seconds=running.plan.ring_timeout) + CONNECTS
        reserved = self._floor.change(
            seat.session, agents.Reserve(attempt_id, within, running.plan.agents.wrap)
        )
        if reserved is None or reserved.call != attempt_id:
            if booked is not None:
                await self._put_off(booked.id, utc_now() + NOT_NOW)
            return None

        def work(connection: Connection) -> Attempt | None:
            return _commit(connection, running, lead_id, attempt_id, self._settings.node, booked)

        attempt = None
        try:
            attempt = await self._core.hands.database.once(work)
        finally:
            if attempt is None:
                self._floor.change(seat.session, agents.CallGone(attempt_id))
        if attempt is None:
            return None
        self._floor.promised[attempt_id] = seat.session
        self._core.admit(attempt)
        return attempt

    # --- previews ------------------------------------------------------------------------

    async def _show(self) -> None:
        now = utc_now()
        for session, shown in list(self._previews.items()):
            if now > shown.until or session not in self._floor.seats:
                self._previews.pop(session)
                await self._give_lead_back(shown.lead_id, now)
        for running in list(self._core.campaigns.values()):
            if running.running and running.plan.agents.mode is DialMode.PREVIEW:
                for seat in self._idle(running):
                    await self._show_one(running, seat, now)

    def _idle(self, running: RunningCampaign) -> list[Seat]:
        skill = running.plan.agents.skill
        return [
            seat
            for seat in self._floor.spare()
            if seat.session not in self._previews
            and seat.company_id == running.company_id
            and (not skill or skill in seat.skills)
        ]

    async def _show_one(self, running: RunningCampaign, seat: Seat, now: datetime) -> None:
        def work(connection: Connection) -> tuple[int, Any] | None:
            ids = leads.claim(connection, running.id, 1, self._core.hands.new_id(), now)
            if not ids:
                return None
            decision = decide(running.plan, load_contexts(connection, ids, now)[ids[0]], now)
            if isinstance(decision, Wait):
                leads.wait(connection, ids[0], decision.at)
                return None
            if not isinstance(decision, Call):
                leads.close(connection, ids[0], decision.reason)
                return None
            return ids[0], lead_story(connection, ids[0], now)

        found = await self._core.hands.database.once(work)
        if found is None:
            return
        until = now + timedelta(seconds=PREVIEW_SECONDS)
        self._previews[seat.session] = Preview(running.id, found[0], until)
        self._floor.hands.tell(
            seat.session, {"type": "preview", "lead": found[0], "story": found[1], "until": until}
        )

    async def _give_lead_back(self, lead_id: int, at: datetime) -> None:
        await self._core.hands.database.once(lambda connection: leads.wait(connection, lead_id, at))

    async def _preview_call(self, command: Command) -> Reply:
        session = command.session or ""
        shown = self._previews.get(session)
        seat = self._floor.seats.get(session)
        running = self._core.campaigns.get(shown.campaign_id) if shown is not None else None
        if shown is None or seat is None or running is None:
            raise Refused("no_preview", "there is no lead to call")
        del self._previews[session]
        attempt = await self._reserve_and_commit(running, shown.lead_id, seat, None)
        if attempt is None:
            await self._give_lead_back(shown.lead_id, utc_now() + NOT_NOW)
            raise Refused("not_now", "the rules do not allow it now, or you are not free")
        await self._core.place(attempt)
        return Reply.done(attempt=attempt.id)

    async def _preview_skip(self, command: Command) -> Reply:
        shown = self._previews.pop(command.session or "", None)
        if shown is None:
            raise Refused("no_preview", "there is no lead to skip")
        await self._give_lead_back(shown.lead_id, utc_now() + SKIPPED)
        return Reply.done()


def _commit(
    connection: Connection,
    running: RunningCampaign,
    lead_id: int,
    attempt_id: str,
    node: str,
    booked: Callback | None,
) -> Attempt | None:
    """The attempt's row, its place in the contact ledger, the callback's mark: one transaction."""
    now = utc_now()
    air = in_the_air.hold(connection, leads.debtors_of(connection, [lead_id]))
    context = load_contexts(connection, [lead_id], now)[lead_id]
    decision = decide(
        running.plan, context, now, air, mode=DialMode.PREVIEW, agreed=booked is not None
    )
    if not isinstance(decision, Call):
        if booked is not None:
            later = decision.at if isinstance(decision, Wait) else now + NOT_NOW
            callbacks.put_off(connection, booked.id, max(later, now + NOT_NOW))
        return None
    attempt = Attempt(
        id=attempt_id,
        campaign_id=running.id,
        lead_id=lead_id,
        debtor_id=context.debtor_id,
        phone_id=decision.phone.id,
        number=decision.phone.number,
        caller_id=decision.caller_id,
        trunk=running.plan.trunk,
        node=node,
        flow=running.plan.flow,
        placed_at=now,
        mode=DialMode.PREVIEW,
    )
    commit_attempts(connection, [(attempt, context)])
    if booked is not None:
        callbacks.placed(connection, booked.id, attempt_id)
    return attempt
