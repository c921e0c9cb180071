"""What lies before a campaign: whom the policy lets it call, and when it would be done.

The counts are of a sample where a list is large, so that a look costs the same whatever its size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from dialer.domain.forecast import Forecast, Habits, Load, assumed, forecast
from dialer.domain.model import CampaignPlan, LeadState
from dialer.engine.allowed import Allowed, count_allowed
from dialer.store import habits, samples
from dialer.store.contexts import LeadContext, load_contexts
from dialer.store.samples import Sample
from dialer.store.tables import lead


@dataclass(frozen=True, slots=True)
class Facts:
    """What was read for it. ``made``: attempts behind a lead, on average; ``due``: lead -> its next
    try; ``last_due``: the last of all of them."""

    plan: CampaignPlan
    sample: Sample
    contexts: Sequence[LeadContext]
    habits: Habits
    agents: int
    made: int = 0
    due: Mapping[int, datetime] | None = None
    last_due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """As of ``at``. ``ahead``: that is not now, but when the campaign would start."""

    facts: Facts
    allowed: Allowed
    forecast: Forecast
    at: datetime
    ahead: bool = False

    @property
    def now_share(self) -> float | None:
        """Of the leads looked at that may be called at once; None of none."""
        looked = self.allowed.looked_at
        return self.allowed.now / looked if looked else None

    def of_all(self, count: int) -> int:
        """As many of the whole list as ``count`` of the sample stand for."""
        looked = self.allowed.looked_at
        return round(count * self.facts.sample.whole / looked) if looked else 0


def facts_of(
    connection: Connection, plan: CampaignPlan, company_id: int, sample: Sample,
    lead_ids: Sequence[int], now: datetime,
) -> Facts:  # fmt: skip
    """For a campaign that has not called yet; ``lead_ids``: the leads of the sample."""
    return Facts(
        plan=plan,
        sample=sample,
        contexts=list(load_contexts(connection, lead_ids, now).values()),
        habits=habits.measured(connection, company_id, now) or assumed(plan.ring_timeout),
        agents=habits.agents_for(connection, company_id, plan.agents.skill)
        if plan.agents.mode.needs_agents
        else 0,
    )


def facts_of_campaign(
    connection: Connection, campaign_id: int, plan: CampaignPlan, company_id: int, now: datetime
) -> Facts:
    """For a campaign as it stands: its leads that wait."""
    sample = samples.of_waiting(connection, campaign_id)
    rows = connection.execute(
        select(lead.c.id, lead.c.next_at, lead.c.attempts).where(lead.c.id.in_(sample.ids))
    ).all()
    last = connection.execute(
        select(func.max(lead.c.next_at)).where(
            lead.c.campaign_id == campaign_id, lead.c.state == LeadState.WAITING.value
        )
    ).scalar()
    found = facts_of(connection, plan, company_id, sample, [row.id for row in rows], now)
    return Facts(
        plan=plan,
        sample=sample,
        contexts=found.contexts,
        habits=found.habits,
        agents=found.agents,
        made=sum(row.attempts for row in rows) // len(rows) if rows else 0,
        due={row.id: row.next_at for row in rows},
        last_due=last,
    )


def outlook(facts: Facts, now: datetime, start: datetime | None = None) -> Outlook:
    """Of a campaign that calls from ``start`` (None: now) on. Asks the database for nothing."""
    at = max(now, start) if start else now
    allowed = count_allowed(facts.plan, facts.contexts, at, facts.due)
    share = allowed.ever / allowed.looked_at if allowed.looked_at else 0.0
    load = Load(
        leads=round(share * facts.sample.whole),
        habits=facts.habits,
        agents=facts.agents,
        made=facts.made,
        due=facts.last_due,
    )
    return Outlook(facts, allowed, forecast(facts.plan, load, at), at, ahead=at > now)
