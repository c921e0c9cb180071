"""An engine from start to stop: its switch, its campaigns, its leases."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from dialer import metrics
from dialer.config import ConfigError, Settings
from dialer.engine import campaigns
from dialer.engine.clock import utc_now
from dialer.engine.core import Core, Hands
from dialer.engine.database import Database
from dialer.engine.foretelling import Foreteller
from dialer.engine.placing import Placer
from dialer.engine.switchboard import Switchboard
from dialer.engine.texts import FallbackTexts
from dialer.engine.trunks import TrunkGate
from dialer.health import serve_health
from dialer.jobs import enqueue_message, message_queue
from dialer.logs import get_logger
from dialer.store import attempts, leads, leases
from dialer.store.campaigns import start_due
from dialer.store.db import open_database
from dialer.store.tables import campaign as campaign_table
from dialer.switch import names
from dialer.switch.ami import AmiLink
from dialer.switch.trunks import load_trunks

log = get_logger(__name__)

SEARCH_SECONDS = 30.0
"""How often attempts are looked for that nobody watches."""
LOOK_SECONDS = 0.5
"""How often campaigns started, paused or stopped by people are noticed."""


class Runner:
    """Keeps leases and one placer for each campaign that is ours and running."""

    def __init__(self, settings: Settings, core: Core, only: str | None) -> None:
        self.settings = settings
        self.core = core
        self.foreteller = Foreteller(core)
        core.observers.append(self.foreteller)
        self.board = Switchboard(settings, core) if settings.agents else None
        if self.board is not None:
            core.observers.append(self.board)
        self.only = only
        self.owner = f"{settings.node}:{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.life = timedelta(seconds=settings.lease_seconds)
        self.placers: dict[int, asyncio.Task[None]] = {}
        self.renewed = time.monotonic()
        self.searched = time.monotonic()
        self.left: set[int] | None = None
        """Campaigns with calls that a dead engine of this node left open, and that are not ours yet
        (its lease may outlive it); None until they were looked for."""

    async def keep(self) -> None:
        """For ever: look at the campaigns, renew the leases, start what is new."""
        await self.core.ready.wait()
        while True:
            try:
                await self._look()
            except DBAPIError as error:
                log.warning("look_failed", error=type(error.orig).__name__)
            await asyncio.sleep(min(LOOK_SECONDS, self.settings.lease_seconds / 3))

    async def _look(self) -> None:
        known = self.core.campaigns
        busy = {call.attempt.campaign_id for call in self.core.live.values()}
        placing = {one for one, task in self.placers.items() if not task.done()}
        kept = [one for one in known if one in busy or one in placing]
        kept += self.core.summoned - set(kept)

        def look(
            connection: Connection,
        ) -> tuple[list[campaigns.RunningCampaign], set[int], set[int]]:
            start_due(connection, utc_now(), self.only)
            left = self.left
            if left is None:  # paused, stopped or finished ones among them
                left = attempts.campaigns_with_open(connection, self.settings.node, self.only)
            found = campaigns.load(connection, self.only, [*kept, *left])
            ours = campaigns.take_leases(connection, found, self.owner, utc_now(), self.life)
            return found, ours, left - ours

        found, ours, self.left = await self.core.hands.database.once(look)
        self.renewed = time.monotonic()
        fresh: list[int] = []
        for gone in set(known) - ours:
            known[gone].running = False
            self.core.forget(gone)
        for one in found:
            if one.id in known:
                known[one.id].update(one)
            elif one.id in ours:
                known[one.id] = one
                fresh.append(one.id)
        if fresh:
            await self._take_over(fresh)
        for campaign_id in ours:
            self._start(campaign_id)
        if ours and time.monotonic() - self.searched >= SEARCH_SECONDS:
            self.searched = time.monotonic()
            # Beside the leases: a switch that is slow to answer must not cost them.
            self.core.beside(
                self.core.find_stranded([one for one in ours if one in known], self.settings.node)
            )

    async def _take_over(self, fresh: list[int]) -> None:
        await self.core.adopt(fresh, self.settings.node)

        def mend(connection: Connection) -> int:
            return sum(leads.release_orphans(connection, one, utc_now()) for one in fresh)

        orphans = await self.core.hands.database.until_done(mend)
        log.info("campaigns_taken", count=len(fresh), orphans=orphans)

    def _start(self, campaign_id: int) -> None:
        running = self.core.campaigns.get(campaign_id)
        task = self.placers.get(campaign_id)
        if running is None or not running.running:
            return
        if task is not None and not task.done():
            return
        if task is not None and (error := task.exception()) is not None:
            log.error("placer_failed", campaign=running.plan.name, error=repr(error))
        placer = Placer(
            self.core, running, self.owner, self.settings.node, self.foreteller, self.board
        )
        self.placers[campaign_id] = asyncio.create_task(self._place(placer))

    async def _place(self, placer: Placer) -> None:
        await placer.run()
        if placer.finished:
            placer.running.running = False
            self.core.forget(placer.running.id)
            self.core.finished.set()


async def run_engine(
    settings: Settings, *, campaign: str | None = None, until_finished: bool = False
) -> int:
    """Run until stopped by a signal, or, with ``until_finished``, until a campaign (the one
    named) has no lead left. Returns the exit code.

    Raises ConfigError for a campaign that does not exist, TrunkError for trunks that are wrong.
    The database must be migrated.
    """
    if campaign is not None:
        _refuse_unknown(settings, campaign)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    sys.setswitchinterval(0.001)  # the database's thread must not hold the loop up for 5 ms
    core, runner = _assemble(settings, campaign)
    health = serve_health(settings.engine_health_port, "engine", _checks(core, runner))
    await runner.foreteller.load()
    if runner.board is not None:
        await runner.board.start()
    await core.hands.link.connect()
    tasks = [
        asyncio.create_task(work, name=name)
        for name, work in (
            ("consumer", core.consume()),
            ("watch", core.watch()),
            ("keeper", runner.keep()),
            ("lag", _measure_lag()),
            ("foreteller", runner.foreteller.run()),
            *(runner.board.tasks() if runner.board is not None else ()),
        )
    ]
    waits = [asyncio.create_task(stop.wait())]
    if until_finished:
        waits.append(asyncio.create_task(core.finished.wait()))
    try:
        done, _ = await asyncio.wait([*tasks, *waits], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if task in tasks:
                log.error("engine_part_died", part=task.get_name(), error=repr(task.exception()))
                return 1
        return 0
    finally:
        for task in [*tasks, *waits, *runner.placers.values()]:
            task.cancel()
        await asyncio.gather(*tasks, *waits, *runner.placers.values(), return_exceptions=True)
        await _let_go(core, runner)
        health.close()


async def _let_go(core: Core, runner: Runner) -> None:
    """Write what is known and give the leases back, so that the next engine need not wait."""
    try:
        await core.flush()
        if runner.board is not None:
            await runner.board.leave()
        await runner.foreteller.save()
        await core.hands.database.once(
            lambda connection: leases.release(connection, runner.owner, utc_now())
        )
    except DBAPIError as error:
        log.warning("leases_not_released", error=type(error.orig).__name__)
    await core.hands.link.close()
    core.hands.database.close()
    core.hands.database.engine.dispose()


def _refuse_unknown(settings: Settings, name: str) -> None:
    engine = open_database(settings.database)
    with engine.connect().execution_options(dialer_readonly=True) as connection:
        known = connection.execute(select(campaign_table.c.name)).scalars().all()
    engine.dispose()
    if name not in known:
        raise ConfigError(
            f"there is no campaign {name!r}; there are: {', '.join(sorted(known)) or 'none'}"
        )


def _assemble(settings: Settings, campaign: str | None) -> tuple[Core, Runner]:
    link = AmiLink(
        host=settings.switch_host,
        port=settings.ami_port,
        user=settings.ami_user,
        secret=settings.secret(names.SECRET_AMI),
        node=settings.node,
    )
    queue = message_queue(settings)

    def enqueue(message_id: int) -> None:
        enqueue_message(queue, message_id)

    hands = Hands(
        database=Database(open_database(settings.database)),
        link=link,
        gate=TrunkGate(load_trunks(settings).by_name),
        sms=FallbackTexts(settings),
        enqueue=enqueue,
        new_id=lambda: uuid.uuid4().hex,
    )
    core = Core(hands)
    return core, Runner(settings, core, campaign)


def _checks(core: Core, runner: Runner) -> dict[str, Callable[[], str | None]]:
    def leases_fresh() -> str | None:
        age = time.monotonic() - runner.renewed
        return None if age < runner.settings.lease_seconds else f"not renewed for {age:.0f} s"

    return {
        "switch": lambda: None if core.ready.is_set() else "no connection to Asterisk",
        "database": lambda: core.hands.database.fault,
        "leases": leases_fresh,
    }


async def _measure_lag() -> None:
    """How late the loop comes to a timer: everything else waits as long."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(0.5)
        metrics.LOOP_LAG.set(max(0.0, time.monotonic() - before - 0.5))
