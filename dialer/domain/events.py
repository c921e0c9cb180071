"""What can happen to a call, as typed values; dialer.switch makes them from AMI text.

``attempt_id`` is the channel's unique id. ``at`` is Asterisk's own wall clock (the Timestamp
header), so that latencies measured between two events of one switch have no queueing in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dialer.domain.model import AgentCallResult, DetectionResult, Outcome


@dataclass(frozen=True, slots=True)
class CallEvent:
    """Something that happened to one attempt at one moment (aware UTC)."""

    attempt_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DialBegun(CallEvent):
    """The INVITE is on the wire."""


@dataclass(frozen=True, slots=True)
class Ringing(CallEvent):
    """180 or 183 came."""


@dataclass(frozen=True, slots=True)
class Answered(CallEvent):
    """200 OK came."""


@dataclass(frozen=True, slots=True)
class TalkingStarted(CallEvent):
    """The far end began to make sound."""


@dataclass(frozen=True, slots=True)
class TalkingStopped(CallEvent):
    """The far end went quiet; ``seconds`` of sound ended."""

    seconds: float


@dataclass(frozen=True, slots=True)
class PromptReached(CallEvent):
    """The flow began to say a prompt."""

    node: str
    prompt: str


@dataclass(frozen=True, slots=True)
class KeyPressed(CallEvent):
    """A menu choice (never a card digit; a factor of identity is reported as ``x`` a digit)."""

    node: str
    key: str


@dataclass(frozen=True, slots=True)
class IdentityConfirmed(CallEvent):
    """Both factors matched: from here the debt may be spoken of."""


@dataclass(frozen=True, slots=True)
class OutcomeReported(CallEvent):
    """The flow concluded something; it is in the database already."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Detected(CallEvent):
    """A detector said who answered (app_amd, a tone, or the one in dialer.domain.detection)."""

    result: DetectionResult
    reason: str


@dataclass(frozen=True, slots=True)
class HangupRequested(CallEvent):
    """The far end hung up: the moment the fallback's clock starts."""

    q850: int | None


@dataclass(frozen=True, slots=True)
class Ended(CallEvent):
    """The channel is gone."""

    q850: int | None
    sip_status: int | None


@dataclass(frozen=True, slots=True)
class OriginateFailed(CallEvent):
    """Asterisk refused to place the call at all (no such trunk, full, bad value)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Vanished(CallEvent):
    """The channel is not there, and nobody saw its end: the engine or the switch was away."""


@dataclass(frozen=True, slots=True)
class ConferenceJoined(CallEvent):
    """A channel is in a conference: a debtor's (``attempt_id`` is an attempt) or an agent's leg.
    ``channel`` is its name in Asterisk."""

    conference: str
    channel: str


@dataclass(frozen=True, slots=True)
class ConferenceLeft(CallEvent):
    """A channel has left a conference, for whatever reason."""

    conference: str
    channel: str


@dataclass(frozen=True, slots=True)
class Escalated(CallEvent):
    """The flow hands the debtor over to a person; they wait in the queue."""

    skill: str
    reason: str
    priority: int = 0


@dataclass(frozen=True, slots=True)
class QueueEnded(CallEvent):
    """The debtor waits no more, by choice or because it had been long enough."""

    result: AgentCallResult


@dataclass(frozen=True, slots=True)
class AbandonedPlayed(CallEvent):
    """No agent in time: the safe-harbour message begins."""


@dataclass(frozen=True, slots=True)
class InboundCommitted(CallEvent):
    """A debtor calls us; the attempt is in the database."""


@dataclass(frozen=True, slots=True)
class PaymentProgress(CallEvent):
    """Masked news of a card being keyed in; ``digits`` is how many, never which."""

    step: str = ""
    digits: int | None = None
    error: str = ""
    result: str = ""


@dataclass(frozen=True, slots=True)
class SwitchLost:
    """The AMI connection of a node is gone: nothing is placed until reconciled."""

    node: str


@dataclass(frozen=True, slots=True)
class SwitchReady:
    """The AMI connection is (again) there and Asterisk has fully booted; ``restarted`` when it
    is another Asterisk process than before, so that no call can have survived."""

    node: str
    restarted: bool


SwitchEvent = CallEvent | SwitchLost | SwitchReady
