"""What is known of each call when it is claimed, what is learned from its end, where it is kept."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from engine_parts import a_core, new_id
from fixtures_stack import Office
from sqlalchemy import Engine, insert, update
from world import NOW, World, plan

from dialer.domain import events as ev
from dialer.domain.answering import AnswerModel, Features
from dialer.domain.model import Attempt, AttemptState, DetectionResult, Disposition, LineType
from dialer.engine.claiming import claim_and_commit
from dialer.engine.core import Core
from dialer.engine.foretelling import Foreteller
from dialer.store import answer_models, attempts, leases
from dialer.store import tables as t

HOUR = timedelta(hours=1)
ONE = Features(hour=12.0, weekday=1)


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an asynchronous test."""

    @functools.wraps(test)
    def run(*given: Any, **named: Any) -> None:
        asyncio.run(test(*given, **named))

    return run


def claimed(world: World, now: datetime = NOW) -> tuple[list[Attempt], dict[str, Features]]:
    """All that is due, and what is known of it."""
    known: dict[str, Features] = {}
    with world.engine.begin() as c:
        assert leases.acquire(c, world.campaign_id, "me", now, timedelta(seconds=10))
        made, _ = claim_and_commit(
            c, world.running(), owner="me", node="node1", count=10, now=now, new_id=new_id,
            known=known,
        )  # fmt: skip
    return made, known


def earlier(world: World, lead_id: int, *ended: tuple[timedelta, Disposition | None]) -> None:
    """Attempts of a lead, so long before NOW, and how they ended."""
    (lead,) = world.rows(t.lead, id=lead_id)
    (phone,) = world.rows(t.phone, debtor_id=lead.debtor_id)
    with world.engine.begin() as c:
        for ago, disposition in ended:
            one = Attempt(
                id=new_id(), campaign_id=world.campaign_id, lead_id=lead_id,
                debtor_id=lead.debtor_id, phone_id=phone.id, number=phone.number,
                caller_id="+34910000000", trunk="carrier", node="node1", flow="reminder",
                placed_at=NOW - ago, state=AttemptState.ENDED,
            )  # fmt: skip
            attempts.insert_attempts(c, [one.with_(disposition=disposition)])
        c.execute(update(t.lead).where(t.lead.c.id == lead_id).values(attempts=len(ended)))


# --- what is known ---------------------------------------------------------------------------


def test_each_attempt_comes_with_what_is_known_of_it(database: Engine) -> None:
    world = World(database)
    fresh = world.lead()
    old = world.lead(line_type=LineType.FIXED, timezone="Atlantic/Canary")
    earlier(
        world, old,
        (3 * HOUR, Disposition.BUSY),  # written first, and the last one all the same
        (240 * HOUR, Disposition.ANSWERED_ABANDONED), (100 * HOUR, Disposition.MACHINE),
        (50 * HOUR, Disposition.NO_INPUT),
    )  # fmt: skip
    made, known = claimed(world)
    by_lead = {one.lead_id: known[one.id] for one in made}
    assert len(known) == 2
    # 11:00 in UTC, a Monday.
    assert by_lead[fresh] == Features(
        hour=12.0, weekday=0, attempt=1, line_type=LineType.MOBILE, zone="Europe/Madrid",
        campaign=world.campaign_id,
    )  # fmt: skip
    assert by_lead[old] == Features(
        hour=11.0, weekday=0, attempt=5, line_type=LineType.FIXED, last=Disposition.BUSY,
        since_hours=3.0, answered=2, zone="Atlantic/Canary", campaign=world.campaign_id,
    )  # fmt: skip


@pytest.mark.database("sqlite")
def test_a_call_whose_end_is_not_known_leaves_the_end_before_it(database: Engine) -> None:
    world = World(database)
    lead = world.lead()
    earlier(world, lead, (9 * HOUR, Disposition.NO_ANSWER), (2 * HOUR, None))
    ((_, one),) = claimed(world)[1].items()
    assert (one.last, one.since_hours) == (Disposition.NO_ANSWER, 2.0)


# --- what is learned -------------------------------------------------------------------------


def placed(world: World, core: Core, count: int = 1) -> tuple[Foreteller, list[Attempt]]:
    """Calls in the air, foretold."""
    for _ in range(count):
        world.lead()
    made, known = claimed(world)
    assert len(made) == count
    foreteller = Foreteller(core)
    foreteller.expect(world.company_id, known)
    for one in made:
        core.admit(one)
    return foreteller, made


def happens(core: Core, foreteller: Foreteller, *events: ev.CallEvent) -> None:
    """As the consumer does it."""
    for event in events:
        core.live[event.attempt_id].apply(event)
        foreteller.observe(event)


def answers(one: Attempt, seconds: float = 8.0) -> Sequence[ev.CallEvent]:
    at = one.placed_at + timedelta(seconds=seconds)
    return ev.DialBegun(one.id, one.placed_at), ev.Ringing(one.id, at), ev.Answered(one.id, at)


def ends(one: Attempt, seconds: float = 40.0, sip: int | None = None) -> ev.CallEvent:
    return ev.Ended(one.id, one.placed_at + timedelta(seconds=seconds), None, sip)


def chance(foreteller: Foreteller, world: World) -> float:
    return foreteller.models[world.company_id].probability(ONE)


@pytest.mark.database("sqlite")
@in_a_loop
async def test_an_answer_and_a_refusal_are_learned_from(database: Engine) -> None:
    world = World(database)
    async with a_core(world) as core:
        foreteller, (first, second) = placed(world, core, 2)
        happens(core, foreteller, *answers(first), ends(first))
        after_one = chance(foreteller, world)
        assert after_one > AnswerModel().probability(ONE)
        assert foreteller.models[world.company_id].seconds(ONE) < AnswerModel().seconds(ONE)
        happens(core, foreteller, *answers(second)[:2], ends(second, 25.0, 486))
        assert chance(foreteller, world) < after_one
        assert foreteller.models[world.company_id].calls == 2


@pytest.mark.database("sqlite")
@in_a_loop
async def test_a_machine_is_nobody(database: Engine) -> None:
    world = World(database)
    async with a_core(world) as core:
        foreteller, (one,) = placed(world, core)
        at = one.placed_at + timedelta(seconds=12)
        detected = ev.Detected(one.id, at, DetectionResult.MACHINE, "a greeting")
        happens(core, foreteller, *answers(one), detected, ends(one))
        assert chance(foreteller, world) < AnswerModel().probability(ONE)


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("how", ["refused", "vanished", "congested"])
@in_a_loop
async def test_a_call_that_says_nothing_of_the_debtor_teaches_nothing(
    database: Engine, how: str
) -> None:
    world = World(database)
    async with a_core(world) as core:
        foreteller, (one,) = placed(world, core)
        end = {
            "refused": ev.OriginateFailed(one.id, one.placed_at, "no such trunk"),
            "vanished": ev.Vanished(one.id, one.placed_at),
            "congested": ends(one, 1.0, 503),
        }[how]
        happens(core, foreteller, end)
        assert foreteller.models == {}
        assert foreteller.segment(one.id) == ""  # and is remembered no longer


@pytest.mark.database("sqlite")
@in_a_loop
async def test_a_call_that_the_pacer_gave_up_is_half_a_refusal(database: Engine) -> None:
    world = World(database)
    after = {}
    async with a_core(world) as core:
        for how in ("rang on", "given up"):
            foreteller, (one,) = placed(world, core)
            if how == "given up":
                foreteller.given_up((one.id,))
            happens(core, foreteller, *answers(one)[:2], ends(one, 10.0, 487))
            after[how] = chance(foreteller, world)
    assert after["rang on"] < after["given up"] < AnswerModel().probability(ONE)


@pytest.mark.database("sqlite")
@in_a_loop
async def test_the_pacer_is_told_a_bucket_and_nothing_of_strangers(database: Engine) -> None:
    world = World(database)
    async with a_core(world) as core:
        foreteller, (one,) = placed(world, core)
        assert foreteller.segment(one.id) == "p-1"  # 30 %: nothing is known yet
        assert foreteller.segment("f" * 32) == ""
        model = foreteller.models[world.company_id]
        for _ in range(300):
            model.learn(ONE, answered=True, seconds=10.0)
        assert foreteller.segment(one.id) in ("p1", "p2")


# --- where it is kept ------------------------------------------------------------------------


@in_a_loop
async def test_it_survives_the_engine(database: Engine) -> None:
    world = World(database)
    async with a_core(world) as core:
        foreteller, (first,) = placed(world, core)
        await foreteller.save()
        assert world.rows(t.answer_model) == []  # nothing was learned
        for one in (first, placed(world, core)[1][0]):
            foreteller.expect(world.company_id, {one.id: ONE})
            happens(core, foreteller, *answers(one), ends(one))
            await foreteller.save()
        (row,) = world.rows(t.answer_model)
        assert row.company_id == world.company_id
        other = Foreteller(core)
        await other.load()
        assert other.models[world.company_id].calls == 2
        assert chance(other, world) == pytest.approx(chance(foreteller, world), abs=1e-4)


def test_of_two_that_save_the_later_is_kept(database: Engine) -> None:
    world, other = World(database), World(database, plan(name="other"), company="Other")
    model = AnswerModel()
    with database.begin() as c:
        answer_models.save(c, {world.company_id: model.to_json()}, NOW)
        model.learn(ONE, answered=True, seconds=3.0)
        both = {world.company_id: model.to_json(), other.company_id: AnswerModel().to_json()}
        answer_models.save(c, both, NOW + HOUR)
    with database.connect() as c:
        found = answer_models.load(c)
    assert {company: AnswerModel.from_json(state).calls for company, state in found.items()} == {
        world.company_id: 1,
        other.company_id: 0,
    }
    assert [row.updated_at for row in world.rows(t.answer_model)] == [NOW + HOUR] * 2


@pytest.mark.database("sqlite")
@in_a_loop
async def test_a_state_that_is_none_is_left_behind(database: Engine) -> None:
    world = World(database)
    with database.begin() as c:
        c.execute(
            insert(t.answer_model).values(
                company_id=world.company_id, state={"format": 0}, updated_at=NOW
            )
        )
    async with a_core(world) as core:
        foreteller, (one,) = placed(world, core)
        await foreteller.load()
        assert foreteller.models == {}
        happens(core, foreteller, *answers(one), ends(one))
        await foreteller.save()
    (row,) = world.rows(t.answer_model)
    assert AnswerModel.from_json(row.state).calls == 1


@pytest.mark.database("sqlite")
@in_a_loop
async def test_what_could_not_be_saved_is_saved_the_next_time(database: Engine) -> None:
    world = World(database)
    async with a_core(world) as core:
        foreteller, (one,) = placed(world, core)
        happens(core, foreteller, *answers(one), ends(one))
        with database.begin() as c:
            c.exec_driver_sql("ALTER TABLE answer_model RENAME TO away")
        await foreteller.save()
        with database.begin() as c:
            c.exec_driver_sql("ALTER TABLE away RENAME TO answer_model")
        await foreteller.save()
        assert len(world.rows(t.answer_model)) == 1


@pytest.mark.timeout(300)
def test_calls_on_the_line_are_learned_from_and_kept_when_the_engine_stops(office: Office) -> None:
    world = office.campaign(["busy", "hangs_up_always", "hasty_promiser"])
    with office.engine_process(world):
        office.wait_finished(world, 90)
    rows = office.attempts(world)
    plain = [row for row in rows if row.follows is None]
    assert len(plain) < len(rows)  # who hung up was called again, which is another matter
    (row,) = world.rows(t.answer_model, company_id=world.company_id)
    assert AnswerModel.from_json(row.state).calls == len(plain)
