"""What is known of a call when it is claimed, as the forecast of its answer takes it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from dialer.domain.answering import Features
from dialer.domain.model import CampaignPlan, Disposition
from dialer.store.contexts import LeadContext, PhoneFacts

ANSWERED = frozenset(one.value for one in Disposition if one.answered) - {Disposition.MACHINE.value}


def features_of(
    context: LeadContext, plan: CampaignPlan, number: PhoneFacts, now: datetime
) -> Features:
    """What is known of a call to ``number`` at ``now``. Raises as ``ZoneInfo`` does."""
    zone = context.timezone or plan.default_timezone
    local = now.astimezone(ZoneInfo(zone))
    since = None
    if context.last_called is not None:
        since = max(0.0, (now - context.last_called).total_seconds() / 3600.0)
    return Features(
        hour=local.hour + local.minute / 60.0,
        weekday=local.weekday(),
        attempt=context.attempts + 1,
        line_type=number.line_type,
        last=context.last_ended,
        since_hours=since,
        answered=sum(count for how, count in context.by_disposition.items() if how in ANSWERED),
        zone=zone,
        campaign=context.campaign_id,
    )
