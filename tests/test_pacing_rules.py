"""The floor a pacer sees, how pacers are made, and the three plain dial modes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.domain.pacing import (
    PACERS,
    AgentSeat,
    Decision,
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

NAMES = sorted(PACERS)


def floor(
    idle: int = 0,
    *,
    talking: int = 0,
    wrap: int = 0,
    lines: int = 0,
    waiting: int = 0,
    now: float = 1000.0,
    age: float = 5.0,
    **limits: Any,
) -> Floor:
    agents = (
        (AgentSeat("available", now - 3.0),) * idle
        + (AgentSeat("talking", now - 60.0),) * talking
        + (AgentSeat("wrap", now - 5.0),) * wrap
    )
    in_the_air = tuple(Line(f"{number}", now - age, "") for number in range(lines))
    return Floor(now, agents, in_the_air, waiting, Limits(**limits))


def test_the_four_dial_modes_are_there_by_name() -> None:
    assert NAMES == ["adaptive", "power", "predictive", "progressive"]


def test_fields_are_positional_in_the_order_agreed() -> None:
    seat, line = AgentSeat("talking", 2.0), Line("a", 3.0, "s")
    assert Floor(1.0, (seat,), (line,), 4, Limits(0.01, 1.0, 10.0, 20.0, 7)) == Floor(
        now=1.0,
        agents=(seat,),
        lines=(line,),
        waiting=4,
        limits=Limits(max_abandoned=0.01, hold=1.0, ring_min=10.0, ring_max=20.0, max_lines=7),
    )
    assert LineEnded(1.0, 2.0, True).segment is None
    assert TalkEnded(1.0, 2.0).seconds == WrapEnded(1.0, 2.0).seconds
    assert Outcome(1.0, True).abandoned
    assert Decision(2, ("a",)).shed == ("a",)
    standard = Limits()
    assert (standard.max_abandoned, standard.hold, standard.max_lines) == (0.03, 2.0, None)
    assert (standard.ring_min, standard.ring_max) == (15.0, 25.0)


def test_values_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        floor(1).now = 2.0  # type: ignore[misc]


def test_an_unknown_mode_is_told_what_there_is() -> None:
    with pytest.raises(ValueError, match="'manual'.*adaptive, power, predictive, progressive"):
        make_pacer("manual")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("power", "'rate'.*there are: ratio"),
        ("adaptive", "'rate'.*max_level"),
        ("progressive", "'rate'.*there are: none"),
        ("predictive", "'rate'.*answered"),
    ],
)
def test_an_unknown_setting_is_told_what_there_is(name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make_pacer(name, rate=2)


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("power", {"ratio": -1}),
        ("power", {"ratio": "2"}),
        ("power", {"ratio": float("nan")}),
        ("adaptive", {"max_level": 0.5}),
        ("adaptive", {"count": "some"}),
        ("predictive", {"answered": -1}),
        ("predictive", {"answered": 3, "abandoned": 4}),
    ],
)
def test_a_setting_out_of_range_is_refused(name: str, setting: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting)) if len(setting) == 1 else "abandoned"):
        make_pacer(name, **setting)


@pytest.mark.parametrize(
    ("given", "place"),
    [
        (floor(3), 3),
        (floor(3, lines=2), 1),
        (floor(3, lines=5), 0),
        (floor(3, waiting=1), 2),
        (floor(1, waiting=4), 0),
        (floor(0, talking=5), 0),
        (floor(3, max_lines=2), 2),
        (floor(3, lines=1, max_lines=2), 1),
        (floor(3, lines=1, max_lines=0), 0),
        (floor(0), 0),
    ],
)
def test_progressive_keeps_one_line_for_each_idle_agent(given: Floor, place: int) -> None:
    assert make_pacer("progressive").decide(given) == Decision(place)


@pytest.mark.parametrize(
    ("ratio", "given", "place"),
    [
        (2.0, floor(3), 6),
        (2.5, floor(3), 7),
        (1.1, floor(10), 11),
        (2.0, floor(3, lines=4), 2),
        (2.0, floor(3, waiting=2), 2),
        (2.0, floor(1, waiting=2), 0),
        (2.0, floor(3, max_lines=5), 5),
        (0.0, floor(3), 0),
        (2.0, floor(0, talking=9), 0),
    ],
)
def test_power_keeps_a_ratio(ratio: float, given: Floor, place: int) -> None:
    assert make_pacer("power", ratio=ratio).decide(given) == Decision(place)


def level_after(pacer: Pacer, seconds: int, start: float = 1000.0, **what: Any) -> int:
    """Calls placed on an empty floor of ten idle agents after ``seconds`` of such a floor."""
    for second in range(seconds):
        pacer.decide(floor(now=start + second, **what))
    return pacer.decide(floor(10, now=start + seconds + 3.0)).place


def test_adaptive_starts_at_one_line_an_idle_agent() -> None:
    assert make_pacer("adaptive").decide(floor(4, talking=6)).place == 4


def test_adaptive_rises_while_agents_idle_and_stops_at_its_highest() -> None:
    assert level_after(make_pacer("adaptive"), 46, idle=5, talking=5) > 25
    assert level_after(make_pacer("adaptive", max_level=2.0), 200, idle=5, talking=5) == 20


def test_adaptive_falls_while_callers_wait() -> None:
    pacer = make_pacer("adaptive")
    assert level_after(pacer, 60, idle=5, talking=5) == 30
    assert level_after(pacer, 60, 1100.0, talking=10, waiting=5) == 10


def test_adaptive_falls_to_one_beyond_the_limit() -> None:
    pacer = make_pacer("adaptive")
    level_after(pacer, 60, idle=5, talking=5)
    for _ in range(95):
        pacer.observe(Outcome(0.0, False))
    for _ in range(5):
        pacer.observe(Outcome(0.0, True))
    assert level_after(pacer, 20, 1100.0, talking=10) == 10


def test_adaptive_halves_when_most_of_the_last_minute_was_abandoned() -> None:
    pacer = make_pacer("adaptive", max_level=4.0)
    for _ in range(1000):
        pacer.observe(Outcome(0.0, False))
    level_after(pacer, 120, idle=5, talking=5)
    for _ in range(3):
        pacer.observe(Outcome(1118.0, True))
    for second in range(121, 137):
        pacer.decide(floor(talking=10, now=1000.0 + second))
    assert pacer.decide(floor(10, now=1140.0)).place == 20


def test_adaptive_places_only_every_so_often() -> None:
    pacer = make_pacer("adaptive", every=2.5)
    assert [pacer.decide(floor(2, now=t)).place for t in (0.0, 1.0, 2.0, 2.5)] == [2, 0, 0, 2]


def test_adaptive_by_the_classic_rule_counts_calls_being_talked_on() -> None:
    assert make_pacer("adaptive", count="all").decide(floor(2, talking=3, lines=1)).place == 1


@pytest.mark.parametrize("name", NAMES)
def test_nobody_logged_in_means_no_calls_and_nothing_given_up(name: str) -> None:
    pacer = make_pacer(name)
    pacer.decide(floor(5, talking=5))
    for now in (1001.0, 1020.0):
        assert pacer.decide(floor(0, lines=8, age=20.0, waiting=2, now=now)).place == 0
        assert pacer.decide(floor(0, lines=8, age=20.0, waiting=2, now=now)).shed == ()


SEATS = st.builds(
    AgentSeat, st.sampled_from(["available", "talking", "wrap"]), st.floats(-4000.0, 0.0)
)
FLOORS = st.builds(
    lambda origin, agents, ages, waiting, cap: Floor(
        origin,
        tuple(AgentSeat(seat.state, origin + seat.since) for seat in agents),
        tuple(Line(str(n), origin - age, "ab"[n % 2]) for n, age in enumerate(ages)),
        waiting,
        Limits(max_lines=cap),
    ),
    st.sampled_from([0.0, 1.7e9, -50.0]),
    st.lists(SEATS, max_size=12),
    st.lists(st.one_of(st.integers(0, 30), st.floats(0.0, 40.0)), max_size=20),
    st.integers(0, 4),
    st.one_of(st.none(), st.integers(0, 25)),
)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(given_floors=st.lists(FLOORS, min_size=1, max_size=3))
def test_what_holds_for_every_pacer_on_every_floor(name: str, given_floors: list[Floor]) -> None:
    one, other = make_pacer(name), make_pacer(name)
    for given_floor in given_floors:
        decision = one.decide(given_floor)
        assert other.decide(given_floor) == decision, "the same floors, the same decisions"
        assert isinstance(decision.place, int) and decision.place >= 0
        if not given_floor.agents:
            assert decision.place == 0
        cap = given_floor.limits.max_lines
        if cap is not None and decision.place:
            assert len(given_floor.lines) + decision.place <= cap
        ages = {line.id: given_floor.now - line.since for line in given_floor.lines}
        assert all(ages[name] >= given_floor.limits.ring_min for name in decision.shed)
        assert len(set(decision.shed)) == len(decision.shed)
        idle = sum(seat.state == "available" for seat in given_floor.agents)
        if name in ("progressive", "predictive") and cap is None and given_floor.agents:
            assert decision.place + len(given_floor.lines) >= idle - given_floor.waiting
