"""Why a campaign calls nobody, for a supervisor who wants to change that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, func, select

from dialer.domain import policy
from dialer.domain.model import AttemptState, CampaignPlan, CampaignState, LeadState, Refusal
from dialer.store import idle_agents, leases
from dialer.store.contexts import LeadContext, load_contexts
from dialer.store.idle_reasons import (
    AllDone,
    Full,
    Looked,
    NoCallerId,
    NoEngine,
    NoLeads,
    NotRunning,
    Reason,
    TrunkFull,
    Waits,
)
from dialer.store.plans import plan_of
from dialer.store.tables import attempt, campaign, lead

SAMPLE = 500
"""How many waiting leads, the next ones due, are looked at one by one."""


@dataclass(slots=True)
class _Group:
    count: int = 0
    until: datetime | None = None

    def add(self, until: datetime | None) -> None:
        self.count += 1
        if until is not None and (self.until is None or until < self.until):
            self.until = until


@dataclass(slots=True)
class _Sample:
    """What stands against the leads looked at; ``callable_now`` have nothing against them."""

    callable_now: int = 0
    refused: dict[Refusal, _Group] = field(default_factory=dict)
    retrying: dict[str | None, _Group] = field(default_factory=dict)

    @property
    def looked_at(self) -> int:
        groups = [*self.refused.values(), *self.retrying.values()]
        return self.callable_now + sum(group.count for group in groups)


def why_idle(
    connection: Connection, campaign_id: int, now: datetime, trunk_limit: int | None = None
) -> list[str]:
    """``reasons``, in English."""
    return [str(one) for one in reasons(connection, campaign_id, now, trunk_limit)]


def reasons(
    connection: Connection, campaign_id: int, now: datetime, trunk_limit: int | None = None
) -> list[Reason]:
    """The reasons, weightiest first; empty when nothing stands against calling right now.

    ``trunk_limit``: how many calls the campaign's trunk carries at once, where it is known.
    Raises LookupError when there is no such campaign.
    """
    row = connection.execute(select(campaign).where(campaign.c.id == campaign_id)).first()
    if row is None:
        raise LookupError(f"there is no campaign {campaign_id}")
    plan = plan_of(row.plan)
    state = CampaignState(row.state)
    found: list[Reason] = []
    if state is not CampaignState.RUNNING:
        found.append(NotRunning(row.name, state))
    leads = _leads_by_state(connection, campaign_id)
    if not leads:
        found.append(NoLeads(row.name))
    elif not leads.get(LeadState.WAITING.value) and not leads.get(LeadState.CLAIMED.value):
        found.append(_all_done(connection, campaign_id))
    if not plan.caller_ids:
        found.append(NoCallerId())
    if state is CampaignState.RUNNING:
        found += _engine_and_lines(connection, row, plan, now, trunk_limit)
        found += idle_agents.why_no_call(connection, row.id, row.company_id, plan.agents, now)
    waiting = leads.get(LeadState.WAITING.value, 0)
    if waiting:
        found += _waiting(connection, campaign_id, plan, waiting, now)
    return found


def _leads_by_state(connection: Connection, campaign_id: int) -> dict[str, int]:
    rows = connection.execute(
        select(lead.c.state, func.count())
        .where(lead.c.campaign_id == campaign_id)
        .group_by(lead.c.state)
    ).all()
    return {row[0]: row[1] for row in rows}


def _all_done(connection: Connection, campaign_id: int) -> AllDone:
    rows = connection.execute(
        select(lead.c.closed_reason, func.count())
        .where(lead.c.campaign_id == campaign_id)
        .group_by(lead.c.closed_reason)
        .order_by(func.count().desc())
    ).all()
    return AllDone({row[0] or "": row[1] for row in rows})


def _engine_and_lines(
    connection: Connection,
    row: Row[Any],
    plan: CampaignPlan,
    now: datetime,
    trunk_limit: int | None,
) -> list[Reason]:
    found: list[Reason] = []
    if leases.holder(connection, row.id, now) is None:
        found.append(NoEngine())
    alive = select(func.count()).where(attempt.c.state != AttemptState.ENDED.value)
    mine = connection.execute(alive.where(attempt.c.campaign_id == row.id)).scalar_one()
    if mine >= plan.max_concurrent:
        found.append(Full(mine, plan.max_concurrent))
    if trunk_limit is not None:
        busy = connection.execute(alive.where(attempt.c.trunk == plan.trunk)).scalar_one()
        if busy >= trunk_limit:
            found.append(TrunkFull(plan.trunk, busy, trunk_limit))
    return found


def _waiting(
    connection: Connection, campaign_id: int, plan: CampaignPlan, waiting: int, now: datetime
) -> list[Reason]:
    rows = connection.execute(
        select(lead.c.id, lead.c.next_at, lead.c.last_disposition)
        .where(lead.c.campaign_id == campaign_id, lead.c.state == LeadState.WAITING.value)
        .order_by(lead.c.next_at, lead.c.id)
        .limit(SAMPLE)
    ).all()
    contexts = load_contexts(connection, [row.id for row in rows], now)
    sample = _Sample()
    for row in rows:
        _sort(sample, row, contexts[row.id], plan, now)
    if sample.callable_now:
        return []
    zone = ZoneInfo(plan.default_timezone)
    # What was looked at is all of it where there are no more than are looked at.
    looked = Looked(sample.looked_at if waiting > len(rows) else waiting, waiting)
    found: list[Reason] = [
        Waits(group.count, why, None, group.until, zone, looked)
        for why, group in sample.refused.items()
    ]
    found += [
        Waits(group.count, None, after, group.until, zone, looked)
        for after, group in sample.retrying.items()
    ]
    return found


def _sort(
    sample: _Sample, row: Any, context: LeadContext, plan: CampaignPlan, now: datetime
) -> None:
    """Into the group of what stands against this lead."""
    due = max(now, row.next_at)
    refused, until = _best(context, plan, now)
    if refused is not None:
        sample.refused.setdefault(refused, _Group()).add(
            None if until is None else max(until, row.next_at)
        )
    elif due > now:
        sample.retrying.setdefault(row.last_disposition, _Group()).add(row.next_at)
    else:
        sample.callable_now += 1


def _best(
    context: LeadContext, plan: CampaignPlan, now: datetime
) -> tuple[Refusal | None, datetime | None]:
    """The refusal of the phone that may be called soonest; (None, None): one may be called."""
    if not context.phones:
        return Refusal.NO_PHONE, None
    verdicts = []
    for phone in context.phones:
        standing = context.standing(phone, plan.default_timezone)
        verdict = policy.may_contact(
            plan.rules,
            standing,
            now,
            guaranteed=policy.guarantees_agent(plan.agents.mode),
            lock_out=timedelta(hours=plan.agents.lock_out_hours),
        )
        if verdict.allowed:
            verdict = policy.day_limit(
                plan.rules,
                context.recent_attempts,
                plan.max_attempts_per_day,
                standing.timezone,
                now,
            )
        verdicts.append(verdict)
    best = min(verdicts, key=_soonest)
    return best.refused, best.retry_at


def _soonest(verdict: policy.Verdict) -> tuple[int, float]:
    if verdict.allowed:
        return 0, 0.0
    if verdict.retry_at is None:
        return 2, 0.0
    return 1, verdict.retry_at.timestamp()


def explain(why: Sequence[str], name: str) -> str:
    """For a terminal: the reasons one a line, or that there is none."""
    if not why:
        return f"{name}: nothing stands against calling; leads are due now"
    return "\n".join(f"{name}: {reason}" for reason in why)
