"""What Asterisk's TALK_DETECT would report of a recording.

The same rule on the same 20 ms packets, checked against Asterisk 22.10 (docs/speech.md): a packet
whose mean absolute 16-bit sample reaches ``level`` is sound; talking starts with the first one
and stops when silence has lasted. Used to tune and to test the detector without a call.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from dialer.domain.events import Answered, CallEvent, TalkingStarted, TalkingStopped
from dialer.speech.audio import RATE, Samples, to_linear

_PACKET = RATE // 50


@dataclass(frozen=True, slots=True)
class Talk:
    """One report: ``at`` seconds into the recording; ``seconds`` of talk for a stop, else None."""

    at: float
    seconds: float | None


def talk_reports(samples: Samples, silence: float, level: int) -> list[Talk]:
    """What is reported of sound at 8 kHz, in order.

    ``silence`` in seconds and ``level`` (mean absolute sample) as given to TALK_DETECT.
    """
    whole = to_linear(samples[: len(samples) // _PACKET * _PACKET]).astype(np.int64)
    loud = np.abs(whole).reshape(-1, _PACKET).sum(axis=1) // _PACKET >= level
    reports: list[Talk] = []
    quiet, began = 0.0, None
    for number, sound in enumerate(loud):
        at = number * 0.02
        if sound:
            quiet = 0.0
            if began is None:
                began = at
                reports.append(Talk(at, None))
            continue
        quiet += 0.02
        if began is not None and quiet >= silence - 1e-9:
            reports.append(Talk(at, at - began - silence))
            began = None
    return reports


def call_events(
    samples: Samples, silence: float, level: int, answered_at: datetime, attempt_id: str = "call"
) -> list[CallEvent]:
    """The events of a call whose far end sounds like ``samples`` from the answer on."""
    events: list[CallEvent] = [Answered(attempt_id, answered_at)]
    for talk in talk_reports(samples, silence, level):
        at = answered_at + timedelta(seconds=talk.at)
        if talk.seconds is None:
            events.append(TalkingStarted(attempt_id, at))
        else:
            events.append(TalkingStopped(attempt_id, at, talk.seconds))
    return events
