"""What follows an answered-abandoned contact: the signature of this dialer.

A campaign has a list of steps, tried in order. Each passes the contact policy; a refused one is
recorded with its reason and the next is tried. A redial that comes to nothing goes on with the
steps after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from dialer.domain.model import Attempt, Disposition, FallbackStep, Refusal, StepKind
from dialer.domain.policy import Verdict

AT_ONCE = timedelta(seconds=10)
"""A redial or text decided later than this after the hang-up is no answer to it any more."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the steps are judged by, gathered in one transaction at the hang-up.

    ``fresh_caller_id``: by index of the step, a number of the pool that this phone has not seen
    within the step's days, or None. ``texts``: indices of the steps whose text can be written.
    ``paid``: nothing is owed any more. ``payment_pending``: money may have been taken, so nobody
    is called for it; a text that somebody called asks for nothing. ``abandoned``: they answered and
    no agent came: a text may say sorry, another call may not follow (Ofcom's persistent misuse
    statement: none without an agent for 72 h).
    """

    policy: Verdict
    running: bool
    takes_sms: bool
    fresh_caller_id: dict[int, str | None]
    texts: frozenset[int]
    since_hangup: timedelta
    attempts_left: bool
    paid: bool = False
    payment_pending: bool = False
    abandoned: bool = False


@dataclass(frozen=True, slots=True)
class Considered:
    """One step that was looked at; taken when ``refused`` is None."""

    index: int
    step: FallbackStep
    refused: Refusal | None


def first_step(attempt: Attempt, disposition: Disposition) -> int | None:
    """At which step of the plan the fallback starts or goes on; None: there is none.

    Answered-abandoned starts it, and so does having been abandoned by us. A redial that reached
    nobody goes on behind its own step; one that was abandoned again too, so that nobody is
    redialled in a circle.
    """
    if attempt.fallback_index >= 0:
        reached = disposition.answered and disposition not in (
            Disposition.MACHINE,
            Disposition.ANSWERED_ABANDONED,
        )
        return None if reached else attempt.fallback_index + 1
    begins = (Disposition.ANSWERED_ABANDONED, Disposition.ABANDONED)
    return 0 if disposition in begins else None


def consider(steps: Sequence[FallbackStep], start: int, facts: Facts) -> tuple[Considered, ...]:
    """The steps from ``start`` on, each with its refusal, up to and with the first one taken.

    Empty, or ending with a refusal, when nothing is left: the ordinary retry follows.
    """
    looked_at: list[Considered] = []
    for index in range(start, len(steps)):
        refused = _judge(index, steps[index], facts)
        looked_at.append(Considered(index, steps[index], refused))
        if refused is None:
            break
    return tuple(looked_at)


def _judge(index: int, step: FallbackStep, facts: Facts) -> Refusal | None:
    if step.kind is StepKind.RETRY:
        return None
    if not facts.running:
        return Refusal.CAMPAIGN_NOT_RUNNING
    if facts.paid:
        return Refusal.PAID
    if facts.since_hangup > AT_ONCE:
        return Refusal.TOO_LATE
    if facts.policy.refused is not None:
        return facts.policy.refused
    if step.kind is StepKind.SMS:
        if not facts.takes_sms:
            return Refusal.NOT_MOBILE
        return None if index in facts.texts else Refusal.NO_TEXT
    if facts.abandoned:
        return Refusal.ABANDONED_LOCKOUT
    if facts.payment_pending:
        return Refusal.PAYMENT_PENDING
    if not facts.attempts_left:
        return Refusal.ATTEMPTS_EXHAUSTED
    if facts.fresh_caller_id.get(index) is None:
        return Refusal.NO_CALLER_ID
    return None
