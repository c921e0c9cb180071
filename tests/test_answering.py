"""Who will answer: the model is bounded, calibrated, learns what there is, forgets what was."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.domain.answering import AnswerModel, BadState, Features, segment
from dialer.domain.answering.features import SIZE, cells
from dialer.domain.answering.weights import Prior, Weights
from dialer.domain.model import Disposition, LineType

ANY = st.builds(
    Features,
    hour=st.floats(0.0, 24.0),
    weekday=st.integers(0, 6),
    attempt=st.integers(1, 50),
    line_type=st.sampled_from(LineType),
    last=st.none() | st.sampled_from(Disposition),
    since_hours=st.none() | st.floats(0.0, 5000.0),
    answered=st.integers(0, 60),
    zone=st.text(max_size=20),
    campaign=st.integers(0, 10**9),
)
Chance = Callable[[Features], float]


def somebody(dice: random.Random) -> Features:
    """A call without rhyme or reason."""
    attempt = dice.randrange(1, 7)
    return Features(
        hour=dice.uniform(9.0, 21.0),
        weekday=dice.randrange(7),
        attempt=attempt,
        line_type=dice.choice((LineType.MOBILE, LineType.FIXED)),
        last=None if attempt == 1 else dice.choice((Disposition.NO_ANSWER, Disposition.BUSY)),
        since_hours=None if attempt == 1 else dice.expovariate(0.1),
        answered=dice.randrange(attempt),
        zone=dice.choice(("Europe/Madrid", "Atlantic/Canary")),
        campaign=dice.randrange(3),
    )


def calls(model: AnswerModel, p: Chance, count: int, seed: int = 1) -> list[tuple[float, float]]:
    """The model foretells so many calls and learns from each: (forecast, truth) of every one."""
    dice = random.Random(seed)
    found = []
    for _ in range(count):
        one = somebody(dice)
        truth = p(one)
        found.append((model.probability(one), truth))
        answered = dice.random() < truth
        model.learn(one, answered, dice.gammavariate(4.0, 3.0) if answered else 25.0)
    return found


def loss(found: list[tuple[float, float]]) -> float:
    """Log-loss to be expected of these forecasts, beyond that of the truth."""
    return sum(t * math.log(t / p) + (1 - t) * math.log((1 - t) / (1 - p)) for p, t in found) / len(
        found
    )


def apart(one: Features) -> float:
    """A world with signal: the line, the time of day, what came before."""
    z = -1.0 + (0.7 if one.line_type is LineType.MOBILE else -0.5)
    z += 0.8 * math.cos((one.hour - 18.0) * math.pi / 6.0)
    z += 0.5 if one.last is Disposition.BUSY else 0.0
    return 1.0 / (1.0 + math.exp(-z))


# --- bounds, determinism ---------------------------------------------------------------------


@given(st.lists(st.tuples(ANY, st.booleans(), st.floats(0.0, 600.0), st.booleans()), max_size=40))
@settings(max_examples=60, deadline=None)
def test_a_forecast_is_within_bounds_whatever_was_learned(
    history: list[tuple[Features, bool, float, bool]],
) -> None:
    first, second = AnswerModel(), AnswerModel()
    for one, answered, seconds, given_up in history:
        assert 0.005 <= first.probability(one) <= 0.95
        assert 0.0 < first.seconds(one) < 600.0
        assert segment(first.probability(one), first.time_class(one))
        for model in (first, second):
            model.learn(one, answered, seconds, given_up=given_up)
    for one, *_ in history:
        assert first.probability(one) == second.probability(one)  # looking changed nothing
    assert first.to_json() == second.to_json()


def test_certainty_is_bounded() -> None:
    always, never = AnswerModel(), AnswerModel()
    one = Features(hour=12.0, weekday=1)
    for _ in range(3000):
        always.learn(one, answered=True, seconds=5.0)
        never.learn(one, answered=False, seconds=25.0)
    assert always.probability(one) == 0.95
    assert never.probability(one) == 0.005


@given(ANY)
def test_each_feature_is_a_cell_of_the_table(one: Features) -> None:
    found = cells(one)
    assert all(0 <= cell < SIZE and 0.0 <= x <= 1.0 for cell, x in found)
    assert len({cell for cell, _ in found}) == len(found)


@pytest.mark.parametrize(
    "wrong",
    [{"hour": 24.5}, {"hour": math.nan}, {"weekday": 7}, {"attempt": 0}, {"answered": -1},
     {"since_hours": -0.1}, {"since_hours": math.nan}],
)  # fmt: skip
def test_what_no_call_can_have_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no such hour|counted from|not after"):
        Features(**({"hour": 10.0, "weekday": 0} | wrong))


@pytest.mark.parametrize("seconds", [-1.0, math.inf, math.nan])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="not a time"):
        AnswerModel().learn(Features(hour=1.0, weekday=0), answered=True, seconds=seconds)


# --- what is learned -------------------------------------------------------------------------


def test_without_signal_it_comes_to_the_base_rate() -> None:
    model = AnswerModel()
    late = calls(model, lambda _: 0.2, 6000)[4000:]
    assert loss(late) < 0.003
    assert abs(sum(p for p, _ in late) / len(late) - 0.2) < 0.02


def test_with_signal_it_beats_the_base_rate_and_comes_near_the_truth() -> None:
    late = calls(AnswerModel(), apart, 6000)[3000:]
    base = sum(t for _, t in late) / len(late)
    of_base, of_model = loss([(base, t) for _, t in late]), loss(late)
    assert of_base > 0.05  # there is something to know
    assert of_model < 0.15 * of_base


def test_of_the_calls_foretold_at_a_chance_as_many_are_answered() -> None:
    late = calls(AnswerModel(), apart, 8000, seed=5)[3000:]
    for low in (0.1, 0.2, 0.3, 0.4, 0.5):
        here = [(p, t) for p, t in late if low <= p < low + 0.1]
        assert len(here) > 100
        assert abs(sum(p - t for p, t in here) / len(here)) < 0.025


def test_a_new_level_is_known_after_some_hundred_calls() -> None:
    model = AnswerModel()
    calls(model, lambda _: 0.5, 4000)
    late = calls(model, lambda _: 0.15, 1500, seed=2)[1000:]
    assert abs(sum(p for p, _ in late) / len(late) - 0.15) < 0.04


def test_who_answers_is_forgotten_where_others_answer_now() -> None:
    def day(one: Features) -> float:
        return 0.5 if one.line_type is LineType.MOBILE else 0.15

    def night(one: Features) -> float:
        return 0.65 - day(one)

    model = AnswerModel()
    calls(model, day, 4000)
    dice = random.Random(4)
    some = [somebody(dice) for _ in range(200)]
    assert loss([(model.probability(one), day(one)) for one in some]) < 0.01
    calls(model, night, 6000, seed=2)
    assert loss([(model.probability(one), night(one)) for one in some]) < 0.02


def test_hours_are_a_circle_and_neighbours_learn_from_each_other() -> None:
    model = AnswerModel()
    for _ in range(300):
        model.learn(Features(hour=23.8, weekday=2), answered=True, seconds=9.0)
        model.learn(Features(hour=12.0, weekday=2), answered=False, seconds=25.0)
    after_midnight, at_three = (
        model.probability(Features(hour=hour, weekday=2)) for hour in (0.2, 3.0)
    )
    assert after_midnight > at_three + 0.05


def given_up_early(*, told: bool) -> float:
    """What is thought of p = 0.4 when the half that would answer after 10 s is given up then."""
    model, dice = AnswerModel(), random.Random(3)
    one = Features(hour=12.0, weekday=1)
    for number in range(4000):
        seconds = dice.lognormvariate(math.log(10.0), 0.5) if dice.random() < 0.4 else 25.0
        # Some calls ring on, so that the time to an answer is seen in full.
        if number % 2 and seconds > 10.0:
            model.learn(one, answered=False, seconds=10.0, given_up=told)
        else:
            model.learn(one, answered=seconds < 25.0, seconds=seconds)
    return model.probability(one)


def test_a_call_given_up_is_no_refusal() -> None:
    assert given_up_early(told=False) < 0.33
    assert 0.35 < given_up_early(told=True) < 0.45


def test_it_learns_when_people_answer() -> None:
    model, dice = AnswerModel(), random.Random(8)
    for _ in range(3000):
        one = somebody(dice)
        middle = 7.0 if one.line_type is LineType.MOBILE else 14.0
        model.learn(one, answered=True, seconds=dice.lognormvariate(math.log(middle), 0.4))
    mobile = Features(hour=12.0, weekday=1, line_type=LineType.MOBILE)
    fixed = Features(hour=12.0, weekday=1, line_type=LineType.FIXED)
    assert model.seconds(mobile) == pytest.approx(7.0, rel=0.15)
    assert model.seconds(fixed) == pytest.approx(14.0, rel=0.15)
    assert (model.time_class(mobile), model.time_class(fixed)) == ("quick", "slow")
    assert AnswerModel().time_class(mobile) == "usual"


# --- weights ---------------------------------------------------------------------------------


def test_one_observation_moves_a_weight_to_where_it_must_be() -> None:
    weights = Weights([Prior(1.0, 2.0, 1e9), Prior(0.0, 1.0, 1e9)])
    both = [(0, 1.0), (1, 2.0)]
    assert weights.look(both) == (1.0, 8.0)
    # A sum of 5 is seen, with a noise of variance 2: normal beliefs, so the answer is known.
    weights.learn(both, error=(5.0 - 1.0) / 2.0, information=1.0 / 2.0)
    total, _ = weights.look(both)
    assert total == pytest.approx(1.0 + 4.0 * 8.0 / (8.0 + 2.0))
    mean, variance = weights.look([(0, 1.0)])
    assert (mean, variance) == pytest.approx((1.0 + 4.0 * 4.0 / 10.0, 4.0 - 16.0 / 10.0))


def test_a_weight_that_is_not_seen_returns_to_where_it_began() -> None:
    weights = Weights([Prior(-0.5, 1.0, 100.0), Prior(0.0, 1.0, 100.0)])
    for _ in range(50):
        weights.learn([(0, 1.0)], error=1.5 - weights.look([(0, 1.0)])[0], information=1.0)
    known, sure = weights.look([(0, 1.0)])
    assert known > 1.3
    for _ in range(200):
        weights.learn([(1, 1.0)], error=0.0, information=1.0)
    faded, unsure = weights.look([(0, 1.0)])
    assert faded == pytest.approx(-0.5 + (known + 0.5) / 4.0)
    assert unsure == pytest.approx(1.0 - (1.0 - sure) / 16.0)


def test_a_weight_that_is_always_seen_never_becomes_certain() -> None:
    quick, slow = (Weights([Prior(0.0, 1.0, half_life)]) for half_life in (100.0, 1e9))
    for weights in (quick, slow):
        for _ in range(3000):
            weights.learn([(0, 1.0)], error=0.0, information=1.0)
    assert slow.look([(0, 1.0)])[1] < 0.001
    assert quick.look([(0, 1.0)])[1] > 0.05


# --- segments --------------------------------------------------------------------------------


def test_segments_are_buckets_of_the_odds_in_order() -> None:
    names = [segment(p / 1000.0) for p in range(5, 951)]
    assert list(dict.fromkeys(names)) == ["p-4", "p-3", "p-2", "p-1", "p0", "p1", "p2"]
    assert names == sorted(names, key=lambda name: int(name[1:]))
    assert segment(0.3) == "p-1"
    assert segment(0.3, "slow") == "p-1 slow"


@pytest.mark.parametrize("wrong", [(0.0, "usual"), (1.0, "usual"), (math.nan, "usual"), (0.3, "x")])
def test_no_segment_without_a_chance_and_a_class(wrong: tuple[float, str]) -> None:
    with pytest.raises(ValueError, match="not a probability|classes are"):
        segment(*wrong)


# --- keeping ---------------------------------------------------------------------------------


def test_what_was_learned_survives_as_text() -> None:
    model = AnswerModel()
    calls(model, apart, 1500)
    text = json.dumps(model.to_json())
    assert len(text) < 15_000
    again = AnswerModel.from_json(json.loads(text))
    assert again.calls == model.calls == 1500
    dice = random.Random(6)
    for _ in range(200):
        one = somebody(dice)
        assert again.probability(one) == pytest.approx(model.probability(one), abs=1e-4)
        assert again.seconds(one) == pytest.approx(model.seconds(one), rel=1e-4)
    after, other = calls(model, apart, 300, seed=9), calls(again, apart, 300, seed=9)
    assert [p for p, _ in after] == pytest.approx([p for p, _ in other], abs=1e-3)


def test_a_model_that_has_seen_nothing_survives_as_well() -> None:
    fresh = AnswerModel.from_json(json.loads(json.dumps(AnswerModel().to_json())))
    one = Features(hour=10.0, weekday=0)
    assert fresh.probability(one) == AnswerModel().probability(one)


def _broken(change: Callable[[dict[str, Any]], None]) -> Any:
    model = AnswerModel()
    calls(model, apart, 50)
    state = copy.deepcopy(model.to_json())
    change(state)
    return state


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("platt"), "without platt"),
        (lambda s: s.update(format=99), "format 99"),
        (lambda s: s.update(format="1" * 500), "format 1111"),
        (lambda s: s.update(noise=math.nan), "noise is out of bounds"),
        (lambda s: s.update(noise=True), "noise is no number"),
        (lambda s: s.update(usual="12"), "usual is no number"),
        (lambda s: s.update(weights=[1, 2]), "not a mapping"),
        (lambda s: s["weights"].update(size=3), "weights of 3 cells"),
        (lambda s: s["weights"].update(weights={}), "no list"),
        (lambda s: s["weights"].update(weights=[[0, 1.0]]), "not a cell"),
        (lambda s: s["weights"]["weights"].append([10**6, 0.0, 0.01]), "cell is out of bounds"),
        (lambda s: s["weights"]["weights"].append([2, 1e9, 0.01]), "mean is out of bounds"),
        (lambda s: s["times"]["weights"].append([2, 0.0, -1.0]), "variance is out of bounds"),
        (lambda s: s["platt"].update(seen=-1), "seen is out of bounds"),
    ],
)
def test_a_state_that_is_none_is_refused_and_says_why(
    change: Callable[[dict[str, Any]], None], said: str
) -> None:
    with pytest.raises(BadState, match=said):
        AnswerModel.from_json(_broken(change))


@pytest.mark.parametrize("state", [None, 3, [], "{}", {}])
def test_what_is_no_state_at_all_is_refused(state: Any) -> None:
    with pytest.raises(BadState):
        AnswerModel.from_json(state)
