"""Who picked up: a person or a machine, told while the greeting is already playing.

Asterisk's TALK_DETECT reports when the far end begins and ends to make sound. A person says a
word or two and waits; a machine speaks on. Deciding beside the greeting costs no dead air, which
a detector that listens first does.

What TALK_DETECT does (``func_talkdetect``; measured on Asterisk 22.10, see docs/speech.md):

- "Talking" comes with the first packet whose mean absolute sample reaches ``level``: an amplitude,
  although the documentation calls it a time.
- "Stopped" comes once ``silence`` has passed without such a packet; its duration does not include
  that. It needs packets to come: a far end that sends nothing while it is silent never stops.
- Older releases begin with "talking" whatever the first packet holds. A burst that begins with
  the answer is therefore measured less ``silence``, and is nothing if that leaves nothing.

The first verdict stands; only a key, which no machine presses, overrules it. Feed every event of
a call to ``observe``, ask ``verdict`` after each and at ``next_check``, and ``final`` when the
call ended without one. Parameters were chosen on the synthetic set of ``bench/detection.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from dialer.domain.events import Answered, CallEvent, KeyPressed, TalkingStarted, TalkingStopped
from dialer.domain.model import DetectionResult

Verdict = tuple[DetectionResult, str]
"""Who it is, and why in words."""


@dataclass(frozen=True, slots=True)
class TalkRules:
    """Limits in seconds. Sources are in docs/speech.md, with the sweep that chose them.

    ``silence`` and ``level`` are what the dialplan gives to TALK_DETECT. ``machine_burst``: so
    much speech without a pause is a recording. ``machine_total``: so much in all bursts that
    begin within ``window`` of the answer is one. Bursts up to ``opening`` are a person's
    "hello?", once ``pause`` of silence follows. Nothing decided by ``window``: no machine. A
    burst that begins within ``at_once`` of the answer may begin with silence.
    """

    silence: float = 0.25
    level: int = 512
    machine_burst: float = 3.0
    machine_total: float = 3.4
    opening: float = 1.8
    pause: float = 1.5
    window: float = 7.0
    at_once: float = 0.1

    @property
    def silence_ms(self) -> int:
        """The silence threshold as TALK_DETECT takes it."""
        return round(self.silence * 1000)


@dataclass(frozen=True, slots=True)
class Burst:
    """Sound without a pause: when it began (seconds after the answer) and how long it lasted."""

    start: float
    seconds: float

    @property
    def end(self) -> float:
        """When it ended, in seconds after the answer."""
        return self.start + self.seconds


@dataclass(frozen=True, slots=True)
class DetectionState:
    """What was heard so far. Times are seconds after the answer.

    ``talking_since`` is set while the far end makes sound; ``last`` is the time of the last
    event; ``given`` the verdict, once there is one.
    """

    rules: TalkRules = field(default_factory=TalkRules)
    answered_at: datetime | None = None
    bursts: tuple[Burst, ...] = ()
    talking_since: float | None = None
    key_at: float | None = None
    last: float = 0.0
    given: Verdict | None = None


def observe(state: DetectionState, event: CallEvent, now: datetime) -> DetectionState:
    """The state after an event; events that tell nothing are passed over.

    ``now`` is the moment of the event (``event.at``). Events are taken in the order in which
    they come; one that claims to be older than the last counts as simultaneous with it.
    """
    if state.answered_at is None:
        if not isinstance(event, Answered | TalkingStarted | KeyPressed):
            return state
        state = replace(state, answered_at=now)
    at = _since_answer(state, now)
    # What had been decided by now stays decided, whatever this event says.
    state = replace(state, given=state.given or _decide(state, at), last=at)
    if isinstance(event, KeyPressed) and state.key_at is None:
        reason = f"a key was pressed {at:.1f} s after the answer"
        return replace(state, key_at=at, given=(DetectionResult.PERSON, reason))
    if isinstance(event, TalkingStarted) and state.talking_since is None:
        return replace(state, talking_since=at)
    if isinstance(event, TalkingStopped) and state.talking_since is not None:
        return _stopped(state, event, at)
    return state


def verdict(state: DetectionState, now: datetime) -> Verdict | None:
    """Who picked up, as far as it can be told at ``now``; None: not yet."""
    if state.answered_at is None:
        return None
    return state.given or _decide(state, _since_answer(state, now))


def next_check(state: DetectionState) -> datetime | None:
    """When ``verdict`` will have an answer even if nothing more is heard; None: no need to ask.

    A timer has to ask then: a machine that speaks on makes no event.
    """
    if state.answered_at is None or state.given is not None:
        return None
    times = [rule(state) for rule in (_machine_at, _person_at, _undecided_at)]
    earliest = min((time for time in times if time is not None), default=None)
    if earliest is None:
        return None
    # A microsecond more than the limit, for the rounding of datetime.
    return state.answered_at + timedelta(seconds=max(earliest, state.last) + 1e-5)


def final(state: DetectionState, at_hangup: datetime) -> Verdict:
    """The last word on a call that has ended.

    Machines do not hang up on a greeting: who does is a person, unless it spoke like a machine.
    """
    given = verdict(state, at_hangup)
    if given is not None and given[0] is not DetectionResult.UNKNOWN:
        return given
    at = 0.0 if state.answered_at is None else _since_answer(state, at_hangup)
    return DetectionResult.PERSON, f"hung up after {at:.1f} s without sign of a machine"


# --- how it is decided -----------------------------------------------------------------------


def _since_answer(state: DetectionState, now: datetime) -> float:
    assert state.answered_at is not None
    return max(state.last, (now - state.answered_at).total_seconds())


def _stopped(state: DetectionState, event: TalkingStopped, at: float) -> DetectionState:
    """Close the burst that is open; one without sound is dropped."""
    assert state.talking_since is not None
    # Asterisk may report less than nothing (its silence counter is at times unset); and no
    # burst is longer than the time since it began.
    seconds = min(max(event.seconds, 0.0), at - state.talking_since)
    seconds -= _unsure(state)
    bursts = state.bursts
    if seconds > 0.0:
        bursts += (Burst(state.talking_since, seconds),)
    return replace(state, bursts=bursts, talking_since=None)


def _unsure(state: DetectionState) -> float:
    """How much of the burst that is open may have been silence."""
    since, rules = state.talking_since, state.rules
    return rules.silence if since is not None and since <= rules.at_once else 0.0


def _spoken(state: DetectionState) -> float:
    """Seconds of sound in the bursts that are over."""
    return sum(burst.seconds for burst in state.bursts)


def _machine_at(state: DetectionState) -> float | None:
    """When the burst that is open makes this a machine."""
    since, rules = state.talking_since, state.rules
    if since is None or since > rules.window:
        return None
    in_one = since + _unsure(state) + rules.machine_burst
    in_all = since + _unsure(state) + max(rules.machine_total - _spoken(state), 0.0)
    return min(in_one, in_all)


def _person_at(state: DetectionState) -> float | None:
    """When the silence after a short opening makes this a person."""
    if state.talking_since is not None or not state.bursts:
        return None
    if any(burst.seconds > state.rules.opening for burst in state.bursts):
        return None
    return state.bursts[-1].end + state.rules.pause


def _undecided_at(state: DetectionState) -> float | None:
    """When it is too late for a machine to begin."""
    return state.rules.window if state.talking_since is None else None


def _decide(state: DetectionState, at: float) -> Verdict | None:
    machine, person, undecided = _machine_at(state), _person_at(state), _undecided_at(state)
    if machine is not None and at >= machine:
        return DetectionResult.MACHINE, _why_machine(state, machine)
    if person is not None and at >= person:
        heard = _spoken(state)
        pause = state.rules.pause
        return DetectionResult.PERSON, f"{heard:.1f} s of speech, then silence for {pause:.1f} s"
    if undecided is not None and at >= undecided:
        return _at_the_end(state)
    return None


def _why_machine(state: DetectionState, at: float) -> str:
    assert state.talking_since is not None
    since = state.talking_since
    if not state.bursts or at >= since + _unsure(state) + state.rules.machine_burst:
        spoken = at - since - _unsure(state)
        return f"{spoken:.1f} s of continuous speech from {since:.1f} s after the answer"
    begun, spoken = state.bursts[0].start, _spoken(state) + at - since - _unsure(state)
    return f"{spoken:.1f} s of speech in {at - begun:.1f} s from {begun:.1f} s after the answer"


def _at_the_end(state: DetectionState) -> Verdict:
    window = state.rules.window
    if not state.bursts:
        return DetectionResult.UNKNOWN, f"nothing was heard in the first {window:.1f} s"
    spoken = _spoken(state)
    return (
        DetectionResult.PERSON,
        f"{spoken:.1f} s of speech with pauses in the first {window:.1f} s",
    )
