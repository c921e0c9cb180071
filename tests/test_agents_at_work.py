"""Simulated agents in a whole installation on real Asterisk: at work, cut off, sent home; and the
debtors who ask for one."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from fixtures_stack import Office, open_office
from world import World

from dialer.domain.model import AgentTerms, DialMode
from dialer.local.stack import ASTERISK, ENGINE, WEB
from dialer.simulation.agent_mind import Habits
from dialer.simulation.agents_double import Crew
from dialer.simulation.agents_made import make_people
from dialer.store import tables as t

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with open_office(tmp_path_factory.mktemp("work"), agents=True) as one:
        yield one


@contextmanager
def at_work(office: Office, world: World, count: int, habits: Habits) -> Iterator[Crew]:
    """So many agents, of the world's company, who take calls; and an engine, which is started
    again when it dies."""
    office.stack.start(ENGINE)  # not before the campaign has leads: it would be finished
    with office.engine.begin() as connection:
        people = make_people(
            connection, office.settings, world.company_id, count, datetime.now(UTC)
        )
    crew = Crew(f"http://127.0.0.1:{office.settings.web_port}", people, habits)
    crew.start()
    try:
        office.wait("they are not at work", everybody(crew, "available"), 30)
        yield crew
    finally:
        crew.stop()
        office.wait("they are still logged in", lambda: all_gone(world), 5)
        office.stack.stop(ENGINE)


def all_gone(world: World) -> bool:
    return all(one.ended_at is not None for one in sessions(world))


def everybody(crew: Crew, state: str) -> Callable[[], bool]:
    return lambda: crew.measured()["states"] == {state: len(crew.agents)}


def campaign(office: Office, personas: list[str], mode: DialMode, **changes: Any) -> World:
    return office.campaign(
        personas,
        agents=AgentTerms(mode=mode, wrap=30.0),
        fallback=(),
        retry={},
        ring_timeout=16.0,
        **changes,
    )


def calls(world: World) -> list[Any]:
    return world.rows(t.agent_call, company_id=world.company_id)


def sessions(world: World) -> list[Any]:
    query = (
        t.agent_session.select()
        .join(t.agent, t.agent.c.id == t.agent_session.c.agent_id)
        .where(t.agent.c.company_id == world.company_id)
    )
    with world.engine.connect().execution_options(dialer_readonly=True) as connection:
        return list(connection.execute(query))


HOWS = ("spoke", "promise", "callback", "link")


def test_they_talk_conclude_wrap_up_and_go_home(office: Office) -> None:
    world = campaign(office, ["talks_to_agent"] * 4, DialMode.PROGRESSIVE)
    with at_work(office, world, 2, Habits(talk_mean=2.0, wrap_mean=1.0)) as crew:
        office.wait_finished(world, 60)
        office.wait("they are not free", everybody(crew, "available"), 15)
        told = crew.measured()
    gone = crew.measured()
    assert [one.result for one in calls(world)] == ["served"] * 4
    assert told["counts"]["joined"] == told["counts"]["calls"] == told["counts"]["wrap_done"] == 4
    assert sum(told["counts"].get(f"concluded_{how}", 0) for how in HOWS) == 4
    assert told["seconds"]["talking"] > 4 and told["call_to_joined_ms"]["p50"] < 1000
    assert 1.0 < told["talk_seconds"] < 6.0
    assert gone["counts"]["log_out"] == 2
    assert [one.end_reason for one in sessions(world)] == ["logged_out"] * 2


def test_sent_home_in_a_talk_they_end_it_and_log_out(office: Office) -> None:
    world = campaign(office, ["talks_to_agent"], DialMode.PROGRESSIVE)
    with at_work(office, world, 1, Habits(talk_mean=500.0, talk_sigma=0.0)) as crew:
        office.wait("nobody talks", everybody(crew, "talking"), 20)
    office.wait_finished(world, 20)
    (session,) = sessions(world)
    assert session.end_reason == "logged_out"
    assert [one.result for one in calls(world)] == ["served"]


def test_they_are_back_after_the_web_and_after_the_engine_died(office: Office) -> None:
    world = campaign(office, ["talks_to_agent"] * 6, DialMode.PROGRESSIVE)
    supervisor = office.stack.supervisor
    with at_work(office, world, 2, Habits(talk_mean=1.0, wrap_mean=0.5)) as crew:
        office.stack.stop(WEB)
        office.wait("nothing was refused", lambda: refused(crew, "unreachable") > 0, 20)
        office.stack.start(WEB)
        before = supervisor.restarts(ENGINE)
        supervisor.signal(ENGINE, signal.SIGKILL)
        killed_at = datetime.now(UTC)
        assert supervisor.wait_for_restart(ENGINE, before, 60)
        # One that was being dialled when the engine died is lost, and called again after a minute.
        office.wait_finished(world, 200)
        office.wait("they are not free", everybody(crew, "available"), 45)
    # What the floor decides is written a moment behind.
    office.wait("a call is open", lambda: all(one.left_at for one in calls(world)), 15)
    served = [one for one in calls(world) if one.result == "served"]
    assert any(one.joined_at > killed_at for one in served)


def test_asterisk_dies_with_twenty_talking(office: Office) -> None:
    """All talks are lost and known to be; all agents come back, and who is left is served."""
    talking, left = 20, 4
    world = campaign(office, ["talks_to_agent"] * (talking + left), DialMode.PROGRESSIVE)
    supervisor = office.stack.supervisor
    with at_work(office, world, talking, Habits(talk_mean=500.0, talk_sigma=0.0)) as crew:
        office.wait("not all of them talk", everybody(crew, "talking"), 60)
        before = supervisor.restarts(ASTERISK)
        supervisor.signal(ASTERISK, signal.SIGKILL)
        killed_at = datetime.now(UTC)
        assert supervisor.wait_for_restart(ASTERISK, before, 60)
        wanted = {"talking": left, "available": talking - left}
        office.wait("they do not come back", lambda: crew.measured()["states"] == wanted, 120)
        lost = [one for one in calls(world) if one.joined_at < killed_at]
        assert len(lost) == talking and all(one.left_at is not None for one in lost)
    office.wait_finished(world, 30)
    ended = office.attempts(world)
    assert all(one.state == "ended" for one in ended)
    assert [one.result for one in calls(world)] == ["served"] * (talking + left)


def refused(crew: Crew, code: str) -> float:
    refusals = crew.measured()["refusals"]
    return float(sum(count for what, count in refusals.items() if what.endswith(f":{code}")))


def test_who_asks_for_an_agent_gets_one_gives_up_or_is_called_back(office: Office) -> None:
    """One agent, who talks for long: the first who asks is served, the others wait in vain."""
    asking = ["talks_to_agent_asked_for", "gives_up_waiting", "waits_for_callback"]
    world = campaign(office, asking, DialMode.AGENTLESS, calls_per_second=0.2)
    habits = Habits(talk_mean=45.0, talk_sigma=0.0, wrap_mean=1.0)
    with at_work(office, world, 1, habits):
        office.wait_finished(world, 120)
    assert {one.kind for one in calls(world)} == {"escalation"}
    assert Counter(one.result for one in calls(world)) == {
        "served": 1, "gave_up": 1, "callback": 1
    }  # fmt: skip
    (booked,) = [
        one
        for one in world.rows(t.callback, company_id=world.company_id)
        if not one.made_by.startswith("agent:")
    ]
    assert booked.state == "due"
    dispositions = Counter(one.disposition for one in office.attempts(world))
    assert dispositions.total() == 3 and dispositions["failed"] == 0
