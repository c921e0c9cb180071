"""The life of one call: ``advance(attempt, event) -> attempt, effects``.

Every transition is idempotent: an event that says what is known already, or that comes after the
end, changes nothing and has no effect. So a stream that is replayed in part does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass

from dialer.domain import events as ev
from dialer.domain.model import (
    Attempt,
    AttemptState,
    DetectionResult,
    Outcome,
)

MAX_KEYS = 64
"""What is kept of the keys pressed; a debtor leaning on a key is not a reason to fail."""

LOST = "lost"
"""``failure`` of an attempt whose end nobody saw: whether the phone rang is not known."""


@dataclass(frozen=True, slots=True)
class Close:
    """The call is over: conclude, and decide what follows."""


@dataclass(frozen=True, slots=True)
class HandleMachine:
    """A machine is on the line: send the channel to the machine's branch of the dialplan."""


Effect = Close | HandleMachine

_RANK = {
    AttemptState.CREATED: 0,
    AttemptState.DIALLING: 1,
    AttemptState.RINGING: 2,
    AttemptState.ANSWERED: 3,
    AttemptState.ENDED: 4,
}


def advance(attempt: Attempt, event: ev.CallEvent) -> tuple[Attempt, tuple[Effect, ...]]:
    """Apply one event. Raises ValueError if it is another attempt's."""
    if event.attempt_id != attempt.id:
        raise ValueError("an event of another attempt")
    if attempt.state is AttemptState.ENDED:
        return attempt, ()
    match event:
        case ev.DialBegun():
            return _forward(attempt, AttemptState.DIALLING, dialled_at=event.at), ()
        case ev.Ringing():
            return _forward(attempt, AttemptState.RINGING, ringing_at=event.at), ()
        case ev.Answered():
            return _forward(attempt, AttemptState.ANSWERED, answered_at=event.at), ()
        case ev.PromptReached():
            # A prompt proves the answer, should its own event have come while nobody listened.
            attempt = _forward(attempt, AttemptState.ANSWERED, answered_at=event.at)
            return attempt.with_(last_node=event.node, last_prompt=event.prompt), ()
        case ev.KeyPressed():
            return _key(attempt, event), ()
        case ev.IdentityConfirmed():
            return attempt.with_(identity_confirmed=True), ()
        case ev.OutcomeReported():
            return attempt.with_(outcome=event.outcome), ()
        case ev.Detected():
            return _detected(attempt, event)
        case ev.ConferenceJoined():
            return _joined(attempt, event), ()
        case ev.AbandonedPlayed():
            attempt = _forward(attempt, AttemptState.ANSWERED, answered_at=event.at)
            first = attempt.abandoned_at or event.at
            return attempt.with_(abandoned_at=first), ()
        case ev.HangupRequested():
            return _hangup_requested(attempt, event), ()
        case ev.Ended():
            ended = attempt.with_(
                state=AttemptState.ENDED,
                ended_at=event.at,
                q850=event.q850 if event.q850 is not None else attempt.q850,
                sip_status=event.sip_status,
            )
            return ended, (Close(),)
        case ev.OriginateFailed():
            if attempt.answered_at is not None:
                return attempt, ()  # a late reply about a call that did come about
            ended = attempt.with_(
                state=AttemptState.ENDED, ended_at=event.at, failure=event.reason[:200]
            )
            return ended, (Close(),)
        case ev.Vanished():
            lost = attempt.with_(state=AttemptState.ENDED, ended_at=event.at, failure=LOST)
            return lost, (Close(),)
    return attempt, ()


def _forward(attempt: Attempt, state: AttemptState, **times: object) -> Attempt:
    """State never goes back, and the first time that something happened is the one kept."""
    changes: dict[str, object] = {k: v for k, v in times.items() if getattr(attempt, k) is None}
    if _RANK[state] > _RANK[attempt.state]:
        changes["state"] = state
    return attempt.with_(**changes) if changes else attempt


def _key(attempt: Attempt, event: ev.KeyPressed) -> Attempt:
    changes: dict[str, object] = {"keys": (attempt.keys + event.key)[:MAX_KEYS]}
    if attempt.first_key_at is None:
        changes["first_key_at"] = event.at
    if attempt.detection is not DetectionResult.PERSON:
        changes["detection"] = DetectionResult.PERSON  # machines press no keys
        changes["detection_reason"] = f"pressed a key at {event.node}"
    return attempt.with_(**changes)


def _detected(attempt: Attempt, event: ev.Detected) -> tuple[Attempt, tuple[Effect, ...]]:
    if attempt.keys or attempt.identity_confirmed:
        return attempt, ()  # a key has settled it
    if attempt.detection in (DetectionResult.MACHINE, DetectionResult.FAX):
        return attempt, ()  # the first verdict stands; the branch is taken already
    changed = attempt.with_(detection=event.result, detection_reason=event.reason[:200])
    machine = event.result in (DetectionResult.MACHINE, DetectionResult.FAX)
    return changed, ((HandleMachine(),) if machine else ())


_UNDECIDED = (None, Outcome.WANTS_AGENT, Outcome.NO_INPUT, Outcome.INCOMPLETE)
"""Outcomes that a talk with an agent goes beyond."""


def _joined(attempt: Attempt, event: ev.ConferenceJoined) -> Attempt:
    """The debtor and an agent hear each other. What the agent concludes replaces ``spoke``."""
    attempt = _forward(attempt, AttemptState.ANSWERED, answered_at=event.at)
    changes: dict[str, object] = {}
    if attempt.agent_joined_at is None:
        changes["agent_joined_at"] = event.at
    if attempt.outcome in _UNDECIDED:
        changes["outcome"] = Outcome.SPOKE
    return attempt.with_(**changes) if changes else attempt


def _hangup_requested(attempt: Attempt, event: ev.HangupRequested) -> Attempt:
    if attempt.hangup_requested_at is not None:
        return attempt
    return attempt.with_(
        hangup_requested_at=event.at,
        # Before the answer this is the network's refusal, not a person's hand.
        hung_up_by_debtor=attempt.answered_at is not None,
        q850=event.q850 if event.q850 is not None else attempt.q850,
    )
