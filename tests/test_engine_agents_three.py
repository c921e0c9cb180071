"""A third in the talk, end to end: another agent, somebody outside, a supervisor; and nobody.
Every telephone says a tone of its own, so that what each hears tells who is there."""

from __future__ import annotations

import time

import pytest
from desk_office import DeskOffice
from desk_tones import ANA, BOSS, DEBTOR, EVA, at_desk, debtor_ear, ear_of, hears
from sqlalchemy import select

from dialer.desk.client import DeskError, SupervisorClient
from dialer.domain.model import Disposition
from dialer.simulation.personas import named
from dialer.store import tables as t
from web.agents_access import SECRET_SUPERVISOR

pytestmark = pytest.mark.timeout(300)


def test_three_talk_and_two_go_on(desks: DeskOffice) -> None:
    world = desks.calls_for(["says_a_tone"])
    with (
        desks.engine_process(world),
        desks.desk(world, desks.phone("agent01")) as ana,
        desks.desk(world, desks.phone("agent02")) as eva,
    ):
        at_desk(ana)
        ana.wait_for("talking")
        at_desk(eva)
        ears = {ANA: ear_of(desks, "agent01"), EVA: ear_of(desks, "agent02")}
        ears[DEBTOR] = debtor_ear(desks, world)
        hears(desks, ears[DEBTOR], {ANA})
        ana.client.transfer("three_way", agent=eva.id)
        for who, ear in ears.items():
            hears(desks, ear, {ANA, EVA, DEBTOR} - {who})
        ana.client.complete_transfer()
        ana.wait_for("wrap_up")
        eva.wait_for("talking")
        hears(desks, ears[DEBTOR], {EVA})
        hears(desks, ears[EVA], {DEBTOR})
        hears(desks, ears[ANA], set())
        eva.client.hang_up()
        desks.wait_finished(world, 30)
    assert [row.kind for row in desks.rows(world)] == ["predictive", "transfer"]
    assert desks.attempts(world)[0].disposition == Disposition.SPOKE.value


def test_somebody_outside_is_asked_and_takes_over(desks: DeskOffice) -> None:
    world = desks.calls_for(["says_a_tone"])
    outside = f"+349100000{named('silent').code}"
    with desks.engine_process(world), desks.desk(world, desks.phone("agent01")) as ana:
        at_desk(ana)
        ana.wait_for("talking")
        debtor = debtor_ear(desks, world)
        ana.client.transfer("attended", number=outside)
        third = ear_of(desks, outside)
        hears(desks, third, {ANA})  # and not the debtor, who hears music
        hears(desks, debtor, set())
        ana.client.complete_transfer()
        ana.wait_for("wrap_up")
        hears(desks, third, {DEBTOR})
        desks.carrier.rx(f"channel request hangup {desks.channels(outside)[0]}")
        desks.wait_finished(world, 40)
    assert desks.attempts(world)[0].disposition == Disposition.SPOKE.value


def test_nobody_outside_answers_and_the_debtor_comes_back(desks: DeskOffice) -> None:
    world = desks.calls_for(["says_a_tone"])
    outside = f"+349100000{named('no_answer').code}"
    with desks.engine_process(world), desks.desk(world, desks.phone("agent01")) as ana:
        at_desk(ana)
        ana.wait_for("talking")
        debtor = debtor_ear(desks, world)
        ana.client.transfer("attended", number=outside)
        hears(desks, debtor, set())
        with pytest.raises(DeskError, match="not answered"):
            ana.client.complete_transfer()
        ana.client.cancel_transfer()
        hears(desks, debtor, {ANA})
        desks.wait("it still rings", lambda: not desks.channels(outside), 10)
        ana.client.hang_up()
        desks.wait_finished(world, 30)
    assert ana.of("transfer")[-1]["state"] == "cancelled"


def test_a_transfer_to_nobody_is_refused_and_the_talk_goes_on(desks: DeskOffice) -> None:
    world = desks.calls_for(["says_a_tone"])
    with (
        desks.engine_process(world),
        desks.desk(world, desks.phone("agent01")) as ana,
        desks.desk(world, desks.phone("agent02")) as eva,
    ):
        at_desk(ana)
        ana.wait_for("talking")
        debtor = debtor_ear(desks, world)
        refused = {}
        eva.log_in()  # there, and paused
        for name, kind, to in (
            ("paused", "blind", {"agent": eva.id}),
            ("paused, asked first", "attended", {"agent": eva.id}),
            ("no such agent", "blind", {"agent": 10_000}),
            ("no such skill", "blind", {"skill": "latin"}),
        ):
            with pytest.raises(DeskError) as no:
                ana.client.transfer(kind, **to)  # type: ignore[arg-type]
            refused[name] = no.value.code
            hears(desks, debtor, {ANA})
        ana.client.hang_up()
        desks.wait_finished(world, 30)
    assert set(refused.values()) == {"nobody"}
    assert [row.result for row in desks.rows(world)] == ["served"]


def test_a_supervisor_listens_whispers_and_joins(desks: DeskOffice) -> None:
    world = desks.calls_for(["says_a_tone"])
    url = f"http://127.0.0.1:{desks.settings.web_port}"
    by = desks.phone("agent03")
    with (
        desks.engine_process(world),
        desks.desk(world, desks.phone("agent01")) as ana,
        SupervisorClient(url, desks.settings.secret(SECRET_SUPERVISOR)) as boss,
    ):
        at_desk(ana)
        ana.wait_for("talking")
        agent, debtor = ear_of(desks, "agent01"), debtor_ear(desks, world)
        session = ana.client.session or ""
        for how, agent_hears, debtor_hears in (
            (boss.listen, {DEBTOR}, {ANA}),
            (boss.whisper, {DEBTOR, BOSS}, {ANA}),
            (boss.barge, {DEBTOR, BOSS}, {ANA, BOSS}),
        ):
            how(session, by)
            supervisor = ear_of(desks, "agent03")
            hears(desks, supervisor, {ANA, DEBTOR})
            hears(desks, agent, agent_hears)
            hears(desks, debtor, debtor_hears)
            desks.carrier.rx(f"channel request hangup {desks.channels('agent03')[0]}")
            desks.wait("the supervisor stays", lambda: not desks.channels("agent03"), 10)
            hears(desks, debtor, {ANA})
            time.sleep(0.2)
        ana.client.hang_up()
        desks.wait_finished(world, 30)
    with desks.engine.connect() as c:
        trail = c.execute(
            select(t.audit.c.actor, t.audit.c.action).where(
                t.audit.c.target == f"agent_session:{session}"
            )
        ).all()
    assert [one.action for one in trail] == ["agent.listen", "agent.whisper", "agent.barge"]
    assert {one.actor for one in trail} == {"supervisor"}
