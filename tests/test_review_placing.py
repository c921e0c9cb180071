"""Between the commit of an attempt and its dial anything may happen: it is asked again."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from engine_parts import a_core, consuming, new_id, queued, until
from sqlalchemy import Engine
from world import World, plan

from dialer.domain import events as ev
from dialer.domain.model import Attempt, AttemptState, ContactRules
from dialer.engine.claiming import claim_and_commit
from dialer.engine.clock import utc_now
from dialer.engine.core import Core
from dialer.engine.live import NEVER_PLACED
from dialer.engine.trunks import TrunkGate
from dialer.store import attempts, leases
from dialer.store import tables as t
from dialer.switch.trunks import Trunk

MINUTE = timedelta(minutes=1)


def committed(world: World, core: Core, at: datetime) -> Attempt:
    """An attempt that was claimed and committed at that moment, under the engine's eyes."""
    with world.engine.begin() as c:
        assert leases.acquire(c, world.campaign_id, "me", at, MINUTE)
        (one,), _ = claim_and_commit(
            c, world.running(), owner="me", node="node1", count=1, now=at, new_id=new_id
        )
    core.admit(one)
    return one


def placed(core: Core) -> bool:
    """Whether the switch was asked: without a connection it refuses at once."""
    seen = queued(core)
    assert seen in ([ev.OriginateFailed], [ev.Vanished], [])
    return seen == [ev.OriginateFailed]


def test_a_call_that_had_to_wait_is_placed_if_nothing_stands_against_it(database: Engine) -> None:
    async def run() -> None:
        world = World(database)
        world.lead()
        async with a_core(world) as core:
            one = committed(world, core, utc_now() - MINUTE)
            await core.place(one)
            assert placed(core)
            await core.place(one)
            assert not placed(core)  # once

    asyncio.run(run())


@pytest.mark.parametrize("meanwhile", ["closed", "opted_out", "listed", "paused", "concluded"])
def test_a_call_that_had_to_wait_is_not_placed_when_it_may_not_be_any_more(
    database: Engine, meanwhile: str
) -> None:
    async def run() -> None:
        world = World(database)
        world.lead()
        async with a_core(world) as core:
            one = committed(world, core, utc_now() - MINUTE)
            running = core.campaigns[world.campaign_id]
            if meanwhile == "closed":  # the switch was away until after the window's end
                running.plan = plan(rules=ContactRules(window=()))
            if meanwhile == "paused":
                running.running = False
            with database.begin() as c:
                if meanwhile == "opted_out":
                    c.execute(t.debtor.update().values(opted_out_at=utc_now()))
                if meanwhile == "listed":
                    c.execute(
                        t.suppression.insert().values(
                            company_id=world.company_id, number=one.number, reason="operator",
                            source="test", at=utc_now(),
                        )
                    )  # fmt: skip
                if meanwhile == "concluded":  # another engine had the lease
                    attempts.save_attempts(c, [one.with_(state=AttemptState.ENDED)])
            await core.place(one)
            assert not placed(core)

    asyncio.run(run())


def test_the_lead_of_a_call_that_was_not_placed_any_more_waits_again(database: Engine) -> None:
    async def run() -> None:
        world = World(database)
        world.lead()
        async with a_core(world) as core:
            one = committed(world, core, utc_now() - MINUTE)
            core.campaigns[world.campaign_id].plan = plan(rules=ContactRules(window=()))
            async with consuming(core) as task:
                await core.place(one)
                await until(lambda: world.rows(t.lead)[0].state == "waiting", task)
            assert world.rows(t.attempt)[0].failure == "lost"

    asyncio.run(run())


def test_an_attempt_whose_turn_never_comes_does_not_stay_for_ever(database: Engine) -> None:
    async def run() -> None:
        world = World(database)
        world.lead()
        async with a_core(world) as core:
            one = committed(world, core, utc_now())  # and its placer dies
            await core.end_overdue(utc_now() + NEVER_PLACED / 2)
            assert queued(core) == []
            await core.end_overdue(utc_now() + 2 * NEVER_PLACED)
            await core.place(one)  # too late now
            assert queued(core) == [ev.Vanished]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("number", "form"),
    [("12", "plus_e164"), ("+525512345678", "national"), ("+9995512345", "national")],
)
def test_a_number_that_the_trunk_cannot_be_given_fails_alone(
    database: Engine, number: str, form: str
) -> None:
    """Mexico's +52 55 1234 5678 as national digits would ring at a stranger's in Spain."""

    async def run() -> None:
        world = World(database)
        world.lead(number)
        async with a_core(world) as core:
            trunk = Trunk(name="carrier", address="127.0.0.1", number_format=form)
            object.__setattr__(core.hands, "gate", TrunkGate({"carrier": trunk}))
            one = committed(world, core, utc_now())
            await core.place(one)
            event = core.hands.link.events.get_nowait()
            assert isinstance(event, ev.OriginateFailed)
            assert "connection" not in event.reason  # the switch was never to be asked

    asyncio.run(run())


def test_a_national_number_goes_out_on_a_trunk_that_wants_them() -> None:
    trunk = Trunk(name="carrier", address="127.0.0.1", number_format="national")
    assert trunk.dial_string("+34600111222", "+34910000000") == "PJSIP/600111222@carrier"
