"""Whether a debtor may be called now, and if not, when and why: asked of what the engine itself
decides by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

from sqlalchemy import Connection, Row

from dialer.domain.model import CampaignState, LeadState, Refusal
from dialer.engine.claiming import BAD_TIMEZONE, Call, Wait, decide
from dialer.store.contexts import load_contexts
from dialer.store.plans import plan_of

NOW, LATER, NEVER = "now", "later", "never"


@dataclass(frozen=True, slots=True)
class Standing:
    """Of a debtor in one campaign. ``why``: a Refusal or why the lead was closed; ``retry``: it
    waits for its next turn and nothing else stands against it. ``at``: when it may be."""

    campaign_id: int
    campaign: str
    campaign_state: str
    reference: str
    attempts: int
    when: str
    why: str = ""
    at: datetime | None = None
    retry: bool = False


def standings(connection: Connection, leads: list[Row[Any]], now: datetime) -> list[Standing]:
    """One for each lead (see ``dialer.store.debtor_view.leads``)."""
    waiting = [row.id for row in leads if row.state != LeadState.DONE.value]
    contexts = load_contexts(connection, waiting, now)
    found = []
    for row in leads:
        when, why, at, retry = _standing(row, contexts.get(row.id), now)
        found.append(
            Standing(
                row.campaign_id, row.campaign, row.campaign_state, row.reference, row.attempts,
                when, why, at, retry,
            )
        )  # fmt: skip
    return found


def _standing(row: Row[Any], context: Any, now: datetime) -> tuple[str, str, datetime | None, bool]:
    if context is None:
        return NEVER, row.closed_reason or "", None, False
    if row.campaign_state != CampaignState.RUNNING.value:
        over = row.campaign_state in (CampaignState.STOPPED.value, CampaignState.FINISHED.value)
        return (NEVER if over else LATER), Refusal.CAMPAIGN_NOT_RUNNING.value, None, False
    if row.state == LeadState.CLAIMED.value:
        return LATER, Refusal.IN_CALL.value, None, False
    try:
        # Asked for the moment of its turn: what stands against it by then.
        decision = decide(plan_of(row.plan), context, max(now, row.next_at))
    except (ZoneInfoNotFoundError, ValueError):
        return NEVER, BAD_TIMEZONE, None, False
    if isinstance(decision, Call):
        if row.next_at <= now:
            return NOW, "", None, False
        return LATER, "", row.next_at, True
    if isinstance(decision, Wait):
        return LATER, decision.reason.value, decision.at, False
    return NEVER, decision.reason, None, False
