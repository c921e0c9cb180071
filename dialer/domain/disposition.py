"""From an ended attempt to its disposition.

Unanswered calls go by the SIP status where there is one, else by the Q.850 cause (the mapping of
RFC 3398 section 8.2.6.1 read backwards). Answered ones go by stage: who answered, what the flow
concluded, whether a key was pressed, who hung up.
"""

from __future__ import annotations

from datetime import timedelta

from dialer.domain.model import Attempt, DetectionResult, Disposition, Outcome

_MACHINES = (DetectionResult.MACHINE, DetectionResult.FAX)
DEAD_AIR = timedelta(seconds=5)
"""A greeting begins well within this, also behind a detector that listens first (3.5 s at most)."""

CHOSEN = (
    Outcome.PROMISE,
    Outcome.LINK_SENT,
    Outcome.OPTED_OUT,
    Outcome.WANTS_AGENT,
    Outcome.PAID,
)
"""What only a key leads to: whatever a detector took them for, a person chose it."""

_BY_SIP = {
    486: Disposition.BUSY,
    600: Disposition.BUSY,
    403: Disposition.REJECTED,
    603: Disposition.REJECTED,
    607: Disposition.REJECTED,
    608: Disposition.REJECTED,
    404: Disposition.INVALID_NUMBER,
    410: Disposition.INVALID_NUMBER,
    484: Disposition.INVALID_NUMBER,
    604: Disposition.INVALID_NUMBER,
    408: Disposition.NO_ANSWER,
    480: Disposition.NO_ANSWER,
    487: Disposition.NO_ANSWER,
    500: Disposition.CONGESTION,
    502: Disposition.CONGESTION,
    503: Disposition.CONGESTION,
    504: Disposition.CONGESTION,
}

_BY_Q850 = {
    1: Disposition.INVALID_NUMBER,  # unallocated
    17: Disposition.BUSY,
    18: Disposition.NO_ANSWER,  # no user responding
    19: Disposition.NO_ANSWER,  # alerted, no answer
    20: Disposition.NO_ANSWER,  # subscriber absent
    21: Disposition.REJECTED,
    22: Disposition.INVALID_NUMBER,  # changed
    28: Disposition.INVALID_NUMBER,  # invalid format
    34: Disposition.CONGESTION,
    38: Disposition.CONGESTION,
    41: Disposition.CONGESTION,
    42: Disposition.CONGESTION,
    44: Disposition.CONGESTION,
    47: Disposition.CONGESTION,
}


def conclude(attempt: Attempt) -> Disposition:
    """The disposition of an attempt that has ended."""
    if attempt.outcome is not None and (
        attempt.detection not in _MACHINES or attempt.outcome in CHOSEN
    ):
        return Disposition(attempt.outcome.value)  # written by the flow, so it was answered
    if attempt.answered_at is None:
        return _unanswered(attempt)
    if attempt.detection in _MACHINES:
        return Disposition.MACHINE
    if attempt.keys:
        return Disposition.INCOMPLETE
    if attempt.abandoned_at is not None:
        # The message had begun: whoever hung up over it was abandoned all the same.
        return Disposition.ABANDONED
    if attempt.hung_up_by_debtor and not _left_in_silence(attempt):
        return Disposition.ANSWERED_ABANDONED
    # We ended it, and the flow had come to nothing: the IVR was not there.
    return Disposition.FAILED


def _left_in_silence(attempt: Attempt) -> bool:
    """They hung up on a line that said nothing: not a greeting's fault, and a redial at once
    would be as silent."""
    if attempt.last_prompt is not None or attempt.answered_at is None:
        return False
    over = attempt.hangup_requested_at or attempt.ended_at or attempt.answered_at
    return over - attempt.answered_at > DEAD_AIR


def _unanswered(attempt: Attempt) -> Disposition:
    if attempt.failure is not None:
        return Disposition.FAILED
    told = _BY_SIP.get(attempt.sip_status or 0) or _BY_Q850.get(attempt.q850 or 0)
    if told is not None and told is not Disposition.NO_ANSWER:
        return told
    if told is not None and attempt.hangup_requested_at is not None:
        return told  # the network itself gave up
    # Our own time-out, which Asterisk dresses up as 480. It rang: nobody came. It did not: the
    # trunk never replied.
    return Disposition.NO_ANSWER if attempt.ringing_at is not None else Disposition.FAILED
