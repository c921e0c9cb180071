"""Handing over, and what goes wrong with it: who was asked is busy, rings off or leaves; whose line
breaks meanwhile; who was to take it goes away. The debtor has somebody, or music, at any moment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from desk_office import DeskOffice, Member
from desk_tones import ANA, DEBTOR, EVA, at_desk, debtor_ear, ear_of, hang_up, hears
from fixtures_stack import kill
from world import World

from dialer.desk.client import DeskError
from dialer.domain.agents import RESERVE
from dialer.domain.model import Disposition
from dialer.simulation.personas import named

pytestmark = pytest.mark.timeout(300)

TONE = "says_a_tone"


@pytest.fixture
def world(desks: DeskOffice) -> World:
    return desks.calls_for([TONE])


@pytest.fixture
def ana(desks: DeskOffice, world: World) -> Iterator[Member]:
    """Talks with the debtor; an engine runs."""
    with desks.engine_process(world), desks.desk(world, desks.phone("agent01")) as one:
        at_desk(one)
        one.wait_for("talking")
        yield one


@pytest.fixture
def eva(desks: DeskOffice, world: World, ana: Member) -> Iterator[Member]:
    """Free, and there."""
    with desks.desk(world, desks.phone("agent02")) as one:
        at_desk(one)
        yield one


def outside(persona: str) -> str:
    return f"+349100000{named(persona).code}"


def gone(desks: DeskOffice, who: Member, times: int) -> None:
    """Until the desk was told so often that whoever was asked is not there (any more)."""

    def told() -> int:
        return [one["state"] for one in who.of("transfer")].count("gone")

    desks.wait("the desk does not know of it", lambda: told() == times, 12)


def test_whoever_cannot_be_had_gives_the_debtor_back(
    desks: DeskOffice, world: World, ana: Member
) -> None:
    """Busy, nobody's number, declined; picked up and left: nobody at the desk has to notice."""
    debtor = debtor_ear(desks, world)
    for times, persona in enumerate(("busy", "unallocated", "rejects"), 1):
        ana.client.transfer("attended", number=outside(persona))
        gone(desks, ana, times)
        hears(desks, debtor, {ANA})
    ana.client.transfer("three_way", number=outside("busy"))
    gone(desks, ana, 4)
    third = outside("silent")
    ana.client.transfer("attended", number=third)
    hears(desks, ear_of(desks, third), {ANA})
    hears(desks, debtor, set())
    hang_up(desks, third)
    gone(desks, ana, 5)
    hears(desks, debtor, {ANA})
    with pytest.raises(DeskError, match="nobody else"):
        ana.client.complete_transfer()
    with pytest.raises(DeskError) as no:
        ana.client.transfer("blind", number=third)
    assert no.value.code == "not_possible"
    hears(desks, debtor, {ANA})
    ana.client.hang_up()
    desks.wait_finished(world, 30)
    assert [row.kind for row in desks.rows(world)] == ["predictive"]


def test_the_debtor_goes_and_the_outside_party_is_not_left_on_the_line(
    desks: DeskOffice, world: World, ana: Member
) -> None:
    third = outside("silent")
    ana.client.transfer("attended", number=third)
    hears(desks, ear_of(desks, third), {ANA})
    ana.client.complete_transfer()
    hears(desks, ear_of(desks, third), {DEBTOR})
    hang_up(desks, desks.attempts(world)[0].number)
    desks.wait("an outside call goes on with nobody", lambda: not desks.channels(third), 5)
    desks.wait_finished(world, 30)


def test_a_colleague_is_consulted_for_long_leaves_and_takes_over(
    desks: DeskOffice, world: World, ana: Member, eva: Member
) -> None:
    """Longer than a reservation lasts; and who is consulted cannot end what is not theirs."""
    debtor, colleague = debtor_ear(desks, world), ear_of(desks, "agent02")
    ana.client.transfer("attended", agent=eva.id)
    hears(desks, colleague, {ANA})
    with pytest.raises(DeskError) as no:
        eva.client.hold()
    assert no.value.code == "no_call"
    eva.client.hang_up()
    gone(desks, ana, 1)
    eva.wait_for("available")
    hears(desks, debtor, {ANA})
    hears(desks, colleague, set())
    ana.client.transfer("attended", agent=eva.id)
    hears(desks, colleague, {ANA})
    with pytest.raises(AssertionError):
        desks.wait("", lambda: eva.state != "reserved", RESERVE.total_seconds() + 2)
    ana.client.complete_transfer()
    eva.wait_for("talking")
    hears(desks, colleague, {DEBTOR})
    hears(desks, debtor, {EVA})
    eva.client.hang_up()
    eva.wait_for("wrap_up")
    desks.wait_finished(world, 30)
    assert [row.kind for row in desks.rows(world)] == ["predictive", "transfer"]


def test_the_agents_line_breaks_while_somebody_outside_is_asked(
    desks: DeskOffice, world: World, ana: Member, eva: Member
) -> None:
    """The debtor does not wait on hold for who does not come back, but goes to the next agent."""
    debtor, third = debtor_ear(desks, world), outside("no_answer")
    ana.client.transfer("attended", number=third)
    desks.wait("nobody is asked", lambda: bool(desks.channels(third)), 5)
    hang_up(desks, "agent01")
    eva.wait_for("talking", 20)
    hears(desks, debtor, {EVA})
    desks.wait("it rings for nobody", lambda: not desks.channels(third), 5)
    eva.client.hang_up()
    desks.wait_finished(world, 30)
    (one,) = desks.attempts(world)
    assert one.disposition == Disposition.SPOKE.value
    assert [row.kind for row in desks.rows(world)] == ["predictive", "transfer"]


def test_the_colleague_who_was_to_take_it_takes_a_break(
    desks: DeskOffice, world: World, ana: Member
) -> None:
    """Who waits for one agent is anybody's once that one takes no calls."""
    desks.another(world, TONE)
    ana.client.hang_up()
    ana.wait_for("wrap_up")
    with desks.desk(world, desks.phone("agent02")) as eva:
        at_desk(eva)
        eva.wait_for("talking")
        debtor = debtor_ear(desks, world)
        eva.client.transfer("blind", agent=ana.id)
        eva.wait_for("wrap_up")
        eva.client.wrap_done()
        ana.client.pause("lunch")
        eva.wait_for("talking")
        hears(desks, debtor, {EVA})
        eva.client.hang_up()
        desks.wait_finished(world, 30)
    assert [row.result for row in desks.rows(world)] == ["served"] * 3


def test_the_engine_dies_while_the_debtor_is_on_hold(desks: DeskOffice, world: World) -> None:
    """The next one finds them, and they come to somebody who is there."""
    with desks.desk(world, desks.phone("agent01")) as ana:
        first = desks.start_engine(world)
        try:
            at_desk(ana)
            ana.wait_for("talking")
            debtor = debtor_ear(desks, world)
            ana.client.hold()
            hears(desks, debtor, set())
        finally:
            kill(first)
        with desks.engine_process(world):
            ana.wait_for("paused", 20)
            ana.ready()
            ana.wait_for("talking", 20)
            hears(desks, debtor, {ANA})
            ana.client.hang_up()
            desks.wait_finished(world, 30)
    # What the floor decides is written a moment behind.
    desks.wait("it is not written", lambda: over(desks.rows(world)) == [True, True], 10)


def over(rows: list[Any]) -> list[bool]:
    return [row.left_at is not None for row in rows]
