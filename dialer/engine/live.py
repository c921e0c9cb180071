"""The calls in the air, as the engine holds them between event and database."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from dialer.domain import detection
from dialer.domain import events as ev
from dialer.domain.attempt import LOST, Effect, advance
from dialer.domain.model import Attempt, DetectionResult, Detector

NEVER_PLACED = timedelta(seconds=60)
"""An attempt whose turn has not come by then never gets one: its lead is due again."""
UNSEEN_SECONDS = 15.0
"""An Originate that shows no channel for so long is looked for, and given up if absent."""
MAX_CALL = timedelta(minutes=20)


@dataclass(frozen=True, slots=True)
class ConfirmSound:
    """The detector takes speech that does not stop for a machine: does sound still come?

    A line that sends nothing while it is quiet never lets Asterisk see the silence, so that
    "¿Diga?" never ends. Packets are counted before anybody is called a machine.
    """

    reason: str


@dataclass(slots=True)
class LiveCall:
    """One attempt that has not ended.

    ``placed``: Originate has left, so that a channel may exist; ``placed_on``: when. ``adopted``:
    taken over from an engine that died; what it had heard since its last write is missing.
    ``dirty``: changed since it was last written. ``hangup_before``: of a redial, when the debtor
    had hung up.
    ``suspected``: a machine by its unbroken speech, being confirmed.
    """

    attempt: Attempt
    detector: Detector
    hangup_before: datetime | None = None
    placed: bool = False
    placed_on: datetime | None = None
    adopted: bool = False
    dirty: bool = False
    suspected: bool = False
    heard: detection.DetectionState = field(default_factory=detection.DetectionState)

    def apply(self, event: ev.CallEvent) -> tuple[Effect | ConfirmSound, ...]:
        """Advance the attempt, and the detector beside it."""
        before = self.attempt
        self.attempt, advanced = advance(before, event)
        effects: tuple[Effect | ConfirmSound, ...] = advanced
        if self.detector is Detector.TALK:
            self.heard = detection.observe(self.heard, event, event.at)
            effects += self.judge(event.at)
        self.dirty = self.dirty or self.attempt is not before
        return effects

    def judge(self, now: datetime) -> tuple[Effect | ConfirmSound, ...]:
        """Ask the detector; a verdict becomes part of the attempt."""
        if self.detector is not Detector.TALK or self.attempt.detection is not None:
            return ()
        given = detection.verdict(self.heard, now)
        if given is None:
            return ()
        result, reason = given
        if result is DetectionResult.MACHINE and self.heard.talking_since is not None:
            first, self.suspected = not self.suspected, True
            return (ConfirmSound(reason),) if first else ()
        before = self.attempt
        self.attempt, effects = advance(before, ev.Detected(before.id, now, result, reason))
        self.dirty = True
        return effects

    def ended(self) -> Attempt:
        """The attempt as it is concluded, with the detector's last word."""
        one = self.attempt
        if one.answered_at is not None and one.detection is None:
            at = one.hangup_requested_at or one.ended_at or one.answered_at
            result, reason = (
                detection.final(self.heard, at)
                if self.detector is Detector.TALK
                else (DetectionResult.UNKNOWN, "no detector")
            )
            one = replace(one, detection=result, detection_reason=reason[:200])
        if self.adopted and not one.keys and one.outcome is None and one.failure is None:
            one = replace(one, failure=LOST)  # keys may have been missed: nothing at once
        return one

    def overdue(self, now: datetime, ring_timeout: float) -> bool:
        """Whether something should have been heard of it by now. ``ring_timeout`` in seconds."""
        one = self.attempt
        if not self.placed:
            return now - one.placed_at > NEVER_PLACED
        if one.answered_at is not None:
            return now - one.answered_at > MAX_CALL
        since = one.dialled_at or self.placed_on or one.placed_at
        ring = ring_timeout if one.dialled_at else 0.0
        return now - since > timedelta(seconds=ring + UNSEEN_SECONDS)
