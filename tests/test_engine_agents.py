"""Agents on a real Asterisk: who answers hears one, who asks for one gets one; handing over."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fixtures_agents import (
    STAYS,
    Phone,
    alive,
    all_ended,
    ami,
    calls,
    campaign,
    talk_of,
)
from fixtures_stack import Office
from redis import Redis
from world import World

from dialer.domain.model import CampaignState, DialMode, Disposition
from dialer.store import tables as t
from dialer.switch import names

pytestmark = pytest.mark.timeout(300)


def test_who_answers_hears_the_agent_and_the_agent_concludes(
    agents_office: Office, phone: Callable[..., Phone]
) -> None:
    office = agents_office
    world = campaign(office, [STAYS], DialMode.PROGRESSIVE)
    ana = phone(world)
    with office.engine_process(world):
        office.wait("the engine does not answer", lambda: alive(ana), 15)
        ana.log_in()
        assert ana.state == "paused"
        time.sleep(1.0)
        assert office.placed(world) == 0  # nobody is free: nobody is called
        ana.ready()
        ana.wait_for("talking")
        office.wait("it is not written", lambda: bool(calls(world, result="served")), 5)
        (call,) = calls(world)
        assert (call.kind, call.result, call.agent_id) == ("predictive", "served", ana.id)
        assert ana.ask("disposition", code="promise", notes="pays on Friday").ok
        assert ana.ask("hang_up").ok
        ana.wait_for("wrap_up")
        assert ana.ask("wrap_done").ok
        office.wait_finished(world, 20)
    (one,) = office.attempts(world)
    assert (one.disposition, one.mode) == (Disposition.PROMISE.value, "progressive")
    waited = (one.agent_joined_at - one.answered_at).total_seconds()
    assert 0 <= waited < 1.0
    (call,) = calls(world)
    assert (call.disposition, call.notes) == ("promise", "pays on Friday")
    assert call.joined_at <= call.left_at


def test_the_agent_is_told_why_before_the_debtor_joins(
    agents_office: Office, phone: Callable[..., Phone]
) -> None:
    office = agents_office
    said = office.settings.prompts_dir / "es" / "whisper_predictive.alaw"
    seconds = said.stat().st_size / 8000
    world = campaign(office, [STAYS], DialMode.PROGRESSIVE, whisper=True)
    ana = phone(world)
    with office.engine_process(world):
        office.wait("the engine does not answer", lambda: alive(ana), 15)
        ana.log_in()
        ana.ready()
        ana.wait_for("talking")
        ana.ask("hang_up")
        office.wait_finished(world, 20)
    (one,) = office.attempts(world)
    waited = (one.agent_joined_at - one.answered_at).total_seconds()
    assert 0.3 < seconds <= waited < 2.0


def test_without_a_free_agent_the_message_comes_within_two_seconds(
    agents_office: Office, phone: Callable[..., Phone]
) -> None:
    """One agent, two debtors who answer at once: one is served, the other hears who called."""
    office = agents_office
    world = campaign(office, [STAYS, STAYS], DialMode.POWER, ratio=2.0)
    ana = phone(world)
    with office.engine_process(world):
        office.wait("the engine does not answer", lambda: alive(ana), 15)
        ana.log_in()
        ana.ready()
        ana.wait_for("talking")
        office.wait(
            "nobody was abandoned",
            lambda: any(row.abandoned_at for row in office.attempts(world)),
            20,
        )
        ana.ask("hang_up")
        office.wait_finished(world, 60)
    ended = sorted(row.disposition for row in office.attempts(world))
    assert ended == ["abandoned", "spoke"]
    lost = next(row for row in office.attempts(world) if row.disposition == "abandoned")
    assert 1.5 < (lost.abandoned_at - lost.answered_at).total_seconds() < 2.5
    assert sorted(call.result for call in calls(world)) == ["abandoned", "served"]


def test_who_asks_for_a_person_in_the_flow_gets_one(
    agents_office: Office, phone: Callable[..., Phone]
) -> None:
    """Out of the flow, into the queue, to the agent, with what was said before."""
    office = agents_office
    world = office.campaign(["hasty_wants_agent"], fallback=(), retry={})
    ana = phone(world)
    with office.engine_process(world):
        office.wait("the engine does not answer", lambda: alive(ana), 15)
        ana.log_in()
        ana.ready()
        ana.wait_for("talking", 40)
        office.wait("it is not written", lambda: bool(calls(world, result="served")), 5)
        (call,) = calls(world)
        assert call.kind == "escalation"
        assert ana.ask("hang_up").ok
        office.wait_finished(world, 20)
    (one,) = office.attempts(world)
    assert (one.disposition, one.identity_confirmed) == (Disposition.SPOKE.value, True)


def test_hold_transfer_and_the_debtor_is_never_alone(
    agents_office: Office, phone: Callable[..., Phone]
) -> None:
    office = agents_office
    world = campaign(office, [STAYS], DialMode.PROGRESSIVE)
    ana, eva = phone(world), phone(world)
    with office.engine_process(world):
        office.wait("the engine does not answer", lambda: alive(ana), 15)
        ana.log_in()
        ana.ready()
        ana.wait_for("talking")
        assert ana.ask("hold").ok
        assert ana.ask("hold").error == "not_now"
        time.sleep(1.0)
        assert ana.state == "talking"
        assert ana.ask("resume").ok
        office.wait("nobody came back", lambda: talk_of(ana)["away"] is None, 5)
        assert ana.ask("mute").data == {"muted": True}
        assert ana.ask("unmute").data == {"muted": False}
        assert ana.ask("transfer", to={"agent": eva.id}, kind="blind").error == "nobody"
        eva.log_in()
        eva.ready()
        # Attended: the three of them, then the debtor stays with the other.
        assert ana.ask("transfer", to={"agent": eva.id}, kind="attended").ok
        office.wait("nobody is consulted", lambda: eva.state == "reserved", 5)
        office.wait("she is not there", lambda: ana.ask("complete_transfer").ok, 10)
        eva.wait_for("talking")
        ana.wait_for("wrap_up")
        # And back, blind.
        assert ana.ask("wrap_done").ok
        assert eva.ask("transfer", to={"agent": ana.id}, kind="blind").ok
        ana.wait_for("talking")
        eva.wait_for("wrap_up")
        assert ana.ask("hang_up").ok
        office.wait_finished(world, 20)
    (one,) = office.attempts(world)
    assert one.disposition == Disposition.SPOKE.value
    kinds = [call.kind for call in calls(world)]
    assert kinds == ["predictive", "transfer", "transfer"]
    assert all(call.result == "served" for call in calls(world))


def test_a_debtor_who_hangs_up_over_a_consultation_costs_nobody_their_line(
    agents_office: Office, phone: Callable[..., Phone]
) -> None:
    office = agents_office
    world = campaign(office, [STAYS, "no_answer"], DialMode.PROGRESSIVE)
    ana, eva = phone(world), phone(world)
    with office.engine_process(world):
        office.wait("the engine does not answer", lambda: alive(ana), 15)
        ana.log_in()
        ana.ready()
        ana.wait_for("talking")
        eva.log_in()
        eva.ready()
        assert ana.ask("transfer", to={"agent": eva.id}, kind="attended").ok
        office.wait("nobody is consulted", lambda: eva.state == "reserved", 5)
        assert ana.ask("hang_up").ok
        ana.wait_for("wrap_up")
        eva.wait_for("available")
        time.sleep(1.0)
        assert eva.leg_up()
        assert ana.leg_up()
    assert all(call.left_at is not None for call in calls(world))


def test_a_callback_is_made_by_its_agent(
    agents_office: Office, phone: Callable[..., Phone]
) -> None:
    office = agents_office
    world = campaign(office, [STAYS], DialMode.PROGRESSIVE, wrap=1.0)
    ana = phone(world)
    with office.engine_process(world, until_finished=False):
        office.wait("the engine does not answer", lambda: alive(ana), 15)
        ana.log_in()
        ana.ready()
        ana.wait_for("talking")
        due = datetime.now(UTC) + timedelta(seconds=4)
        booked = ana.ask("callback", due_at=due.isoformat(), own=True)
        assert booked.ok, booked
        assert ana.ask("hang_up").ok
        office.wait("it has not finished", lambda: _state(world) == CampaignState.FINISHED, 15)
        office.wait(
            "nobody is called back",
            lambda: any(row.mode == "preview" for row in office.attempts(world)),
            30,
        )
        ana.wait_for("talking")
        ana.ask("hang_up")
        office.wait("it is not done", lambda: not _due(world), 20)
    again = next(row for row in office.attempts(world) if row.mode == "preview")
    assert again.placed_at >= due
    assert again.agent_joined_at is not None


def test_a_lead_is_seen_before_it_is_called(
    agents_office: Office, phone: Callable[..., Phone], redis: Redis
) -> None:
    office = agents_office
    world = campaign(office, [STAYS], DialMode.PREVIEW)
    ana = phone(world)
    with office.engine_process(world):
        office.wait("the engine does not answer", lambda: alive(ana), 15)
        ana.log_in()
        ana.ready()
        office.wait("nothing is shown", lambda: ana.ask("preview_call").ok, 15)
        ana.wait_for("talking", 20)
        ana.ask("hang_up")
        office.wait_finished(world, 20)
    (one,) = office.attempts(world)
    assert (one.mode, one.disposition) == ("preview", Disposition.SPOKE.value)


def test_an_agent_whose_telephone_rings_for_each_call(
    agents_office: Office, phone: Callable[..., Phone]
) -> None:
    """Not nailed up: rung for who waits in the queue, never for who may not wait."""
    office = agents_office
    world = office.campaign(["hasty_wants_agent"], fallback=(), retry={})
    ana = phone(world)
    with office.engine_process(world):
        office.wait("the engine does not answer", lambda: alive(ana), 15)
        reply = ana.ask("log_in", agent_id=ana.id, ringing=True)
        ana.session = reply.data["session"]
        assert not ana.leg_up()
        ana.ready()
        ana.wait_for("talking", 45)
        assert ana.leg_up()
        ana.ask("hang_up")
        office.wait_finished(world, 20)
    (call,) = calls(world)
    assert (call.kind, call.result) == ("escalation", "served")


def test_a_debtor_who_calls_back_comes_to_an_agent(
    agents_office: Office, phone: Callable[..., Phone]
) -> None:
    office = agents_office
    world = campaign(office, ["no_answer"], DialMode.PREVIEW)
    with office.engine.begin() as c:
        ours = f"+3491{time.monotonic_ns() % 10**7:07d}"
        c.execute(t.caller_id.insert().values(pool_id=world.pool_id, number=ours))
    (number,) = [row.number for row in _phones(world)]
    ana = phone(world)
    with office.engine_process(world):
        office.wait("the engine does not answer", lambda: alive(ana), 15)
        ana.log_in()
        _call_us(office, number, ours, "wwwwwwww0" + "w" * 60)
        office.wait("nobody waits", lambda: bool(ana.ask("floor").data["queue"]), 30)
        (waiting,) = ana.ask("floor").data["queue"]
        assert waiting["kind"] == "inbound"
        ana.ready()
        ana.wait_for("talking", 15)
        assert ana.ask("disposition", code="promise").ok
        assert ana.ask("hang_up").ok
        office.wait("the call is open", lambda: all_ended(office, world), 20)
    (one,) = office.attempts(world)
    assert (one.inbound, one.number, one.caller_id) == (True, number, ours)
    assert one.disposition == Disposition.PROMISE.value


def test_who_calls_us_does_not_take_the_agent_of_a_call_that_rings(
    agents_office: Office, phone: Callable[..., Phone]
) -> None:
    """One agent, promised to the call that rings: who calls meanwhile waits until it is over."""
    office = agents_office
    world = campaign(office, ["no_answer", "no_answer"], DialMode.PROGRESSIVE)
    with office.engine.begin() as c:
        ours = f"+3491{time.monotonic_ns() % 10**7:07d}"
        c.execute(t.caller_id.insert().values(pool_id=world.pool_id, number=ours))
    ana = phone(world)
    with office.engine_process(world):
        office.wait("the engine does not answer", lambda: alive(ana), 15)
        ana.log_in()
        ana.ready()
        office.wait("nobody is called", lambda: office.placed(world) == 1, 10)
        (called,) = office.attempts(world)
        other = next(row.number for row in _phones(world) if row.number != called.number)
        _call_us(office, other, ours, "wwwwwwww0" + "w" * 60)
        ana.wait_for("talking", 40)
        ana.ask("hang_up")
        office.wait("the call is open", lambda: all_ended(office, world), 20)
    (first,) = [row for row in office.attempts(world) if row.id == called.id]
    (call,) = calls(world)
    assert (call.kind, call.result) == ("inbound", "served")
    assert call.queued_at < first.ended_at <= call.joined_at


def _state(world: World) -> str:
    (row,) = world.rows(t.campaign, id=world.campaign_id)
    return str(row.state)


def _due(world: World) -> list[Any]:
    rows = world.rows(t.callback, company_id=world.company_id)
    return [row for row in rows if row.state != "done"]


def _phones(world: World) -> list[Any]:
    with world.engine.connect() as c:
        query = t.phone.select().join(t.debtor, t.debtor.c.id == t.phone.c.debtor_id)
        return list(c.execute(query.where(t.debtor.c.company_id == world.company_id)))


def _call_us(office: Office, number: str, ours: str, keys: str) -> None:
    """A call from outside, by the dialplan's own door; it presses ``keys``."""
    client = ami(office)
    client.ask(
        {
            "Action": "Originate",
            "Channel": f"Local/{ours}@{names.CONTEXT_INBOUND}/n",
            "Application": "SendDTMF",
            "Data": f"{keys},100,120",
            "CallerID": f"<{number}>",
            "Async": "true",
        }
    )
    client.close()
