"""Debtors in the queue and with an agent, as rows; on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest
from agent_support import a_session, an_agent, an_attempt, at, queued
from sqlalchemy import Engine
from world import NOW, World, plan

from dialer.domain.model import AgentCallKind, AgentCallResult
from dialer.store import agent_calls as calls
from dialer.store import tables as t
from dialer.store.agent_calls import AgentCall, NewCall, Position

K, R = AgentCallKind, AgentCallResult


def load(world: World, call_id: int) -> AgentCall:
    with world.engine.connect() as c:
        found = calls.load(c, call_id)
    assert found is not None
    return found


def test_a_call_from_the_queue_to_the_wrap_up(database: Engine) -> None:
    world = World(database)
    ana = an_agent(world)
    seat = a_session(world, ana)
    attempt = an_attempt(world)
    call = queued(world, attempt, reason="pressed 0", skill="pay", priority=50)
    waits = load(world, call)
    assert (waits.kind, waits.reason, waits.skill, waits.priority) == (
        K.ESCALATION, "pressed 0", "pay", 50,
    )  # fmt: skip
    assert (waits.queued_at, waits.result, waits.campaign_id) == (NOW, None, world.campaign_id)
    with database.begin() as c:
        assert calls.offer(c, call, seat, ana, at(3))
        assert calls.joined(c, call, seat, ana, at(4))
        assert calls.waiting(c) == []
        assert [one.id for one in calls.open_calls(c)] == [call]
        assert calls.left(c, call, at(64))
        assert calls.open_calls(c) == []
        assert calls.wrap(c, call, at(80), disposition="promise", notes="will pay")
    done = load(world, call)
    assert (done.session_id, done.agent_id, done.offered_at) == (seat, ana, at(3))
    assert (done.joined_at, done.left_at, done.wrapped_at) == (at(4), at(64), at(80))
    assert (done.result, done.disposition, done.notes) == (R.SERVED, "promise", "will pay")


def test_a_repeat_of_any_step_changes_nothing(database: Engine) -> None:
    world = World(database)
    ana = an_agent(world)
    seat = a_session(world, ana)
    attempt = an_attempt(world)
    call = queued(world, attempt)
    assert queued(world, attempt, when=at(9), reason="again") == call
    with database.begin() as c:
        calls.joined(c, call, seat, ana, at(4))
        assert calls.queue_call(
            c, NewCall(attempt.id, world.company_id, attempt.debtor_id, K.ESCALATION), at(5)
        ) == call  # fmt: skip
        assert not calls.joined(c, call, seat, ana, at(6))
        assert not calls.offer(c, call, seat, ana, at(6)), "it waits no more"
        assert not calls.take_back(c, call)
        assert not calls.result(c, call, R.TIMEOUT, at(6))
        calls.left(c, call, at(7))
        assert not calls.left(c, call, at(8))
        assert calls.wrap(c, call, at(9))
        assert calls.wrap(c, call, at(10))
    done = load(world, call)
    assert (done.reason, done.joined_at, done.left_at) == ("", at(4), at(7))
    assert (done.wrapped_at, done.result) == (at(9), R.SERVED)
    assert len(world.rows(t.agent_call)) == 1
    assert queued(world, attempt, when=at(20)) != call, "what is over is not waiting"


def test_an_offer_that_nobody_took_waits_as_before(database: Engine) -> None:
    world = World(database)
    ana, luis = an_agent(world), an_agent(world, "luis")
    call = queued(world, an_attempt(world))
    before = load(world, call)
    seat, other = a_session(world, ana), a_session(world, luis)
    with database.begin() as c:
        calls.offer(c, call, seat, ana, at(1))
        assert calls.take_back(c, call)
        assert calls.load(c, call) == before
        calls.offer(c, call, other, luis, at(2))
    assert load(world, call) == replace(before, session_id=other, agent_id=luis, offered_at=at(2))


@pytest.mark.parametrize("how", [R.ABANDONED, R.CALLBACK, R.LINK, R.TIMEOUT])
def test_a_wait_ends_without_an_agent_and_says_how(database: Engine, how: AgentCallResult) -> None:
    world = World(database)
    ana = an_agent(world)
    seat = a_session(world, ana)
    call = queued(world, an_attempt(world))
    with database.begin() as c:
        assert calls.result(c, call, how, at(2))
        assert not calls.joined(c, call, seat, ana, at(3)), "too late"
        assert not calls.wrap(c, call, at(4)), "no agent had it"
        assert not calls.note(c, call, "spoke", "x")
    done = load(world, call)
    assert (done.result, done.left_at, done.joined_at) == (how, at(2), None)
    assert (done.wrapped_at, done.notes) == (None, None)


def test_who_hangs_up_while_waiting_gave_up(database: Engine) -> None:
    world = World(database)
    call = queued(world, an_attempt(world))
    with database.begin() as c:
        assert calls.left(c, call, at(30))
    assert load(world, call).result is R.GAVE_UP


def test_a_transfer_is_a_row_of_its_own_also_the_second_one(database: Engine) -> None:
    world = World(database)
    ana = an_agent(world)
    seat = a_session(world, ana)
    attempt = an_attempt(world)
    first = queued(world, attempt)
    with database.begin() as c:
        calls.joined(c, first, seat, ana, at(1))
    second = queued(world, attempt, K.TRANSFER, at(2), transferred_from=first)
    assert queued(world, attempt, K.TRANSFER, at(3), transferred_from=first) == second
    with database.begin() as c:
        calls.joined(c, second, seat, ana, at(4))
    third = queued(world, attempt, K.TRANSFER, at(5), transferred_from=second)
    assert len({first, second, third}) == 3
    with database.connect() as c:
        assert [one.id for one in calls.open_calls(c, attempt_id=attempt.id)] == [
            first, second, third,
        ]  # fmt: skip
        (waits,) = calls.waiting(c)
    assert (waits.id, waits.transferred_from) == (third, second)


def test_the_queue_is_by_priority_then_by_time_within_a_company(database: Engine) -> None:
    world = World(database)
    other = World(database, plan(name="other"), company="Beta")
    late, early, first, served, elsewhere = (
        an_attempt(world), an_attempt(world), an_attempt(world), an_attempt(world),
        an_attempt(other),
    )  # fmt: skip
    queued(world, late, when=at(9))
    queued(world, early, when=at(1))
    queued(world, first, when=at(20), priority=5)
    queued(other, elsewhere, when=NOW)
    ana = an_agent(world)
    seat = a_session(world, ana)
    call = queued(world, served, when=NOW, priority=9)
    with database.begin() as c:
        assert calls.position(c, served.id) == Position(0, 4)
        calls.joined(c, call, seat, ana, at(1))
        order = [one.attempt_id for one in calls.waiting(c, world.company_id)]
        assert order == [first.id, early.id, late.id]
        assert [calls.position(c, one) for one in order] == [
            Position(0, 3), Position(1, 3), Position(2, 3),
        ]  # fmt: skip
        assert calls.position(c, elsewhere.id) == Position(0, 1)
        assert calls.position(c, served.id) is None
        assert calls.position(c, "0" * 32) is None


def test_two_who_came_at_the_same_moment_have_different_places(database: Engine) -> None:
    world = World(database)
    two = sorted([an_attempt(world).id, an_attempt(world).id])
    for one in world.rows(t.attempt):
        with database.begin() as c:
            calls.queue_call(c, NewCall(one.id, world.company_id, one.debtor_id, K.INBOUND), NOW)
    with database.connect() as c:
        assert [calls.position(c, one) for one in two] == [Position(0, 2), Position(1, 2)]
        assert [one.attempt_id for one in calls.waiting(c)] == two


def test_after_a_crash_what_is_gone_is_closed_and_what_lives_stays(database: Engine) -> None:
    world = World(database)
    ana = an_agent(world)
    seat = a_session(world, ana)
    lives, waited, talked = an_attempt(world), an_attempt(world), an_attempt(world)
    elsewhere = an_attempt(world, node="n2")
    ids = [queued(world, one) for one in (lives, waited, talked, elsewhere)]
    with database.begin() as c:
        calls.joined(c, ids[2], seat, ana, at(1))
        assert [one.id for one in calls.open_calls(c, node="n1")] == ids[:3]
        assert calls.mark_lost(c, "n1", at(50), alive=[lives.id]) == ids[1:3]
        assert calls.mark_lost(c, "n1", at(60), alive=[lives.id]) == []
        assert [one.id for one in calls.open_calls(c)] == [ids[0], ids[3]]
    assert [(load(world, one).result, load(world, one).left_at) for one in ids] == [
        (None, None), (R.LOST, at(50)), (R.SERVED, at(50)), (None, None),
    ]  # fmt: skip


def test_what_is_said_late_still_counts_and_what_is_not_said_stays(database: Engine) -> None:
    world = World(database)
    ana = an_agent(world)
    call, seat = queued(world, an_attempt(world)), a_session(world, ana)
    with database.begin() as c:
        calls.joined(c, call, seat, ana, at(1))
        assert calls.note(c, call, disposition="callback")
        assert calls.note(c, call, notes="on Monday")
        calls.wrap(c, call, at(5))
        assert calls.note(c, call, notes="on Tuesday")
        assert calls.note(c, call)
    done = load(world, call)
    assert (done.disposition, done.notes, done.wrapped_at) == ("callback", "on Tuesday", at(5))


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("card 4111 1111 1111 1111 he says", "card *** he says"),
        ("4111-1111-1111-1111", "***"),
        ("378282246310005.", "***."),
        ("reference 4111111111111112", "reference 4111111111111112"),  # no check digit fits
        ("call +34 600 123 456 on 12.12.2026", "call +34 600 123 456 on 12.12.2026"),
        ("x" * 5000, "x" * calls.NOTES_LENGTH),
    ],
)
def test_notes_hold_no_card_number(said: str, kept: str) -> None:
    assert calls.masked_notes(said) == kept
