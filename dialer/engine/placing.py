"""Placing a campaign's ordinary calls: claim a little ahead, then one call a token."""

from __future__ import annotations

import asyncio
import time
from contextlib import nullcontext
from datetime import timedelta

from sqlalchemy.exc import DBAPIError

from dialer.domain.answering import Features
from dialer.domain.model import Attempt, DialMode
from dialer.domain.pacing import calls_to_claim
from dialer.engine.campaigns import RunningCampaign, finish
from dialer.engine.claiming import LeaseLost, claim_and_commit
from dialer.engine.clock import utc_now
from dialer.engine.core import Core
from dialer.engine.foretelling import Foreteller
from dialer.engine.switchboard import Switchboard
from dialer.logs import get_logger
from dialer.store import leads

log = get_logger(__name__)

HORIZON = 0.25
"""Seconds of calls claimed ahead: short, so that a pause is obeyed and a claim stays small."""
BATCH = 50
LONGEST_WAIT = 1.0
"""Nothing is claimed while the next call's turn is further away than this (seconds)."""
AGENTS_SECONDS = 0.25
"""How often it is decided anew how many calls agents can take; also whenever one becomes free."""
IDLE_SECONDS = 0.5
"""How often a campaign that has nothing to call looks again."""


class Placer:
    """Runs one campaign until it is finished, paused, stopped or another engine's."""

    def __init__(
        self,
        core: Core,
        running: RunningCampaign,
        owner: str,
        node: str,
        foreteller: Foreteller,
        board: Switchboard | None = None,
    ) -> None:
        self.core = core
        self.foreteller = foreteller
        self.board = board
        self.running = running
        self.owner = owner
        self.node = node
        self.finished = False
        self._told = False

    async def run(self) -> None:
        """Claim and place for as long as the campaign runs. Returns when it is over here."""
        while self.running.running:
            await self.core.ready.wait()
            try:
                placed = await self._round()
            except LeaseLost:
                log.warning("lease_lost", campaign=self.running.plan.name)
                return
            except DBAPIError as error:
                log.warning("claim_failed", error=type(error.orig).__name__)
                placed = False
            if self.finished:
                return
            if not placed:
                await self._rest()

    async def _round(self) -> bool:
        """One claim and its calls; whether there was anything to do."""
        plan = self.running.plan
        gate = self.core.hands.gate
        if not gate.knows(plan.trunk):
            log.error("unknown_trunk", campaign=plan.name, trunk=plan.trunk)
            return False
        monotonic = time.monotonic()
        rate_wait = self.running.rate.filled(monotonic).wait()
        turn = max(rate_wait, gate.wait(plan.trunk, monotonic))
        if gate.resting(plan.trunk, monotonic) or turn > LONGEST_WAIT:
            return False  # what is claimed now would wait for its turn, and the hour go by
        in_flight = sum(
            1 for call in self.core.live.values() if call.attempt.campaign_id == self.running.id
        )
        on_trunk = sum(1 for call in self.core.live.values() if call.attempt.trunk == plan.trunk)
        count = await self._wanted(in_flight, gate.room(plan.trunk, on_trunk))
        if count == 0:
            if plan.agents.mode is DialMode.PREVIEW:
                await self._maybe_finish()
            return False
        with self.board.keeping(self.running, count) if self.board else nullcontext():
            made, put_back = await self._claim(count)
        for one in made:
            await self._place_in_turn(one)
        if not made and not put_back:
            await self._maybe_finish()
        return bool(made or put_back)

    async def _claim(self, count: int) -> tuple[list[Attempt], int]:
        """Attempts committed and under the engine's eyes, and how many leads were put back."""
        known: dict[str, Features] = {}
        made, put_back = await self.core.hands.database.once(
            lambda connection: claim_and_commit(
                connection,
                self.running,
                owner=self.owner,
                node=self.node,
                count=count,
                # Read inside: a locked database may have been waited for, the hour be another.
                now=utc_now(),
                new_id=self.core.hands.new_id,
                known=known,
            )
        )
        self.foreteller.expect(self.running.company_id, known)
        for one in made:
            self.core.admit(one)
            if self.board is not None and one.mode.needs_agents:
                self.board.placed(self.running, one, self.foreteller.segment(one.id))
        return made, put_back

    async def _wanted(self, in_flight: int, room: int) -> int:
        """How many leads to claim now: by the rate, or by the agents who are or will be free."""
        plan, gate = self.running.plan, self.core.hands.gate
        most = min(plan.max_concurrent, in_flight + room)
        per_second = gate.trunk(plan.trunk).calls_per_second or plan.calls_per_second
        by_rate = calls_to_claim(
            per_second=min(plan.calls_per_second, per_second),
            horizon=HORIZON,
            in_flight=in_flight,
            claimed=0,
            max_concurrent=most,
            batch=BATCH,
        )
        if not plan.agents.mode.needs_agents:
            return by_rate
        if self.board is None:
            if not self._told:
                log.error("campaign_needs_agents", campaign=plan.name, setting="DIALER_AGENTS")
                self._told = True
            return 0
        if plan.agents.mode is DialMode.PREVIEW:
            return 0  # each agent decides (dialer.engine.booked)
        decision = self.board.wanted(self.running, most)
        if decision.shed:
            self.foreteller.given_up(decision.shed)
            await self.board.give_up(decision.shed)
        # What the rate does not allow now is decided anew in a moment.
        return min(decision.place, by_rate)

    async def _place_in_turn(self, one: Attempt) -> None:
        """When the campaign's and the trunk's rate allow. Once claimed it is placed, pause or
        not: it is a matter of a quarter of a second, and ``Core.place`` asks again when it was
        not."""
        gate = self.core.hands.gate
        while True:
            now = time.monotonic()
            self.running.rate = self.running.rate.filled(now)
            wait = max(self.running.rate.wait(), gate.wait(one.trunk, now))
            if wait <= 0:
                break
            await asyncio.sleep(wait)
        await self.core.ready.wait()
        self.running.rate = self.running.rate.taken()
        gate.take(one.trunk, time.monotonic())
        await self.core.place(one)

    async def _maybe_finish(self) -> None:
        if any(c.attempt.campaign_id == self.running.id for c in self.core.live.values()):
            return
        left = await self.core.hands.database.once(
            lambda connection: leads.unfinished(connection, self.running.id)
        )
        if left:
            return
        self.finished = await self.core.hands.database.once(
            lambda connection: finish(connection, self.running.id, utc_now())
        )
        if self.finished:
            log.info("campaign_finished", campaign=self.running.plan.name)

    async def _rest(self) -> None:
        """Until a call ends, the next lead is due, or half a second has passed."""
        self.core.freed.clear()
        wait = AGENTS_SECONDS if self.running.plan.agents.mode.needs_agents else IDLE_SECONDS
        longest = wait
        try:
            due = await self.core.hands.database.once(
                lambda connection: leads.next_due(connection, self.running.id)
            )
            if due is not None:
                ahead = (due - utc_now()) / timedelta(seconds=1)
                wait = min(longest, max(0.02, ahead))
        except DBAPIError:
            pass  # said by the next claim
        try:
            async with asyncio.timeout(wait):
                await self.core.freed.wait()
        except TimeoutError:
            pass
