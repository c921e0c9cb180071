"""What programs may do through the API, and what they are told of: scopes and kinds of event."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum


class Scope(StrEnum):
    """A right of a token."""

    CAMPAIGNS_READ = "campaigns:read"
    CAMPAIGNS_WRITE = "campaigns:write"
    LEADS_READ = "leads:read"
    LEADS_WRITE = "leads:write"
    DEBTORS_READ = "debtors:read"
    RESULTS_READ = "results:read"
    PAYMENTS_READ = "payments:read"
    AGENTS_READ = "agents:read"
    DNC_READ = "dnc:read"
    DNC_WRITE = "dnc:write"
    WEBHOOKS_WRITE = "webhooks:write"
    APPROVALS_READ = "approvals:read"
    APPROVALS_ASK = "approvals:ask"
    APPROVALS_DECIDE = "approvals:decide"
    CALLER_IDS_READ = "caller_ids:read"
    CALLER_IDS_WRITE = "caller_ids:write"
    TEXTS_READ = "texts:read"
    TEXTS_WRITE = "texts:write"
    REPORTS_WRITE = "reports:write"
    RECORDINGS_READ = "recordings:read"
    AUDIT_READ = "audit:read"
    USERS_READ = "users:read"


class EventType(StrEnum):
    """What a webhook may be told of."""

    ATTEMPT_ENDED = "attempt.ended"
    PROMISE_MADE = "promise.made"
    PAYMENT_SETTLED = "payment.settled"
    CAMPAIGN_FINISHED = "campaign.finished"
    OPTOUT_MADE = "optout.made"


class DeliveryState(StrEnum):
    """Where an event for a webhook stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"  # tried for three days


WAITS = tuple(
    timedelta(seconds=seconds)
    for seconds in (10, 60, 300, 1_800, 7_200, 21_600, 43_200, 86_400, 86_400)
)
"""Between the tries of a delivery: quickly at first, for three days in all."""


def next_try(tries: int, now: datetime) -> datetime | None:
    """When to try again after so many that failed; None: not any more."""
    return now + WAITS[tries - 1] if tries <= len(WAITS) else None
