"""One row that cannot be worked with stops itself, not the engine: not now, not after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from engine_parts import Texts, a_core, consuming, new_id, queued, until
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DataError
from world import NOW, World, plan

from dialer.domain import events as ev
from dialer.domain.model import Attempt, AttemptState
from dialer.engine import campaigns
from dialer.engine.claiming import claim_and_commit
from dialer.engine.clock import utc_now
from dialer.engine.core import Core
from dialer.engine.database import Database
from dialer.store import leases
from dialer.store import tables as t

MINUTE = timedelta(minutes=1)
NOWHERE = "Atlantis/Centre"


def set_timezone(world: World, lead_id: int, timezone: str) -> None:
    (row,) = world.rows(t.lead, id=lead_id)
    with world.engine.begin() as c:
        c.execute(t.debtor.update().where(t.debtor.c.id == row.debtor_id).values(timezone=timezone))


def committed(world: World, core: Core, count: int) -> list[Attempt]:
    now = utc_now()
    with world.engine.begin() as c:
        assert leases.acquire(c, world.campaign_id, "me", now, MINUTE)
        made, _ = claim_and_commit(
            c, world.running(), owner="me", node="node1", count=count, now=now, new_id=new_id
        )
    for one in made:
        core.admit(one).placed = True
    return made


def hang_up(core: Core, one: Attempt) -> None:
    for event in (
        ev.Answered(one.id, utc_now()),
        ev.HangupRequested(one.id, utc_now(), 16),
        ev.Ended(one.id, utc_now(), 16, None),
    ):
        core.hands.link.events.put_nowait(event)


def ended(world: World, one: Attempt) -> Callable[[], bool]:
    return lambda: world.rows(t.attempt, id=one.id)[0].state == AttemptState.ENDED.value


def test_a_lead_that_cannot_be_decided_is_closed_and_the_others_are_called(
    database: Engine,
) -> None:
    world = World(database)
    bad = world.lead(timezone=NOWHERE)
    good = world.lead()
    with database.begin() as c:
        assert leases.acquire(c, world.campaign_id, "me", NOW, MINUTE)
        made, _ = claim_and_commit(
            c, world.running(), owner="me", node="node1", count=5, now=NOW, new_id=new_id
        )
    assert [one.lead_id for one in made] == [good]
    (row,) = world.rows(t.lead, id=bad)
    assert (row.state, row.closed_reason) == ("done", "bad_timezone")


def test_an_end_that_cannot_be_concluded_does_not_take_others_along(database: Engine) -> None:
    async def run() -> None:
        world = World(database)
        bad, good = world.lead(), world.lead()
        async with a_core(world) as core:
            made = {one.lead_id: one for one in committed(world, core, 2)}
            set_timezone(world, bad, NOWHERE)
            for one in made.values():
                hang_up(core, one)
            async with consuming(core) as task:
                await until(ended(world, made[bad]), task)
                await until(ended(world, made[good]), task)
            # The one is redialled, the other given up where people see it.
            assert len(world.rows(t.attempt, follows=made[good].id)) == 1
            (row,) = world.rows(t.lead, id=bad)
            assert (row.state, row.closed_reason) == ("done", "engine_error")

    asyncio.run(run())


class Broken(Texts):
    """Texts that cannot be filled in."""

    def write(self, *_args: object, **_kwargs: object) -> int:
        raise RuntimeError("a template that cannot be filled in")


def test_a_text_that_cannot_be_written_does_not_stop_the_engine(database: Engine) -> None:
    async def run() -> None:
        world = World(database)
        world.lead()
        async with a_core(world) as core:
            object.__setattr__(core.hands, "sms", Broken())
            (one,) = committed(world, core, 1)
            hang_up(core, one)
            async with consuming(core) as task:
                await until(lambda: world.rows(t.lead)[0].state == "done", task)
            assert world.rows(t.lead)[0].closed_reason == "engine_error"

    asyncio.run(run())


@pytest.mark.database("postgresql")
def test_a_value_that_the_database_refuses_is_not_tried_for_ever(database: Engine) -> None:
    async def run() -> None:
        work = Database(database)
        try:
            async with asyncio.timeout(10):
                with pytest.raises(DataError):
                    await work.until_done(too_long)
        finally:
            work.close()

    def too_long(c: Connection) -> None:
        world.lead()
        c.execute(t.debtor.update().values(country="far too long"))

    world = World(database)
    asyncio.run(run())


def test_progress_that_cannot_be_written_does_not_stop_the_engine(database: Engine) -> None:
    async def run() -> None:
        world = World(database)
        world.lead()
        async with a_core(world) as core:
            (one,) = committed(world, core, 1)
            call = core.live[one.id]
            call.attempt = one.with_(keys=object())  # what no database takes
            call.dirty = True
            await core.flush()

    asyncio.run(run())


def test_a_campaign_whose_plan_cannot_be_read_is_left_out(database: Engine) -> None:
    world = World(database)
    other = World(database, plan(name="broken"), company="Other")
    with database.begin() as c:
        c.execute(
            t.campaign.update()
            .where(t.campaign.c.id == other.campaign_id)
            .values(plan={"name": "broken"})
        )
        assert [one.id for one in campaigns.load(c, None, [])] == [world.campaign_id]
        assert len(c.execute(select(t.campaign.c.id)).all()) == 2


def test_a_connection_that_breaks_while_channels_are_asked_for_stops_nothing(
    database: Engine,
) -> None:
    async def run() -> None:
        world = World(database)
        world.lead()
        async with a_core(world) as core:
            (one,) = committed(world, core, 1)
            core.ready.clear()
            # The link says "ready" and is gone again before the consumer gets to it.
            core.hands.link.events.put_nowait(ev.SwitchReady("node1", False))
            hang_up(core, one)
            async with consuming(core) as task:
                await until(ended(world, one), task)
            assert not core.ready.is_set()

    asyncio.run(run())


def test_calls_of_a_dead_engine_are_taken_over_also_while_the_switch_is_away(
    database: Engine,
) -> None:
    async def run() -> None:
        world = World(database)
        world.lead()
        async with a_core(world) as core:
            (one,) = committed(world, core, 1)
            core.live.clear()
            await core.adopt([world.campaign_id], "node1")
            assert list(core.live) == [one.id]
            assert queued(core) == []  # whether it is alive is not known yet

    asyncio.run(run())
