"""What agents do, who gets which call, and how calls with agents end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_domain_attempt import ANSWERED, ID, T0, at, attempt, run
from test_domain_rules import facts

from dialer.domain import agents, queueing
from dialer.domain import events as ev
from dialer.domain.agents import Seat, apply, ripened
from dialer.domain.disposition import conclude
from dialer.domain.fallback import consider, first_step
from dialer.domain.model import (
    AgentCallKind,
    AgentState,
    Disposition,
    FallbackStep,
    Outcome,
    Refusal,
    StepKind,
)
from dialer.domain.queueing import Caller, Kept, assign

CALL = "c" * 32


def seat(name: str = "ana", **changes: object) -> Seat:
    one = Seat(
        session=name * 4, agent_id=sum(name.encode()), company_id=1, name=name, since=T0,
        beat_at=T0, leg="leg", state=AgentState.AVAILABLE, pause_code=None,
    )  # fmt: skip
    return replace(one, **changes)  # type: ignore[arg-type]


def caller(name: str = CALL, **changes: object) -> Caller:
    one = Caller(name, AgentCallKind.ESCALATION, 1, T0)
    return replace(one, **changes)  # type: ignore[arg-type]


def live(one: Seat, *events: object, start: float = 0.0) -> Seat:
    """Events a second apart, with the desk saying each time that it is there."""
    for n, event in enumerate(events, 1):
        one = apply(one, agents.Beat(), at(start + n))
        one = apply(one, event, at(start + n))  # type: ignore[arg-type]
    return one


def test_a_call_goes_through_an_agent() -> None:
    one = live(seat(), agents.Reserve(CALL))
    assert (one.state, one.call, one.since) == (AgentState.RESERVED, CALL, at(1))
    one = live(one, agents.CallJoined(CALL), start=1)
    assert one.state is AgentState.TALKING
    one = live(one, agents.CallGone(CALL), start=2)
    assert (one.state, one.call) == (AgentState.WRAP_UP, CALL)
    assert live(one, agents.WrapDone(), start=3).state is AgentState.AVAILABLE


def test_only_who_is_free_and_there_is_reserved() -> None:
    for one in (
        seat(state=AgentState.PAUSED),
        seat(state=AgentState.WRAP_UP),
        seat(leg=None),
        seat(beat_at=at(-60)),
    ):
        assert apply(one, agents.Reserve(CALL), at(1)).call is None
    assert apply(seat(leg=None, ringing=True), agents.Reserve(CALL), at(1)).call == CALL


def test_a_second_reservation_and_another_calls_end_change_nothing() -> None:
    one = live(seat(), agents.Reserve(CALL))
    assert live(one, agents.Reserve("d" * 32), start=1).call == CALL
    assert live(one, agents.CallGone("d" * 32), start=1).state is AgentState.RESERVED
    assert live(one, agents.CallJoined("d" * 32), start=1).state is AgentState.RESERVED


def test_a_pause_asked_for_while_talking_comes_after_the_wrap_up() -> None:
    one = live(seat(), agents.Reserve(CALL), agents.CallJoined(CALL), agents.Pause("lunch"))
    assert one.state is AgentState.TALKING
    one = live(one, agents.CallGone(CALL), agents.WrapDone(), start=3)
    assert (one.state, one.pause_code) == (AgentState.PAUSED, "lunch")
    again = live(seat(), agents.Reserve(CALL), agents.Pause("lunch"), agents.Ready())
    assert live(again, agents.CallGone(CALL), start=3).state is AgentState.AVAILABLE


@pytest.mark.parametrize(
    ("one", "after", "state", "code"),
    [
        (seat(state=AgentState.RESERVED, call=CALL), 6, AgentState.PAUSED, agents.CODE_AWAY),
        (
            seat(state=AgentState.RESERVED, call=CALL, ringing=True, reserved_until=at(25)),
            26,
            AgentState.PAUSED,
            agents.CODE_NO_ANSWER,
        ),
        (seat(state=AgentState.WRAP_UP, wrap=20.0), 20, AgentState.AVAILABLE, None),
        (seat(leg=None, leg_lost_at=T0), 16, AgentState.PAUSED, agents.CODE_AWAY),
    ],
)
def test_nobody_is_left_in_a_state_by_a_lost_event(
    one: Seat, after: float, state: AgentState, code: str | None
) -> None:
    early, late = at(after - 1.5), at(after)
    assert not ripened(replace(one, beat_at=early), early)
    changed = apply(replace(one, beat_at=late), agents.Ripened(), late)
    assert (changed.state, changed.pause_code) == (state, code)


def test_a_desk_that_falls_silent_is_paused_then_logged_out() -> None:
    away = apply(seat(), agents.Ripened(), at(16))
    assert (away.state, away.pause_code) == (AgentState.PAUSED, agents.CODE_AWAY)
    assert not ripened(away, at(74))
    assert apply(away, agents.Ripened(), at(76)).state is AgentState.LOGGED_OUT


def test_a_page_loaded_anew_keeps_its_place() -> None:
    one = live(seat(), agents.LegDown("leg"), agents.LegUp("other"))
    assert one.usable(at(3))
    assert one.since == T0
    assert live(one, agents.LegDown("leg"), start=2).leg == "other"


EVENTS = st.sampled_from(
    [
        agents.Ready(),
        agents.WrapDone(),
        agents.Pause("x"),
        agents.Reserve(CALL),
        agents.Reserve("d" * 32),
        agents.CallJoined(CALL),
        agents.CallGone(CALL),
        agents.CallGone("d" * 32),
        agents.LegUp("leg"),
        agents.LegDown("leg"),
        agents.Beat(),
        agents.Ripened(),
    ]
)


@given(st.lists(st.tuples(EVENTS, st.floats(0, 40)), max_size=40))
def test_whatever_comes_a_seat_stays_whole(steps: list[tuple[object, float]]) -> None:
    one, now = seat(), T0
    for event, pause in steps:
        now += timedelta(seconds=pause)
        one = apply(one, event, now)  # type: ignore[arg-type]
        busy = one.state in (AgentState.RESERVED, AgentState.TALKING)
        assert one.call is not None or not busy
        assert (one.pause_code is not None) == (one.state is AgentState.PAUSED)
    # And nobody is stuck: left alone, everybody but who talks comes to rest.
    later = now + timedelta(hours=1)
    for _ in range(4):
        one = apply(one, agents.Ripened(), later)
    assert one.state is AgentState.LOGGED_OUT


def pairs(
    callers: list[Caller], seats: list[Seat], now: datetime = T0, kept: list[Kept] | None = None
) -> list[tuple[str, str]]:
    return [(one.attempt_id, who.name) for one, who in assign(callers, seats, now, kept or [])]


def test_the_longest_idle_agent_is_next() -> None:
    seats = [seat("ana", since=at(-5)), seat("eva", since=at(-9)), seat("leo", since=at(-7))]
    assert pairs([caller()], seats) == [(CALL, "eva")]


def test_who_may_not_wait_comes_before_who_asked_earlier() -> None:
    asked = caller("asked", since=at(-50))
    answered = caller("live", priority=queueing.LIVE, deadline=at(2))
    assert pairs([asked, answered], [seat()]) == [("live", "ana")]
    assert queueing.position([asked, answered], "asked") == 2


def test_past_the_deadline_nobody_is_given() -> None:
    late = caller(priority=queueing.LIVE, deadline=at(0))
    assert pairs([late], [seat()]) == []


def test_skill_company_and_person_are_conditions_language_is_a_preference() -> None:
    ana, eva = seat("ana", skills=frozenset({"car"})), seat("eva", languages=("en",))
    assert pairs([caller(skill="car")], [eva, ana]) == [(CALL, "ana")]
    assert pairs([caller(skill="house")], [eva, ana]) == []
    assert pairs([caller(company_id=2)], [eva, ana]) == []
    assert pairs([caller(only=eva.agent_id)], [ana]) == []
    assert pairs([caller(language="es")], [eva]) == [(CALL, "eva")]
    rung = replace(ana, ringing=True)
    assert pairs([caller()], [rung]) == [(CALL, "ana")]
    assert pairs([caller(deadline=at(2))], [rung]) == []
    spanish = seat("leo", languages=("es",), since=at(0))
    assert pairs([caller(language="es")], [replace(eva, since=at(-60)), spanish]) == [(CALL, "leo")]
    assert pairs([caller(prefer=ana.agent_id)], [replace(eva, since=at(-60)), ana])[0][1] == "ana"


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 99)), max_size=8),
    st.lists(st.booleans(), max_size=8),
)
def test_nobody_is_given_twice_and_no_free_agent_stays_idle(
    waits: list[tuple[int, int]], free: list[bool]
) -> None:
    callers = [
        caller(f"{n}", priority=priority, since=at(-since))
        for n, (priority, since) in enumerate(waits)
    ]
    seats = [
        seat(f"s{n}", state=AgentState.AVAILABLE if one else AgentState.TALKING)
        for n, one in enumerate(free)
    ]
    given_to = assign(callers, seats, T0)
    assert len(given_to) == min(len(callers), sum(free))
    assert len({one.attempt_id for one, _ in given_to}) == len(given_to)
    assert len({who.session for _, who in given_to}) == len(given_to)


def test_an_agent_is_kept_for_a_call_that_rings_on_their_promise() -> None:
    ana, eva = seat("ana", since=at(-9)), seat("eva")
    rings = Kept(1, "", at(20))
    assert pairs([caller()], [ana], kept=[rings]) == []
    assert pairs([caller()], [ana, eva], kept=[rings]) == [(CALL, "ana")]
    assert pairs([caller("a"), caller("b")], [ana, eva], kept=[rings]) == [("a", "ana")]
    answered = caller("live", priority=queueing.LIVE, deadline=at(2), kept=True)
    assert pairs([caller(), answered], [ana], kept=[rings]) == [("live", "ana")]
    unpromised = replace(answered, kept=False)
    assert pairs([unpromised], [ana], kept=[rings]) == [], "theirs was a risk that was weighed"
    assert pairs([caller()], [ana], now=at(10), kept=[replace(rings, until=at(10))]) != []
    assert pairs([caller()], [ana], kept=[replace(rings, company_id=2)]) == [(CALL, "ana")]
    assert pairs([caller()], [replace(ana, ringing=True)], kept=[rings]) == [(CALL, "ana")]


def test_those_are_kept_who_can_take_the_call() -> None:
    both = seat("ana", skills=frozenset({"car", "house"}), since=at(-99))
    car, plain = seat("eva", skills=frozenset({"car"})), seat("leo", since=at(5))
    rings = Kept(1, "house", at(20))
    assert pairs([caller()], [both, car, plain], kept=[rings]) == [(CALL, "eva")]
    assert pairs([caller(skill="car")], [both], kept=[rings]) == []
    # Two ring, for a car and for a house: neither of the two who know of cars is left over.
    assert pairs([caller(skill="car")], [both, car], kept=[rings, Kept(1, "car", at(20))]) == []


def takes(one: Seat, call: Kept) -> bool:
    return not call.skill or call.skill in one.skills


def most_served(seats: list[Seat], ringing: list[Kept]) -> int:
    """By trying everything."""
    if not ringing:
        return 0
    rest = ringing[1:]
    able = [one for one in seats if takes(one, ringing[0])]
    return max(
        [most_served(seats, rest)]
        + [1 + most_served([two for two in seats if two is not one], rest) for one in able]
    )


SKILLS = st.lists(st.sampled_from("abc"), max_size=3).map(frozenset)


@given(st.lists(SKILLS, max_size=5), st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=5))
def test_whoever_is_spare_costs_no_call_its_agent(
    skills: list[frozenset[str]], needs: list[str]
) -> None:
    seats = [seat(f"s{n}", skills=one) for n, one in enumerate(skills)]
    ringing = [Kept(1, need, at(20)) for need in needs]
    left = queueing.spare(seats, ringing, seats)
    for one in seats:
        without = [two for two in seats if two is not one]
        costs_nothing = most_served(without, ringing) == most_served(seats, ringing)
        assert (one in left) == costs_nothing


# --- how calls with agents end ---------------------------------------------------------------


def joined(seconds: float) -> ev.ConferenceJoined:
    return ev.ConferenceJoined(ID, at(seconds), "c" * 32, "PJSIP/carrier-1")


END = (ev.HangupRequested(ID, at(60), 16), ev.Ended(ID, at(60.1), 16, 200))


def test_a_talk_with_an_agent_is_a_contact_whoever_hangs_up() -> None:
    one, _ = run(*ANSWERED, joined(3.1), *END)
    assert conclude(one) is Disposition.SPOKE
    assert one.agent_joined_at == at(3.1)
    assert Disposition.SPOKE.conversation


def test_what_the_debtor_settled_before_the_agent_stands() -> None:
    promised, _ = run(*ANSWERED, ev.OutcomeReported(ID, at(9), Outcome.PROMISE), joined(10), *END)
    assert conclude(promised) is Disposition.PROMISE
    asked, _ = run(*ANSWERED, ev.OutcomeReported(ID, at(9), Outcome.WANTS_AGENT), joined(10), *END)
    assert conclude(asked) is Disposition.SPOKE


def test_who_answered_and_got_no_agent_was_abandoned() -> None:
    one, _ = run(*ANSWERED, ev.AbandonedPlayed(ID, at(5)), *END)
    assert conclude(one) is Disposition.ABANDONED
    before = (ev.HangupRequested(ID, at(4), 16), ev.Ended(ID, at(4.1), 16, 200))
    left, _ = run(*ANSWERED, *before)
    assert conclude(left) is Disposition.ANSWERED_ABANDONED


def test_who_was_abandoned_gets_a_text_and_no_call() -> None:
    one = attempt()
    assert first_step(one, Disposition.ABANDONED) == 0
    steps = (FallbackStep(StepKind.REDIAL), FallbackStep(StepKind.SMS, template="apology"))
    looked_at = consider(steps, 0, facts(abandoned=True))
    assert [one.refused for one in looked_at] == [Refusal.ABANDONED_LOCKOUT, None]
