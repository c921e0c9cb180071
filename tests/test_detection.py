"""Person or machine, from the events of talk detection alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.domain.detection import (
    DetectionState,
    TalkRules,
    Verdict,
    final,
    next_check,
    observe,
    verdict,
)
from dialer.domain.events import (
    Answered,
    CallEvent,
    KeyPressed,
    Ringing,
    TalkingStarted,
    TalkingStopped,
)
from dialer.domain.model import DetectionResult

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
RULES = TalkRules()
MACHINE, PERSON, UNKNOWN = DetectionResult.MACHINE, DetectionResult.PERSON, DetectionResult.UNKNOWN


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def answered() -> CallEvent:
    return Answered("a", START)


def talk(start: float, end: float) -> list[CallEvent]:
    """Sound from ``start`` to ``end``, as Asterisk reports it."""
    stop = TalkingStopped("a", at(end + RULES.silence), end - start)
    return [TalkingStarted("a", at(start)), stop]


def key(seconds: float) -> CallEvent:
    return KeyPressed("a", at(seconds), "menu", "1")


def heard(*events: CallEvent) -> DetectionState:
    state = DetectionState()
    for event in events:
        state = observe(state, event, event.at)
    return state


def outcome(*events: CallEvent) -> tuple[float, Verdict]:
    """When the first verdict falls, with the timer asking in between, and which."""
    state = DetectionState()
    for event in events:
        timer = next_check(state)
        if timer is not None and timer < event.at and (told := verdict(state, timer)):
            return (timer - START).total_seconds(), told
        state = observe(state, event, event.at)
        if told := verdict(state, event.at):
            return (event.at - START).total_seconds(), told
    timer = next_check(state)
    assert timer is not None
    told = verdict(state, timer)
    assert told is not None
    return (timer - START).total_seconds(), told


def test_a_short_hello_and_silence_is_a_person() -> None:
    when, (result, reason) = outcome(answered(), *talk(0.6, 1.3))
    assert result is PERSON
    assert reason == "0.7 s of speech, then silence for 1.5 s"
    assert when == pytest.approx(1.3 + RULES.pause, abs=0.01)


def test_speech_without_a_pause_is_a_machine_while_it_still_speaks() -> None:
    when, (result, reason) = outcome(answered(), TalkingStarted("a", at(0.5)))
    assert result is MACHINE
    assert reason == "3.0 s of continuous speech from 0.5 s after the answer"
    assert when == pytest.approx(0.5 + RULES.machine_burst, abs=0.01)


def test_speech_in_sentences_is_a_machine() -> None:
    events = [*talk(0.8, 2.4), *talk(2.9, 4.2), *talk(4.7, 6.5)]
    when, (result, reason) = outcome(answered(), *events)
    assert result is MACHINE
    assert reason == "3.4 s of speech in 4.4 s from 0.8 s after the answer"
    assert when == pytest.approx(5.2, abs=0.01)


def test_asking_again_and_again_is_a_person() -> None:
    events = [*talk(0.5, 0.9), *talk(1.8, 2.3), *talk(3.4, 4.2)]
    _, (result, reason) = outcome(answered(), *events)
    assert result is PERSON
    assert reason == "1.7 s of speech, then silence for 1.5 s"


def test_a_longer_opening_is_not_judged_by_its_silence() -> None:
    when, (result, reason) = outcome(answered(), *talk(0.4, 2.9))
    assert result is PERSON
    assert when == pytest.approx(RULES.window, abs=0.01)
    assert reason == "2.5 s of speech with pauses in the first 7.0 s"


def test_silence_tells_nothing() -> None:
    when, (result, reason) = outcome(answered())
    assert result is UNKNOWN
    assert when == pytest.approx(RULES.window, abs=0.01)
    assert reason == "nothing was heard in the first 7.0 s"


def test_a_key_is_a_person_even_over_speech() -> None:
    _, (result, reason) = outcome(answered(), TalkingStarted("a", at(0.2)), key(2.0))
    assert result is PERSON
    assert reason == "a key was pressed 2.0 s after the answer"


def test_a_key_overrules_a_machine() -> None:
    state = heard(answered(), TalkingStarted("a", at(0.5)))
    assert verdict(state, at(4.0)) == (
        MACHINE,
        "3.0 s of continuous speech from 0.5 s after the answer",
    )
    assert verdict(observe(state, key(4.5), at(4.5)), at(5.0)) == (
        PERSON,
        "a key was pressed 4.5 s after the answer",
    )


def test_older_asterisk_says_talking_with_the_first_packet_whatever_is_in_it() -> None:
    phantom = [TalkingStarted("a", at(0.02)), TalkingStopped("a", at(0.27), 0.0)]
    _, (result, _) = outcome(answered(), *phantom)
    assert result is UNKNOWN
    # Speech that began within the first silence is only known to be that much shorter.
    when, _ = outcome(answered(), TalkingStarted("a", at(0.02)))
    assert when == pytest.approx(0.02 + RULES.silence + RULES.machine_burst, abs=0.01)


def test_a_negative_duration_is_no_speech() -> None:
    glitch = [TalkingStarted("a", at(1.0)), TalkingStopped("a", at(1.1), -1.4)]
    assert heard(answered(), *glitch).bursts == ()


def test_speech_that_begins_after_the_window_is_not_judged() -> None:
    state = heard(answered(), TalkingStarted("a", at(7.5)))
    assert verdict(state, at(30.0)) == (UNKNOWN, "nothing was heard in the first 7.0 s")


def test_talk_before_the_answer_is_known_starts_the_clock() -> None:
    state = heard(TalkingStarted("a", at(0.0)), Answered("a", at(0.1)))
    told = verdict(state, at(4.0))
    assert told is not None
    assert told[0] is MACHINE


def test_nothing_is_asked_before_the_answer_nor_after_the_verdict() -> None:
    assert next_check(DetectionState()) is None
    assert verdict(DetectionState(), at(60.0)) is None
    assert observe(DetectionState(), Ringing("a", START), START) == DetectionState()
    assert next_check(heard(answered(), key(1.0))) is None


def test_who_hangs_up_before_a_verdict_is_a_person() -> None:
    assert final(heard(answered(), *talk(0.5, 1.0)), at(1.6)) == (
        PERSON,
        "hung up after 1.6 s without sign of a machine",
    )
    assert final(heard(answered()), at(20.0))[0] is PERSON
    assert final(DetectionState(), at(2.0))[0] is PERSON


def test_a_machine_that_hangs_up_stays_a_machine() -> None:
    result, reason = final(heard(answered(), TalkingStarted("a", at(0.4))), at(3.6))
    assert result is MACHINE
    assert reason == "3.0 s of continuous speech from 0.4 s after the answer"


def test_the_dialplan_gets_whole_milliseconds() -> None:
    assert (TalkRules(silence=0.25).silence_ms, TalkRules(silence=0.0334).silence_ms) == (250, 33)


@st.composite
def calls(draw: st.DrawFn) -> list[CallEvent]:
    """Events in order of time: talk that starts and stops, keys, odd durations."""
    now, events = 0.0, [answered()]
    for _ in range(draw(st.integers(0, 12))):
        now += draw(st.floats(0.0, 2.5))
        kind = draw(st.sampled_from(["start", "stop", "key", "start", "stop"]))
        if kind == "start":
            events.append(TalkingStarted("a", at(now)))
        elif kind == "stop":
            events.append(TalkingStopped("a", at(now), draw(st.floats(-2.0, 12.0))))
        else:
            events.append(key(now))
    return events


@given(calls(), st.lists(st.floats(0.0, 40.0), max_size=8))
def test_a_verdict_once_given_stands_and_only_a_key_overrules_it(
    events: list[CallEvent], asked: list[float]
) -> None:
    moments = sorted(asked)
    state, told = DetectionState(), None
    for index, event in enumerate(events):
        until = events[index + 1].at if index + 1 < len(events) else at(99.0)
        state = observe(state, event, event.at)
        for moment in [event.at, *(at(m) for m in moments if event.at <= at(m) < until)]:
            now = verdict(state, moment)
            if told is not None and not isinstance(event, KeyPressed):
                assert now == told
            told = now if now is not None else told


@given(calls(), st.floats(0.0, 40.0))
def test_never_a_machine_after_a_key(events: list[CallEvent], later: float) -> None:
    state = heard(*events)
    moment = events[-1].at + timedelta(seconds=later)
    if any(isinstance(event, KeyPressed) for event in events):
        assert final(state, moment)[0] is PERSON
        told = verdict(state, moment)
        assert told is not None
        assert told[0] is PERSON


@given(calls())
def test_the_timer_always_brings_a_verdict_and_none_was_due_before(
    events: list[CallEvent],
) -> None:
    state = heard(*events)
    timer = next_check(state)
    if timer is None:
        assert verdict(state, events[-1].at) is not None
        return
    assert verdict(state, timer) is not None
    assert timer >= events[-1].at
    if timer - events[-1].at > timedelta(milliseconds=2):
        assert verdict(state, timer - timedelta(milliseconds=1)) is None


@given(calls())
def test_the_same_events_give_the_same_verdict(events: list[CallEvent]) -> None:
    assert final(heard(*events), at(60.0)) == final(heard(*events), at(60.0))
