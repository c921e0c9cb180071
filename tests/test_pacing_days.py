"""Short simulated days, each a check on all parts of the predictive pacer together."""

from __future__ import annotations

import functools

import pytest

from bench.pacing_world import Day, Kind, Load, World, log_normal
from dialer.domain.pacing import make_pacer

STEADY = Load("steady")


@functools.cache
def day(name: str, load: Load, agents: int, seconds: float, tick: float = 1.0) -> Day:
    world = World(load, agents, seconds, 11, make_pacer(name), tick=tick, origin=1.7e9)
    return world.run()


def test_the_world_counts_every_caller_once() -> None:
    one = day("progressive", STEADY, 20, 3600.0)
    assert one.answered == one.served + one.abandoned
    assert one.abandoned == 0
    assert 0.68 < one.occupancy < 0.78, "73.8 % in eight hours, by the notes of the field"
    assert 3.0 < one.placed / one.served < 3.6, "one answer in three and a third, p = 0.30"


def test_days_with_one_seed_are_paired_and_repeatable() -> None:
    again = World(STEADY, 20, 300.0, 11, make_pacer("predictive")).run()
    same = World(STEADY, 20, 300.0, 11, make_pacer("predictive")).run()
    assert (again.placed, again.served, again.busy) == (same.placed, same.served, same.busy)


def test_predictive_keeps_agents_busier_within_the_legal_share() -> None:
    plain = day("progressive", STEADY, 20, 3600.0)
    ahead = day("predictive", STEADY, 20, 3600.0)
    assert ahead.abandoned_share <= 0.03
    assert ahead.occupancy > plain.occupancy + 0.08
    assert ahead.placed / ahead.served < 1.3 * plain.placed / plain.served


def test_it_gets_over_a_sudden_doubling_of_answers() -> None:
    doubling = Load("doubling", p=lambda at: 0.2 if at < 1800.0 else 0.4)
    one = day("predictive", doubling, 10, 3000.0)
    assert one.abandoned_share <= 0.03
    assert one.occupancy > 0.77


@pytest.mark.parametrize("tick", [0.25, 3.0])
def test_it_may_be_asked_at_any_interval(tick: float) -> None:
    quick = Load("quick", talk=lambda dice: log_normal(dice, 40.0, 0.6), wrap=lambda dice: 0.0)
    one = day("predictive", quick, 6, 600.0, tick)
    assert one.abandoned <= 3
    assert one.occupancy > day("progressive", quick, 6, 600.0, tick).occupancy


def test_segments_with_unlike_chances() -> None:
    kinds = (Kind("mobile", 0.5, 2.0, 3.0, 3.0), Kind("work", 0.5, 0.1, 4.0, 2.0))
    one = day("predictive", Load("mixed", kinds=kinds), 8, 2400.0)
    assert one.abandoned_share <= 0.03
    assert one.occupancy > 0.70


def test_nobody_is_logged_in() -> None:
    one = day("predictive", STEADY, 0, 60.0)
    assert one.placed == 0
