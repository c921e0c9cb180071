"""The life of one call, and what it is called in the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.domain import events as ev
from dialer.domain.attempt import LOST, Close, HandleMachine, advance
from dialer.domain.disposition import conclude
from dialer.domain.model import Attempt, AttemptState, DetectionResult, Disposition, Outcome

T0 = datetime(2026, 3, 2, 10, tzinfo=UTC)
ID = "a" * 32


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def attempt(**changes: object) -> Attempt:
    one = Attempt(
        id=ID, campaign_id=1, lead_id=1, debtor_id=1, phone_id=1, number="+34600000001",
        caller_id="+34910000000", trunk="carrier", node="node1", flow="reminder", placed_at=T0,
    )  # fmt: skip
    return one.with_(**changes)


def run(*events: ev.CallEvent, start: Attempt | None = None) -> tuple[Attempt, list[object]]:
    one = start or attempt()
    effects: list[object] = []
    for event in events:
        one, more = advance(one, event)
        effects += more
    return one, effects


ANSWERED = (ev.DialBegun(ID, at(0)), ev.Ringing(ID, at(1)), ev.Answered(ID, at(3)))
HANGS_UP = (ev.HangupRequested(ID, at(5), 16), ev.Ended(ID, at(5.01), 16, 200))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (HANGS_UP, Disposition.ANSWERED_ABANDONED),
        ((ev.PromptReached(ID, at(3.1), "greeting", "greeting"), *HANGS_UP),
         Disposition.ANSWERED_ABANDONED),
        ((ev.KeyPressed(ID, at(4), "identity", "1"), *HANGS_UP), Disposition.INCOMPLETE),
        ((ev.OutcomeReported(ID, at(9), Outcome.NO_INPUT), ev.Ended(ID, at(9), 16, 200)),
         Disposition.NO_INPUT),
        ((ev.OutcomeReported(ID, at(9), Outcome.PROMISE), *HANGS_UP), Disposition.PROMISE),
        ((ev.Detected(ID, at(4), DetectionResult.MACHINE, "long talk"), *HANGS_UP),
         Disposition.MACHINE),
        # Their keys died with the line; what they chose was written, and machines choose nothing.
        ((ev.Detected(ID, at(4), DetectionResult.MACHINE, "long talk"),
          ev.OutcomeReported(ID, at(5), Outcome.PROMISE), *HANGS_UP), Disposition.PROMISE),
        ((ev.Detected(ID, at(4), DetectionResult.MACHINE, "long talk"),
          ev.OutcomeReported(ID, at(5), Outcome.OPTED_OUT), *HANGS_UP), Disposition.OPTED_OUT),
        ((ev.Detected(ID, at(4), DetectionResult.MACHINE, "long talk"),
          ev.OutcomeReported(ID, at(5), Outcome.NO_INPUT), *HANGS_UP), Disposition.MACHINE),
        ((ev.Detected(ID, at(4), DetectionResult.FAX, "2100 Hz"), *HANGS_UP),
         Disposition.MACHINE),
        ((ev.Ended(ID, at(5), 16, None),), Disposition.FAILED),  # we ended it, nothing was said
    ],
)  # fmt: skip
def test_answered_calls_end_by_their_stage(
    events: tuple[ev.CallEvent, ...], expected: Disposition
) -> None:
    ended, effects = run(*ANSWERED, *events)
    assert conclude(ended) is expected
    assert effects[-1] == Close()


def test_who_hangs_up_on_silence_has_not_abandoned_a_greeting() -> None:
    """Nothing was said to them for seconds: our fault, and a redial would be silent as well."""
    late = (ev.HangupRequested(ID, at(9), 16), ev.Ended(ID, at(9.01), 16, 200))
    assert conclude(run(*ANSWERED, *late)[0]) is Disposition.FAILED
    greeted = ev.PromptReached(ID, at(3.1), "greeting", "greeting")
    assert conclude(run(*ANSWERED, greeted, *late)[0]) is Disposition.ANSWERED_ABANDONED


@pytest.mark.parametrize(
    ("q850", "sip", "rang", "expected"),
    [
        (17, 486, True, Disposition.BUSY),
        (17, None, False, Disposition.BUSY),
        (21, 603, True, Disposition.REJECTED),
        (1, 404, False, Disposition.INVALID_NUMBER),
        (22, 410, False, Disposition.INVALID_NUMBER),
        (34, 503, False, Disposition.CONGESTION),
        (19, 480, True, Disposition.NO_ANSWER),
        (19, 480, False, Disposition.FAILED),  # our time-out again, under Asterisk's name for it
        (0, None, True, Disposition.NO_ANSWER),  # our own time-out while it rang
        (0, None, False, Disposition.FAILED),  # the trunk never replied
        (127, 599, False, Disposition.FAILED),
    ],
)
def test_unanswered_calls_end_by_what_the_network_said(
    q850: int, sip: int | None, rang: bool, expected: Disposition
) -> None:
    ringing = (ev.Ringing(ID, at(1)),) if rang else ()
    ended, _ = run(ev.DialBegun(ID, at(0)), *ringing, ev.Ended(ID, at(20), q850, sip))
    assert conclude(ended) is expected


def test_a_network_that_gives_up_without_ringing_is_no_answer() -> None:
    ended, _ = run(
        ev.DialBegun(ID, at(0)), ev.HangupRequested(ID, at(9), 20), ev.Ended(ID, at(9), 20, 480)
    )
    assert conclude(ended) is Disposition.NO_ANSWER


def test_a_hang_up_before_the_answer_is_not_a_debtors() -> None:
    ended, _ = run(ev.DialBegun(ID, at(0)), ev.HangupRequested(ID, at(1), 17))
    assert not ended.hung_up_by_debtor


def test_a_key_makes_a_person_of_a_machine_and_a_machine_verdict_after_it_is_ignored() -> None:
    machine = ev.Detected(ID, at(4), DetectionResult.MACHINE, "2.9 s of talk")
    pressed, effects = run(*ANSWERED, ev.KeyPressed(ID, at(4), "identity", "1"), machine)
    assert pressed.detection is DetectionResult.PERSON
    assert effects == []
    late_key, effects = run(*ANSWERED, machine, ev.KeyPressed(ID, at(5), "identity", "1"))
    assert late_key.detection is DetectionResult.PERSON
    assert effects == [HandleMachine()]


def test_times_are_the_first_and_never_overwritten() -> None:
    one, _ = run(*ANSWERED, ev.Ringing(ID, at(9)), ev.Answered(ID, at(9)))
    assert (one.ringing_at, one.answered_at) == (at(1), at(3))
    assert one.state is AttemptState.ANSWERED


def test_an_outcome_found_after_a_crash_stands_for_the_missed_answer() -> None:
    lost, _ = run(
        ev.DialBegun(ID, at(0)),
        ev.OutcomeReported(ID, at(9), Outcome.LINK_SENT),
        ev.Vanished(ID, at(30)),
    )
    assert lost.failure == LOST
    assert conclude(lost) is Disposition.LINK_SENT


def test_another_attempts_event_is_refused() -> None:
    with pytest.raises(ValueError, match="another attempt"):
        advance(attempt(), ev.Answered("b" * 32, T0))


_EVENTS = st.sampled_from(
    [
        *ANSWERED,
        *HANGS_UP,
        ev.KeyPressed(ID, at(4), "identity", "1"),
        ev.PromptReached(ID, at(3.1), "greeting", "greeting"),
        ev.IdentityConfirmed(ID, at(4.5)),
        ev.OutcomeReported(ID, at(4.8), Outcome.LINK_SENT),
        ev.Detected(ID, at(4), DetectionResult.MACHINE, "x"),
        ev.OriginateFailed(ID, at(1), "no route"),
        ev.Vanished(ID, at(40)),
    ]
)


@given(st.lists(_EVENTS, max_size=25))
def test_whatever_order_events_come_in_a_call_ends_once_and_for_good(
    events: list[ev.CallEvent],
) -> None:
    one, effects = run(*events)
    assert effects.count(Close()) == (1 if one.state is AttemptState.ENDED else 0)
    if one.state is AttemptState.ENDED:
        conclude(one)
        assert run(*events, start=one) == (one, [])


@given(st.lists(_EVENTS, max_size=25))
def test_answered_abandoned_is_never_said_of_one_who_pressed_a_key_or_of_a_machine(
    events: list[ev.CallEvent],
) -> None:
    one, _ = run(*events, ev.Vanished(ID, at(99)))
    if conclude(one) is Disposition.ANSWERED_ABANDONED:
        assert not one.keys and one.hung_up_by_debtor and one.outcome is None
        assert one.detection not in (DetectionResult.MACHINE, DetectionResult.FAX)
