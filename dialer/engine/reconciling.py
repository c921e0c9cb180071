"""What is done when the engine cannot have seen everything: after a start, a lost connection, or
an event that never came. A part of ``dialer.engine.core.Core``.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from dialer import metrics
from dialer.domain import events as ev
from dialer.domain.model import Attempt
from dialer.engine.clock import utc_now
from dialer.engine.live import MAX_CALL, UNSEEN_SECONDS, LiveCall
from dialer.logs import get_logger
from dialer.store import attempts

if TYPE_CHECKING:
    from dialer.engine.campaigns import RunningCampaign
    from dialer.engine.core import Hands, Observer

log = get_logger(__name__)

STRANDED = timedelta(seconds=90)
"""An attempt of this node that is open for so long and under nobody's eyes has been lost."""
ELSEWHERE = MAX_CALL + timedelta(minutes=10)
"""One of another node, whose switch cannot be asked from here: no call lasts so long."""


class Reconciling(ABC):
    """Compares the calls in the air with the channels that are alive."""

    hands: Hands
    live: dict[str, LiveCall]
    campaigns: dict[int, RunningCampaign]
    ready: asyncio.Event
    observers: list[Observer]

    @abstractmethod
    def admit(
        self, one: Attempt, *, hangup_before: datetime | None = None, adopted: bool = False
    ) -> LiveCall:
        """See ``Core``."""

    @abstractmethod
    def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """See ``Core``."""

    def _switch_lost(self) -> None:
        self.ready.clear()
        metrics.SWITCH_UP.set(0)
        log.warning("switch_lost", calls=len(self.live))

    async def _reconcile(self, event: ev.SwitchReady) -> None:
        """After a (re)connection: calls that were placed and have no channel any more are lost.

        Never placed again: whether the debtor's phone rang is not known.
        """
        try:
            gone = await self._absent(list(self.live.values()))
        except (OSError, TimeoutError) as error:
            log.warning("not_reconciled", error=type(error).__name__)
            if self.hands.link.connected:  # else the next connection says so itself
                self.beside(self._reconcile_later(event))
            return
        self._vanish(gone)
        for one in self.observers:
            await one.switch_ready(event)
        self.ready.set()
        metrics.SWITCH_UP.set(1)
        log.info("switch_ready", calls=len(self.live), lost=len(gone))

    async def _reconcile_later(self, event: ev.SwitchReady) -> None:
        await asyncio.sleep(1.0)
        if self.hands.link.connected:
            self.hands.link.events.put_nowait(event)

    async def _absent(self, calls: list[LiveCall]) -> list[LiveCall]:
        """Those that were placed and have no channel. One that was answered while nobody listened,
        and waits for an agent, gets its answer now."""
        placed = [call for call in calls if call.placed]
        if not placed:
            return []
        channels = await self.hands.link.live_channels()
        for call in placed:
            one = call.attempt
            if channels.get(one.id) and one.answered_at is None and one.mode.needs_agents:
                self.hands.link.events.put_nowait(ev.Answered(one.id, utc_now()))
        return [call for call in placed if call.attempt.id not in channels]

    async def find_stranded(self, campaign_ids: list[int], node: str) -> None:
        """What was lost between two engines is taken up: attempts of this node that nobody
        watches, and those of nodes that are gone, once no call can be alive there."""
        now = utc_now()
        await self.adopt(campaign_ids, node, before=now - STRANDED)
        elsewhere = await self.hands.database.until_done(
            lambda connection: attempts.open_attempts(
                connection, node, campaign_ids, elsewhere_before=now - ELSEWHERE
            )
        )
        self._vanish([self.admit(one, adopted=True) for one in elsewhere if self._strange(one)])

    def _strange(self, one: Attempt) -> bool:
        return one.id not in self.live and one.campaign_id in self.campaigns

    async def adopt(
        self, campaign_ids: list[int], node: str, *, before: datetime | None = None
    ) -> None:
        """What a dead engine left open (with ``before``: since then at least): live calls are
        taken over, the rest concluded as lost."""
        found = await self.hands.database.until_done(
            lambda connection: attempts.open_attempts(connection, node, campaign_ids, before=before)
        )
        calls = [self.admit(one, adopted=True) for one in found if self._strange(one)]
        try:
            gone = await self._absent(calls)
        except (OSError, TimeoutError) as error:
            # The next connection reconciles them with all others; ``watch`` does at last.
            log.warning("adopted_unseen", calls=len(calls), error=type(error).__name__)
            return
        if calls:
            log.info("attempts_adopted", alive=len(calls) - len(gone), lost=len(gone))
        self._vanish(gone)
        if len(calls) > len(gone):
            for observer in self.observers:
                await observer.adopted()

    def _vanish(self, calls: list[LiveCall]) -> None:
        """Through the consumer's own queue, so that ends have one writer."""
        for call in calls:
            call.placed = True  # or never will be: its turn does not come any more
            self.hands.link.events.put_nowait(ev.Vanished(call.attempt.id, utc_now()))

    async def watch(self) -> None:
        """Every few seconds: no call stays for ever, whatever reply was lost."""
        while True:
            await asyncio.sleep(UNSEEN_SECONDS / 3)
            if not self.ready.is_set():
                continue
            await self.end_overdue(utc_now())

    async def end_overdue(self, now: datetime) -> None:
        """Hang up calls that go on for too long, end those that have no channel (any more)."""
        stale = [
            call
            for call in self.live.values()
            if call.overdue(now, self.campaigns[call.attempt.campaign_id].plan.ring_timeout)
        ]
        gone = [call for call in stale if not call.placed]  # their placer died
        try:
            gone += await self._absent(stale)
            for call in stale:
                if call not in gone and call.placed:
                    await self.hands.link.hangup(call.attempt.id)
        except (OSError, TimeoutError) as error:
            log.warning("watch_failed", error=type(error).__name__)
        if gone:
            log.warning("calls_lost", count=len(gone))
            self._vanish(gone)
