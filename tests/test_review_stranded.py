"""Attempts that nobody watches any more are found, whoever lost them; no lead stays claimed."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from engine_parts import a_core, consuming, new_id, until
from sqlalchemy import Engine
from world import World

from dialer.domain.model import Attempt
from dialer.engine.claiming import claim_and_commit
from dialer.engine.clock import utc_now
from dialer.engine.reconciling import ELSEWHERE, STRANDED
from dialer.store import attempts, leases
from dialer.store import tables as t

SECOND = timedelta(seconds=1)


def left_open(world: World, at: datetime, node: str = "node1") -> Attempt:
    """Committed, and then nobody heard of it again."""
    with world.engine.begin() as c:
        assert leases.acquire(c, world.campaign_id, "me", at, timedelta(minutes=1))
        (one,), _ = claim_and_commit(
            c, world.running(), owner="me", node=node, count=1, now=at, new_id=new_id
        )
    return one


def test_an_attempt_that_nobody_watches_is_taken_up(database: Engine) -> None:
    async def run() -> None:
        world = World(database)
        world.lead()
        one = left_open(world, utc_now() - STRANDED - SECOND)
        async with a_core(world) as core:
            await core.find_stranded([world.campaign_id], "node1")
            assert list(core.live) == [one.id]  # the switch is asked about it from now on

    asyncio.run(run())


def test_an_attempt_of_a_node_that_is_gone_is_ended_and_its_lead_waits_again(
    database: Engine,
) -> None:
    async def run() -> None:
        world = World(database)
        world.lead()
        left_open(world, utc_now() - ELSEWHERE - SECOND, "node2")
        async with a_core(world) as core:
            async with consuming(core) as task:
                await core.find_stranded([world.campaign_id], "node1")
                await until(lambda: world.rows(t.lead)[0].state == "waiting", task)
            assert world.rows(t.attempt)[0].failure == "lost"

    asyncio.run(run())


@pytest.mark.parametrize(("node", "age"), [("node1", STRANDED / 2), ("node2", ELSEWHERE / 2)])
def test_an_attempt_that_may_be_under_way_is_left_alone(
    database: Engine, node: str, age: timedelta
) -> None:
    async def run() -> None:
        world = World(database)
        world.lead()
        left_open(world, utc_now() - age, node)
        async with a_core(world) as core:
            await core.find_stranded([world.campaign_id], "node1")
            assert core.live == {}

    asyncio.run(run())


def test_a_new_engine_takes_over_what_is_its_nodes_at_once(database: Engine) -> None:
    world = World(database)
    world.lead()
    one = left_open(world, utc_now())
    with database.begin() as c:
        assert attempts.open_attempts(c, "node1", [world.campaign_id]) == [one]
        assert attempts.open_attempts(c, "node2", [world.campaign_id]) == []
