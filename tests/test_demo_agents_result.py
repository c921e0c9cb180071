"""The figures of a demo's agents out of the rows that it leaves."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from agent_support import a_session, an_agent, an_attempt, at, queued
from sqlalchemy import Engine, insert
from world import NOW, World, plan

from dialer.commands.demo import _payments_match
from dialer.domain.model import AgentCallKind, AgentState, AgentTerms, AttemptState, DialMode
from dialer.domain.model import Disposition as D
from dialer.local.demo_agents import states_now, wait_until_idle
from dialer.local.demo_agents_result import Shift, company_of, shift_result
from dialer.local.demo_payments import payment_result
from dialer.simulation.witness import WitnessedCall
from dialer.store import agent_calls, agent_sessions
from dialer.store import tables as t

PREDICTIVE = DialMode.PREDICTIVE


def a_world(database: Engine) -> World:
    return World(database, plan(agents=AgentTerms(mode=PREDICTIVE)))


def result(world: World, **changes: Any) -> dict[str, Any]:
    shift = Shift(
        company_id=world.company_id,
        campaigns=(world.campaign_id,),
        began=NOW,
        ended=at(100),
        hold=2.0,
        measured={"agents": 1, "states": {"available": 1}, "refusals": {}, "counts": {"blind": 1}},
        extra={"agents": 1, "mode": "predictive"},
    )
    with world.engine.connect().execution_options(dialer_readonly=True) as connection:
        assert company_of(connection, world.campaign_id) == world.company_id
        return shift_result(connection, replace(shift, **changes))


def test_a_served_an_abandoned_and_a_machine(database: Engine) -> None:
    world = a_world(database)
    ana = an_agent(world)
    seat = a_session(world, ana, when=at(-1))
    ended: dict[str, Any] = {"mode": PREDICTIVE, "state": AttemptState.ENDED, "ended_at": at(45)}
    talked = an_attempt(
        world, disposition=D.SPOKE, agent_joined_at=at(5.05), placed_at=at(10), **ended
    )
    an_attempt(world, disposition=D.ABANDONED, abandoned_at=at(7), placed_at=at(30), **ended)
    an_attempt(world, disposition=D.MACHINE, agent_joined_at=at(5.1), placed_at=at(50), **ended)
    call = queued(world, talked, AgentCallKind.PREDICTIVE, at(5))
    with database.begin() as c:
        for state, when in (
            (AgentState.AVAILABLE, 0.0), (AgentState.TALKING, 20.0), (AgentState.WRAP_UP, 40.0),
            (AgentState.AVAILABLE, 50.0),
        ):  # fmt: skip
            agent_sessions.save_state(c, seat, state, at(when))
        agent_calls.joined(c, call, seat, ana, at(5.05))
        agent_calls.left(c, call, at(45))
    seen = [WitnessedCall(talked.number, "1", NOW, answered_at=at(5), heard_at=at(5.08))]
    found = result(world, seen=seen)
    assert found["problems"] == []
    assert (found["agents"], found["mode"]) == (1, "predictive")
    assert (found["answered"], found["live_answers"], found["served"]) == (3, 2, 1)
    assert (found["abandoned"], found["abandoned_share"]) == (1, 0.5)
    assert (found["answer_to_sound_ms"]["p50"], found["answer_to_sound_ms"]["count"]) == (50.0, 1)
    assert found["answer_to_sound_heard_ms"]["p50"] == 80.0
    assert found["occupancy"] == 0.75, "of the 40 s from the first call to the last, 30"
    assert found["occupancy_whole"] == 0.3
    assert found["seconds_by_state"] == {"available": 70.0, "talking": 20.0, "wrap_up": 10.0}
    assert found["calls"] == {"predictive": {"served": 1}}
    assert found["transfers"]["by_kind"] == {"blind": 1}


def test_what_is_left_open_or_in_silence_is_a_problem(database: Engine) -> None:
    world = a_world(database)
    attempt = an_attempt(
        world, mode=PREDICTIVE, state=AttemptState.ENDED, ended_at=at(9),
        disposition=D.ANSWERED_ABANDONED,
    )  # fmt: skip
    queued(world, attempt, reason="menu")
    found = result(world, stuck=("talking",))
    assert found["escalations"]["by_reason"] == {"menu": 1}
    assert found["escalations"]["results"] == {"open": 1}
    silence, still_open, stuck = found["problems"]
    assert attempt.id in silence and "open at the end" in still_open and "talking" in stuck


def test_callbacks_and_payments_are_counted(database: Engine) -> None:
    world = a_world(database)
    attempt = an_attempt(world, mode=PREDICTIVE)
    account = world.rows(t.lead, id=attempt.lead_id)[0].account_id
    session = {"node": "agent", "language": "es", "spec": {}, "started_at": NOW}
    with database.begin() as c:
        for number, watched in enumerate((True, True, False)):
            c.execute(
                insert(t.pay_session).values(
                    id=f"{number:032x}", attempt_id=attempt.id, account_id=account,
                    result="success" if number else None, watched=watched, **session,
                )
            )  # fmt: skip
        c.execute(
            insert(t.callback).values(
                company_id=world.company_id, debtor_id=attempt.debtor_id, account_id=account,
                due_at=at(60), state="due", made_by="agent:1", created_at=NOW, note="", tries=0,
            )
        )  # fmt: skip
    found = result(world)
    assert found["payments_while_talking"] == {"count": 2, "results": {"open": 1, "success": 1}}
    assert found["callbacks"] == {"count": 1, "states": {"due": 1}, "by": {"agent": 1}}


def test_who_is_still_busy_is_waited_for_and_named(database: Engine) -> None:
    world = a_world(database)
    seat = a_session(world, an_agent(world))
    with database.begin() as c:
        agent_sessions.save_state(c, seat, AgentState.WRAP_UP, at(1))
    assert states_now(database) == {AgentState.WRAP_UP: 1}
    assert wait_until_idle(database, seconds=0) == ["wrap_up"]
    with database.begin() as c:
        agent_sessions.save_state(c, seat, AgentState.AVAILABLE, at(2))
    assert wait_until_idle(database, seconds=0) == []


def test_a_demo_without_any_payment_is_as_it_should_be(database: Engine) -> None:
    world = a_world(database)
    with database.connect().execution_options(dialer_readonly=True) as connection:
        found = payment_result(connection, world.campaign_id, None, date(2026, 6, 1))
    assert _payments_match({"payments": found})
    assert _payments_match({"payments": found | {"match": None}})
    assert not _payments_match({"payments": found | {"match": False}})
    assert not _payments_match({"payments": found | {"cards_as_keyed": False}})
