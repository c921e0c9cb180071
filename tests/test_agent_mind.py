"""What simulated agents decide, without any desk."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence

import pytest

from dialer.simulation.agent_mind import (
    AGAIN_SECONDS,
    CONSULT_SECONDS,
    LEGLESS_TRIES,
    MOST_TRIES,
    Do,
    Habits,
    Mind,
    Plan,
    lognormal,
)


def mind(others: Sequence[int] = (), **habits: float) -> Mind:
    return Mind(Habits(**{"talk_sigma": 0.0, "wrap_sigma": 0.0} | habits), random.Random(1), others)


def state(one: Mind, name: str, now: float, **more: object) -> None:
    one.heard("state", {"state": name, **more}, now)


def talking(one: Mind, now: float = 10.0, attempt: str = "a") -> None:
    state(one, "reserved", now - 1, attempt=attempt)
    one.heard("call", {"attempt": attempt}, now - 1)
    state(one, "talking", now, attempt=attempt)
    one.heard("joined", {"attempt": attempt}, now)


def taken(one: Mind, now: float) -> list[Do]:
    return [plan.do for plan in one.take(now)]


def only(one: Mind, now: float) -> Plan:
    (plan,) = one.take(now)
    return plan


def test_the_mean_of_what_is_drawn_is_the_one_asked_for() -> None:
    chance = random.Random(7)
    drawn = [lognormal(chance, 8.0, 0.6) for _ in range(40_000)]
    assert statistics.fmean(drawn) == pytest.approx(8.0, rel=0.02)
    assert statistics.pstdev(drawn) > 3
    assert lognormal(chance, 0.0, 0.5) == 0.0


def test_logged_in_they_are_ready_as_soon_as_their_line_is_up() -> None:
    one = mind()
    state(one, "paused", 0.0, pause_code="logged_in")
    one.refused(only(one, 0.0), "no_leg", 0.1)
    assert taken(one, 0.1) == []
    one.done(only(one, 0.1 + AGAIN_SECONDS), 0.6)
    state(one, "available", 0.7)
    assert one.next_at() is None
    state(one, "paused", 5.0, pause_code="away")
    assert taken(one, 5.0) == [Do.READY]
    state(one, "paused", 6.0, pause_code="break")
    assert taken(one, 99.0) == []


def test_whose_line_stays_away_has_the_telephone_called_again() -> None:
    one, now = mind(), 0.0
    state(one, "paused", now, pause_code="away")
    for _ in range(LEGLESS_TRIES):
        one.refused(only(one, now), "no_leg", now)
        if one.next_at() != now:
            now += AGAIN_SECONDS
    one.done(only(one, now), now)
    assert one.notes.counts == {"new_leg": 1}
    assert taken(one, now + AGAIN_SECONDS) == [Do.READY]


def test_a_talk_lasts_its_time_then_is_concluded_and_wrapped_up() -> None:
    one = mind(talk_mean=8.0, wrap_mean=2.0)
    talking(one)
    assert taken(one, 17.9) == []
    one.done(only(one, 18.0), 18.0)
    one.heard("left", {"attempt": "a", "why": "hung_up"}, 18.1)
    state(one, "wrap_up", 18.1, attempt="a")
    assert taken(one, 20.0) == []
    assert taken(one, 20.2) == [Do.WRAP_DONE]
    state(one, "available", 20.3)
    assert one.next_at() is None
    assert one.notes.gaps == [1.0] and one.notes.talks == [pytest.approx(8.1)]
    assert one.notes.counts["joined"] == one.notes.counts["calls"] == 1
    assert one.notes.seconds["talking"] == pytest.approx(8.1)
    assert one.notes.seconds["wrap_up"] == pytest.approx(2.2)


def test_where_the_debtor_hangs_up_first_it_is_concluded_in_the_wrap_up() -> None:
    one = mind(wrap_mean=2.0)
    talking(one)
    one.heard("left", {"attempt": "a", "why": "hung_up"}, 12.0)
    state(one, "wrap_up", 12.0, attempt="a")
    assert taken(one, 12.0) == [Do.CONCLUDE]
    assert taken(one, 14.0) == [Do.WRAP_DONE]


def test_the_same_debtor_again_is_concluded_again() -> None:
    one = mind()
    talking(one, 10.0)
    one.done(only(one, 18.0), 18.0)
    one.heard("left", {"attempt": "a"}, 18.0)
    state(one, "wrap_up", 18.0, attempt="a")
    assert taken(one, 21.0) == [Do.WRAP_DONE]
    state(one, "available", 21.0)
    talking(one, 100.0)
    one.heard("left", {"attempt": "a"}, 101.0)  # the debtor hung up first this time
    state(one, "wrap_up", 101.0, attempt="a")
    assert taken(one, 101.0) == [Do.CONCLUDE]


def test_back_from_hold_the_talk_goes_on() -> None:
    one = mind(talk_mean=8.0)
    talking(one)
    one.heard("joined", {"attempt": "a"}, 15.0)
    assert one.notes.counts["joined"] == 1
    assert taken(one, 18.0) == [Do.FINISH]


def test_some_talks_are_passed_on_and_end_here_where_that_is_refused() -> None:
    one = mind([7], blind=1.0)
    talking(one)
    plan = only(one, 18.0)
    assert (plan.do, plan.whom) == (Do.BLIND, 7)
    one.refused(plan, "nobody", 18.0)
    assert taken(one, 19.0) == [Do.FINISH]
    assert one.notes.refusals == {"blind:nobody": 1}
    alone = mind([], blind=1.0)
    talking(alone)
    assert taken(alone, 18.0) == [Do.FINISH]


def test_a_colleague_is_asked_first_and_the_talk_handed_over() -> None:
    one = mind([7], attended=1.0)
    talking(one)
    plan = only(one, 18.0)
    assert plan.do is Do.ATTENDED
    one.done(plan, 18.0)
    assert taken(one, 18.0 + CONSULT_SECONDS - 0.1) == []
    now = 18.0 + CONSULT_SECONDS
    for _ in range(MOST_TRIES):
        plan = only(one, now)
        assert plan.do is Do.COMPLETE
        one.refused(plan, "not_now", now)
        now += AGAIN_SECONDS
    one.refused(only(one, now), "not_now", now)
    plan = only(one, now + AGAIN_SECONDS)
    assert plan.do is Do.CANCEL
    one.done(plan, now + 1)
    assert taken(one, now + 3) == [Do.FINISH]


def test_a_payment_that_is_over_ends_the_talk() -> None:
    one = mind(pay=1.0)
    talking(one)
    one.done(only(one, 18.0), 18.0)
    one.heard("payment", {"step": "number", "digits": 4}, 20.0)
    assert taken(one, 40.0) == []
    one.heard("payment", {"step": "done", "result": "paid"}, 41.0)
    assert taken(one, 60.0) == [Do.FINISH]
    assert one.notes.counts["payment_paid"] == 1


def test_what_is_refused_for_the_moment_is_tried_again() -> None:
    one = mind()
    talking(one)
    one.refused(only(one, 18.0), "engine_away", 18.0)
    assert taken(one, 18.0 + AGAIN_SECONDS) == [Do.FINISH]
    one.heard("left", {"attempt": "a"}, 19.0)
    state(one, "wrap_up", 19.0, attempt="a")
    for plan in one.take(30.0):
        one.refused(plan, "engine_away", 30.0)
    assert sorted(taken(one, 31.0)) == [Do.CONCLUDE, Do.WRAP_DONE]
    state(one, "available", 32.0)
    one.refused(Plan(0.0, 0, Do.WRAP_DONE), "not_in_wrap_up", 32.0)
    assert one.next_at() is None


def test_a_talk_that_an_engine_s_death_left_goes_on_and_ends() -> None:
    one = mind(talk_mean=8.0)
    talking(one)
    state(one, "paused", 12.0, pause_code="away")
    assert taken(one, 12.0) == [Do.READY]
    state(one, "talking", 14.0, attempt="a")
    assert taken(one, 22.0) == [Do.FINISH]
    assert one.notes.counts["joined"] == 1
    other = mind(talk_mean=8.0)  # began anew meanwhile: knows of no talk
    state(other, "talking", 14.0, attempt="a")
    assert taken(other, 22.0) == [Do.FINISH]


def test_a_log_out_ends_all_plans() -> None:
    one = mind()
    talking(one)
    state(one, "logged_out", 12.0)
    assert one.next_at() is None


def test_equal_seeds_make_equal_agents() -> None:
    def talks(seed: int) -> list[float | None]:
        one = Mind(Habits(), random.Random(seed))
        found = []
        for n in range(5):
            talking(one, 100.0 * n, str(n))
            found.append(one.next_at())
            one.heard("left", {"attempt": str(n)}, 100.0 * n + 50)
            state(one, "wrap_up", 100.0 * n + 50, attempt=str(n))
            state(one, "available", 100.0 * n + 60)
        return found

    assert talks(1) == talks(1) != talks(2)
