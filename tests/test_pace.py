"""When to call for agents: the pacer of a campaign, and the budget that outlives the process."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from test_agents_rules import seat
from test_domain_attempt import ID, T0, at, attempt
from world import plan

from dialer.domain import events as ev
from dialer.domain.model import AgentState, AgentTerms, DialMode
from dialer.domain.pacing import AgentSeat, Floor, Line
from dialer.engine.pace import BUDGET_SAYS, UNKNOWN_SAYS, Pace, Paces, Share, floor_of, pacer_for

POWER = AgentTerms(mode=DialMode.POWER, ratio=3.0)
FREE = Floor(now=0.0, agents=(AgentSeat("available", 0.0),) * 2, lines=())


def pace(terms: AgentTerms = POWER) -> Pace:
    return Pace(terms.mode, pacer_for(terms, Share()))


def test_before_the_budget_is_known_nobody_is_overdialled() -> None:
    one = pace()
    assert one.decide(FREE, POWER).place == 2
    assert one.reason == UNKNOWN_SAYS
    one.know(Share(), POWER)
    assert one.decide(FREE, POWER).place == 6
    assert one.reason == ""


def test_a_budget_that_is_used_up_stops_overdialling_and_says_why() -> None:
    one = pace()
    one.know(Share(answered=200, abandoned=6), POWER)
    assert one.decide(FREE, POWER).place == 2
    assert one.reason == BUDGET_SAYS
    one.know(Share(answered=201, abandoned=6), POWER)
    assert one.decide(FREE, POWER).place == 6
    # By its own eyes, between two looks at the database.
    paces = Paces()
    paces.of[1] = one
    paces.outcome(1, at(0), abandoned=True)
    assert one.decide(FREE, POWER).place == 2


def test_of_few_answers_the_share_is_taken_of_a_hundred() -> None:
    assert not Share(5, 2).spent(POWER)
    assert Share(5, 3).spent(POWER)


def test_progressive_needs_no_budget_and_lines_are_capped_by_agent() -> None:
    terms = AgentTerms(mode=DialMode.PROGRESSIVE)
    assert pace(terms).decide(FREE, terms).place == 2
    capped = replace(POWER, max_lines_per_agent=1.5)
    one = pace(capped)
    one.know(Share(), capped)
    lines = (Line("a", 0.0), Line("b", 0.0))
    assert one.decide(replace(FREE, lines=lines), capped).place == 1


def test_a_change_of_mode_keeps_the_lines_and_the_budget() -> None:
    paces = Paces()
    first = paces.get(1, plan(agents=POWER))
    first.know(Share(300, 2), POWER)
    first.placed(attempt(mode=DialMode.POWER), "x")
    second = paces.get(1, plan(agents=AgentTerms(mode=DialMode.PREDICTIVE)))
    assert second is not first
    assert (list(second.lines), second.share) == ([ID], Share(300, 2))


def test_a_line_leaves_the_air_by_its_answer_or_its_end_once() -> None:
    paces = Paces()
    one = paces.get(1, plan(agents=POWER))
    call = attempt(mode=DialMode.POWER, campaign_id=1)
    one.placed(call, "x")
    paces.observe(ev.Ringing(ID, at(1)), call)
    assert list(one.lines) == [ID]
    paces.observe(ev.Answered(ID, at(5)), call)
    paces.observe(ev.Ended(ID, at(9), 16, 200), call)
    assert one.lines == {}
    agentless = attempt()
    one.placed(agentless, "x")
    paces.observe(ev.Answered(ID, at(5)), agentless)
    assert list(one.lines) == [ID]  # not one of theirs


def test_who_is_away_rings_or_has_asked_for_a_pause_is_no_agent_to_come() -> None:
    there = seat("ana")
    seats = [
        there,
        seat("eva", leg=None),
        seat("leo", ringing=True),
        seat("mar", state=AgentState.TALKING, call="x", next_pause="lunch"),
        seat("paz", state=AgentState.PAUSED),
        seat("sol", state=AgentState.WRAP_UP),
    ]
    floor = floor_of(T0 + timedelta(seconds=1), seats, [], 1, plan(agents=POWER), 50)
    assert [one.state for one in floor.agents] == ["available", "wrap"]
    assert (floor.waiting, floor.limits.max_lines) == (1, 50)
