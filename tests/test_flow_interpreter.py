"""The interpreter: what every session keeps to, whatever is pressed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from flows import FACTOR, facts, shipped, texts
from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.model import Outcome
from dialer.domain.payment import PayResult, PayStep, PayTimes
from dialer.flow.errors import FlowError
from dialer.flow.graph import bounds
from dialer.flow.interpreter import step
from dialer.flow.model import Flow
from dialer.flow.nodes import Pay
from dialer.flow.nodes.base import Go
from dialer.flow.nodes.pay import ASKED
from dialer.flow.prompts import spoken
from dialer.flow.transcript import as_input, play
from dialer.flow.values import (
    Collect,
    Command,
    Conclude,
    ConfirmIdentity,
    End,
    Escalate,
    HandedOver,
    HungUp,
    Input,
    Keys,
    MakePromise,
    NobodyThere,
    NoteKey,
    PaymentDone,
    Said,
    Say,
    Started,
    State,
    TakePayment,
    TimedOut,
    Wait,
)

ANSWERS = st.one_of(
    st.sampled_from([Keys(key) for key in "0123456789*#"]),
    st.sampled_from([Keys(FACTOR), Keys("0000"), Keys("12"), Keys("1*3#")]),
    st.just(TimedOut()),
    st.sampled_from([PaymentDone(result) for result in PayResult]),
    st.sampled_from([HandedOver(), NobodyThere()]),
)
FLOWS = st.sampled_from(["reminder", "second_try", "inbound"])
VARIANTS = st.sampled_from(
    ["", "landline", "named", "undocumented", "cards", "agents", "undocumented_agents"]
)
LANGUAGES = st.sampled_from(["es", "en"])


def _run(
    flow: Flow, variant: str, language: str, answers: list[Input], barge: bool = False
) -> tuple[State, list[Command]]:
    """A session with these answers, then a hang-up; its state goes through JSON at every step."""
    state, commands = step(flow, State(), Started(facts(language, variant)))
    done = list(commands)
    left = list(answers)
    while state.wait is not Wait.NOTHING:
        if state.wait is Wait.SAID and not (barge and _can_be_stopped(commands)):
            given: Input = Said()
        else:
            given = left.pop(0) if left else HungUp()
            if state.wait is Wait.SAID and isinstance(
                given, TimedOut | PaymentDone | HandedOver | NobodyThere
            ):
                given = Said()
            given = _fitting(state, given)
        state, commands = step(flow, State.from_json(state.to_json()), given)
        done += commands
    return state, done


def _fitting(state: State, given: Input) -> Input:
    """A payment ends with a result, a person is there or not, and nothing else does."""
    paying = state.wait is Wait.PAYMENT
    about_agents = isinstance(given, HandedOver | NobodyThere)
    if state.wait is Wait.AGENT and not (about_agents or isinstance(given, HungUp)):
        return NobodyThere()
    if state.wait is not Wait.AGENT and about_agents:
        return PaymentDone(PayResult.DECLINED) if paying else TimedOut()
    if paying and not isinstance(given, PaymentDone | HungUp):
        return PaymentDone(PayResult.DECLINED)
    if not paying and isinstance(given, PaymentDone):
        return TimedOut()
    return given


def _can_be_stopped(commands: tuple[Command, ...]) -> bool:
    return any(isinstance(one, Say) and one.barge_in for one in commands)


@given(FLOWS, VARIANTS, LANGUAGES, st.lists(ANSWERS, max_size=300), st.booleans())
def test_every_session_ends_concludes_once_and_discloses_to_nobody_else(
    name: str, variant: str, language: str, answers: list[Input], barge: bool
) -> None:
    flow = shipped(name)
    state, done = _run(flow, variant, language, answers, barge)
    visits, asked = bounds(flow)
    assert state.visits <= visits
    assert sum(isinstance(one, Collect) for one in done) <= asked
    handed_over = isinstance(done[-1], Escalate)
    assert isinstance(done[-1], End) or handed_over
    assert sum(isinstance(one, Conclude) for one in done) == (0 if handed_over else 1) or (
        state.outcome is None and not handed_over
    )
    identified = False
    for command in done:
        identified = identified or isinstance(command, ConfirmIdentity)
        if isinstance(command, Say):
            for key in command.prompts:
                assert identified or not texts(language).prompt(key).discloses
                assert spoken(texts(language), key, state)
    notes = [one.key for one in done if isinstance(one, NoteKey)]
    assert FACTOR not in notes
    if not notes and not answers:
        assert state.outcome is None


@given(st.lists(ANSWERS, max_size=40))
def test_nobody_gets_more_than_two_guesses(answers: list[Input]) -> None:
    flow = shipped("reminder")
    wrong = replace(facts(), factor="nothing matches")
    state, commands = step(flow, State(), Started(wrong))
    done = list(commands)
    left: list[Input] = [Keys("1"), *answers]
    while state.wait is not Wait.NOTHING:
        given = Said() if state.wait is Wait.SAID else (left.pop(0) if left else HungUp())
        state, commands = step(flow, state, _fitting(state, given))
        done += commands
    guesses = [c for c in done if isinstance(c, NoteKey) and "x" in c.key]
    assert len(guesses) <= 2
    assert not state.identified


def test_a_session_that_is_over_does_nothing_more() -> None:
    flow = shipped("reminder")
    state, _ = _run(flow, "", "es", [Keys("2")])
    for late in (HungUp(), Keys("1"), TimedOut(), Said()):
        assert step(flow, state, late) == (state, ())


def test_without_a_key_nothing_is_concluded_by_hanging_up() -> None:
    state, done = _run(shipped("reminder"), "", "es", [])
    assert state.outcome is None
    assert not any(isinstance(one, Conclude) for one in done)


def test_with_a_key_hanging_up_concludes_incomplete() -> None:
    state, done = _run(shipped("reminder"), "", "es", [Keys("1")])
    assert state.outcome is Outcome.INCOMPLETE
    assert [c.outcome for c in done if isinstance(c, Conclude)] == [Outcome.INCOMPLETE]


def test_nothing_pressed_to_the_end_is_no_input_and_said_before_the_goodbye() -> None:
    flow = shipped("reminder")
    state, _ = step(flow, State(), Started(facts()))
    for _ in range(2):
        state, _ = step(flow, state, TimedOut())
    state, commands = step(flow, state, TimedOut())
    assert [type(one) for one in commands] == [Conclude, Say]
    assert state.outcome is Outcome.NO_INPUT


@pytest.mark.parametrize(
    ("today", "key", "due"),
    [
        (date(2026, 3, 10), "1", date(2026, 3, 13)),
        (date(2026, 12, 30), "1", date(2027, 1, 2)),
        (date(2026, 3, 10), "2", date(2026, 3, 17)),
        (date(2026, 3, 10), "3", date(2026, 3, 31)),
        (date(2028, 2, 10), "3", date(2028, 2, 29)),
        (date(2026, 4, 30), "3", date(2026, 4, 30)),
    ],
)
def test_promises_count_from_the_debtors_own_day(today: date, key: str, due: date) -> None:
    flow = shipped("reminder")
    state, _ = step(flow, State(), Started(replace(facts(), today=today)))
    for answer in (Keys("1"), Keys(FACTOR), Said(), Keys("2")):
        state, _ = step(flow, state, answer)
    state, commands = step(flow, state, Keys(key))
    assert [c.due for c in commands if isinstance(c, MakePromise)] == [due]


def test_a_first_digit_pressed_over_the_prompt_before_is_asked_for_no_more() -> None:
    flow = Flow.model_validate(
        {
            "name": "typed",
            "start": "hello",
            "nodes": {
                "hello": {"type": "say", "say": "wrong_key", "next": "identity"},
                "identity": {
                    "type": "identity", "say": "ask_document", "matched": "bye",
                    "on_no_match": {"then": "bye"}, "on_timeout": {"then": "bye"},
                    "unavailable": "bye",
                },
                "bye": {"type": "end", "say": "goodbye"},
            },
        }
    )  # fmt: skip
    state, _ = step(flow, State(), Started(facts()))
    state, commands = step(flow, state, Keys("5"))
    assert commands == (Collect("identity", "", 4, 6.0, 3.0, typed="5"),)
    state, commands = step(flow, state, Keys(FACTOR))
    assert state.identified


def test_an_input_that_cannot_come_is_refused() -> None:
    flow = shipped("reminder")
    with pytest.raises(FlowError, match="before the session started"):
        step(flow, State(), Keys("1"))
    state, _ = step(flow, State(), Started(facts()))
    with pytest.raises(FlowError, match="Said"):
        step(flow, state, Said())
    with pytest.raises(FlowError, match="without a key"):
        step(flow, state, Keys(""))


def test_a_flow_that_was_never_proven_is_stopped() -> None:
    nodes = {
        "a": {"type": "go_back", "to": "b", "then": "b"},
        "b": {"type": "go_back", "to": "a", "then": "a"},
    }
    flow = Flow.model_validate({"name": "round", "start": "a", "nodes": nodes})
    with pytest.raises(FlowError, match="round in circles"):
        step(flow, State(), Started(facts()))


def test_an_unproven_flow_cannot_act_on_the_debt_without_identity() -> None:
    nodes = {
        "a": {"type": "promise", "in_days": 3, "next": "b"},
        "b": {"type": "end"},
    }
    flow = Flow.model_validate({"name": "hole", "start": "a", "nodes": nodes})
    with pytest.raises(FlowError, match="before the identity"):
        step(flow, State(), Started(facts()))


def test_an_unproven_flow_cannot_say_the_debt_without_identity() -> None:
    state = State(facts=facts())
    with pytest.raises(FlowError, match="would disclose"):
        spoken(texts("es"), "disclosure", state)


def test_answers_beyond_the_end_are_an_error() -> None:
    with pytest.raises(FlowError, match="over before"):
        play(shipped("reminder"), texts("es"), facts(), ["2", "1"])
    with pytest.raises(FlowError, match="no answer"):
        play(shipped("reminder"), texts("es"), facts(), ["one"])


# --- paying -----------------------------------------------------------------------------------


def _at_the_payment() -> tuple[State, tuple[Command, ...]]:
    flow = shipped("reminder")
    state, commands = step(flow, State(), Started(facts("es", "cards")))
    for answer in (Keys("1"), Keys(FACTOR), Said(), Keys("1")):
        state, commands = step(flow, state, answer)
    return state, commands


def test_a_payment_is_handed_over_with_what_the_node_asks_for() -> None:
    state, commands = _at_the_payment()
    assert state.wait is Wait.PAYMENT
    node = shipped("reminder").nodes["pay"]
    assert isinstance(node, Pay)
    assert commands == (NoteKey("menu", "1"), TakePayment("pay", node.spec()))
    assert State.from_json(state.to_json()) == state


@pytest.mark.parametrize("result", list(PayResult))
def test_every_result_of_a_payment_has_one_way_and_only_success_is_paid(result: PayResult) -> None:
    flow = shipped("reminder")
    state, _ = _at_the_payment()
    state, commands = step(flow, state, PaymentDone(result))
    if result is PayResult.CALLER_HUNG_UP:
        assert state.wait is Wait.NOTHING
        assert state.outcome is Outcome.INCOMPLETE
    else:
        assert state.wait is Wait.SAID
        assert state.node != "pay"
    paid = [one for one in commands if isinstance(one, Conclude) and one.outcome is Outcome.PAID]
    assert paid == ([Conclude("pay", Outcome.PAID)] if result is PayResult.SUCCESS else [])
    assert (state.outcome is Outcome.PAID) == (result is PayResult.SUCCESS)


def test_a_card_that_is_only_registered_is_not_paid() -> None:
    pay = Pay.model_validate(
        {"type": "pay", "mode": "tokenise", "paid": "a", "unknown": "b", "link": "b", "agent": "b"}
    )
    move = pay.answer("pay", State(), PaymentDone(PayResult.SUCCESS))
    assert isinstance(move, Go)
    assert (move.target, move.commands) == ("a", ())


def test_hanging_up_in_a_payment_is_incomplete() -> None:
    state, _ = _at_the_payment()
    state, commands = step(shipped("reminder"), state, HungUp())
    assert commands == (Conclude("pay", Outcome.INCOMPLETE), End("pay"))


def test_keys_cannot_come_to_the_flow_while_a_card_is_taken() -> None:
    state, _ = _at_the_payment()
    for answer in (Keys("4"), TimedOut(), Said()):
        with pytest.raises(FlowError, match="node pay"):
            step(shipped("reminder"), state, answer)


def test_a_result_without_a_payment_is_refused() -> None:
    flow = shipped("reminder")
    state, _ = step(flow, State(), Started(facts()))
    with pytest.raises(FlowError, match="PaymentDone"):
        step(flow, state, PaymentDone(PayResult.SUCCESS))


def test_without_cards_the_way_of_unavailable_is_gone_at_once() -> None:
    plain = play(shipped("reminder"), texts("en"), facts("en"), ["1", FACTOR, "1"])
    given = ["1", FACTOR, "1", "=card-entry-unavailable"]
    taken = play(shipped("reminder"), texts("en"), facts("en", "cards"), given)
    assert [line for line in taken if "payment at" not in line and "> =" not in line] == plain


def test_keys_typed_ahead_are_no_part_of_a_card() -> None:
    nodes = {
        "hello": {"type": "identity", "say": "ask_document", "matched": "news",
                  "on_timeout": {"then": "bye"}, "on_no_match": {"then": "bye"},
                  "unavailable": "bye"},
        "news": {"type": "say", "say": "disclosure", "next": "pay"},
        "pay": {"type": "pay", "paid": "bye", "unknown": "bye", "link": "bye", "agent": "bye"},
        "bye": {"type": "end", "say": "goodbye"},
    }  # fmt: skip
    flow = Flow.model_validate({"name": "ahead", "start": "hello", "nodes": nodes})
    state, _ = step(flow, State(), Started(facts("es", "cards")))
    for answer in (Keys(FACTOR), Keys("4")):
        state, _ = step(flow, state, answer)
    assert (state.wait, state.typed) == (Wait.PAYMENT, "")


def test_numbers_for_all_fields_and_for_some() -> None:
    ways = {"type": "pay", "paid": "a", "unknown": "a", "link": "a", "agent": "a"}
    plain = Pay.model_validate(ways).spec()
    assert plain.attempts_at(PayStep.CARD_NUMBER) == 3
    assert plain.times_at(PayStep.EXPIRATION_DATE) == PayTimes(8, 4)
    all_ = Pay.model_validate(
        ways | {"attempts": 2, "first_timeout": 12, "inter_timeout": 6}
    ).spec()
    assert {all_.attempts_at(step) for step in ASKED} == {2}
    assert {all_.times_at(step) for step in ASKED} == {PayTimes(12, 6)}
    some = Pay.model_validate(
        ways | {"attempts": {"number": 1}, "first_timeout": {"payment-card-number": 20}}
    ).spec()
    assert some.attempts_at(PayStep.CARD_NUMBER) == 1
    assert some.attempts_at(PayStep.SECURITY_CODE) == 3
    assert some.times_at(PayStep.CARD_NUMBER) == PayTimes(20, 5)
    assert some.times_at(PayStep.SECURITY_CODE) == PayTimes(10, 4)


# --- a person -----------------------------------------------------------------------------------


def _asked_for(variant: str, *answers: str) -> tuple[State, Escalate]:
    """The session that waits for a person after these answers, and what it asks for."""
    state, commands = step(shipped("reminder"), State(), Started(facts("es", variant)))
    for word in answers:
        while state.wait is Wait.SAID:
            state, commands = step(shipped("reminder"), state, Said())
        state, commands = step(shipped("reminder"), state, as_input(word))
    (asked,) = [one for one in commands if isinstance(one, Escalate)]
    assert state.wait is Wait.AGENT
    return State.from_json(state.to_json()), asked


@pytest.mark.parametrize(
    ("variant", "answers", "reason"),
    [
        ("agents", ("1", FACTOR, "0"), "menu"),
        ("agents", ("1", "0000", "1111"), "no_identity"),
        ("undocumented_agents", ("1",), "no_document"),
        ("agents", ("1", FACTOR, "1", "=wants-agent"), "pay"),
        ("agents", ("1", FACTOR, "1", "=too-many-failed-attempts"), "pay_failed"),
        ("agents", ("1", FACTOR, "1", "=limit-reached"), "pay_failed"),
    ],
)
def test_the_agent_is_told_why(variant: str, answers: tuple[str, ...], reason: str) -> None:
    _, asked = _asked_for(variant, *answers)
    assert (asked.reason, asked.skill, asked.priority) == (reason, "", 0)


def test_who_is_handed_over_has_left_the_flow_and_nothing_is_ended() -> None:
    state, _ = _asked_for("agents", "1", FACTOR, "0")
    over, commands = step(shipped("reminder"), state, HandedOver())
    assert (over.wait, over.outcome, commands) == (Wait.NOTHING, Outcome.WANTS_AGENT, ())


def test_where_nobody_works_it_is_noted_as_ever() -> None:
    state, _ = _asked_for("agents", "1", FACTOR, "0")
    _, commands = step(shipped("reminder"), state, NobodyThere())
    without, also = step(shipped("reminder"), _menu("es"), Keys("0"))
    assert [one for one in also if not isinstance(one, NoteKey)] == list(commands)
    assert without.outcome is Outcome.WANTS_AGENT


def _menu(language: str) -> State:
    """The session at the menu, where no agents work."""
    state, _ = step(shipped("reminder"), State(), Started(facts(language)))
    for one in (Keys("1"), Keys(FACTOR), Said()):
        state, _ = step(shipped("reminder"), state, one)
    return state


def test_an_answer_about_a_person_that_nobody_asked_for_is_refused() -> None:
    for one in (HandedOver(), NobodyThere()):
        with pytest.raises(FlowError, match="does not wait for"):
            step(shipped("reminder"), _menu("es"), one)
    state, _ = _asked_for("agents", "1", FACTOR, "0")
    with pytest.raises(FlowError, match="does not wait for"):
        step(shipped("reminder"), state, Keys("1"))


def test_who_hangs_up_while_a_person_is_looked_for_is_incomplete() -> None:
    state, _ = _asked_for("agents", "1", FACTOR, "0")
    over, _ = step(shipped("reminder"), state, HungUp())
    assert over.outcome is Outcome.INCOMPLETE
