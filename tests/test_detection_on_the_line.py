"""The detector on real calls: what Asterisk's TALK_DETECT reports of the carrier's lines."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures_switch import AsteriskPair
from test_switch_calls import agi_that, caller, number_of, run

from dialer.domain import events as ev
from dialer.domain.detection import DetectionState, TalkRules, Verdict, next_check, observe, verdict
from dialer.domain.model import DetectionResult
from dialer.speech import audio
from dialer.speech.audio import silence
from dialer.speech.debtor_lines import debtor_lines_dir
from dialer.speech.talk import talk_reports

RULES = TalkRules()


async def listened(pair: AsteriskPair, persona: str, until: float) -> list[ev.CallEvent]:
    """The events of a call to a persona, up to ``until`` seconds after the answer."""
    async with (
        agi_that(pair, b"WAIT FOR DIGIT 20000\n"),
        caller(pair) as calls,
    ):
        attempt = await calls.place(number_of(persona))
        await calls.until(attempt, ev.Answered)
        try:
            await calls.until(attempt, ev.Ended, within=until)
        except TimeoutError:
            pass
        seen = list(calls.seen[attempt])
        await calls.link.hangup(attempt)
        await calls.until(attempt, ev.Ended)
    return seen


def judged(events: list[ev.CallEvent]) -> Verdict | None:
    state = DetectionState()
    for event in events:
        state = observe(state, event, event.at)
    timer = next_check(state)
    return state.given if timer is None else verdict(state, timer)


def test_a_hello_and_silence_is_a_person(asterisk_pair: AsteriskPair) -> None:
    async def body() -> None:
        told = judged(await listened(asterisk_pair, "silent", 4.0))
        assert told is not None
        assert told[0] is DetectionResult.PERSON, told[1]

    run(body())


def test_a_voicemail_is_a_machine_and_sounds_as_in_the_simulation(
    asterisk_pair: AsteriskPair,
) -> None:
    """The limits were chosen on a set that is heard through the simulation of TALK_DETECT."""
    line = audio.load(debtor_lines_dir(asterisk_pair.settings) / "voicemail.alaw")
    told = talk_reports(np.concatenate([line, silence(2.0)]), RULES.silence, RULES.level)
    wanted = [one.seconds for one in told if one.seconds is not None]

    async def body() -> None:
        events = await listened(asterisk_pair, "voicemail", len(line) / audio.RATE + 2.0)
        given = judged(events)
        assert given is not None
        assert given[0] is DetectionResult.MACHINE, given[1]
        heard = [one.seconds for one in events if isinstance(one, ev.TalkingStopped)]
        # Packets are 20 ms, and two processes share a busy machine.
        assert heard == pytest.approx(wanted, abs=0.3)

    run(body())
