"""Agents, and what goes away in the middle: debtors get an agent or the message, never silence."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from fixtures_agents import (
    STAYS,
    Phone,
    alive,
    all_ended,
    calls,
    campaign,
    hang_up_channel,
)
from fixtures_stack import Office, kill
from sqlalchemy import update

from dialer.domain.model import CampaignState, DialMode, Disposition
from dialer.store import abandonment
from dialer.store import tables as t

pytestmark = pytest.mark.timeout(300)


def test_the_engine_is_killed_while_they_talk(
    agents_office: Office, phone: Callable[..., Phone]
) -> None:
    """They go on talking; the next engine finds them so."""
    office = agents_office
    world = campaign(office, [STAYS], DialMode.PROGRESSIVE)
    ana = phone(world)
    first = office.start_engine(world)
    try:
        office.wait("the engine does not answer", lambda: alive(ana), 15)
        ana.log_in()
        ana.ready()
        ana.wait_for("talking")
    finally:
        kill(first)
    with office.engine_process(world):
        office.wait("the engine does not answer", lambda: alive(ana), 20)
        ana.wait_for("talking", 10)
        assert ana.ask("hang_up").ok
        ana.wait_for("wrap_up")
        office.wait_finished(world, 20)
    (one,) = office.attempts(world)
    assert one.disposition == Disposition.SPOKE.value


def test_the_engine_is_dead_when_they_answer(
    agents_office: Office, phone: Callable[..., Phone]
) -> None:
    """Nobody is left in silence: the switch itself says the message."""
    office = agents_office
    world = campaign(office, ["slow_to_answer"], DialMode.PROGRESSIVE)
    ana = phone(world)
    first = office.start_engine(world)
    office.wait("the engine does not answer", lambda: alive(ana), 15)
    ana.log_in()
    ana.ready()
    office.wait("nobody is called", lambda: office.placed(world) == 1, 10)
    time.sleep(1.0)
    kill(first)
    time.sleep(12.0)  # it rings for 8 s, is answered, and waits for 2
    with office.engine_process(world):
        office.wait("the call is not concluded", lambda: all_ended(office, world), 60)
    (one,) = office.attempts(world)
    # Nobody saw what they heard; it counts as abandoned all the same (dialer.store.abandonment).
    assert one.disposition in (Disposition.ABANDONED.value, Disposition.FAILED.value)
    with office.engine.connect() as connection:
        counts = abandonment.window(connection, world.campaign_id, 1, datetime.now(UTC))
    assert (counts.answered, counts.abandoned) == (1, 1)


def test_the_engine_is_killed_and_the_campaign_paused_meanwhile(
    agents_office: Office, phone: Callable[..., Phone]
) -> None:
    """What was in the air is concluded, although nothing of the campaign is called any more."""
    office = agents_office
    world = campaign(office, [STAYS], DialMode.PROGRESSIVE)
    ana = phone(world)
    first = office.start_engine(world, lease=6.0)
    office.wait("the engine does not answer", lambda: alive(ana), 15)
    ana.log_in()
    ana.ready()
    ana.wait_for("talking")
    kill(first)
    with office.engine.begin() as connection:
        paused = update(t.campaign).where(t.campaign.c.id == world.campaign_id)
        connection.execute(paused.values(state=CampaignState.PAUSED.value))
    with office.engine_process(world, lease=6.0):
        office.wait("the engine does not answer", lambda: alive(ana), 15)
        ana.wait_for("talking")
        assert ana.ask("hang_up").ok
        office.wait("the call is not concluded", lambda: all_ended(office, world), 20)
    (one,) = office.attempts(world)
    assert one.disposition == Disposition.SPOKE.value


def test_the_agents_telephone_is_hung_up_in_a_talk(
    agents_office: Office, phone: Callable[..., Phone]
) -> None:
    """The debtor goes to the head of the queue, and to the next agent."""
    office = agents_office
    world = campaign(office, [STAYS], DialMode.PROGRESSIVE)
    ana, eva = phone(world), phone(world)
    with office.engine_process(world):
        office.wait("the engine does not answer", lambda: alive(ana), 15)
        ana.log_in()
        ana.ready()
        ana.wait_for("talking")
        eva.log_in()
        eva.ready()
        leg = f"leg-{ana.session}"
        hang_up_channel(office, leg)
        eva.wait_for("talking", 20)
        assert ana.state in ("wrap_up", "paused")
        eva.ask("hang_up")
        office.wait_finished(world, 30)
    (one,) = office.attempts(world)
    assert one.disposition == Disposition.SPOKE.value
    assert [call.kind for call in calls(world)] == ["predictive", "transfer"]


def test_when_all_agents_leave_nobody_is_called_and_who_answers_hears_the_message(
    agents_office: Office, phone: Callable[..., Phone]
) -> None:
    office = agents_office
    world = campaign(office, ["slow_to_answer"] * 2 + [STAYS] * 8, DialMode.POWER, ratio=2.0)
    ana = phone(world)
    with office.engine_process(world):
        office.wait("the engine does not answer", lambda: alive(ana), 15)
        ana.log_in()
        ana.ready()
        office.wait("nobody is called", lambda: office.placed(world) >= 2, 10)
        assert ana.ask("pause", code="lunch").ok
        if ana.state == "talking":
            ana.ask("hang_up")
            ana.wait_for("wrap_up")
            ana.ask("wrap_done")
        time.sleep(1.0)
        placed = office.placed(world)
        office.wait("a call is left in the air", lambda: all_ended(office, world), 60)
        assert office.placed(world) == placed
        assert ana.state == "paused"
    for one in office.attempts(world):
        heard = one.agent_joined_at or one.abandoned_at
        assert one.answered_at is None or heard is not None or one.hung_up_by_debtor


def test_asterisk_is_restarted_while_they_talk(
    agents_office: Office, phone: Callable[..., Phone]
) -> None:
    """The talk is lost, and known to be; the agent is away until she says otherwise."""
    office = agents_office
    world = campaign(office, [STAYS], DialMode.PROGRESSIVE)
    ana = phone(world)
    with office.engine_process(world):
        office.wait("the engine does not answer", lambda: alive(ana), 15)
        ana.log_in()
        ana.ready()
        ana.wait_for("talking")
        office.stack.stop("asterisk")
        office.stack.start("asterisk")
        office.wait("the engine has no switch", lambda: alive(ana), 30)
        office.wait("she still talks", lambda: ana.state != "talking", 15)
        assert not ana.leg_up()
        assert ana.ask("new_leg").ok
        office.wait("her leg does not come back", ana.leg_up, 15)
        ana.ready()
        office.wait("the call is open", lambda: all_ended(office, world), 20)
    (one,) = office.attempts(world)
    assert one.disposition == Disposition.SPOKE.value


def test_a_page_that_falls_silent_is_not_offered_calls(
    agents_office: Office, phone: Callable[..., Phone]
) -> None:
    office = agents_office
    world = campaign(office, [STAYS], DialMode.PROGRESSIVE)
    ana, eva = phone(world), phone(world)
    with office.engine_process(world):
        office.wait("the engine does not answer", lambda: alive(ana), 15)
        ana.log_in()
        ana.ask("pause", code="x")
        eva.log_in()
        ana.ready()
        ana.wait_for("talking")
        ana.ask("hang_up")
        ana.wait_for("wrap_up")
        office.wait_finished(world, 20)
        # The desk says nothing more: the seat is known to be empty.
        time.sleep(office.settings.agent_heartbeat_seconds + 1)
        seats = {one["session"]: one for one in eva.ask("floor").data["agents"]}
        assert seats[ana.session]["present"] is False
