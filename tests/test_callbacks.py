"""Calls that were agreed upon: nobody is called twice, nobody is forgotten; on both databases."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from agent_support import an_agent, an_attempt, at
from sqlalchemy import Engine
from world import NOW, World, plan

from dialer.store import callbacks
from dialer.store import tables as t
from dialer.store.callbacks import OWN_WAIT, Callback, NewCallback
from dialer.store.companies import NotPossible

HOUR = timedelta(hours=1)


def booked(world: World, lead_id: int | None = None, **changes: Any) -> int:
    row = world.rows(t.lead, id=lead_id or world.lead())[0]
    values: dict[str, Any] = {
        "company_id": world.company_id, "debtor_id": row.debtor_id, "account_id": row.account_id,
        "due_at": NOW + HOUR, "made_by": "agent:ana", "lead_id": row.id,
    }  # fmt: skip
    with world.engine.begin() as c:
        return callbacks.book(c, NewCallback(**(values | changes)), NOW)


def claim(world: World, when: Any, limit: int = 10, node: str = "n1", **whose: Any) -> list[int]:
    with world.engine.begin() as c:
        found = callbacks.due(c, when, limit, node=node, company_id=world.company_id, **whose)
    return [one.id for one in found]


def the(world: World, callback_id: int) -> Any:
    (row,) = world.rows(t.callback, id=callback_id)
    return row


def test_a_callback_is_claimed_when_due_by_one_and_done(database: Engine) -> None:
    world = World(database)
    later = booked(world, due_at=NOW + 2 * HOUR)
    one = booked(world)
    assert claim(world, NOW + HOUR - timedelta(seconds=1)) == []
    assert claim(world, NOW + HOUR) == [one]
    assert claim(world, NOW + HOUR) == [], "it is taken"
    assert claim(world, NOW + 3 * HOUR, limit=0) == []
    assert claim(world, NOW + 3 * HOUR) == [later]
    call = an_attempt(world)
    with database.begin() as c:
        assert callbacks.by_attempt(c, call.id) is None
        assert callbacks.placed(c, one, call.id)
        assert not callbacks.placed(c, one, call.id), "one call for one callback"
        found = callbacks.by_attempt(c, call.id)
        assert found is not None
        assert (found.id, found.taken_by, found.tries) == (one, "n1", 1)
        assert callbacks.done(c, one, at(99))
        assert not callbacks.done(c, one, at(100))
        assert callbacks.by_attempt(c, call.id) is None
    assert (the(world, one).state, the(world, one).done_at) == ("done", at(99))


def test_two_who_claim_at_once_share_what_is_due(database: Engine) -> None:
    world = World(database)
    all_of_them = {booked(world) for _ in range(30)}
    ready, got, faults = threading.Barrier(2), [], []

    def take(node: str) -> None:
        try:
            ready.wait(10)
            for _ in range(15):
                got.extend(claim(world, NOW + HOUR, limit=2, node=node))
        except Exception as fault:
            faults.append(fault)

    both = [threading.Thread(target=take, args=(node,)) for node in ("n1", "n2")]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    assert faults == []
    assert len(got) == len(set(got))
    assert set(got) == all_of_them


def test_an_agent_s_own_waits_for_them_and_in_the_end_for_nobody(database: Engine) -> None:
    world = World(database)
    ana, luis = an_agent(world), an_agent(world, "luis")
    hers = booked(world, agent_id=ana)
    assert claim(world, NOW + HOUR) == []
    assert claim(world, NOW + HOUR, agent_ids=[luis]) == []
    with database.begin() as c:
        assert [one.id for one in callbacks.own(c, ana)] == [hers]
        assert callbacks.own(c, luis) == []
    other = booked(world, agent_id=ana)
    assert claim(world, NOW + HOUR, agent_ids=[luis, ana], limit=1) == [hers]
    almost = NOW + HOUR + OWN_WAIT - timedelta(seconds=1)
    assert claim(world, almost) == []
    assert claim(world, NOW + HOUR + OWN_WAIT) == [other]


def test_the_longest_due_goes_first_and_a_company_has_its_own(database: Engine) -> None:
    world = World(database)
    beta = World(database, plan(name="other"), company="Beta")
    second = booked(world, due_at=NOW + HOUR)
    first = booked(world, due_at=NOW + HOUR / 2)
    elsewhere = booked(beta)
    assert claim(world, NOW + 2 * HOUR, limit=1) == [first]
    assert claim(world, NOW + 2 * HOUR) == [second]
    with database.connect() as c:
        assert [one.id for one in callbacks.list_open(c)] == [first, second, elsewhere]
        assert [one.id for one in callbacks.list_open(c, beta.company_id)] == [elsewhere]


def test_a_second_booking_for_a_debt_moves_the_first(database: Engine) -> None:
    world = World(database)
    lead, ana = world.lead(), an_agent(world)
    one = booked(world, lead, note="at noon")
    again = booked(world, lead, due_at=NOW + 3 * HOUR, agent_id=ana, note="at three")
    assert again == one
    row = the(world, one)
    assert (row.due_at, row.agent_id, row.note) == (NOW + 3 * HOUR, ana, "at three")
    claim(world, NOW + 3 * HOUR, agent_ids=[ana])
    assert booked(world, lead) != one, "the one that is being called stays"


def test_a_time_that_has_passed_is_refused_this_moment_is_not(database: Engine) -> None:
    world = World(database)
    with pytest.raises(NotPossible, match="passed"):
        booked(world, due_at=NOW - HOUR)
    assert claim(world, NOW) == []
    one = booked(world, due_at=NOW)
    assert claim(world, NOW) == [one]


def test_one_that_is_put_off_is_due_again_later(database: Engine) -> None:
    world = World(database)
    one = booked(world)
    claim(world, NOW + HOUR)
    call = an_attempt(world)
    with database.begin() as c:
        callbacks.placed(c, one, call.id)
        assert callbacks.put_off(c, one, NOW + 2 * HOUR)
        assert not callbacks.put_off(c, one, NOW + 3 * HOUR)
        assert callbacks.by_attempt(c, call.id) is None
    assert claim(world, NOW + HOUR) == []
    assert claim(world, NOW + 2 * HOUR, node="n2") == [one]
    assert (the(world, one).tries, the(world, one).taken_by) == (1, "n2"), "only calls are counted"


def test_after_a_crash_what_was_claimed_and_not_called_is_due_again(database: Engine) -> None:
    world = World(database)
    claimed, called, elsewhere = booked(world), booked(world), booked(world)
    assert claim(world, NOW + HOUR, limit=2) == [claimed, called]
    assert claim(world, NOW + HOUR, node="n2") == [elsewhere]
    call = an_attempt(world)
    with database.begin() as c:
        callbacks.placed(c, called, call.id)
        assert callbacks.reopen(c, "n1") == 1
        assert callbacks.by_attempt(c, call.id) is not None
    assert claim(world, NOW + HOUR) == [claimed]


def test_cancelling_is_audited_and_too_late_once_the_call_is_made(database: Engine) -> None:
    world = World(database)
    one, taken, called = booked(world), booked(world), booked(world)
    with database.begin() as c:
        callbacks.cancel(c, one, "boss", at(1))
        with pytest.raises(NotPossible, match="is cancelled"):
            callbacks.cancel(c, one, "boss", at(2))
        with pytest.raises(NotPossible, match="no callback 999"):
            callbacks.cancel(c, 999, "boss", at(2))
    assert claim(world, NOW + HOUR) == [taken, called]
    call = an_attempt(world)
    with database.begin() as c:
        callbacks.placed(c, called, call.id)
        callbacks.cancel(c, taken, "boss", at(3))
        assert not callbacks.placed(c, taken, call.id), "it was called off meanwhile"
        with pytest.raises(NotPossible, match="is taken"):
            callbacks.cancel(c, called, "boss", at(3))
        assert [one.id for one in callbacks.list_open(c)] == [called]
    assert [(r.action, r.target) for r in world.rows(t.audit)] == [
        ("callback.cancel", f"callback:{one}"), ("callback.cancel", f"callback:{taken}"),
    ]  # fmt: skip
    assert isinstance(the(world, one).done_at, type(NOW))


def test_a_row_arrives_whole(database: Engine) -> None:
    world = World(database)
    one = booked(world, note="x" * 300)
    with database.connect() as c:
        (found,) = callbacks.list_open(c)
    row = the(world, one)
    assert found == Callback(**{**row._mapping, "state": callbacks.CallbackState.DUE})
    assert (found.note, found.made_by, found.created_at) == ("x" * 200, "agent:ana", NOW)
