"""Predictive pacing: what it learns, what it costs callers, and where it stops."""

from __future__ import annotations

import copy
import functools
import random

import numpy as np
import pytest
from test_pacing_rules import floor

from dialer.domain.pacing import (
    AgentSeat,
    Floor,
    Limits,
    Line,
    LineEnded,
    Outcome,
    Pacer,
    TalkEnded,
    WrapEnded,
    make_pacer,
)


def told(answered: int, abandoned: int) -> Pacer:
    """A pacer that has seen so many live answers, the abandoned ones spread among them."""
    pacer = make_pacer("predictive")
    pacer.decide(floor(1, now=0.0))
    for number in range(answered):
        lost = (number + 1) * abandoned // answered - number * abandoned // answered
        pacer.observe(Outcome(float(number), lost > 0))
    return pacer


def learned(p: float, *, talk: float = 60.0) -> Pacer:
    """A pacer that saw 400 calls, dialled ten at a time and answered at 10 s with chance p."""
    return copy.deepcopy(_learned(p, talk))


@functools.cache
def _learned(p: float, talk: float, calls: int = 400) -> Pacer:
    pacer, dice, now = make_pacer("predictive"), random.Random(1), 0.0
    for start in range(0, calls, 10):
        lines = tuple(Line(str(start + n), now, "") for n in range(10))
        seats = tuple(AgentSeat("talking", now - 1.0) for _ in range(5))
        answered = [line for line in lines if dice.random() < p]
        for second in (0, 5, 9, 10, 15, 20, 25):
            here = tuple(line for line in lines if second < 10 or line not in answered)
            if second == 10:
                for _ in answered:
                    pacer.observe(LineEnded(now + 10.0, 10.0, True))
                    pacer.observe(Outcome(now + 10.0, False))
                    pacer.observe(TalkEnded(now + 10.0, talk))
                    pacer.observe(WrapEnded(now + 10.0, 5.0))
            if second == 25:
                for _ in here:
                    pacer.observe(LineEnded(now + 25.0, 25.0, False))
                break
            pacer.decide(Floor(now + second, seats, here))
        now += 25.0
    pacer.decide(Floor(now, (AgentSeat("talking", now - 1.0),), ()))
    return pacer


def lines_for(pacer: Pacer, given: Floor) -> int:
    """Calls it wants in the air on this floor."""
    return len(given.lines) + pacer.decide(given).place


def test_it_calls_ahead_of_agents_who_are_about_to_be_free() -> None:
    pacer = learned(0.3)
    assert lines_for(pacer, floor(0, talking=10, now=99_000.0)) > 0
    wrapping = floor(0, wrap=10, now=99_000.0)
    assert lines_for(pacer, wrapping) > lines_for(pacer, floor(0, talking=10, now=99_000.0))


def test_the_rarer_an_answer_the_more_lines() -> None:
    rare, common = (lines_for(learned(p), floor(10, now=99_000.0)) for p in (0.1, 0.5))
    assert common >= 10
    assert rare > 2 * common


def test_waiting_callers_take_idle_agents() -> None:
    wanted = [lines_for(learned(0.3), floor(10, waiting=w, now=99_000.0)) for w in (0, 4, 10)]
    assert wanted[0] > wanted[1] > wanted[2]


def test_it_learns_how_long_agents_talk() -> None:
    """After 60 s a talk is nearly over where all last 62 s, but not where they last 600."""
    short, long = (
        lines_for(learned(0.3, talk=t), floor(0, talking=10, now=99e3)) for t in (62, 600)
    )
    assert short > long == 0


def test_segments_are_told_apart_without_being_named_at_the_end() -> None:
    """Lines of a segment that never answers cover no agent; those of one that does, do."""
    pacer, dice, now = make_pacer("predictive"), random.Random(2), 0.0
    seats = (AgentSeat("available", 0.0),) * 5
    for batch in range(80):
        lines = tuple(Line(f"{batch}-{n}", now, "good" if n % 2 else "dead") for n in range(10))
        answered = [line for line in lines if line.segment == "good" and dice.random() < 0.5]
        pacer.decide(Floor(now, seats, lines))
        for _ in answered:
            pacer.observe(LineEnded(now + 9.0, 9.0, True))
            pacer.observe(Outcome(now + 9.0, False))
        rest = tuple(line for line in lines if line not in answered)
        pacer.decide(Floor(now + 9.0, seats, rest))
        for _ in rest:
            pacer.observe(LineEnded(now + 25.0, 25.0, False))
        now += 25.0
        pacer.decide(Floor(now, seats, ()))
    wanted = {}
    for segment in ("dead", "good"):
        ringing = tuple(Line(f"{segment}{n}", now - 1.0, segment) for n in range(10))
        wanted[segment] = pacer.decide(Floor(now, seats * 2, ringing)).place
    assert wanted["dead"] > wanted["good"] + 5


@pytest.mark.parametrize(("answered", "abandoned"), [(100, 3), (1000, 30), (1000, 31), (10, 5)])
def test_at_the_legal_limit_it_is_progressive_and_says_why(answered: int, abandoned: int) -> None:
    pacer = told(answered, abandoned)
    for given in (floor(6, talking=4), floor(6, talking=4, lines=2), floor(0, talking=10)):
        decision = pacer.decide(given)
        assert decision.place == make_pacer("progressive").decide(given).place
        assert "stopped" in decision.reason
        assert f"{abandoned} of {answered}" in decision.reason


def test_near_the_limit_it_goes_down_to_progressive() -> None:
    pacer = told(1000, 29)
    assert pacer.decide(floor(6, talking=4)).reason == ""
    pacer = told(990, 29)
    decision = pacer.decide(floor(6, talking=4))
    assert decision.place == 6
    assert "one line an idle agent" in decision.reason


def test_far_from_the_limit_it_gives_no_reason_and_the_budget_comes_back() -> None:
    pacer = told(1000, 31)
    assert pacer.decide(floor(30, talking=4)).place == 30
    for number in range(400):
        pacer.observe(Outcome(2000.0 + number, False))
    decision = pacer.decide(floor(30, talking=4, now=3000.0))
    assert decision.reason == ""
    assert decision.place > 30


def test_the_budget_of_before_a_restart_counts() -> None:
    pacer = make_pacer("predictive", answered=1000, abandoned=30)
    assert "30 of 1000" in pacer.decide(floor(6)).reason


def test_another_limit_is_another_budget() -> None:
    assert told(1000, 31).decide(floor(6, max_abandoned=0.05)).reason == ""
    assert told(1000, 12).decide(floor(6, max_abandoned=0.01)).reason != ""
    nobody_may_be_lost = make_pacer("predictive").decide(floor(6, talking=4, max_abandoned=0.0))
    assert nobody_may_be_lost.place == 6


def test_each_abandoned_caller_makes_it_more_careful() -> None:
    wanted = [lines_for(told(2000, lost), floor(20, talking=20)) for lost in (40, 54, 57, 59)]
    assert wanted[0] > wanted[1] > wanted[2] > wanted[3] >= 20


def test_lines_are_given_up_when_they_cost_too_much_and_only_old_ones() -> None:
    pacer = learned(0.3)
    young = pacer.decide(floor(0, talking=3, lines=12, age=14.9, now=99_000.0))
    assert (young.place, young.shed) == (0, ())
    old = pacer.decide(floor(0, talking=3, lines=12, age=15.0, now=99_000.1))
    assert old.place == 0 and 1 <= len(old.shed) <= 3
    enough = pacer.decide(floor(12, talking=3, lines=12, age=15.0, now=99_000.2))
    assert enough.shed == ()


def test_a_line_given_up_is_not_taken_for_a_refusal() -> None:
    """Half the calls answer at 20 s; all others are given up at 16 s. p stays near a half."""
    pacer, dice, now = learned(0.5), random.Random(3), 100_000.0
    shed = 0
    for _ in range(80):
        lines = tuple(Line(f"{now}-{n}", now, "") for n in range(8))
        busy = (AgentSeat("talking", now - 1.0),) * 2
        pacer.decide(Floor(now, busy, lines))
        gone = []
        for second in (15.0, 16.0):
            left = tuple(line for line in lines if line.id not in gone)
            for name in pacer.decide(Floor(now + second, busy, left)).shed:
                gone.append(name)
                pacer.observe(LineEnded(now + second, second, False))
        shed += len(gone)
        for name in {line.id for line in lines} - set(gone):
            pacer.observe(LineEnded(now + 20.0, 20.0, dice.random() < 0.5))
            assert name not in gone
        now += 25.0
    assert shed > 150
    assert 15 <= lines_for(pacer, floor(10, now=now)) <= 40


def test_all_agents_leave_at_once() -> None:
    pacer = learned(0.3)
    assert pacer.decide(floor(10, talking=10, now=99_000.0)).place > 10
    empty = Floor(99_001.0, (), tuple(Line(str(n), 98_980.0, "") for n in range(20)), 3)
    assert pacer.decide(empty) == make_pacer("progressive").decide(empty)
    assert pacer.decide(floor(10, now=99_100.0)).place >= 10, "and go on when they are back"


def test_a_floor_of_five_hundred_idle_agents_is_no_flood() -> None:
    """With nothing learned yet: so many lines that about as many answer as there are agents."""
    assert 500 <= make_pacer("predictive").decide(floor(500)).place <= 1500


def test_ring_max_may_change_while_it_runs() -> None:
    pacer = learned(0.3)
    assert pacer.decide(floor(5, now=99_000.0, ring_max=40.0)).place >= 5
    assert pacer.decide(floor(5, now=99_001.0, ring_max=20.0)).place >= 5
    assert pacer.decide(floor(5, now=99_002.0, ring_max=0.0, ring_min=0.0)).place >= 5


def test_strange_events_do_no_harm() -> None:
    pacer = make_pacer("predictive")
    pacer.observe(LineEnded(5.0, 90.0, True, "never seen"))
    pacer.observe(LineEnded(5.0, -1.0, False))
    pacer.observe(TalkEnded(5.0, 0.0))
    pacer.observe(WrapEnded(5.0, 0.0))
    pacer.observe(TalkEnded(5.0, 1e6))
    odd = Floor(0.0, (AgentSeat("talking", 50.0),), (Line("a", 90.0, ""),), 0, Limits())
    assert pacer.decide(odd).place >= 0
    assert np.isfinite(pacer.decide(floor(3, talking=3)).place)
