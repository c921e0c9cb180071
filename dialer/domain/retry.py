"""When a lead is tried again, and on which phone; or why it is closed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from dialer.domain.model import CampaignPlan, Disposition

LOST_DELAY = timedelta(seconds=60)
"""After a crash swallowed an attempt's end, the lead is not lost: it waits this long."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The lead waits until ``at``; ``next_phone`` moves on to the debtor's next number."""

    at: datetime
    next_phone: bool


@dataclass(frozen=True, slots=True)
class CloseLead:
    """Nothing more is tried; the reason is shown to people."""

    reason: str


def after(
    plan: CampaignPlan,
    disposition: Disposition,
    *,
    same: int,
    total: int,
    usable_phones: int,
    now: datetime,
) -> TryAgain | CloseLead:
    """What becomes of a lead whose last attempt ended so.

    ``same`` counts the lead's attempts with this disposition, ``total`` all of them, this one
    included; ``usable_phones`` what is left after this attempt (a wrong or unallocated number no
    longer counts).
    """
    if usable_phones == 0:
        return CloseLead("no_phone_left")
    if disposition in (Disposition.INVALID_NUMBER, Disposition.WRONG_PERSON):
        # The number is out, not the debtor: the next number, if attempts are left.
        if total >= plan.max_attempts:
            return CloseLead("attempts_exhausted")
        return TryAgain(now, next_phone=True)
    if disposition.conversation:
        return CloseLead(disposition.value)
    if total >= plan.max_attempts:
        return CloseLead("attempts_exhausted")
    rule = plan.retry.get(disposition)
    if rule is None or same >= rule.max_attempts:
        return CloseLead(disposition.value)
    delay = min(rule.delay * rule.growth ** (same - 1), rule.max_delay)
    return TryAgain(now + timedelta(seconds=delay), next_phone=not disposition.answered)
